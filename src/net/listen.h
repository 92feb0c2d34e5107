/*
 * listen - sockets that wait for callers
 *
 * Every worker listens on a socket of its own, and the kernel spreads connections over them
 * (SO_REUSEPORT). That option would also let a second program of the same user share the port
 * unseen, so the address is bound once without it first: a port in use stops the start.
 *
 * Threads: none; called at the start.
 */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"

/*
 * Resolves `host` (a literal or a name) and binds `n` sockets to it and `port`, one per worker.
 * `fds` gets descriptors that do not block, close on exec, and do not listen yet; the caller owns
 * them. `ret_bound` gets the address.
 *
 * ERR_IN_USE  another program has the port.
 * ERR_SYSTEM  the host does not resolve, or the system refused; `info` says what.
 */
MUST_CHECK enum err listen_bind(const char *host, uint16_t port, size_t n, int *fds,
                                struct sockaddr_storage *ret_bound, struct err_info *info);

#endif
