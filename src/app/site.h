/*
 * site - which request goes where: who may call, from which page, which route
 *
 * Threads: the worker's.
 */
#ifndef APP_SITE_H
#define APP_SITE_H

#include "app/worker.h"
#include "net/server.h"

/* What the server calls for every exchange; the app pointer is the struct worker. */
extern const struct server_events SITE_EVENTS;

/* Ends what runs on this worker with an error in the caller's shape: the drain's deadline. */
void site_cut_all(struct worker *w);

#endif
