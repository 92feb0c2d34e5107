#include "codec/ollama_embed.h"

#include "codec/json.h"
#include "codec/ollama_line.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static str skip_blanks(str s)
{
    size_t i = 0;
    while (i < s.len && is_blank(s.p[i]))
        i++;
    return str_skip(s, i);
}

/* What follows the string that `s` begins with; empty if it does not end. */
static str skip_string(str s)
{
    for (size_t i = 1; i < s.len; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '"')
            return str_skip(s, i + 1);
    }
    return (str){0};
}

/* What follows the value that `s` begins with, up to the comma or bracket behind it. */
static str skip_value(str s)
{
    size_t depth = 0;
    while (s.len > 0) {
        char c = s.p[0];
        if (depth == 0 && (c == ',' || c == '}'))
            return s;
        if (c == '[' || c == '{')
            depth++;
        else if ((c == ']' || c == '}') && depth > 0)
            depth--;
        s = c == '"' ? skip_string(s) : str_skip(s, 1);
    }
    return s;
}

/* The member `embeddings` of the object: what follows its colon; empty: there is none. */
static str find_embeddings(str s)
{
    s = skip_blanks(s);
    while (s.len > 0 && (s.p[0] == '{' || s.p[0] == ',')) {
        str key = skip_blanks(str_skip(s, 1));
        if (key.len == 0 || key.p[0] != '"')
            break;
        str rest = skip_string(key);
        key = str_head(key, key.len - rest.len);
        rest = skip_blanks(rest);
        if (rest.len == 0 || rest.p[0] != ':')
            break;
        rest = skip_blanks(str_skip(rest, 1));
        if (str_eq(key, STR("\"embeddings\"")))
            return rest;
        s = skip_blanks(skip_value(rest));
    }
    return (str){0};
}

bool ollama_embed_next(str *vectors, str *vector)
{
    str s = skip_blanks(*vectors);
    if (s.len > 0 && s.p[0] == ',')
        s = skip_blanks(str_skip(s, 1));
    if (s.len == 0 || s.p[0] != '[')
        return false;
    s = str_skip(s, 1);
    size_t n = str_find_char(s, ']');
    if (n == s.len)
        return false;
    *vector = str_head(s, n);
    *vectors = str_skip(s, n + 1);
    return true;
}

/* Counts the vectors of the array that `s` begins with; false if it is no array of arrays. */
static bool measure(str s, struct ollama_embed *ret)
{
    str inner = str_skip(s, 1);
    str rest = skip_blanks(inner);
    str vector;
    size_t n = 0;
    while (rest.len > 0 && rest.p[0] == (n == 0 ? '[' : ',')) {
        if (!ollama_embed_next(&rest, &vector))
            return false;
        n++;
        rest = skip_blanks(rest);
    }
    if (rest.len == 0 || rest.p[0] != ']')
        return false;
    ret->vectors = str_head(inner, inner.len - rest.len);
    ret->n_vectors = n;
    return true;
}

/* The object's text with null in the place of its vectors. */
static str without_vectors(struct arena *a, str text, const struct ollama_embed *e)
{
    const char *open = e->vectors.p - 1;
    const char *behind = e->vectors.p + e->vectors.len + 1;
    str head = str_of(text.p, (size_t)(open - text.p));
    str tail = str_of(behind, text.len - (size_t)(behind - text.p));
    char *copy = arena_alloc(a, head.len + 4 + tail.len);
    if (copy == NULL)
        return (str){0};
    memcpy(copy, head.p, head.len);
    memcpy(copy + head.len, "null", 4);
    memcpy(copy + head.len + 4, tail.p, tail.len);
    return str_of(copy, head.len + 4 + tail.len);
}

static uint64_t count_of(const struct json *v)
{
    int64_t n = 0;
    return json_to_i64(v, &n) && n > 0 ? (uint64_t)n : 0;
}

enum err ollama_embed_decode(struct arena *a, str text, struct ollama_embed *ret,
                             struct err_info *info)
{
    struct ollama_embed found = {0};
    const struct json *object = NULL;
    str value = find_embeddings(text);
    bool is_list = value.len > 0 && value.p[0] == '[';
    if (is_list && !measure(value, &found))
        return err_set(info, ERR_SYNTAX, "'embeddings' is not a list of vectors");
    if (is_list)
        text = without_vectors(a, text, &found);
    if (is_list && text.p == NULL)
        return err_set(info, ERR_TOO_LARGE, "the answer is too large");
    enum err err = json_parse(a, text, JSON_TOLERANT, &object, info);
    if (err != ERR_OK)
        return err == ERR_RANGE ? ERR_SYNTAX : err;
    if (json_kind(object) != JSON_OBJECT)
        return err_set(info, ERR_SYNTAX, "a native answer is %s",
                       json_kind_name(json_kind(object)));
    found.has_error = ollama_error_of(a, json_get(object, STR("error")), &found.error);
    if (!found.has_error && (!is_list || !json_is_null(json_get(object, STR("embeddings")))))
        return err_set(info, ERR_SYNTAX, "neither embeddings nor an error");
    found.prompt_tokens = count_of(json_get(object, STR("prompt_eval_count")));
    *ret = found;
    return ERR_OK;
}
