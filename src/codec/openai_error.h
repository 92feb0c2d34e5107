/*
 * openai_error - what a caller is told when a request fails
 *
 * One list holds every pair of type and code that callers ever see. Clients branch on them: a
 * code decides whether an agent shortens its prompt, and a word in a message can make a gateway
 * switch a whole channel off, so messages are cleaned here, on the way out.
 *
 * Threads: none.
 */
#ifndef CODEC_OPENAI_ERROR_H
#define CODEC_OPENAI_ERROR_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct json;

// clang-format off
//    name                      status  type                     code ("" is null)
#define OPENAI_FAULT_LIST(X) \
    X(FAULT_BAD_REQUEST,          400, "invalid_request_error", "") \
    X(FAULT_MISSING_PARAMETER,    400, "invalid_request_error", "missing_required_parameter") \
    X(FAULT_UNSUPPORTED,          400, "invalid_request_error", "unsupported_parameter") \
    X(FAULT_CONTEXT_LENGTH,       400, "invalid_request_error", "context_length_exceeded") \
    X(FAULT_NO_TOKEN,             401, "invalid_request_error", "invalid_api_key") \
    X(FAULT_SUBSCRIPTION,         403, "invalid_request_error", "upstream_subscription_required") \
    X(FAULT_ORIGIN,               403, "invalid_request_error", "origin_not_allowed") \
    X(FAULT_NOT_FOUND,            404, "invalid_request_error", "") \
    X(FAULT_MODEL_NOT_FOUND,      404, "invalid_request_error", "model_not_found") \
    X(FAULT_METHOD,               405, "invalid_request_error", "") \
    X(FAULT_REQUEST_TIMEOUT,      408, "invalid_request_error", "") \
    X(FAULT_TOO_LARGE,            413, "invalid_request_error", "request_too_large") \
    X(FAULT_URI_TOO_LONG,         414, "invalid_request_error", "") \
    X(FAULT_EXPECTATION,          417, "invalid_request_error", "") \
    X(FAULT_RATE_LIMIT,           429, "rate_limit_error",      "rate_limit_exceeded") \
    X(FAULT_HEADERS_TOO_LARGE,    431, "invalid_request_error", "") \
    X(FAULT_SERVER,               500, "server_error",          "") \
    X(FAULT_NOT_IMPLEMENTED,      501, "invalid_request_error", "") \
    X(FAULT_UPSTREAM_AUTH,        502, "upstream_error",        "upstream_auth_error") \
    X(FAULT_UPSTREAM_UNAVAILABLE, 502, "upstream_error",        "upstream_unavailable") \
    X(FAULT_UPSTREAM_BAD,         502, "upstream_error",        "bad_upstream_response") \
    X(FAULT_NO_UPSTREAM,          503, "upstream_error",        "no_upstream") \
    X(FAULT_OVERLOADED,           503, "upstream_error",        "overloaded") \
    X(FAULT_UPSTREAM_TIMEOUT,     504, "upstream_error",        "upstream_timeout") \
    X(FAULT_LOOP,                 508, "invalid_request_error", "")
// clang-format on

enum openai_fault_kind {
#define X(name, status, type, code) name,
    OPENAI_FAULT_LIST(X)
#undef X
};

enum { OPENAI_MESSAGE_MAX = 512 }; // bytes of a message as it goes out

struct openai_fault {
    int status;
    str type;
    str code;    // empty: null
    str param;   // empty: null
    str message; // empty: a general sentence for the status
};

/* A fault of `kind`. Borrows `param` and `message`; both may be empty. */
struct openai_fault openai_fault(enum openai_fault_kind kind, str param, str message);

/*
 * For decoders: sets `*fault`, its message printed into the arena, and returns ERR_SYNTAX; if the
 * arena's budget is used up, the fault says so and it is ERR_TOO_LARGE. `param` as a str of the
 * arena or static.
 */
enum err openai_refuse(struct arena *a, struct openai_fault *fault, enum openai_fault_kind kind,
                       str param, const char *fmt, ...) PRINTF_LIKE(5, 6);

/* The same for a value of the wrong kind: `wanted` is "a string". */
enum err openai_refuse_type(struct arena *a, struct openai_fault *fault, str param,
                            const struct json *v, const char *wanted);

/*
 * Appends {"error":{…}}. The message is one line of valid UTF-8, at most OPENAI_MESSAGE_MAX
 * bytes; one with words that gateways take for a lost account is replaced by a general sentence.
 */
void openai_error_body(struct buf *out, const struct openai_fault *fault);

#endif
