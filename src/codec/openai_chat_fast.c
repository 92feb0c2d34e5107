#include "codec/openai_chat_fast.h"

#include "codec/json_cursor.h"
#include "codec/openai_chat.h"
#include "codec/openai_option.h"

enum { MESSAGES_MAX = 1000 };

/* Members of the body that were seen, as bits; those of options follow. */
enum {
    SEEN_MODEL = 1,
    SEEN_MESSAGES = 2,
    SEEN_STREAM = 4,
    SEEN_STREAM_OPTIONS = 8,
    SEEN_OPTION = 16,
};

struct reader {
    struct json_cursor c;
    unsigned seen;
    str model;
    str messages;
    bool stream;
    bool include_usage;
    struct {
        uint64_t whole;
        str text;
    } numbers[OPENAI_OPTIONS]; // of options that were seen
};

/* Whether a member comes for the first time: of equal keys the parser knows what to say. */
static inline bool note(struct reader *r, unsigned member)
{
    bool first = (r->seen & member) == 0;
    r->seen |= member;
    return first;
}

/* ---- strings ---- */

/* Escapes that the writer would write just so. */
static inline bool is_written_escape(char letter)
{
    static const bool WRITTEN[256] = {
        ['"'] = true, ['\\'] = true, ['b'] = true, ['f'] = true,
        ['n'] = true, ['r'] = true,  ['t'] = true,
    };
    return WRITTEN[(unsigned char)letter];
}

/* The rest of a string whose bytes can go out as they are, its closing quote included. */
static bool pass_text(struct json_cursor *c)
{
    for (;;) {
        c->at += json_written_run(str_of(c->at, json_left(c)));
        if (json_left(c) < 2)
            return false;
        if (*c->at == '"') {
            c->at++;
            return true;
        }
        if (*c->at != '\\' || !is_written_escape(c->at[1]))
            return false;
        c->at += 2;
    }
}

/* ---- members ---- */

static bool read_model(struct reader *r)
{
    str model;
    if (!JSON_TAKE(&r->c, "\"") || !json_take_plain(&r->c, &model))
        return false;
    for (size_t i = 0; i < model.len; i++) {
        if (model.p[i] < ' ' || model.p[i] >= 0x7F) // what is no ASCII may be no UTF-8
            return false;
    }
    r->model = model;
    return model.len > 0 && model.len <= OPENAI_MODEL_MAX;
}

enum role { ROLE_NONE, ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT };

static enum role take_role(struct json_cursor *c)
{
    if (JSON_TAKE(c, "user\""))
        return ROLE_USER;
    if (JSON_TAKE(c, "assistant\""))
        return ROLE_ASSISTANT;
    return JSON_TAKE(c, "system\"") ? ROLE_SYSTEM : ROLE_NONE;
}

/* Neighbours of one role would be made one message. */
static bool read_messages(struct reader *r)
{
    struct json_cursor *c = &r->c;
    const char *from = c->at;
    enum role last = ROLE_NONE;
    if (!JSON_TAKE(c, "["))
        return false;
    for (size_t n = 0; n < MESSAGES_MAX; n++) {
        if (!JSON_TAKE(c, "{\"role\":\""))
            return false;
        enum role role = take_role(c);
        if (role == last || role == ROLE_NONE)
            return false;
        last = role;
        if (!JSON_TAKE(c, ",\"content\":\"") || !pass_text(c) || !JSON_TAKE(c, "}"))
            return false;
        if (JSON_TAKE(c, "]")) {
            r->messages = str_of(from, (size_t)(c->at - from));
            return true;
        }
        if (!JSON_TAKE(c, ","))
            return false;
    }
    return false;
}

static bool read_bool(struct json_cursor *c, bool *ret)
{
    *ret = JSON_TAKE(c, "true");
    return *ret || JSON_TAKE(c, "false");
}

static bool read_stream_options(struct reader *r)
{
    return JSON_TAKE(&r->c, "{\"include_usage\":") && read_bool(&r->c, &r->include_usage) &&
           JSON_TAKE(&r->c, "}");
}

/* Digits behind a point; `*some` is whether one of them is not 0. */
static bool take_fraction(struct json_cursor *c, bool *some)
{
    uint64_t ignored = 0;
    const char *from = c->at;
    for (; c->at < c->end && ascii_is_digit(*c->at); c->at++)
        ignored |= (uint64_t)(*c->at - '0');
    *some = ignored != 0;
    return c->at > from && c->at - from <= JSON_DIGITS_MAX;
}

