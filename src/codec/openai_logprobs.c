#include "codec/openai_logprobs.h"

#define OPEN  STR("{\"content\":[")
#define CLOSE STR("],\"refusal\":null}")

/* What OpenAI says of a token that is as good as impossible. */
#define LEAST STR("-9999.0")

/* An array of numbers from 0 to 255, and nothing else. */
static bool is_bytes(const struct json *v)
{
    struct json_iter it = json_iter(v);
    const struct json *item = NULL;
    if (json_kind(v) != JSON_ARRAY)
        return false;
    while (json_next(&it, NULL, &item)) {
        int64_t byte = -1;
        if (!json_to_i64(item, &byte) || byte < 0 || byte > UINT8_MAX)
            return false;
    }
    return true;
}

/* `"token":…,"logprob":…,"bytes":…` */
static void put_token(struct buf *out, const struct json *entry)
{
    const struct json *logprob = json_get(entry, STR("logprob"));
    const struct json *bytes = json_get(entry, STR("bytes"));
    double value; // an upstream may write a number that none can hold
    buf_append(out, STR("\"token\":"));
    json_put_string(out, json_str(json_get(entry, STR("token"))));
    buf_append(out, STR(",\"logprob\":"));
    if (json_to_double(logprob, &value))
        json_put_value(out, logprob);
    else
        buf_append(out, LEAST);
    buf_append(out, STR(",\"bytes\":"));
    if (is_bytes(bytes))
        json_put_value(out, bytes);
    else
        buf_append(out, STR("null"));
}

static void put_entry(struct buf *out, const struct json *entry, bool with_alternatives)
{
    const struct json *top = with_alternatives ? json_get(entry, STR("top_logprobs")) : NULL;
    struct json_iter it = json_kind(top) == JSON_ARRAY ? json_iter(top) : json_iter(NULL);
    const struct json *alternative = NULL;
    bool first = true;
    buf_append_char(out, '{');
    put_token(out, entry);
    buf_append(out, STR(",\"top_logprobs\":["));
    while (json_next(&it, NULL, &alternative)) {
        buf_append(out, first ? STR("{") : STR(",{"));
        put_token(out, alternative);
        buf_append_char(out, '}');
        first = false;
    }
    buf_append(out, STR("]}"));
}

static void advance(struct logprobs *lp)
{
    if (!json_next(&lp->it, NULL, &lp->next))
        lp->next = NULL;
}

struct logprobs logprobs_of(const struct json *array)
{
    struct logprobs lp = {.it = json_iter(array)};
    advance(&lp);
    return lp;
}

/* What is too long is written first and taken back: most entries are short. */
static size_t put_entries(struct buf *out, struct logprobs *lp, size_t end, bool with_alternatives)
{
    size_t n = 0;
    while (lp->next != NULL) {
        size_t before = out->len;
        if (n > 0)
            buf_append_char(out, ',');
        put_entry(out, lp->next, with_alternatives);
        if (out->len > end) {
            out->len = before;
            break;
        }
        advance(lp);
        n++;
    }
    return n;
}

static bool put_object(struct buf *out, struct logprobs *lp, size_t room, bool with_alternatives)
{
    size_t start = out->len;
    size_t frame = OPEN.len + CLOSE.len;
    if (lp->next == NULL || room < frame)
        return false;
    size_t end = room < SIZE_MAX - start ? start + room - CLOSE.len : SIZE_MAX;
    buf_append(out, OPEN);
    if (put_entries(out, lp, end, with_alternatives) == 0) {
        out->len = start;
        return false;
    }
    buf_append(out, CLOSE);
    return true;
}

void logprobs_put(struct buf *out, struct logprobs *lp, size_t room)
{
    if (!put_object(out, lp, room, true))
        buf_append(out, STR("null"));
}

void logprobs_put_some(struct buf *out, struct logprobs *lp, size_t room)
{
    if (put_object(out, lp, room, true) || put_object(out, lp, room, false))
        return;
    buf_append(out, STR("null"));
    advance(lp);
}
