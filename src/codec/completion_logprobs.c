#include "codec/completion_logprobs.h"

enum {
    TOKEN_BYTES_MAX = 64, // of a token that is checked for being a part of a character
    ALTERNATIVES_MAX = 20,
    OBJECT_BYTES = 80, // an object of no entries
    OFFSET_BYTES = 24, // an entry's offset, and its commas
};

/* ---- one token ---- */

static str token_of(const struct json *entry)
{
    return json_str(json_get(entry, STR("token")));
}

static const struct json *bytes_of(const struct json *entry)
{
    const struct json *bytes = json_get(entry, STR("bytes"));
    return json_kind(bytes) == JSON_ARRAY ? bytes : NULL;
}

/* How many bytes of text it stands for. */
static size_t byte_length(const struct json *entry)
{
    const struct json *bytes = bytes_of(entry);
    return bytes != NULL ? json_size(bytes) : token_of(entry).len;
}

static bool starts_character(unsigned char c)
{
    return (c & 0xC0) != 0x80;
}

/* How many characters begin in it. */
static uint64_t characters(const struct json *entry)
{
    struct json_iter it = json_iter(bytes_of(entry));
    const struct json *v = NULL;
    uint64_t n = 0;
    if (it.left == 0) {
        str token = token_of(entry);
        for (size_t i = 0; i < token.len; i++)
            n += starts_character((unsigned char)token.p[i]);
        return n;
    }
    while (json_next(&it, NULL, &v)) {
        int64_t byte = 0;
        n += json_to_i64(v, &byte) && starts_character((unsigned char)byte);
    }
    return n;
}

/* Its bytes, if they are no text by themselves; else 0 of them. */
static size_t partial_bytes(const struct json *entry, char out[TOKEN_BYTES_MAX])
{
    struct json_iter it = json_iter(bytes_of(entry));
    const struct json *v = NULL;
    size_t n = 0;
    if (it.left > TOKEN_BYTES_MAX)
        return 0;
    while (json_next(&it, NULL, &v)) {
        int64_t byte = -1;
        if (!json_to_i64(v, &byte) || byte < 0 || byte > UINT8_MAX)
            return 0;
        out[n++] = (char)byte;
    }
    return utf8_valid_prefix(str_of(out, n)) < n ? n : 0;
}

static void put_token(struct buf *out, const struct json *entry)
{
    char bytes[TOKEN_BYTES_MAX];
    size_t n = partial_bytes(entry, bytes);
    if (n == 0) {
        json_put_string(out, token_of(entry));
        return;
    }
    buf_append(out, STR("\"bytes:"));
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "\\\\x%02x", (unsigned)(unsigned char)bytes[i]);
    buf_append_char(out, '"');
}

static void put_logprob(struct buf *out, const struct json *entry)
{
    const struct json *v = json_get(entry, STR("logprob"));
    double value; // an upstream may write a number that none can hold
    json_put_value(out, json_to_double(v, &value) ? v : NULL);
}

/* Whether two texts are the same once what is not UTF-8 in them has been replaced. */
static bool same_text(str a, str b)
{
    if (str_eq(a, b))
        return true;
    if (utf8_valid_prefix(a) == a.len && utf8_valid_prefix(b) == b.len)
        return false;
    struct buf left;
    struct buf right;
    buf_init(&left, SIZE_MAX / 2);
    buf_init(&right, SIZE_MAX / 2);
    json_put_string(&left, a);
    json_put_string(&right, b);
    bool same = str_eq(buf_str(&left), buf_str(&right));
    buf_release(&left);
    buf_release(&right);
    return same;
}

/* Whether both would have the same name in a map. */
static bool same_token(const struct json *a, const struct json *b)
{
    char left[TOKEN_BYTES_MAX];
    char right[TOKEN_BYTES_MAX];
    size_t n_left = partial_bytes(a, left);
    size_t n_right = partial_bytes(b, right);
    return n_left + n_right > 0 ? str_eq(str_of(left, n_left), str_of(right, n_right))
                                : same_text(token_of(a), token_of(b));
}

/* Whether one of the first `n` alternatives, or the chosen token, has the name of `entry`. */
static bool is_in_map(const struct json *chosen, size_t n, const struct json *entry)
{
    struct json_iter it = json_iter(json_get(chosen, STR("top_logprobs")));
    const struct json *other = NULL;
    if (same_token(chosen, entry))
        return true;
    for (size_t i = 0; i < n && json_next(&it, NULL, &other); i++) {
        if (same_token(other, entry))
            return true;
    }
    return false;
}

