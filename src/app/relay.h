/*
 * relay - the life of a request that an upstream answers
 *
 * The only place that knows both sides. It sends the native request, feeds what comes back
 * through the dialect to the caller, and sees to it that whatever goes wrong ends in one answer
 * that says so: an HTTP error as long as nothing was sent, an error event after that.
 *
 *   relay_start ──► WAITING ──► STREAMING ──► over
 *                    ▲ │   └──► GATHERING (a whole answer, or the body of an error) ──► over
 *                    │ └─ STREAM_START_TIMEOUT: status 200 and comments go out, the state stays
 *                    └─ an attempt failed before a useful event went out: the next key
 *
 * The caller's side may end at any moment: then the upstream's connection is closed in the same
 * loop turn. When a stream is complete the rest of the upstream's answer (its last chunk) is read
 * for a moment, so that the connection can be used again.
 *
 * A request that asks a model to think first waits in ASKING, for a moment and once a model,
 * until it is known whether the model can; one that cannot gets the request without that.
 *
 * Threads: the worker's.
 * Memory:  an open stream keeps this struct, the head of its chunks and the model's name; until
 *          its first useful event also the native request and what the search for a key has seen.
 */
#ifndef APP_RELAY_H
#define APP_RELAY_H

#include "app/dialect.h"
#include "app/request.h"

/* Decodes the request's body and sends it on. Answers at once what cannot be sent. */
void relay_start(struct request *r, const struct dialect *dialect);

/* The caller has taken what was waiting: the upstream is read again. */
void relay_resume(struct relay *relay);

/* The program ends: the caller gets an error of its own kind, now. */
void relay_shut_down(struct relay *relay);

/*
 * Frees, cancelling the upstream's work. Accepts NULL. Reached when the exchange is over, however
 * that came about; a relay that has delivered its answer belongs to itself and is not reached.
 */
void relay_free(struct relay *relay);

/* Frees the relays that have delivered their answers and still read the upstream's last bytes. */
void relay_free_tails(struct worker *w);

#endif
