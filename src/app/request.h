/*
 * request - what the app knows of one exchange: id, route, CORS, how it ended
 *
 * Made when the head was read, freed when the exchange is over. The answers of all routes go out
 * through it, so that each has its request id, its CORS headers and one access line.
 *
 * Threads: owned by the worker's.
 * Memory:  an open stream keeps this struct, and of the request's head nothing.
 */
#ifndef APP_REQUEST_H
#define APP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/snapshot.h"
#include "app/worker.h"
#include "base/list.h"
#include "codec/openai_error.h"
#include "core/api_error.h"
#include "core/cors.h"
#include "core/reqlog.h"
#include "core/target.h"
#include "net/server.h"

struct admin_call;
struct models_wait;
struct relay;

#define REQUEST_MODEL_BYTES     64 // of a model's name in the log
#define REQUEST_RANDOM_ID_BYTES 29 // with a final zero

/* What the log of requests gets of the attempts. */
struct request_trail {
    uint32_t n;                  // attempts begun
    bool open;                   // the last one has not failed
    uint32_t host;               // of the last one, the pool's number
    uint64_t key_id;             // of the last one
    uint64_t from_ms;            // the request's age when it began
    struct reqlog_tries *failed; // owned; NULL: none has
};

struct request {
    struct exchange *x;
    struct worker *worker;
    struct snapshot *snapshot; // a counted reference: the settings it began with
    struct list link;          // in worker->requests
    struct relay *relay;       // owned; NULL unless an upstream is involved
    struct models_wait *wait;  // owned; NULL: it waits for nothing of models.c
    struct admin_call *admin;  // owned; NULL unless it is for /admin
    const char *why;           // static: what ended it, for the log; NULL: nothing special
    str id;                    // in id_room, or owned
    str trace;                 // owned: a valid traceparent of the caller's; p NULL: none
    str model;                 // owned; p NULL: none
    str caller;                // owned: who called, behind proxies we trust; p NULL: the peer
    str origin;                // owned: the allowed Origin; p NULL: no CORS headers
    str attempts;              // owned: X-Attempts of the answer; p NULL: none
    uint64_t tokens_in;        // as the upstream counted them; 0: it did not
    uint64_t tokens_out;
    uint64_t first_ms;   // when the first useful thing was there; UINT64_MAX: none yet
    bool streaming;      // a stream of events has begun
    int upstream_status; // of the last attempt; 0: none
    struct request_trail trail;
    enum route route;
    enum http1_method method;
    bool by_admin;                         // a caller of /v1 with an admin session
    char id_room[REQUEST_RANDOM_ID_BYTES]; // of an id of our own
};

/* A request for `x`, with an id of the caller's or of ours. */
struct request *request_new(struct worker *w, struct exchange *x);

/* Cancels what still runs for it. */
void request_free(struct request *r);

/* Keep a copy for the log, cut to whole characters; and of the Origin that CORS headers name. */
void request_set_model(struct request *r, str model);
void request_set_origin(struct request *r, str origin);

/* Sends an answer with these fields and what all answers have. */
void request_reply(struct request *r, int status, const struct http1_field *fields, size_t n,
                   str body);

/* Begins one of unknown length. */
void request_begin(struct request *r, int status, const struct http1_field *fields, size_t n);
/* Whether the caller shall see X-Attempts. */
bool request_shows_attempts(const struct request *r);

/* Keeps a copy of the path of attempts for the answer's head. */
void request_set_attempts(struct request *r, str path);

/* Sends JSON, or text of another type. */
void request_reply_json(struct request *r, int status, str body);
void request_reply_text(struct request *r, int status, str content_type, str body);

/* Further headers of an answer. */
struct reply_extras {
    str allow;              // Allow; empty: none
    uint32_t retry_after_s; // Retry-After; 0: none
    bool no_retry;          // x-should-retry: false
};

/* Sends an error in OpenAI's shape. `extras` may be NULL. */
void request_reply_fault(struct request *r, const struct openai_fault *fault,
                         const struct reply_extras *extras);

/* The same for an error that core has judged. */
void request_reply_error(struct request *r, const struct api_error *error);

/* The 503 while memory for bodies is short. */
void request_refuse_for_now(struct request *r);

/* A core error as the codec writes it. */
struct openai_fault request_fault_of(const struct api_error *error);

/* The fields of an error that the server answers by itself; returns their number, at most `max`. */
size_t request_error_fields(const struct request *r, struct http1_field *fields, size_t max);

/* Writes a fresh request id into `out` and returns it. */
str request_random_id(char out[REQUEST_RANDOM_ID_BYTES]);

/* Answers a preflight: 204 with `headers`. */
void request_reply_preflight(struct request *r, const struct cors_headers *headers, str allow);

/* Begins a stream of server-sent events. */
void request_begin_stream(struct request *r);

/* Notes that the first useful thing of an answer is there, for the metrics. */
void request_note_first(struct request *r);

/* An attempt begins, with this key at this host. */
void request_note_attempt(struct request *r, uint64_t key_id, uint32_t host);

/* It failed: `verdict` is static; `text` tells why, and holds nothing of the request or answer. */
void request_note_failure(struct request *r, const char *verdict, int status, str text);

/* Writes the access line, counts the request, and puts it into the log that persons look at. */
void request_log(struct request *r, enum exchange_end how);

#endif
