/*
 * look - asks once whether the Ollama of this machine is there
 *
 * At the start of a program that has neither a key nor OLLAMA_BASE_URL, so that /health knows
 * before the first request comes. Costs the server nothing: GET /api/version.
 *
 * Threads: the worker's.
 */
#ifndef APP_LOOK_H
#define APP_LOOK_H

#include "app/worker.h"

/* Starts, unless one is under way or the settings name an upstream. */
void look_start(struct worker *w);

/* Ends what is under way, if anything. */
void look_cancel(struct worker *w);

#endif
