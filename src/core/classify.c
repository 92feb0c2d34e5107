#include "core/classify.h"

#include "core/remark.h"

#define MAX_TEXT_BYTES 512

#define MAX_STATED_WAIT_S 120 // clients ignore a Retry-After above it
#define SLOT_WAIT_S       5
#define LEAST_WAIT_S      1
#define FIRST_COMPUTED_S  3600 // a computed reset is a guess about windows that may have changed

#define HOUR_S    3600
#define SESSION_S 18000
#define WEEK_S    604800
#define DAY_S     INT64_C(86400)

/* ---- the kinds of failure, and what follows from each ---- */

enum fault {
    FAULT_NO_CONNECT,
    FAULT_ADDRESS,
    FAULT_TLS,
    FAULT_CUT,
    FAULT_MALFORMED,
    FAULT_NOT_DONE,
    FAULT_TIMEOUT,
    FAULT_KEY_REFUSED,
    FAULT_SIGNIN,
    FAULT_SUBSCRIPTION,
    FAULT_HOST_REFUSES,
    FAULT_HOST_FAILS,
    FAULT_LIMITED,
    FAULT_SERVER,
    FAULT_GATEWAY,
    FAULT_OVERLOADED,
    FAULT_MODEL_MISSING,
    FAULT_MODEL_FORBIDDEN,
    FAULT_CONTEXT,
    FAULT_REQUEST,
    FAULT_OPTION,
};

/* What becomes of the upstream's own sentence. */
enum wording {
    SAY_OURS, // it is not for callers
    SAY_THEIRS,
    SAY_BOTH,
};

struct fault_row {
    const char *name;
    int status;
    const char *code; // NULL: as the status implies
    const char *param;
    str message;
    enum wording wording;
    bool no_retry; // it will repeat, or the attempts are used up
    enum key_verdict key;
    enum host_verdict host;
    enum retry_scope retry;
    bool counts;
};

