#include "codec/json_shape.h"

#include "codec/json.h"
#include "codec/json_scan.h"

enum { CUTS_STEP = 16 }; // the list of cuts grows by so many, then by its own size

/* What the pass keeps in mind. */
struct pass {
    struct arena *a;
    str text;
    struct json_shape shape;
    size_t room; // for cuts
};

/*
 * The offset behind the string that goes on at `from`, or the text's length if it does not end.
 * What is before `from` ends in no backslash that counts.
 */
static size_t skip_string(str text, size_t from)
{
    while (from < text.len) {
        const char *quote = memchr(text.p + from, '"', text.len - from);
        if (quote == NULL)
            return text.len;
        size_t at = (size_t)(quote - text.p);
        size_t slashes = 0;
        while (at - slashes > from && text.p[at - slashes - 1] == '\\')
            slashes++;
        if (slashes % 2 == 0)
            return at + 1;
        from = at + 1;
    }
    return text.len;
}

static bool add_cut(struct pass *p, size_t from, size_t len)
{
    struct json_shape *s = &p->shape;
    if (s->n_cuts == p->room) {
        size_t room = p->room + (p->room > CUTS_STEP ? p->room : CUTS_STEP);
        struct json_cut *cuts =
            arena_realloc(p->a, s->cuts, p->room * sizeof(*s->cuts), room * sizeof(*s->cuts));
        if (cuts == NULL)
            return false;
        s->cuts = cuts;
        p->room = room;
    }
    s->cuts[s->n_cuts++] = (struct json_cut){from, len, from - s->cut_bytes};
    s->cut_bytes += len;
    return true;
}

/* Passes the string whose opening quote is before `*i`; false if there is no room for a cut. */
static bool pass_string(struct pass *p, size_t *i)
{
    size_t from = *i;
    size_t n = json_plain_run(str_skip(p->text, from));
    if (from + n == p->text.len || p->text.p[from + n] != '"') {
        *i = skip_string(p->text, from + n);
        return true;
    }
    *i = from + n + 1;
    return n < JSON_LONG_MIN || add_cut(p, from, n);
}

enum err json_shape_check(struct arena *a, str text, bool strict, struct json_shape *ret,
                          struct err_info *info)
{
    struct pass p = {.a = a, .text = text};
    uint32_t commas[JSON_DEPTH_MAX + 1] = {0};
    size_t depth = 0;
    size_t i = 0;
    bool over = false; // the outermost value has ended
    while (i < text.len && !over) {
        switch (text.p[i++]) {
        case '"':
            if (!pass_string(&p, &i))
                return err_set(info, ERR_TOO_LARGE, "the JSON text needs too much memory");
            break;
        case '[':
        case '{':
            if (++depth > JSON_DEPTH_MAX)
                return err_set(info, ERR_RANGE, "nested deeper than %d levels", JSON_DEPTH_MAX);
            commas[depth] = 0;
            break;
        case ']':
        case '}':
            over = depth == 0;
            depth -= over ? 0 : 1;
            break;
        case ',':
            if (++commas[depth] >= JSON_ITEMS_MAX && strict)
                return err_set(info, ERR_RANGE, "more than %d items in one array or object",
                               JSON_ITEMS_MAX);
            break;
        default:
            break;
        }
    }
    *ret = p.shape;
    return ERR_OK;
}

str json_shape_copy(struct arena *a, const struct json_shape *shape, str text, size_t padding)
{
    size_t len = text.len - shape->cut_bytes;
    char *copy = arena_alloc(a, len + padding);
    if (copy == NULL)
        return (str){0};
    size_t from = 0;
    char *to = copy;
    for (size_t i = 0; i < shape->n_cuts; i++) {
        const struct json_cut *cut = &shape->cuts[i];
        memcpy(to, text.p + from, cut->from - from);
        to += cut->from - from;
        from = cut->from + cut->len;
    }
    memcpy(to, text.p + from, text.len - from);
    memset(copy + len, 0, padding);
    return str_of(copy, len);
}

size_t json_shape_offset(const struct json_shape *shape, size_t at)
{
    size_t cut_bytes = 0;
    // Behind an opening quote is the string's begin: the parser finds no fault at its end.
    for (size_t i = 0; i < shape->n_cuts && shape->cuts[i].at < at; i++)
        cut_bytes += shape->cuts[i].len;
    return at + cut_bytes;
}
