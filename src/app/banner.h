/*
 * banner - what the program says when it starts, and the texts of its options
 *
 * Threads: the main thread, before the workers run.
 */
#ifndef APP_BANNER_H
#define APP_BANNER_H

#include <stddef.h>
#include <sys/socket.h>

#include "core/config.h"

/*
 * Says on standard output where things are, and warns of what is open or was not understood, and
 * of each line of `notes`.
 */
void banner_print(const struct config *config, const struct sockaddr_storage *bound,
                  size_t n_workers, str notes);

#endif
