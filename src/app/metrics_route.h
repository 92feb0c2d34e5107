/*
 * metrics_route - GET /metrics, for Prometheus
 *
 * Threads: the worker's. The other workers' shards are read as they are.
 */
#ifndef APP_METRICS_ROUTE_H
#define APP_METRICS_ROUTE_H

#include "app/request.h"

/* Whether the sender may read them: by METRICS_TOKEN or, where none is set, from this machine. */
bool metrics_allowed(const struct request *r);

/* Answers with all of them, as text or, by Accept, as OpenMetrics. */
void metrics_reply(struct request *r);

#endif