static void put_map(struct buf *out, const struct json *chosen, bool alternatives)
{
    struct json_iter it = json_iter(json_get(chosen, STR("top_logprobs")));
    const struct json *entry = NULL;
    buf_append_char(out, '{');
    put_token(out, chosen);
    buf_append_char(out, ':');
    put_logprob(out, chosen);
    size_t n = alternatives ? ALTERNATIVES_MAX : 0;
    for (size_t i = 0; i < n && json_next(&it, NULL, &entry); i++) {
        if (is_in_map(chosen, i, entry))
            continue;
        buf_append_char(out, ',');
        put_token(out, entry);
        buf_append_char(out, ':');
        put_logprob(out, entry);
    }
    buf_append_char(out, '}');
}

/* ---- lists of them ---- */

struct token_list completion_tokens_of(const struct ollama_line *line)
{
    struct token_list tokens = {json_iter(line->logprobs)};
    if (line->thinking.len == 0)
        return tokens;
    size_t bytes = 0;
    const struct json *entry = NULL;
    struct json_iter it = tokens.it;
    while (json_next(&it, NULL, &entry))
        bytes += byte_length(entry);
    while (bytes > line->content.len && json_next(&tokens.it, NULL, &entry))
        bytes -= byte_length(entry);
    return tokens;
}

static void put_each(struct buf *out, struct json_iter it, size_t n,
                     void (*put)(struct buf *out, const struct json *entry))
{
    const struct json *entry = NULL;
    for (size_t i = 0; i < n && json_next(&it, NULL, &entry); i++) {
        if (i > 0)
            buf_append_char(out, ',');
        put(out, entry);
    }
}

static void put_full_map(struct buf *out, const struct json *entry)
{
    put_map(out, entry, true);
}

static void put_small_map(struct buf *out, const struct json *entry)
{
    put_map(out, entry, false);
}

static uint64_t put_offsets(struct buf *out, struct json_iter it, size_t n, uint64_t offset)
{
    const struct json *entry = NULL;
    for (size_t i = 0; i < n && json_next(&it, NULL, &entry); i++) {
        if (i > 0)
            buf_append_char(out, ',');
        buf_append_u64(out, offset);
        offset += characters(entry);
    }
    return offset;
}

static void put_object(struct buf *out, struct token_list *tokens, size_t n, uint64_t *offset,
                       void (*put_entry_map)(struct buf *out, const struct json *entry))
{
    buf_append(out, STR("{\"tokens\":["));
    put_each(out, tokens->it, n, put_token);
    buf_append(out, STR("],\"token_logprobs\":["));
    put_each(out, tokens->it, n, put_logprob);
    buf_append(out, STR("],\"top_logprobs\":["));
    put_each(out, tokens->it, n, put_entry_map);
    buf_append(out, STR("],\"text_offset\":["));
    *offset = put_offsets(out, tokens->it, n, *offset);
    buf_append(out, STR("]}"));
    const struct json *entry = NULL;
    for (size_t i = 0; i < n; i++)
        (void)json_next(&tokens->it, NULL, &entry);
}

/* What one entry adds to an object: written, measured, and taken back. */
static size_t entry_bytes(struct buf *out, const struct json *entry,
                          void (*put_entry_map)(struct buf *out, const struct json *entry))
{
    size_t start = out->len;
    put_token(out, entry);
    put_logprob(out, entry);
    put_entry_map(out, entry);
    size_t n = out->len - start + OFFSET_BYTES;
    out->len = start;
    return n;
}

/* How many entries fit into an object of `room` bytes. */
static size_t count_fitting(struct buf *out, const struct token_list *tokens, size_t room,
                            void (*put_entry_map)(struct buf *out, const struct json *entry))
{
    struct json_iter it = tokens->it;
    const struct json *entry = NULL;
    size_t n = 0;
    size_t used = OBJECT_BYTES;
    if (room == SIZE_MAX)
        return it.left;
    while (json_next(&it, NULL, &entry)) {
        used += entry_bytes(out, entry, put_entry_map);
        if (used > room)
            break;
        n++;
    }
    return n;
}

void completion_logprobs_put(struct buf *out, struct token_list *tokens, uint64_t *offset,
                             size_t room)
{
    size_t n = count_fitting(out, tokens, room, put_full_map);
    if (n > 0)
        put_object(out, tokens, n, offset, put_full_map);
    else
        buf_append(out, STR("null"));
}

void completion_logprobs_put_some(struct buf *out, struct token_list *tokens, uint64_t *offset,
                                  size_t room)
{
    const struct json *dropped = NULL;
    size_t n = count_fitting(out, tokens, room, put_full_map);
    struct token_list one = {tokens->it};
    one.it.left = one.it.left > 0 ? 1 : 0;
    if (n > 0) {
        put_object(out, tokens, n, offset, put_full_map);
    } else if (count_fitting(out, &one, room, put_small_map) == 1) {
        put_object(out, tokens, 1, offset, put_small_map);
    } else {
        if (json_next(&tokens->it, NULL, &dropped))
            *offset += characters(dropped);
        buf_append(out, STR("null"));
    }
}
