/*
 * status - the routes that say how this program is: /, /health, /v1
 *
 * Threads: the worker's. None of them waits for an upstream.
 */
#ifndef APP_STATUS_H
#define APP_STATUS_H

#include "app/request.h"

void status_reply_root(struct request *r);
void status_reply_health(struct request *r);
void status_reply_v1(struct request *r);

#endif
