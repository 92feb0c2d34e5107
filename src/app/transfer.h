/*
 * transfer - keys into and out of the store while no server runs: --import, --export
 *
 * Threads: the main thread, before any other.
 */
#ifndef APP_TRANSFER_H
#define APP_TRANSFER_H

#include "core/config.h"

/*
 * The process's exit status of both: 0, 65 if a part of the file was not taken, 75 if a server
 * runs on DATA_DIR, else 1. What was done goes to standard output, what was not to standard error,
 * line by line.
 */
int transfer_import(const struct config *config, const char *path);

/* Writes one "URL|key" per line into the new file `path`, mode 0600. */
int transfer_export(const struct config *config, const char *path);

#endif
