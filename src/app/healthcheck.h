/*
 * healthcheck - asks the server that runs with the same settings how it is (--healthcheck)
 *
 * For containers and supervisors, in which no other HTTP client is at hand. It connects to PORT at
 * HOST, or at loopback where the server listens on all addresses, and with TLS_CERT expects that
 * certificate.
 *
 * Threads: the main thread, before any other.
 */
#ifndef APP_HEALTHCHECK_H
#define APP_HEALTHCHECK_H

#include "app/snapshot.h"

#define HEALTHCHECK_MS 5000 // for the whole of it

/* Prints one line; the process's exit status: 0 if /health answered 200, else 1. */
int healthcheck_run(const struct snapshot *snapshot);

#endif