// clang-format off
static const struct fault_row FAULTS[] = {
    [FAULT_NO_CONNECT] = {"no_connect", 502, "upstream_unavailable", NULL,
        STR_C("cannot connect to the upstream"), SAY_BOTH, false,
        KEY_NO_VERDICT, HOST_NO_CONNECT, RETRY_OTHER_HOST, false},
    [FAULT_ADDRESS] = {"address_refused", 502, "upstream_unavailable", NULL,
        STR_C("the upstream's address is one that must not be used"), SAY_BOTH, true,
        KEY_NO_VERDICT, HOST_AT_FAULT, RETRY_OTHER_HOST, false},
    [FAULT_TLS] = {"tls", 502, "upstream_unavailable", NULL,
        STR_C("no secure connection to the upstream"), SAY_BOTH, true,
        KEY_NO_VERDICT, HOST_NO_CONNECT, RETRY_OTHER_HOST, false},
    [FAULT_CUT] = {"cut", 502, NULL, NULL,
        STR_C("the upstream ended its answer before it was complete"), SAY_OURS, true,
        KEY_MISBEHAVED, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    [FAULT_MALFORMED] = {"malformed", 502, NULL, NULL,
        STR_C("the upstream's answer is not what Ollama sends"), SAY_OURS, true,
        KEY_MISBEHAVED, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    [FAULT_NOT_DONE] = {"not_done", 502, NULL, NULL,
        STR_C("the upstream's answer says that it is not done"), SAY_OURS, true,
        KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, true},
    [FAULT_TIMEOUT] = {"timeout", 504, NULL, NULL,
        STR_C("the upstream did not answer in time"), SAY_OURS, true,
        KEY_IN_TROUBLE, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    // Never the caller's 401: the key is ours, and the caller's own token is sound.
    [FAULT_KEY_REFUSED] = {"key_refused", 502, "upstream_auth_error", NULL,
        STR_C("the upstream refused our credentials"), SAY_OURS, true,
        KEY_DEAD, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    [FAULT_SIGNIN] = {"signin", 502, "upstream_auth_error", NULL,
        STR_C("the upstream is not signed in to the service that runs this model"), SAY_BOTH, true,
        KEY_MODEL_SIGNIN, HOST_NO_VERDICT, RETRY_OTHER_HOST, false},
    [FAULT_SUBSCRIPTION] = {"subscription", 403, "upstream_subscription_required", NULL,
        STR_C("the upstream's plan does not include this model"), SAY_BOTH, true,
        KEY_MODEL_REFUSED, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    [FAULT_HOST_REFUSES] = {"host_refuses", 502, NULL, NULL,
        STR_C("something other than Ollama's API answered, or the upstream refuses our Host"),
        SAY_OURS, true, KEY_NO_VERDICT, HOST_AT_FAULT, RETRY_OTHER_HOST, false},
    [FAULT_HOST_FAILS] = {"host_fails", 502, NULL, NULL,
        STR_C("something other than Ollama's API answered"), SAY_OURS, false,
        KEY_NO_VERDICT, HOST_AT_FAULT, RETRY_OTHER_HOST, false},
    [FAULT_LIMITED] = {"limited", 429, NULL, NULL,
        STR_C("the upstream's rate limit is reached"), SAY_OURS, false,
        KEY_LIMITED, HOST_NO_VERDICT, RETRY_OTHER_KEY, false},
    [FAULT_SERVER] = {"server_error", 500, NULL, NULL,
        STR_C("the upstream failed"), SAY_THEIRS, true,
        KEY_IN_TROUBLE, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    [FAULT_GATEWAY] = {"bad_gateway", 502, NULL, NULL,
        STR_C("the upstream could not reach what it needs"), SAY_BOTH, true,
        KEY_IN_TROUBLE, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    [FAULT_OVERLOADED] = {"overloaded", 503, NULL, NULL,
        STR_C("the upstream is overloaded"), SAY_BOTH, false,
        KEY_IN_TROUBLE, HOST_NO_VERDICT, RETRY_OTHER_KEY, true},
    [FAULT_MODEL_MISSING] = {"model_missing", 404, "model_not_found", "model",
        STR_C("the model does not exist"), SAY_THEIRS, true,
        KEY_NO_VERDICT, HOST_LACKS_MODEL, RETRY_OTHER_HOST, false},
    [FAULT_MODEL_FORBIDDEN] = {"model_forbidden", 404, "model_not_found", "model",
        STR_C("the upstream does not serve this model"), SAY_BOTH, true,
        KEY_NO_VERDICT, HOST_LACKS_MODEL, RETRY_OTHER_HOST, false},
    [FAULT_CONTEXT] = {"context", 400, "context_length_exceeded", "messages",
        STR_C("the request exceeds the model's maximum context length"), SAY_BOTH, true,
        KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    [FAULT_REQUEST] = {"bad_request", 400, NULL, NULL,
        STR_C("the upstream refused the request"), SAY_THEIRS, true,
        KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
    [FAULT_OPTION] = {"bad_option", 400, NULL, NULL,
        STR_C("the upstream refused an option"), SAY_THEIRS, true,
        KEY_NO_VERDICT, HOST_NO_VERDICT, RETRY_NEVER, false},
};

/* What the transport says. */
static const enum fault OF_TRANSPORT[] = {
    [ATTEMPT_NO_CONNECT] = FAULT_NO_CONNECT,
    [ATTEMPT_ADDRESS] = FAULT_ADDRESS,
    [ATTEMPT_TLS] = FAULT_TLS,
    [ATTEMPT_CUT] = FAULT_CUT,
    [ATTEMPT_MALFORMED] = FAULT_MALFORMED,
    [ATTEMPT_TIMEOUT] = FAULT_TIMEOUT,
    [ATTEMPT_IDLE] = FAULT_TIMEOUT,
    [ATTEMPT_NOT_DONE] = FAULT_NOT_DONE,
};

/* llama-server makes one grammar of the answer's schema or of those of the tools. */
#define PARAM_GRAMMAR "grammar"

/*
 * Texts in an Ollama error that say more than its status: it sends 500 for some faults of the
 * request, and 400 without saying which field. First match counts. Status 0: any.
 */
static const struct text_row {
    int status;
    bool prefix; // begins with it; else: holds it
    str text;
    enum fault fault;
    const char *param;
    const char *code;
} TEXTS[] = {
    {0,   false, STR_C("exceed_context_size_error"), FAULT_CONTEXT, NULL, NULL},
    {400, false, STR_C("context length"), FAULT_CONTEXT, NULL, NULL},
    {413, false, STR_C("context length"), FAULT_CONTEXT, NULL, NULL},
    {500, false, STR_C("exceeds the context length"), FAULT_CONTEXT, NULL, NULL},
    {500, false, STR_C("longer than the context length"), FAULT_CONTEXT, NULL, NULL},
    {0,   false, STR_C("exceeds the available context size"), FAULT_CONTEXT, NULL, NULL},
    {0,   false, STR_C("missing data required for image input"), FAULT_REQUEST, "messages", NULL},
    {0,   false, STR_C("image input is not supported"), FAULT_REQUEST, "messages", NULL},
    {0,   false, STR_C("audio input is not supported"), FAULT_REQUEST, "messages", NULL},
    {0,   false, STR_C("failed to load image or audio file"), FAULT_REQUEST, "messages", NULL},
    {500, true,  STR_C("option \""), FAULT_OPTION, NULL, NULL},
    {500, true,  STR_C("invalid format:"), FAULT_REQUEST, "response_format", NULL},
    {500, true,  STR_C("invalid JSON schema in format"), FAULT_REQUEST, "response_format", NULL},
    {0,   false, STR_C("JSON schema conversion failed"), FAULT_REQUEST, PARAM_GRAMMAR, NULL},
    {0,   false, STR_C("failed to parse grammar"), FAULT_REQUEST, PARAM_GRAMMAR, NULL},
    {0,   false, STR_C("failed to initialize samplers"), FAULT_REQUEST, PARAM_GRAMMAR, NULL},
    {0,   false, STR_C("does not support embeddings"), FAULT_REQUEST, "model", NULL},
    {400, false, STR_C("does not support tools"), FAULT_REQUEST, "tools", "unsupported_parameter"},
    {400, false, STR_C("does not support thinking"), FAULT_REQUEST, "reasoning_effort",
     "unsupported_parameter"},
    {400, false, STR_C("does not support insert"), FAULT_REQUEST, "suffix",
     "unsupported_parameter"},
    {400, false, STR_C("does not support"), FAULT_REQUEST, "model", NULL},
    {400, true,  STR_C("invalid think value"), FAULT_REQUEST, "reasoning_effort", NULL},
    {400, true,  STR_C("top_logprobs must be"), FAULT_REQUEST, "top_logprobs", NULL},
    {400, true,  STR_C("illegal base64 data"), FAULT_REQUEST, "messages", NULL},
    {400, true,  STR_C("time: "), FAULT_REQUEST, "keep_alive", NULL},
    {400, true,  STR_C("invalid model name"), FAULT_REQUEST, "model", NULL},
    {400, true,  STR_C("model is required"), FAULT_REQUEST, "model", NULL},
    {403, false, STR_C("requires a subscription"), FAULT_SUBSCRIPTION, NULL, NULL},
    {403, false, STR_C("unauthorized"), FAULT_KEY_REFUSED, NULL, NULL},
    {403, false, STR_C("api key"), FAULT_KEY_REFUSED, NULL, NULL},
    {403, false, STR_C("api_key"), FAULT_KEY_REFUSED, NULL, NULL},
    {403, false, STR_C("apikey"), FAULT_KEY_REFUSED, NULL, NULL},
    {403, false, STR_C("invalid key"), FAULT_KEY_REFUSED, NULL, NULL},
    {403, false, STR_C("invalid token"), FAULT_KEY_REFUSED, NULL, NULL},
    {403, false, STR_C("credential"), FAULT_KEY_REFUSED, NULL, NULL},
    {403, false, STR_C("authenticat"), FAULT_KEY_REFUSED, NULL, NULL},
    {403, false, STR_C(""), FAULT_MODEL_FORBIDDEN, NULL, NULL},
    {404, false, STR_C("model"), FAULT_MODEL_MISSING, NULL, NULL},
    {404, false, STR_C("not found"), FAULT_MODEL_MISSING, NULL, NULL},
};

/* What a status means when no text says otherwise. */
static const struct status_row {
    int status;
    enum fault fault;
} STATUSES[] = {
    {400, FAULT_REQUEST},      {401, FAULT_KEY_REFUSED}, {402, FAULT_SUBSCRIPTION},
    {403, FAULT_HOST_REFUSES}, {404, FAULT_HOST_REFUSES}, {408, FAULT_TIMEOUT},
    {413, FAULT_REQUEST},      {422, FAULT_REQUEST},     {429, FAULT_LIMITED},
    {500, FAULT_SERVER},       {502, FAULT_GATEWAY},     {503, FAULT_OVERLOADED},
    {504, FAULT_TIMEOUT},
};

/* The status that Ollama gives a text, for errors that come as a line of a stream. */
static const struct line_row {
    bool prefix;
    str text;
    int status;
} LINES[] = {
    {false, STR_C("exceed_context_size_error"), 400},
    {false, STR_C("exceeds the context length"), 400},
    {false, STR_C("longer than the context length"), 400},
    {false, STR_C("exceeds the available context size"), 400},
    {false, STR_C("does not support embeddings"), 501},
    {false, STR_C("does not support "), 400},
    {true,  STR_C("missing request body"), 400},
    {true,  STR_C("json: "), 400},
    {true,  STR_C("model is required"), 400},
    {true,  STR_C("invalid model name"), 400},
    {true,  STR_C("invalid think value"), 400},
    {true,  STR_C("top_logprobs must be"), 400},
    {true,  STR_C("illegal base64 data"), 400},
    {false, STR_C("image generation models are not"), 400},
    {true,  STR_C("unauthorized"), 401},
    {false, STR_C("extra usage only"), 402},
    {false, STR_C("requires a subscription"), 403},
    {false, STR_C("ollama cloud is disabled"), 403},
    {false, STR_C("not found, try pulling it first"), 404},
    {false, STR_C("usage limit"), 429},
    {false, STR_C("rate limit"), 429},
    {false, STR_C("too many requests"), 429},
    {false, STR_C("concurrent request slot"), 429},
    {false, STR_C("server busy"), 503},
    {false, STR_C("maximum pending requests"), 503},
    {false, STR_C("overloaded"), 503},
};
// clang-format on

static bool text_matches(str text, str pattern, bool prefix)
{
    return prefix ? str_istarts(text, pattern) : str_icontains(text, pattern);
}

/* The status that an {"error"} line's text would have come with; 500 when it is not known. */
static int status_of_text(str text)
{
    for (size_t i = 0; i < COUNT_OF(LINES); i++) {
        if (text_matches(text, LINES[i].text, LINES[i].prefix))
            return LINES[i].status;
    }
    // model 'x' not found
    if (str_istarts(text, STR("model ")) && str_icontains(text, STR(" not found")))
        return 404;
    return 500;
}

static const struct text_row *find_text(int status, str text)
{
    for (size_t i = 0; i < COUNT_OF(TEXTS); i++) {
        const struct text_row *row = &TEXTS[i];
        if ((row->status == 0 || row->status == status) &&
            text_matches(text, row->text, row->prefix))
            return row;
    }
    return NULL;
}

static enum fault of_status(int status)
{
    for (size_t i = 0; i < COUNT_OF(STATUSES); i++) {
        if (STATUSES[i].status == status)
            return STATUSES[i].fault;
    }
    return status > 500 ? FAULT_HOST_FAILS : FAULT_HOST_REFUSES;
}

/* ---- texts ---- */

/* One line of at most MAX_TEXT_BYTES, without control characters and our key. */
static str clean(struct arena *a, str text, str secret)
{
    static const str mark = STR_C("[...]");
    char *out = arena_alloc(a, MAX_TEXT_BYTES + mark.len);
    if (out == NULL)
        return (str){NULL, 0};
    size_t n = 0;
    text = str_trim_ws(text);
    text = str_head(text, utf8_valid_prefix(text));
    for (size_t i = 0; i < text.len && n <= MAX_TEXT_BYTES;) {
        bool is_secret = secret.len > 0 && str_starts(str_skip(text, i), secret);
        unsigned char c = (unsigned char)text.p[i];
        if (is_secret) {
            memcpy(out + n, mark.p, mark.len);
            n += mark.len;
        } else {
            out[n++] = c < ' ' || c == 0x7F ? ' ' : text.p[i];
        }
        i += is_secret ? secret.len : 1;
    }
    str cleaned = str_of(out, n);
    return str_trim(str_head(cleaned, utf8_cut(cleaned, MAX_TEXT_BYTES)));
}

/* The number behind `"name":` in a JSON text; 0: none. */
static uint64_t number_behind(str text, str name)
{
    size_t at = str_find(text, name);
    if (at == text.len)
        return 0;
    str rest = str_trim_ws(str_skip(text, at + name.len));
    if (!str_starts(rest, STR(":")))
        return 0;
    rest = str_trim_ws(str_skip(rest, 1));
    size_t n = 0;
    while (n < rest.len && ascii_is_digit(rest.p[n]))
        n++;
    uint64_t value;
    return str_to_u64(str_head(rest, n), &value) ? value : 0;
}

/* Agents look for "maximum context length" before they shorten what they sent. */
static str context_message(struct arena *a, str raw, str text)
{
    str ours = FAULTS[FAULT_CONTEXT].message;
    uint64_t limit = number_behind(raw, STR("\"n_ctx\""));
    uint64_t asked = number_behind(raw, STR("\"n_prompt_tokens\""));
    if (limit > 0 && asked > 0)
        return arena_printf(a,
                            "this model's maximum context length is %llu tokens, and the request "
                            "has %llu",
                            (unsigned long long)limit, (unsigned long long)asked);
    if (limit > 0)
        return arena_printf(a, "this model's maximum context length is %llu tokens",
                            (unsigned long long)limit);
    if (text.len == 0 || text.p[0] == '{') // the runner's JSON, as text
        return ours;
    return arena_printf(a, "%.*s: %.*s", STR_ARG(ours), STR_ARG(text));
}

static str message_of(struct arena *a, enum fault fault, const struct attempt *attempt)
{
    const struct fault_row *row = &FAULTS[fault];
    bool answered = attempt->how == ATTEMPT_STATUS || attempt->how == ATTEMPT_ERROR_LINE;
    str raw = answered ? attempt->error_text : attempt->detail;
    str text = (answered && !attempt->json) || row->wording == SAY_OURS
                   ? (str){NULL, 0}
                   : clean(a, raw, attempt->secret);
    str message = row->message;
    if (fault == FAULT_CONTEXT)
        message = context_message(a, raw, text);
    else if (fault == FAULT_MODEL_MISSING && attempt->model.len > 0) // "try pulling it" is no help
        message = arena_printf(a, "model '%.*s' not found",
                               STR_ARG(clean(a, attempt->model, attempt->secret)));
    else if (text.len > 0 && row->wording == SAY_THEIRS)
        message = text;
    else if (text.len > 0)
        message = arena_printf(a, "%.*s: %.*s", STR_ARG(row->message), STR_ARG(text));
    return message.len > 0 ? message : row->message;
}

/* The caller's field that is at fault. */
static str param_of(const struct fault_row *row, const struct text_row *text,
                    const struct attempt *attempt)
{
    str param = str_z(text != NULL && text->param != NULL ? text->param : row->param);
    if (!str_eq(param, STR(PARAM_GRAMMAR)))
        return param;
    return attempt->formatted ? STR("response_format") : STR("tools");
}

/*
 * What is kept of the failure. Of the upstream's own words those that are known beforehand: others
 * may quote the request.
 */
static str note_of(struct arena *a, const struct fault_row *row, const struct attempt *attempt,
                   int status, str message)
{
    if (attempt->how != ATTEMPT_STATUS && attempt->how != ATTEMPT_ERROR_LINE)
        return message; // ours, and what the network said
    str known = clean(a, remark_known(attempt->error_text), attempt->secret);
    str note = known.len > 0 ? arena_printf(a, "%.*s: %.*s", STR_ARG(row->message), STR_ARG(known))
                             : arena_printf(a, "%.*s (status %d)", STR_ARG(row->message), status);
    return note.len > 0 ? note : row->message;
}

/* The name in `option "temperature" must be of type float32`, as OpenAI calls it. */
static str option_param(struct arena *a, const struct attempt *attempt)
{
    str ignored;
    str rest;
    str name;
    if (!str_cut(attempt->error_text, '"', &ignored, &rest) || !str_cut(rest, '"', &name, &rest))
        return (str){NULL, 0};
    return str_eq(name, STR("num_predict")) ? STR("max_tokens") : clean(a, name, attempt->secret);
}

/* ---- waiting ---- */

void classify_set_wait(struct arena *a, struct api_error *e, uint32_t wait_s)
{
    str message = arena_printf(a, "%.*s; try again in %u s", STR_ARG(e->message), wait_s);
    if (message.len > 0)
        e->message = message;
    e->no_retry = wait_s > MAX_STATED_WAIT_S;
    e->retry_after_s = e->no_retry ? 0 : wait_s;
}

/* Seconds to the end of the window that a usage limit names; 0: it names none. */
static int64_t window_rest_s(str text, int64_t now_s)
{
    static const struct {
        str word;
        int64_t length_s;
        int64_t shift_s; // 1970-01-01 was a Thursday, and weeks end with Sunday
    } windows[] = {
        {STR_C("session usage limit"), SESSION_S, 0        },
        {STR_C("hourly usage limit"),  HOUR_S,    0        },
        {STR_C("weekly usage limit"),  WEEK_S,    3 * DAY_S},
    };
    for (size_t i = 0; i < COUNT_OF(windows); i++) {
        if (str_icontains(text, windows[i].word))
            return windows[i].length_s - (now_s + windows[i].shift_s) % windows[i].length_s;
    }
    return 0;
}

static void judge_limit(struct arena *a, const struct attempt *attempt, struct verdict *v)
{
    str text = attempt->error_text;
    uint32_t stated_s = retry_after_parse(attempt->retry_after, attempt->now_s);
    bool usage = str_icontains(text, STR("usage limit"));
    if (usage)
        v->account = clean(a, remark_account(text), (str){NULL, 0});
    if (stated_s > 0) {
        v->cool_s = stated_s;
        v->cool_source = COOL_STATED;
    } else if (usage) {
        int64_t rest_s = window_rest_s(text, attempt->now_s);
        v->cool_s = rest_s > 0 && rest_s < FIRST_COMPUTED_S ? (uint32_t)rest_s : FIRST_COMPUTED_S;
        v->cool_source = COOL_COMPUTED;
    } else if (str_icontains(text, STR("concurrent request slot"))) {
        v->cool_s = SLOT_WAIT_S;
        v->cool_source = COOL_COMPUTED;
    } else {
        v->cool_s = LEAST_WAIT_S;
        v->cool_source = COOL_GUESSED;
    }
    classify_set_wait(a, &v->error, v->cool_s);
}

/* ---- judgement ---- */

static enum fault of_answer(const struct attempt *attempt, int status,
                            const struct text_row **ret_text)
{
    if (status == 401 && (attempt->signin_url || (!attempt->keyed && !attempt->ollama_com)))
        return FAULT_SIGNIN;
    if (attempt->json)
        *ret_text = find_text(status, attempt->error_text);
    return *ret_text != NULL ? (*ret_text)->fault : of_status(status);
}

static void judge_stream(struct verdict *v)
{
    v->retry = RETRY_NEVER;
    v->error.type = "upstream_error"; // there is no status any more that could say it
}

void classify(struct arena *a, const struct attempt *attempt, struct verdict *ret)
{
    const struct text_row *text = NULL;
    enum fault fault;
    int status = attempt->status;
    if (attempt->how == ATTEMPT_ERROR_LINE)
        status = status_of_text(attempt->error_text);
    if (attempt->how == ATTEMPT_STATUS || attempt->how == ATTEMPT_ERROR_LINE)
        fault = of_answer(attempt, status, &text);
    else
        fault = OF_TRANSPORT[attempt->how];

    const struct fault_row *row = &FAULTS[fault];
    bool passes = fault == FAULT_REQUEST && (status == 413 || status == 422);
    struct verdict v = {
        .error = api_error_make(passes ? status : row->status, message_of(a, fault, attempt)),
        .key = row->key,
        .host = row->host,
        .retry = row->retry,
        .counts = row->counts,
        .retry_once = attempt->how == ATTEMPT_TIMEOUT || attempt->how == ATTEMPT_IDLE,
        .name = row->name,
    };
    v.note = note_of(a, row, attempt, status, v.error.message);
    v.error.no_retry = row->no_retry;
    v.error.param = param_of(row, text, attempt);
    if (row->code != NULL)
        v.error.code = row->code;
    if (text != NULL && text->code != NULL)
        v.error.code = text->code;
    if (fault == FAULT_OPTION)
        v.error.param = option_param(a, attempt);
    if (fault == FAULT_LIMITED)
        judge_limit(a, attempt, &v);
    if (fault == FAULT_OVERLOADED) {
        uint32_t stated_s = retry_after_parse(attempt->retry_after, attempt->now_s);
        classify_set_wait(a, &v.error, stated_s > 0 ? stated_s : LEAST_WAIT_S);
    }
    if (attempt->began)
        judge_stream(&v);
    *ret = v;
}
