/*
 * classify - what an upstream's answer means for the caller, the key and the host
 *
 * Three tables: how an attempt can fail, which texts turn a status into something else, and what
 * follows from each kind of failure. The judgement is about one attempt; whether another one is
 * made, and what a run of equal verdicts does to a key, is for those who call.
 *
 * Threads: none; pure. Time is an argument.
 * Memory:  messages are static, borrow from the attempt or live in the caller's arena.
 */
#ifndef CORE_CLASSIFY_H
#define CORE_CLASSIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "core/api_error.h"
#include "core/retry_after.h"

/* How an attempt ended that did not succeed. */
enum attempt_end {
    ATTEMPT_STATUS,     // an HTTP status other than 200
    ATTEMPT_ERROR_LINE, // an {"error"} object under status 200
    ATTEMPT_NO_CONNECT, // no address, refused, unreachable, CONNECT_TIMEOUT, the proxy's refusal
    ATTEMPT_ADDRESS,    // the host has only addresses that we must not connect to
    ATTEMPT_TLS,        // handshake or certificate
    ATTEMPT_CUT,        // the connection ended before the answer did, or the answer is empty
    ATTEMPT_MALFORMED,  // no sound HTTP, or a body that is not what Ollama sends
    ATTEMPT_TIMEOUT,    // REQUEST_TIMEOUT
    ATTEMPT_IDLE,       // STREAM_IDLE_TIMEOUT
    ATTEMPT_NOT_DONE,   // a whole answer that says done:false
};

struct attempt {
    enum attempt_end how;
    int status;      // ATTEMPT_STATUS
    bool json;       // the body is a JSON object with an `error`
    str error_text;  // that error's text, or the error object's JSON
    bool signin_url; // the body has a signin_url
    str retry_after; // the header; empty: none
    str detail;      // for transport failures: why, for people; callers see it; may be empty
    str secret;      // the key that was sent, kept out of messages; empty: none
    str model;       // as the caller wrote it
    bool formatted;  // the request holds the model to a format
    bool began;      // a useful event was sent to the caller: no other attempt
    bool keyed;      // the request carried a key
    bool ollama_com; // the host is ollama.com
    int64_t now_s;   // wall clock
};

/* What the attempt says about the key it used. */
enum key_verdict {
    KEY_NO_VERDICT,
    KEY_DEAD,          // refused for good
    KEY_LIMITED,       // cools for cool_s
    KEY_MISBEHAVED,    // three in a row: 5 s, doubling to 300 s
    KEY_IN_TROUBLE,    // three in a row: 1 to 5 s
    KEY_MODEL_REFUSED, // this model only: an hour, doubling to 24 h
    KEY_MODEL_SIGNIN,  // this model only: 10 min
};

enum host_verdict {
    HOST_NO_VERDICT,
    HOST_NO_CONNECT,  // two in a row: 5 s, doubling to 300 s
    HOST_AT_FAULT,    // cools at once
    HOST_LACKS_MODEL, // out for this request
};

enum retry_scope {
    RETRY_NEVER,
    RETRY_OTHER_KEY,
    RETRY_OTHER_HOST,
};

/* Where cool_s comes from. */
enum cool_source {
    COOL_NONE,
    COOL_STATED,   // the upstream named it
    COOL_COMPUTED, // from what is known of its windows
    COOL_GUESSED,  // the least; doubles with each further one
};

struct verdict {
    struct api_error error; // what the caller gets if no other attempt follows
    enum key_verdict key;
    enum host_verdict host;
    enum retry_scope retry;
    bool counts;     // against MAX_RETRIES: it reached a model and failed there
    bool retry_once; // at most one other attempt after this kind of failure
    uint32_t cool_s; // KEY_LIMITED
    enum cool_source cool_source;
    str account;      // the account a usage limit names; empty: unknown
    const char *name; // for logs: "model_missing"
    str note;         // what is kept and shown of it: the message without what may quote a prompt
};

/* Judges one failed attempt. Texts of the upstream are shortened and cleaned before use. */
void classify(struct arena *a, const struct attempt *attempt, struct verdict *ret);

/*
 * Puts a waiting time into `e`: as Retry-After up to 120 s; above that clients would give up on
 * it, so the header is left out, no_retry is set, and the message says when.
 */
void classify_set_wait(struct arena *a, struct api_error *e, uint32_t wait_s);

#endif
