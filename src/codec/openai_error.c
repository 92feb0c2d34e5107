#include "codec/openai_error.h"

#include <stdarg.h>
#include <stdio.h>

#include "codec/json.h"

static const struct openai_fault FAULTS[] = {
#define X(name, http, type_text, code_text)                                                        \
    [name] = {.status = (http), .type = STR_C(type_text), .code = STR_C(code_text)},
    OPENAI_FAULT_LIST(X)
#undef X
};

/* What is said when there is nothing better, or nothing that may be said. */
static const struct {
    int status;
    str sentence;
} SENTENCES[] = {
    {400, STR_C("the request is not valid")                            },
    {401, STR_C("the token is missing or not valid")                   },
    {403, STR_C("the request is not allowed")                          },
    {404, STR_C("not found")                                           },
    {405, STR_C("the method is not allowed here")                      },
    {408, STR_C("the request did not arrive in time")                  },
    {413, STR_C("the request is too large")                            },
    {429, STR_C("too many requests, try again later")                  },
    {500, STR_C("the model failed while it was answering")             },
    {501, STR_C("not implemented")                                     },
    {502, STR_C("the upstream gave no usable answer")                  },
    {503, STR_C("no upstream can take the request now, try again soon")},
    {504, STR_C("the upstream did not answer in time")                 },
};

/*
 * Gateways in front of us switch a channel off when a message has one of these, because OpenAI's
 * own use them for lost accounts; in ours they would come from an upstream ("load balancer").
 */
static const str TABOO[] = {
    STR_C("credit"),
    STR_C("balance"),
    STR_C("permission denied"),
    STR_C("api key expired"),
    STR_C("api key has expired"),
};

static bool has_any(str text, const str *needles, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_icontains(text, needles[i]))
            return true;
    }
    return false;
}

static str general_sentence(int status)
{
    for (size_t i = 0; i < COUNT_OF(SENTENCES); i++) {
        if (SENTENCES[i].status == status)
            return SENTENCES[i].sentence;
    }
    return STR("the request failed");
}

struct openai_fault openai_fault(enum openai_fault_kind kind, str param, str message)
{
    struct openai_fault fault = FAULTS[kind];
    fault.param = param;
    fault.message = message;
    return fault;
}

enum err openai_refuse(struct arena *a, struct openai_fault *fault, enum openai_fault_kind kind,
                       str param, const char *fmt, ...)
{
    char text[OPENAI_MESSAGE_MAX + 1];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    str message = arena_copy(a, str_of(text, len));
    if (a->overflowed) {
        *fault = openai_fault(FAULT_TOO_LARGE, (str){0}, (str){0});
        return ERR_TOO_LARGE;
    }
    *fault = openai_fault(kind, param, message);
    return ERR_SYNTAX;
}

enum err openai_refuse_type(struct arena *a, struct openai_fault *fault, str param,
                            const struct json *v, const char *wanted)
{
    return openai_refuse(a, fault, FAULT_BAD_REQUEST, param, "'%.*s' must be %s, not %s",
                         STR_ARG(param), wanted, json_kind_name(json_kind(v)));
}

/* The next character of `s`, cleaned: what stands for it goes to `*ret`; returns its length. */
static size_t clean_char(str s, str *ret)
{
    unsigned char c = (unsigned char)s.p[0];
    if (c < 0x20 || c == 0x7F) {
        *ret = c == '\n' || c == '\r' || c == '\t' ? STR(" ") : (str){0};
        return 1;
    }
    size_t n = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    if (n > s.len || utf8_valid_prefix(str_head(s, n)) < n) {
        *ret = STR("\xEF\xBF\xBD");
        return 1;
    }
    bool is_control = n == 2 && c == 0xC2 && (unsigned char)s.p[1] < 0xA0;
    *ret = is_control ? (str){0} : str_head(s, n);
    return n;
}

/* Fills `text` with as much of `message` as fits when cleaned. */
static str clean(str message, char text[OPENAI_MESSAGE_MAX])
{
    size_t len = 0;
    while (message.len > 0) {
        str piece;
        message = str_skip(message, clean_char(message, &piece));
        if (piece.len > OPENAI_MESSAGE_MAX - len)
            break;
        if (piece.len > 0)
            memcpy(text + len, piece.p, piece.len);
        len += piece.len;
    }
    return str_trim(str_of(text, len));
}

static void put_or_null(struct buf *out, str s)
{
    if (s.len > 0)
        json_put_string(out, s);
    else
        buf_append(out, STR("null"));
}

void openai_error_body(struct buf *out, const struct openai_fault *fault)
{
    char text[OPENAI_MESSAGE_MAX];
    str message = clean(fault->message, text);
    if (message.len == 0 || has_any(message, TABOO, COUNT_OF(TABOO)))
        message = general_sentence(fault->status);
    buf_append(out, STR("{\"error\":{\"message\":"));
    json_put_string(out, message);
    buf_append(out, STR(",\"type\":"));
    json_put_string(out, fault->type);
    buf_append(out, STR(",\"param\":"));
    put_or_null(out, fault->param);
    buf_append(out, STR(",\"code\":"));
    put_or_null(out, fault->code);
    buf_append(out, STR("}}"));
}
