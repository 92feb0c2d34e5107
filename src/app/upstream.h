/*
 * upstream - the Ollama server that is used while there are no keys
 *
 * With OLLAMA_BASE_URL it is that one. Without, it is the Ollama of this machine, which may not
 * be there: it is looked for at the start, and while it does not answer at most one request in
 * five seconds goes and looks again; the others hear at once that there is no upstream. Nothing is
 * sent anywhere else without a key.
 *
 * Threads: any; the state is atomic.
 * Time:    the caller passes now_ms.
 */
#ifndef APP_UPSTREAM_H
#define APP_UPSTREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/url.h"
#include "core/api_error.h"
#include "core/config.h"

#define UPSTREAM_RETRY_MS 5000

struct upstream {
    atomic_bool failed_last;       // the last contact failed
    _Atomic uint64_t next_look_ms; // while the local server is missing: when to look again
};

/* Where requests go under `config`. */
const struct url *upstream_url(const struct config *config);

/* Whether requests go to the same place under both. */
bool upstream_same(const struct config *a, const struct config *b);

/* What a caller is told while there is none. */
struct api_error upstream_none_error(void);

/* Whether a request may go there now; with the local server missing, true at most every 5 s. */
bool upstream_may_try(struct upstream *u, const struct config *config, uint64_t now_ms);

enum upstream_outcome {
    UPSTREAM_ANSWERED,
    UPSTREAM_FAILED,  // it is there, and did not do its work
    UPSTREAM_MISSING, // it could not be reached
};

/* Reports how the last contact went. */
void upstream_note(struct upstream *u, const struct config *config, enum upstream_outcome outcome,
                   uint64_t now_ms);

/* Whether it did its work when it was last asked. */
bool upstream_is_up(const struct upstream *u);

#endif
