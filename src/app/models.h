/*
 * models - the routes GET /v1/models and GET /v1/models/{id}
 *
 * Both answer from the catalog. The list, however old, goes out at once, unless it may just have
 * changed: then a refresh gets MODELS_GRACE_MS to come first. Only where there is no list at all,
 * or a model that is not in it, an answer is waited for, LEARN_WAIT_MS at most.
 *
 * A model is found under its listed name, with or without ":latest", in any letter case, and is
 * shown under the name that was asked for. One that is not listed (a cloud model that was never
 * pulled) is found if the upstream can show it.
 *
 * Threads: the worker's.
 */
#ifndef APP_MODELS_H
#define APP_MODELS_H

#include "app/request.h"

#define MODELS_GRACE_MS 250

void models_reply_list(struct request *r);

void models_reply_one(struct request *r);

/* The program ends: the caller gets an error now. */
void models_shut_down(struct models_wait *m);

/* Accepts NULL. */
void models_wait_free(struct models_wait *m);

#endif
