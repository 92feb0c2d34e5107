/*
 * upstream - the Ollama server that is used while there are no keys
 *
 * The pool has it as its fallback key, with the states of any key. With OLLAMA_BASE_URL it is that
 * one. Without, it is the Ollama of this machine, which may not be there: it is looked for at the
 * start, and while it does not answer at most one request in five seconds goes and looks again; the
 * others hear at once that there is no upstream. Nothing is sent anywhere else without a key.
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
#include "core/keypool.h"

#define UPSTREAM_RETRY_MS 5000

struct upstream {
    _Atomic uint64_t next_look_ms; // while the local server is missing: when to look again; or 0
};

/* Where requests go under `config` while there is no key. */
const struct url *upstream_url(const struct config *config);

/* Whether that is the same place under both. */
bool upstream_same(const struct config *a, const struct config *b);

/* What a caller is told while there is none. */
struct api_error upstream_none_error(void);

/* Whether a request may go on; false where only the local server is left, and it is missing. */
bool upstream_may_try(struct upstream *u, struct keypool *pool, const struct config *config,
                      uint64_t now_ms);

/* Whether the local server is all there is, and it did not answer when it was last looked for. */
bool upstream_is_missing(struct upstream *u, struct keypool *pool, const struct config *config);

/* Whether the server that is used without keys did not do its work when it was last asked. */
bool upstream_failed(struct keypool *pool, uint64_t now_ms);

/* Reports a contact with the fallback; returns whether it was the local server, and missing. */
bool upstream_note(struct upstream *u, const struct config *config, bool unreachable,
                   uint64_t now_ms);

#endif
