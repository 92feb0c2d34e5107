/*
 * relay_private - what the files of the relay share
 *
 *   relay.c          a request's life and the caller's side of it
 *   relay_attempt.c  the search for a key that answers: one attempt after the other
 *   relay_answer.c   what comes back in one attempt
 */
#ifndef APP_RELAY_PRIVATE_H
#define APP_RELAY_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "app/dialect.h"
#include "app/learn.h"
#include "app/relay.h"
#include "app/request.h"
#include "base/list.h"
#include "codec/ndjson.h"
#include "core/attempts.h"
#include "core/classify.h"
#include "core/keypool.h"
#include "net/client.h"
#include "net/loop.h"

#define RELAY_SPARE_BYTES        ((size_t)1 << 20)
#define RELAY_PER_BODY_BYTE      4 // what parsing may take; a body of text takes three
#define RELAY_RETRY_AFTER_BYTES  64
#define RELAY_WHOLE_ANSWER_BYTES ((size_t)64 << 20) // of an answer that is not streamed
#define RELAY_ERROR_BODY_BYTES   ((size_t)64 << 10)

enum relay_state {
    RELAY_ASKING,    // nothing is sent yet: whether the model can think is being learned
    RELAY_WAITING,   // for the head of the upstream's answer
    RELAY_STREAMING, // native lines become events as they come
    RELAY_GATHERING, // a whole answer, or the body of an error
    RELAY_TAIL,      // the caller has everything; the upstream's last bytes are read
};

/* What upstreams get of the caller's head, for attempts after the head itself is gone. */
struct passed_on {
    str via; // in the memory behind this
    size_t size_bytes;
};

struct relay {
    struct list link; // in worker->tails, in RELAY_TAIL
    struct worker *worker;
    struct request *req; // NULL in RELAY_TAIL
    const struct dialect *dialect;
    enum relay_state state;
    bool useful;                // a useful event went to the caller: no other attempt any more
    bool paused;                // the caller is slow, so the upstream is not read
    bool without_think;         // the request is sent without `think`
    bool local_missing;         // the local server, which settings need not name, is not there
    struct loop_timer deadline; // REQUEST_TIMEOUT, then STREAM_IDLE_TIMEOUT; or the tail's
    struct loop_timer beat;     // STREAM_START_TIMEOUT, then keep-alive comments
    struct learn_wait ask;      // in RELAY_ASKING
    struct answer answer;

    // the request, kept until something useful of an answer is here
    struct buf native;
    str native_slices[2];     // the same, for the client
    struct passed_on *passed; // owned; NULL while the exchange has the head

    // the search for a key
    struct lease lease;        // slot KEYPOOL_END: none
    struct key_search search;  // what was tried
    struct attempts *attempts; // owned; NULL until one has failed

    // the attempt that is under way
    struct client_call *call; // NULL: none, or over
    uint64_t began_ms;
    int status; // of the upstream's answer
    char retry_after[RELAY_RETRY_AFTER_BYTES];
    struct buf gathered;
    struct ndjson lines;
    size_t charged; // bytes of the buffers that the budget counts
};

static inline const struct config *relay_config(const struct relay *r)
{
    return r->req->snapshot->config;
}

static inline struct loop *relay_loop(const struct relay *r)
{
    return r->worker->loop;
}

static inline struct keypool *relay_keypool(const struct relay *r)
{
    return r->worker->program->keypool;
}

/* ---- relay.c ---- */

/* Tells the budget what the buffers take now. */
void relay_charge(struct relay *r);

/* Sends what an event has put into the worker's buffer. */
void relay_send_out(struct relay *r);

/* Ends a stream with what is in the worker's buffer; the upstream's tail is read, then r is gone.
 */
void relay_finish_stream(struct relay *r);

/* The same for a whole answer. */
void relay_finish_whole(struct relay *r);

/* Ends the request with an error, in the shape that fits what was sent so far. r is gone. */
void relay_fail_with(struct relay *r, const struct api_error *error);

/* Frees what only another attempt would need: from here on there is none. */
void relay_settle(struct relay *r);

/* Whether the request asks the model to think, and can be sent without that. */
static inline bool relay_may_drop_think(const struct relay *r)
{
    return r->answer.think.len > 0 && !r->without_think;
}

/* ---- relay_attempt.c ---- */

/* Takes a key and sends the request with it; ends the request if there is none. */
void relay_begin(struct relay *r);

/* Sends the request again, with the same key and without `think`. */
void relay_again_without_think(struct relay *r);

/* Copies what upstreams get of the caller's head, which is about to go. */
void relay_keep_head(struct relay *r);

/* An attempt ended that way: tells the pool, and makes another one or ends the request. */
void relay_attempt_failed(struct relay *r, enum attempt_end how, str detail);

/* The same, with all that is known. */
struct attempt relay_attempt_of(const struct relay *r, enum attempt_end how);
void relay_judge(struct relay *r, const struct attempt *attempt);

/* The attempt has given a complete answer. */
void relay_attempt_succeeded(struct relay *r, const struct native *native);

/* Makes the answer's head say which attempts there were, this one as `result`, if that is asked. */
void relay_tell_attempt(struct relay *r, const char *result);

/* Lets go of the key without a verdict, if there is one. */
void relay_drop_lease(struct relay *r);

/* ---- relay_answer.c ---- */

/* What the client calls. */
extern const struct client_events RELAY_EVENTS;

/* The time that the upstream had is over. */
void relay_answer_is_late(struct relay *r);

#endif
