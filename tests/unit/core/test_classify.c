#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/classify.h"

#define NOW_S 1774000000 // Friday 2026-03-20 09:46:40 UTC

static struct verdict judge(struct arena *a, struct attempt attempt)
{
    struct verdict v;
    attempt.now_s = NOW_S;
    classify(a, &attempt, &v);
    return v;
}

/* One row: an attempt, and what it means. */
struct row {
    const char *why;
    struct attempt attempt;
    int status;
    const char *type;
    const char *code; // NULL: null
    const char *param;
    bool no_retry;
    enum key_verdict key;
    enum host_verdict host;
    enum retry_scope retry;
    bool counts;
};

#define SAID(code, text)                                                                           \
    {                                                                                              \
        .how = ATTEMPT_STATUS, .status = (code), .json = true, .error_text = STR_C(text),          \
        .keyed = true                                                                              \
    }
#define BARE(code)                                                                                 \
    {                                                                                              \
        .how = ATTEMPT_STATUS, .status = (code), .keyed = true                                     \
    }
#define LINE(text)                                                                                 \
    {                                                                                              \
        .how = ATTEMPT_ERROR_LINE, .status = 200, .json = true, .error_text = STR_C(text)          \
    }
#define ENDED(end)                                                                                 \
    {                                                                                              \
        .how = (end)                                                                               \
    }

#define BAD_REQUEST "invalid_request_error"
#define UPSTREAM    "upstream_error"