/* A number that is surely within the row's range; at its ends the parser has the word. */
static bool read_option(struct reader *r, size_t i)
{
    const struct openai_option *row = &OPENAI_OPTION[i];
    struct json_cursor *c = &r->c;
    const char *from = c->at;
    uint64_t whole;
    bool above = false; // the whole number
    if (!json_take_count(c, &whole))
        return false;
    if (row->kind == OPTION_NUMBER && JSON_TAKE(c, ".") && !take_fraction(c, &above))
        return false;
    if (c->at < c->end && (*c->at | 0x20) == 'e')
        return false;
    // Below 2^53 a double holds it as it is.
    double most = (double)(whole + above);
    if (whole >= (uint64_t)1 << 53 || (double)whole < row->lowest || most > row->highest)
        return false;
    if (row->kind == OPTION_LIMIT && whole == 0)
        return false;
    r->numbers[i].whole = whole;
    r->numbers[i].text = str_of(from, (size_t)(c->at - from));
    return true;
}

static bool read_any_option(struct reader *r, str key)
{
    for (size_t i = 0; i < OPENAI_OPTIONS; i++) {
        if (str_eq(OPENAI_OPTION[i].name, key))
            return note(r, (unsigned)SEEN_OPTION << i) && read_option(r, i);
    }
    return false;
}

/* One member with its colon, from behind the opening quote of its key. */
static bool read_member(struct reader *r)
{
    struct json_cursor *c = &r->c;
    str key;
    if (JSON_TAKE(c, "model\":"))
        return note(r, SEEN_MODEL) && read_model(r);
    if (JSON_TAKE(c, "messages\":"))
        return note(r, SEEN_MESSAGES) && read_messages(r);
    if (JSON_TAKE(c, "stream\":"))
        return note(r, SEEN_STREAM) && read_bool(c, &r->stream);
    if (JSON_TAKE(c, "stream_options\":"))
        return note(r, SEEN_STREAM_OPTIONS) && read_stream_options(r);
    return json_take_plain(c, &key) && JSON_TAKE(c, ":") && read_any_option(r, key);
}

/* ---- the whole ---- */

static struct chat_option option_of(const struct reader *r, size_t i)
{
    const struct openai_option *row = &OPENAI_OPTION[i];
    if (row->kind == OPTION_NUMBER)
        return (struct chat_option){
            .name = row->native, .kind = CHAT_VALUE_NUMBER, .number = r->numbers[i].text};
    return (struct chat_option){
        .name = row->native, .kind = CHAT_VALUE_INTEGER, .integer = (int64_t)r->numbers[i].whole};
}

/* Two rows are one native option. */
static bool names_limit_twice(const struct reader *r)
{
    unsigned both = 0;
    for (size_t i = 0; i < OPENAI_OPTIONS; i++) {
        if (OPENAI_OPTION[i].kind == OPTION_LIMIT)
            both |= (unsigned)SEEN_OPTION << i;
    }
    return (r->seen & both) == both;
}

static bool read_body(struct reader *r)
{
    const unsigned needed = SEEN_MODEL | SEEN_MESSAGES;
    if (!JSON_TAKE(&r->c, "{\""))
        return false;
    do {
        if (!read_member(r))
            return false;
    } while (JSON_TAKE(&r->c, ",\""));
    return JSON_TAKE(&r->c, "}") && r->c.at == r->c.end && (r->seen & needed) == needed &&
           !names_limit_twice(r);
}

bool openai_chat_fast(str body, struct chat_request *ret)
{
    struct reader r;
    r.c = (struct json_cursor){body.p, body.p + body.len};
    r.seen = 0;
    r.stream = r.include_usage = false;
    if (body.len == 0 || !read_body(&r))
        return false;
    memset(ret, 0, offsetof(struct chat_request, options));
    ret->model = r.model;
    ret->messages_json = r.messages;
    ret->stream = r.stream;
    ret->include_usage = r.include_usage;
    for (size_t i = 0; i < OPENAI_OPTIONS; i++) {
        if ((r.seen & (unsigned)SEEN_OPTION << i) != 0)
            ret->options[ret->n_options++] = option_of(&r, i);
    }
    return true;
}