// clang-format off
static const struct row ROWS[] = {
    /* transport */
    {"refused, unreachable, no such host, too slow", ENDED(ATTEMPT_NO_CONNECT),
     502, UPSTREAM, "upstream_unavailable", "", false,
     KEY_NO_VERDICT, HOST_NO_CONNECT, RETRY_OTHER_HOST, false},
    {"an address we must not use", ENDED(ATTEMPT_ADDRESS),
     502, UPSTREAM, "upstream_unavailable", "", true,
     KEY_NO_VERDICT, HOST_AT_FAULT, RETRY_OTHER_HOST, false},
    {"a bad certificate", ENDED(ATTEMPT_TLS),
     502, UPSTREAM, "upstream_unavailable", "", true,
     KEY_NO_VERDICT, HOST_NO_CONNECT, RETRY_OTHER_HOST, false},
    {"reset, or an empty answer", ENDED(ATTEMPT_CUT),
     502, UPSTREAM, "bad_upstream_response", "", true,
     KEY_MISBEHAVED, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    {"not JSON, or not HTTP", ENDED(ATTEMPT_MALFORMED),
     502, UPSTREAM, "bad_upstream_response", "", true,
     KEY_MISBEHAVED, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    {"a whole answer with done:false", ENDED(ATTEMPT_NOT_DONE),
     502, UPSTREAM, "bad_upstream_response", "", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, true},
    {"REQUEST_TIMEOUT", ENDED(ATTEMPT_TIMEOUT),
     504, UPSTREAM, "upstream_timeout", "", true,
     KEY_IN_TROUBLE, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    {"STREAM_IDLE_TIMEOUT", ENDED(ATTEMPT_IDLE),
     504, UPSTREAM, "upstream_timeout", "", true,
     KEY_IN_TROUBLE, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},

    /* the key */
    {"401 in JSON", SAID(401, "unauthorized"),
     502, UPSTREAM, "upstream_auth_error", "", true,
     KEY_DEAD, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    {"401 as plain text", BARE(401),
     502, UPSTREAM, "upstream_auth_error", "", true,
     KEY_DEAD, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    {"401 without a key, self-hosted",
     {.how = ATTEMPT_STATUS, .status = 401, .json = true, .error_text = STR_C("unauthorized")},
     502, UPSTREAM, "upstream_auth_error", "", true,
     KEY_MODEL_SIGNIN, HOST_NO_VERDICT, RETRY_OTHER_HOST, false},
    {"401 with signin_url",
     {.how = ATTEMPT_STATUS, .status = 401, .json = true, .error_text = STR_C("unauthorized"),
      .signin_url = true, .keyed = true},
     502, UPSTREAM, "upstream_auth_error", "", true,
     KEY_MODEL_SIGNIN, HOST_NO_VERDICT, RETRY_OTHER_HOST, false},
    {"401 of ollama.com without a key",
     {.how = ATTEMPT_STATUS, .status = 401, .ollama_com = true},
     502, UPSTREAM, "upstream_auth_error", "", true,
     KEY_DEAD, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    {"403 about the key", SAID(403, "invalid API key"),
     502, UPSTREAM, "upstream_auth_error", "", true,
     KEY_DEAD, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    {"402", SAID(402, "this model uses extra usage only"),
     403, BAD_REQUEST, "upstream_subscription_required", "", true,
     KEY_MODEL_REFUSED, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    {"402 without a body", BARE(402),
     403, BAD_REQUEST, "upstream_subscription_required", "", true,
     KEY_MODEL_REFUSED, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    {"402 under any words", SAID(402, "you need to buy something"),
     403, BAD_REQUEST, "upstream_subscription_required", "", true,
     KEY_MODEL_REFUSED, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    {"403 subscription",
     SAID(403, "this model requires a subscription, upgrade for access: https://ollama.com/upgrade"),
     403, BAD_REQUEST, "upstream_subscription_required", "", true,
     KEY_MODEL_REFUSED, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    {"429", SAID(429, "rate limit exceeded"),
     429, "rate_limit_error", "rate_limit_exceeded", "", false,
     KEY_LIMITED, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    {"429 hour", SAID(429, "you (bob) have reached your hourly usage limit, upgrade"),
     429, "rate_limit_error", "rate_limit_exceeded", "", true,
     KEY_LIMITED, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    {"429 session", SAID(429, "you (bob) have reached your session usage limit, upgrade"),
     429, "rate_limit_error", "rate_limit_exceeded", "", true,
     KEY_LIMITED, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    {"429 week", SAID(429, "you (bob) have reached your weekly usage limit, upgrade"),
     429, "rate_limit_error", "rate_limit_exceeded", "", true,
     KEY_LIMITED, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    {"429 slots", SAID(429, "timed out waiting for a concurrent request slot"),
     429, "rate_limit_error", "rate_limit_exceeded", "", false,
     KEY_LIMITED, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    {"429 without JSON", BARE(429),
     429, "rate_limit_error", "rate_limit_exceeded", "", false,
     KEY_LIMITED, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},

    /* the host */
    {"403 without a body, as Ollama refuses a Host", BARE(403),
     502, UPSTREAM, "bad_upstream_response", "", true,
     KEY_NO_VERDICT, HOST_AT_FAULT, RETRY_OTHER_HOST, false},
    {"403 as HTML or plain text",
     {.how = ATTEMPT_STATUS, .status = 403, .error_text = STR_C("<h1>Forbidden</h1>"),
      .keyed = true},
     502, UPSTREAM, "bad_upstream_response", "", true,
     KEY_NO_VERDICT, HOST_AT_FAULT, RETRY_OTHER_HOST, false},
    {"404 page not found", BARE(404),
     502, UPSTREAM, "bad_upstream_response", "", true,
     KEY_NO_VERDICT, HOST_AT_FAULT, RETRY_OTHER_HOST, false},
    {"404 in JSON, about nothing of Ollama's", SAID(404, "no route"),
     502, UPSTREAM, "bad_upstream_response", "", true,
     KEY_NO_VERDICT, HOST_AT_FAULT, RETRY_OTHER_HOST, false},
    {"301", BARE(301),
     502, UPSTREAM, "bad_upstream_response", "", true,
     KEY_NO_VERDICT, HOST_AT_FAULT, RETRY_OTHER_HOST, false},
    {"307", BARE(307),
     502, UPSTREAM, "bad_upstream_response", "", true,
     KEY_NO_VERDICT, HOST_AT_FAULT, RETRY_OTHER_HOST, false},
    {"204", BARE(204),
     502, UPSTREAM, "bad_upstream_response", "", true,
     KEY_NO_VERDICT, HOST_AT_FAULT, RETRY_OTHER_HOST, false},
    {"405", BARE(405),
     502, UPSTREAM, "bad_upstream_response", "", true,
     KEY_NO_VERDICT, HOST_AT_FAULT, RETRY_OTHER_HOST, false},
    {"520 of something in front", BARE(520),
     502, UPSTREAM, "bad_upstream_response", "", false,
     KEY_NO_VERDICT, HOST_AT_FAULT, RETRY_OTHER_HOST, false},
    {"501 about something else", SAID(501, "not implemented"),
     502, UPSTREAM, "bad_upstream_response", "", false,
     KEY_NO_VERDICT, HOST_AT_FAULT, RETRY_OTHER_HOST, false},

    /* trouble */
    {"500: the runner was killed",
     SAID(500, "an error was encountered while running the model: unexpected EOF"),
     500, "server_error", NULL, "", true,
     KEY_IN_TROUBLE, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    {"500 as plain text", BARE(500),
     500, "server_error", NULL, "", true,
     KEY_IN_TROUBLE, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    {"502", SAID(502, "dial tcp: no route to host"),
     502, UPSTREAM, "bad_upstream_response", "", true,
     KEY_IN_TROUBLE, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    {"503", SAID(503, "server busy, please try again.  maximum pending requests exceeded"),
     503, UPSTREAM, "overloaded", "", false,
     KEY_IN_TROUBLE, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    {"503 of ollama.com", SAID(503, "Server overloaded, please retry shortly (ref: 1)"),
     503, UPSTREAM, "overloaded", "", false,
     KEY_IN_TROUBLE, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    {"503 without JSON", BARE(503),
     503, UPSTREAM, "overloaded", "", false,
     KEY_IN_TROUBLE, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    {"408", BARE(408),
     504, UPSTREAM, "upstream_timeout", "", true,
     KEY_IN_TROUBLE, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    {"504", BARE(504),
     504, UPSTREAM, "upstream_timeout", "", true,
     KEY_IN_TROUBLE, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},

    /* the model */
    {"404 of chat", SAID(404, "model 'nope' not found"),
     404, BAD_REQUEST, "model_not_found", "model", true,
     KEY_NO_VERDICT, HOST_LACKS_MODEL, RETRY_OTHER_HOST, false},
    {"404 of embed", SAID(404, "model \"nope\" not found, try pulling it first"),
     404, BAD_REQUEST, "model_not_found", "model", true,
     KEY_NO_VERDICT, HOST_LACKS_MODEL, RETRY_OTHER_HOST, false},
    {"403 with another error", SAID(403, "ollama cloud is disabled: remote model is unavailable"),
     404, BAD_REQUEST, "model_not_found", "model", true,
     KEY_NO_VERDICT, HOST_LACKS_MODEL, RETRY_OTHER_HOST, false},

    /* the request */
    {"400", SAID(400, "missing request body"),
     400, BAD_REQUEST, NULL, "", true, KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"400 without JSON", BARE(400),
     400, BAD_REQUEST, NULL, "", true, KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"413", SAID(413, "too large"),
     413, BAD_REQUEST, "request_too_large", "", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"422", SAID(422, "cannot process"),
     422, BAD_REQUEST, NULL, "", true, KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"400 context", SAID(400, "the input length exceeds the context length"),
     400, BAD_REQUEST, "context_length_exceeded", "messages", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"400 context, in newer words",
     SAID(400, "the prompt is longer than the context length currently available to the model; x"),
     400, BAD_REQUEST, "context_length_exceeded", "messages", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"500 context, in the runner's JSON",
     SAID(500, "{\"error\":{\"code\":400,\"type\":\"exceed_context_size_error\"}}"),
     400, BAD_REQUEST, "context_length_exceeded", "messages", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"500: image without vision",
     SAID(500, "Failed to create new sequence: failed to process inputs: this model is missing "
               "data required for image input"),
     400, BAD_REQUEST, NULL, "messages", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"500: the same, as newer runners say it",
     SAID(500, "image input is not supported - hint: if this is unexpected, you may need to "
               "provide the mmproj"),
     400, BAD_REQUEST, NULL, "messages", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"500: sound", SAID(500, "audio input is not supported - hint: see above"),
     400, BAD_REQUEST, NULL, "messages", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"400: an image that is none", SAID(400, "Failed to load image or audio file"),
     400, BAD_REQUEST, NULL, "messages", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"500: bad option", SAID(500, "option \"temperature\" must be of type float32"),
     400, BAD_REQUEST, NULL, "temperature", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"500: bad option under another name", SAID(500, "option \"num_predict\" must be of type int"),
     400, BAD_REQUEST, NULL, "max_tokens", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"500: bad format", SAID(500, "invalid format: \"\\\"yaml\\\"\"; expected \"json\" or a schema"),
     400, BAD_REQUEST, NULL, "response_format", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"500: bad schema", SAID(500, "invalid JSON schema in format"),
     400, BAD_REQUEST, NULL, "response_format", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"400: bad schema, as the runner says it",
     {.how = ATTEMPT_STATUS, .status = 400, .json = true, .formatted = true,
      .error_text = STR_C("JSON schema conversion failed:\nUnrecognized schema: {}")},
     400, BAD_REQUEST, NULL, "response_format", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"500: the same of a tool",
     SAID(500, "Unable to generate parser for this template. Automatic parser generation failed: "
               "JSON schema conversion failed:\nUnrecognized schema: \"object\""),
     400, BAD_REQUEST, NULL, "tools", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"400: a grammar of the runner's",
     {.how = ATTEMPT_STATUS, .status = 400, .json = true, .formatted = true,
      .error_text = STR_C("Failed to initialize samplers: failed to parse grammar")},
     400, BAD_REQUEST, NULL, "response_format", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"line: a grammar of the runner's", LINE("Failed to initialize samplers"),
     400, BAD_REQUEST, NULL, "tools", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"501 embeddings", SAID(501, "this model does not support embeddings"),
     400, BAD_REQUEST, NULL, "model", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"400 tools", SAID(400, "registry.ollama.ai/library/plain:latest does not support tools"),
     400, BAD_REQUEST, "unsupported_parameter", "tools", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"400 thinking", SAID(400, "\"plain\" does not support thinking"),
     400, BAD_REQUEST, "unsupported_parameter", "reasoning_effort", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"400 insert", SAID(400, "x does not support insert"),
     400, BAD_REQUEST, "unsupported_parameter", "suffix", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"400 chat", SAID(400, "\"minilm\" does not support chat"),
     400, BAD_REQUEST, NULL, "model", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"400 base64", SAID(400, "illegal base64 data at input byte 0"),
     400, BAD_REQUEST, NULL, "messages", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"400 keep_alive", SAID(400, "time: missing unit in duration \"5\""),
     400, BAD_REQUEST, NULL, "keep_alive", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},

    /* the same as lines of a stream */
    {"line: model", LINE("model 'nope' not found"),
     404, BAD_REQUEST, "model_not_found", "model", true,
     KEY_NO_VERDICT, HOST_LACKS_MODEL, RETRY_OTHER_HOST, false},
    {"line: busy", LINE("server busy, please try again.  maximum pending requests exceeded"),
     503, UPSTREAM, "overloaded", "", false,
     KEY_IN_TROUBLE, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    {"line: limit", LINE("you (bob) have reached your session usage limit, upgrade"),
     429, "rate_limit_error", "rate_limit_exceeded", "", true,
     KEY_LIMITED, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    {"line: subscription", LINE("this model requires a subscription, upgrade for access"),
     403, BAD_REQUEST, "upstream_subscription_required", "", true,
     KEY_MODEL_REFUSED, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    {"line: extra usage", LINE("this model uses extra usage only"),
     403, BAD_REQUEST, "upstream_subscription_required", "", true,
     KEY_MODEL_REFUSED, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    {"line: slots", LINE("timed out waiting for a concurrent request slot"),
     429, "rate_limit_error", "rate_limit_exceeded", "", false,
     KEY_LIMITED, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    {"line: overload", LINE("Server overloaded, please retry shortly (ref: 1)"),
     503, UPSTREAM, "overloaded", "", false,
     KEY_IN_TROUBLE, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    {"line: context", LINE("the input length exceeds the context length"),
     400, BAD_REQUEST, "context_length_exceeded", "messages", true,
     KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    {"line: runner", LINE("an error was encountered while running the model: unexpected EOF"),
     500, "server_error", NULL, "", true,
     KEY_IN_TROUBLE, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    {"line: the model's own words in it", LINE("error parsing tool call: invalid character 'x'"),
     500, "server_error", NULL, "", true,
     KEY_IN_TROUBLE, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
};
// clang-format on

static bool same_text(const char *got, const char *want)
{
    return str_eq(str_z(got), str_z(want)) && (got == NULL) == (want == NULL);
}

static void test_classify__rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        const struct row *row = &ROWS[i];
        struct arena a;
        arena_init(&a, 1 << 16);
        struct verdict v = judge(&a, row->attempt);
        if (v.error.status != row->status || !same_text(v.error.type, row->type) ||
            !same_text(v.error.code, row->code) || !str_eq(v.error.param, str_z(row->param)))
            fail_msg("%s: %d %s %s '%.*s'", row->why, v.error.status, v.error.type,
                     v.error.code != NULL ? v.error.code : "null", STR_ARG(v.error.param));
        if (v.key != row->key || v.host != row->host || v.retry != row->retry ||
            v.counts != row->counts)
            fail_msg("%s: key %d, host %d, retry %d, counts %d", row->why, v.key, v.host, v.retry,
                     v.counts);
        if (v.error.no_retry != row->no_retry)
            fail_msg("%s: no_retry", row->why);
        if (v.error.no_retry && v.error.retry_after_s > 0)
            fail_msg("%s: x-should-retry beside a Retry-After", row->why);
        if (v.error.message.len == 0 || v.name == NULL)
            fail_msg("%s: no words", row->why);
        arena_release(&a);
    }
}

static void test_classify__nothing_follows_a_useful_event(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct arena a;
        struct attempt attempt = ROWS[i].attempt;
        attempt.began = true;
        arena_init(&a, 1 << 16);
        struct verdict v = judge(&a, attempt);
        if (v.retry != RETRY_NEVER)
            fail_msg("%s: retried", ROWS[i].why);
        if (!same_text(v.error.type, "upstream_error"))
            fail_msg("%s: type %s", ROWS[i].why, v.error.type);
        if (!same_text(v.error.code, ROWS[i].code) || v.key != ROWS[i].key)
            fail_msg("%s: another code or verdict than before", ROWS[i].why);
        arena_release(&a);
    }
}

static void test_classify__only_our_own_timeouts_are_retried_once(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a, 1 << 16);
    assert_true(judge(&a, (struct attempt){.how = ATTEMPT_TIMEOUT}).retry_once);
    assert_true(judge(&a, (struct attempt){.how = ATTEMPT_IDLE}).retry_once);
    assert_false(judge(&a, (struct attempt){.how = ATTEMPT_CUT}).retry_once);
    assert_false(judge(&a, (struct attempt){.how = ATTEMPT_STATUS, .status = 504}).retry_once);
    arena_release(&a);
}

static void assert_message(struct attempt attempt, const char *want, const char *why)
{
    struct arena a;
    arena_init(&a, 1 << 16);
    struct verdict v = judge(&a, attempt);
    if (!str_eq(v.error.message, str_z(want)))
        fail_msg("%s: '%.*s'", why, STR_ARG(v.error.message));
    arena_release(&a);
}

static void test_classify__messages(void **state)
{
    static const struct {
        struct attempt attempt;
        const char *want;
        const char *why;
    } cases[] = {
        {SAID(400,                                                                       "missing request body"),                  "missing request body",                                                           "the upstream's own words"},
        {BARE(500),                                                                              "the upstream failed",                                                                                                              "no words of HTML or plain text"                                                                                           },
        {{.how = ATTEMPT_STATUS, .status = 500, .error_text = STR_C("<html>x</html>")},
         "the upstream failed",                                          "a body that is not JSON"                                                                                                                                                                                     },
        {SAID(500,                                                                              " a\r\nb\tc\x7F"),                                                                                                               "a  b c","one line, no control characters"},
        {SAID(500,                                             "caf\xC3\xA9 \xFF tail"),                                                                                     "caf\xC3\xA9",                                                                                                                                                                                                                                                   "valid UTF-8 only"},
        {SAID(401,                                                                 "unauthorized"),   "the upstream refused our credentials","ours about keys"},
        {{.how = ATTEMPT_STATUS,
          .status = 500,
          .json = true,
          .error_text = STR_C("bad key sk-1234 and sk-1234"),
          .secret = STR_C("sk-1234")},
         "bad key [...] and [...]","our key"                                                                                                                                                                                                                             },
        {{.how = ATTEMPT_STATUS,
          .status = 404,
          .json = true,
          .error_text = STR_C("model \"x\" not found, try pulling it first"),
          .model = STR_C("X:7b")},
         "model 'X:7b' not found",                                                                                                "the caller's spelling"                                                                                                                                                                        },
        {SAID(404,                                              "model 'nope' not found"),                                                                                                 "model 'nope' not found",                                                           "without it"},
        {SAID(400,                                                                       "the input length exceeds the context length"),
         "the request exceeds the model's maximum context length: the input length exceeds the "
         "context length", "context"},
        {SAID(400,                                                                              "{\"error\":{\"type\":\"exceed_context_size_error\",\"n_prompt_tokens\":5000,"
                   "\"n_ctx\": 4096}}"),
         "this model's maximum context length is 4096 tokens, and the request has 5000",                                                                           "context with its numbers"},
        {SAID(400,                                                                     "{\"type\":\"exceed_context_size_error\",\"n_ctx\":4096}"),
         "this model's maximum context length is 4096 tokens",                                                                                                                                                                                      "context with its size"},
        {SAID(400, "{\"type\":\"exceed_context_size_error\",\"n_ctx\":99999999999999999999}"),
         "the request exceeds the model's maximum context length",                     "a size beyond 64 bits"},
        {{.how = ATTEMPT_NO_CONNECT, .detail = STR_C("connection refused")},
         "cannot connect to the upstream: connection refused",                                                                     "why there is no connection"},
        {{.how = ATTEMPT_NO_CONNECT},                                                                       "cannot connect to the upstream",                                     "no reason known"                                                                                                                                                  },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_message(cases[i].attempt, cases[i].want, cases[i].why);
}

static void test_classify__our_messages_alarm_nobody(void **state)
{
    static const str words[] = {STR_C("credit "), STR_C("balance"), STR_C("permission denied"),
                                STR_C("expired"), STR_C("quota")};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct arena a;
        arena_init(&a, 1 << 16);
        struct verdict v = judge(&a, ROWS[i].attempt);
        for (size_t k = 0; k < COUNT_OF(words); k++)
            assert_false(str_icontains(v.error.message, words[k]));
        arena_release(&a);
    }
}

static void test_classify__long_texts_are_cut(void **state)
{
    static char text[2000];
    static const size_t lengths[] = {511, 512, 513, 2000};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        struct arena a;
        arena_init(&a, 1 << 16);
        memset(text, 'x', sizeof(text));
        struct attempt attempt = SAID(500, "");
        attempt.error_text = str_of(text, lengths[i]);
        struct verdict v = judge(&a, attempt);
        assert_int_equal(v.error.message.len, lengths[i] < 512 ? lengths[i] : 512);
        // A key that the cut would split is hidden all the same.
        attempt.secret = STR("sk-secret");
        memcpy(text + 505, "sk-secret", 9);
        v = judge(&a, attempt);
        if (lengths[i] > 513)
            assert_false(str_contains(v.error.message, STR("sk-")));
        arena_release(&a);
    }
}

static void test_classify__a_cut_does_not_split_a_character(void **state)
{
    static char text[600];
    struct arena a;
    struct attempt attempt = SAID(500, "");
    (void)state;
    arena_init(&a, 1 << 16);
    text[0] = 'x';
    for (size_t i = 1; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "\xC3\xA9", 2);
    attempt.error_text = str_of(text, 599);
    struct verdict v = judge(&a, attempt);
    assert_int_equal(v.error.message.len, 511);
    assert_int_equal(utf8_valid_prefix(v.error.message), 511);
    arena_release(&a);
}

static void test_classify__an_empty_arena_still_has_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct arena a;
        arena_init(&a, 0);
        struct verdict v = judge(&a, ROWS[i].attempt);
        assert_true(v.error.message.len > 0);
        assert_int_equal(v.error.status, ROWS[i].status);
        arena_release(&a);
    }
}

/* At NOW_S the hour ends in 800 s and the session window of 5 h in 8,000 s. */
static void test_classify__waiting_times(void **state)
{
    static const struct {
        const char *text;
        const char *header;
        uint32_t cool_s;
        enum cool_source source;
        uint32_t retry_after_s;
        const char *why;
    } cases[] = {
        {"x",                                               "",                              1,    COOL_GUESSED,  1,   "nothing said"              },
        {"x",                                               "7",                             7,    COOL_STATED,   7,   "seconds"                   },
        {"x",                                               "119",                           119,  COOL_STATED,   119, "below what clients obey"   },
        {"x",                                               "120",                           120,  COOL_STATED,   120, "the most that clients obey"},
        {"x",                                               "121",                           121,  COOL_STATED,   0,   "above it"                  },
        {"x",                                               "3600",                          3600, COOL_STATED,   0,   "the most that is sane"     },
        {"x",                                               "999999999",                     1,    COOL_GUESSED,  1,   "absurd"                    },
        {"x",                                               "Fri, 20 Mar 2026 09:47:00 GMT", 20,   COOL_STATED,   20,  "a date"                    },
        {"timed out waiting for a concurrent request slot", "",                              5,    COOL_COMPUTED, 5,   "slots"                     },
        {"you (bob) have reached your session usage limit", "",                              3600, COOL_COMPUTED, 0,   "session"                   },
        {"you (bob) have reached your hourly usage limit",  "",                              800,  COOL_COMPUTED, 0,   "hour"                      },
        {"you (bob) have reached your weekly usage limit",  "",                              3600, COOL_COMPUTED, 0,   "week"                      },
        {"you (bob) have reached your monthly usage limit", "",                              3600, COOL_COMPUTED, 0,   "other"                     },
        {"you (bob) have reached your weekly usage limit",  "60",                            60,   COOL_STATED,   60,  "stated"                    },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        arena_init(&a, 1 << 16);
        struct attempt attempt = SAID(429, "");
        attempt.error_text = str_z(cases[i].text);
        attempt.retry_after = str_z(cases[i].header);
        struct verdict v = judge(&a, attempt);
        if (v.cool_s != cases[i].cool_s || v.cool_source != cases[i].source)
            fail_msg("%s: cools %u s, source %d", cases[i].why, v.cool_s, v.cool_source);
        if (v.error.retry_after_s != cases[i].retry_after_s)
            fail_msg("%s: Retry-After %u", cases[i].why, v.error.retry_after_s);
        assert_int_equal(v.error.no_retry, cases[i].retry_after_s == 0);
        assert_true(str_contains(v.error.message, STR("try again in ")));
        assert_int_equal(v.account.len, str_contains(attempt.error_text, STR("bob")) ? 3 : 0);
        assert_false(str_contains(v.error.message, STR("bob")));
        arena_release(&a);
    }
}

/* The same windows, just before they end. */
static void test_classify__windows_end(void **state)
{
    static const struct {
        const char *text;
        int64_t end_s;
    } cases[] = {
        {"you (bob) have reached your session usage limit", 1774008000},
        {"you (bob) have reached your hourly usage limit",  1774000800},
        {"you (bob) have reached your weekly usage limit",  1774224000}, // Monday 2026-03-23
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (int64_t before = 1; before <= 2; before++) {
            struct arena a;
            struct verdict v;
            struct attempt attempt = SAID(429, "");
            arena_init(&a, 1 << 16);
            attempt.error_text = str_z(cases[i].text);
            attempt.now_s = cases[i].end_s - before;
            classify(&a, &attempt, &v);
            assert_int_equal(v.cool_s, before);
            arena_release(&a);
        }
    }
}

static void test_classify__overload_says_when(void **state)
{
    struct arena a;
    struct attempt attempt = SAID(503, "server busy");
    (void)state;
    arena_init(&a, 1 << 16);
    assert_int_equal(judge(&a, attempt).error.retry_after_s, 1);
    attempt.retry_after = STR("30");
    assert_int_equal(judge(&a, attempt).error.retry_after_s, 30);
    attempt.retry_after = STR("600");
    assert_int_equal(judge(&a, attempt).error.retry_after_s, 0);
    assert_true(judge(&a, attempt).error.no_retry);
    arena_release(&a);
}

static void test_classify__error_types(void **state)
{
    static const struct {
        int status;
        const char *type;
        const char *code;
    } cases[] = {
        {400, BAD_REQUEST,        NULL                   },
        {401, BAD_REQUEST,        "invalid_api_key"      },
        {403, BAD_REQUEST,        NULL                   },
        {404, BAD_REQUEST,        NULL                   },
        {405, BAD_REQUEST,        NULL                   },
        {408, BAD_REQUEST,        NULL                   },
        {413, BAD_REQUEST,        "request_too_large"    },
        {414, BAD_REQUEST,        NULL                   },
        {417, BAD_REQUEST,        NULL                   },
        {429, "rate_limit_error", "rate_limit_exceeded"  },
        {431, BAD_REQUEST,        NULL                   },
        {500, "server_error",     NULL                   },
        {501, BAD_REQUEST,        NULL                   },
        {502, UPSTREAM,           "bad_upstream_response"},
        {503, UPSTREAM,           "overloaded"           },
        {504, UPSTREAM,           "upstream_timeout"     },
        {508, BAD_REQUEST,        NULL                   },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct api_error e = api_error_make(cases[i].status, STR("x"));
        if (!same_text(e.type, cases[i].type) || !same_text(e.code, cases[i].code))
            fail_msg("%d: %s %s", cases[i].status, e.type, e.code != NULL ? e.code : "null");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classify__rows),
        cmocka_unit_test(test_classify__nothing_follows_a_useful_event),
        cmocka_unit_test(test_classify__only_our_own_timeouts_are_retried_once),
        cmocka_unit_test(test_classify__messages),
        cmocka_unit_test(test_classify__our_messages_alarm_nobody),
        cmocka_unit_test(test_classify__long_texts_are_cut),
        cmocka_unit_test(test_classify__a_cut_does_not_split_a_character),
        cmocka_unit_test(test_classify__an_empty_arena_still_has_words),
        cmocka_unit_test(test_classify__waiting_times),
        cmocka_unit_test(test_classify__windows_end),
        cmocka_unit_test(test_classify__overload_says_when),
        cmocka_unit_test(test_classify__error_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
