#include "codec/json.h"

#include <assert.h>
#include <stdlib.h>
#include <yyjson.h>

#include "codec/json_shape.h"

enum {
    FEW_KEYS = 12,            // up to here comparing all pairs is quicker than sorting
    SURELY_FINITE_BYTES = 300 // digits without an exponent that every double can hold
};

/* yyjson's readers take values that are not const, and do not change them. */
static yyjson_val *val_of(const struct json *v)
{
    return (yyjson_val *)(void *)v;
}

static const struct json *json_of(const yyjson_val *v)
{
    return (const struct json *)(const void *)v;
}

static str text_of(const yyjson_val *v)
{
    return str_of(v->uni.str, unsafe_yyjson_get_len((void *)v));
}

/* ---- the checks after the parse ---- */

static enum err check_number(str text, struct err_info *info)
{
    if (text.len <= SURELY_FINITE_BYTES && str_find_char(text, 'e') == text.len &&
        str_find_char(text, 'E') == text.len)
        return ERR_OK;
    double value = 0;
    if (text.len > JSON_NUMBER_MAX)
        return err_set(info, ERR_RANGE, "a number is longer than %d bytes", JSON_NUMBER_MAX);
    if (!json_text_to_double(text, &value))
        return err_set(info, ERR_RANGE, "number out of range");
    return ERR_OK;
}

static enum err duplicate_key(str key, struct err_info *info)
{
    str shown = str_head(key, utf8_cut(key, 64));
    return err_set(info, ERR_SYNTAX, "duplicate key '%.*s'", STR_ARG(shown));
}

static int compare_keys(const void *a, const void *b)
{
    str left = text_of(*(yyjson_val *const *)a);
    str right = text_of(*(yyjson_val *const *)b);
    if (left.len != right.len)
        return left.len < right.len ? -1 : 1;
    return left.len > 0 ? memcmp(left.p, right.p, left.len) : 0;
}

static enum err check_few_keys(yyjson_val *object, struct err_info *info)
{
    str keys[FEW_KEYS];
    size_t n = 0;
    yyjson_obj_iter it = yyjson_obj_iter_with(object);
    for (yyjson_val *k = yyjson_obj_iter_next(&it); k != NULL; k = yyjson_obj_iter_next(&it)) {
        keys[n] = text_of(k);
        for (size_t i = 0; i < n; i++) {
            if (str_eq(keys[i], keys[n]))
                return duplicate_key(keys[n], info);
        }
        n++;
    }
    return ERR_OK;
}

/* Sorted, not hashed: no choice of keys makes it slow. */
static enum err check_many_keys(struct arena *a, yyjson_val *object, struct err_info *info)
{
    size_t n = unsafe_yyjson_get_len(object);
    yyjson_val **keys = arena_new(a, yyjson_val *, n);
    if (keys == NULL)
        return err_set(info, ERR_TOO_LARGE, "an object has too many members");
    yyjson_obj_iter it = yyjson_obj_iter_with(object);
    for (size_t i = 0; i < n; i++)
        keys[i] = yyjson_obj_iter_next(&it);
    qsort(keys, n, sizeof(*keys), compare_keys);
    for (size_t i = 1; i < n; i++) {
        if (compare_keys(&keys[i - 1], &keys[i]) == 0)
            return duplicate_key(text_of(keys[i]), info);
    }
    return ERR_OK;
}

/* All values of a document lie in one row, so this is no recursion. */
static enum err check_values(struct arena *a, const yyjson_doc *doc, struct err_info *info)
{
    for (size_t i = 0; i < doc->val_read; i++) {
        yyjson_val *v = doc->root + i;
        enum err err = ERR_OK;
        if (unsafe_yyjson_is_raw(v))
            err = check_number(text_of(v), info);
        else if (unsafe_yyjson_is_obj(v) && unsafe_yyjson_get_len(v) <= FEW_KEYS)
            err = check_few_keys(v, info);
        else if (unsafe_yyjson_is_obj(v))
            err = check_many_keys(a, v, info);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

/* ---- the parse ---- */

static void *alc_malloc(void *ctx, size_t size)
{
    return arena_alloc(ctx, size);
}

static void *alc_realloc(void *ctx, void *p, size_t old_size, size_t size)
{
    return arena_realloc(ctx, p, old_size, size);
}

static void alc_free(void *ctx, void *p)
{
    (void)ctx;
    (void)p;
}

static enum err read_error(const yyjson_read_err *error, struct err_info *info)
{
    if (error->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return err_set(info, ERR_TOO_LARGE, "the JSON text needs too much memory");
    if (info != NULL)
        info->offset = error->pos;
    return err_set(info, ERR_SYNTAX, "%s", error->msg);
}

/* Gives the values whose texts were left out for the parse their texts. */
static void put_back(const yyjson_doc *doc, const struct json_shape *shape, const char *copy,
                     const char *text)
{
    const struct json_cut *cut = shape->cuts;
    const struct json_cut *end = cut + shape->n_cuts;
    for (yyjson_val *v = doc->root; cut < end && v < doc->root + doc->val_read; v++) {
        // Values are in the order of the text, and only one can have its text at this place.
        if (unsafe_yyjson_is_str(v) && v->uni.str == copy + cut->at) {
            v->uni.str = text + cut->from;
            unsafe_yyjson_set_len(v, cut->len);
            cut++;
        }
    }
    assert(cut == end);
}

/* Parses the text, or its copy without long strings. */
static enum err parse_text(struct arena *a, str text, enum json_mode mode, yyjson_doc **ret,
                           struct err_info *info)
{
    const yyjson_alc alc = {alc_malloc, alc_realloc, alc_free, a};
    yyjson_read_flag flags = YYJSON_READ_INSITU | YYJSON_READ_NUMBER_AS_RAW |
                             (mode == JSON_STRICT ? 0 : YYJSON_READ_ALLOW_INVALID_UNICODE);
    yyjson_read_err error;
    // In place: the text is ours to write to.
    *ret = yyjson_read_opts((char *)text.p, text.len, flags, &alc, &error);
    return *ret != NULL ? ERR_OK : read_error(&error, info);
}

/* Whether what a copy saves is more than it costs. */
static bool is_worth_a_copy(const struct json_shape *shape, size_t len)
{
    return shape->cut_bytes > len / 2;
}

static enum err parse(struct arena *a, str text, enum json_mode mode, bool cut,
                      const struct json **ret, struct err_info *info)
{
    struct json_shape shape = {0};
    yyjson_doc *doc = NULL;
    if (info != NULL)
        info->offset = 0;
    if (text.len == 0) // it may be NULL then
        return err_set(info, ERR_SYNTAX, "the text is empty");
    assert(memcmp(text.p + text.len, "\0\0\0\0", JSON_PADDING) == 0);
    enum err err = json_shape_check(a, text, mode == JSON_STRICT, &shape, info);
    if (err != ERR_OK)
        return err;
    cut = cut && is_worth_a_copy(&shape, text.len);
    str parsed = cut ? json_shape_copy(a, &shape, text, JSON_PADDING) : text;
    if (parsed.p == NULL)
        return err_set(info, ERR_TOO_LARGE, "the JSON text needs too much memory");
    err = parse_text(a, parsed, mode, &doc, info);
    if (err != ERR_OK && cut && info != NULL)
        info->offset = json_shape_offset(&shape, info->offset);
    if (err != ERR_OK)
        return err;
    if (cut)
        put_back(doc, &shape, parsed.p, text.p);
    err = mode == JSON_STRICT ? check_values(a, doc, info) : ERR_OK;
    if (err != ERR_OK)
        return err;
    *ret = json_of(doc->root);
    return ERR_OK;
}

enum err json_parse_in_place(struct arena *a, char *text, size_t len, enum json_mode mode,
                             const struct json **ret, struct err_info *info)
{
    return parse(a, str_of(text, len), mode, true, ret, info);
}

enum err json_parse_uncut(struct arena *a, char *text, size_t len, enum json_mode mode,
                          const struct json **ret, struct err_info *info)
{
    return parse(a, str_of(text, len), mode, false, ret, info);
}

/* The code unit of the escape `\uXXXX` at `p`, or -1. */
static int escape_unit(const char *p, const char *end)
{
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    int unit = 0;
    for (int i = 2; i < 6; i++) {
        int digit = hex_value(p[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* Makes U+FFFD of escaped surrogates that have no partner: the parser always refuses those. */
static void mend_surrogates(char *text, size_t len)
{
    static const char DIGITS[] = {'F', 'F', 'F', 'D'};
    const char *end = text + len;
    char *p = memchr(text, '\\', len);
    while (p != NULL && end - p >= 2) {
        int unit = escape_unit(p, end);
        size_t step = unit < 0 ? 2 : 6;
        if (unit >= 0xD800 && unit < 0xE000) {
            int low = escape_unit(p + 6, end);
            if (unit < 0xDC00 && low >= 0xDC00 && low < 0xE000)
                step = 12;
            else
                memcpy(p + 2, DIGITS, sizeof(DIGITS));
        }
        p += step;
        p = p < end ? memchr(p, '\\', (size_t)(end - p)) : NULL;
    }
}

enum err json_parse(struct arena *a, str text, enum json_mode mode, const struct json **ret,
                    struct err_info *info)
{
    char *copy = arena_alloc(a, text.len + JSON_PADDING);
    if (copy == NULL)
        return err_set(info, ERR_TOO_LARGE, "the JSON text needs too much memory");
    memset(copy + text.len, 0, JSON_PADDING);
    if (text.len > 0)
        memcpy(copy, text.p, text.len);
    enum err err = json_parse_in_place(a, copy, text.len, mode, ret, info);
    if (err != ERR_SYNTAX || mode != JSON_TOLERANT || text.len == 0)
        return err;

    memcpy(copy, text.p, text.len);
    memset(copy + text.len, 0, JSON_PADDING);
    mend_surrogates(copy, text.len);
    return json_parse_in_place(a, copy, text.len, mode, ret, info);
}

/* ---- reading values ---- */

enum json_kind json_kind(const struct json *v)
{
    if (v == NULL)
        return JSON_NULL;
    switch (unsafe_yyjson_get_type(val_of(v))) {
    case YYJSON_TYPE_BOOL:
        return JSON_BOOL;
    case YYJSON_TYPE_RAW:
        return JSON_NUMBER;
    case YYJSON_TYPE_STR:
        return JSON_STRING;
    case YYJSON_TYPE_ARR:
        return JSON_ARRAY;
    case YYJSON_TYPE_OBJ:
        return JSON_OBJECT;
    default:
        return JSON_NULL;
    }
}

const char *json_kind_name(enum json_kind kind)
{
    static const char *const NAMES[] = {
        [JSON_NULL] = "null",       [JSON_BOOL] = "a boolean", [JSON_NUMBER] = "a number",
        [JSON_STRING] = "a string", [JSON_ARRAY] = "an array", [JSON_OBJECT] = "an object",
    };
    return NAMES[kind];
}

str json_str(const struct json *v)
{
    return json_kind(v) == JSON_STRING ? text_of(val_of(v)) : (str){0};
}

str json_number_text(const struct json *v)
{
    return json_kind(v) == JSON_NUMBER ? text_of(val_of(v)) : (str){0};
}

bool json_to_bool(const struct json *v, bool *ret)
{
    if (json_kind(v) != JSON_BOOL)
        return false;
    *ret = unsafe_yyjson_is_true(val_of(v));
    return true;
}

size_t json_size(const struct json *v)
{
    enum json_kind kind = json_kind(v);
    if (kind != JSON_ARRAY && kind != JSON_OBJECT)
        return 0;
    return unsafe_yyjson_get_len(val_of(v));
}

struct json_iter json_iter(const struct json *container)
{
    size_t n = json_size(container);
    if (n == 0)
        return (struct json_iter){0};
    return (struct json_iter){
        .at = json_of(val_of(container) + 1),
        .left = n,
        .is_object = json_kind(container) == JSON_OBJECT,
    };
}

bool json_next(struct json_iter *it, str *key, const struct json **value)
{
    if (it->left == 0)
        return false;
    yyjson_val *v = val_of(it->at);
    if (it->is_object) {
        if (key != NULL)
            *key = text_of(v);
        v++;
    }
    *value = json_of(v);
    it->at = json_of(unsafe_yyjson_get_next(v));
    it->left--;
    return true;
}

/* Whether the key `k` is `name`; lengths differ most often. */
static inline bool is_key(const yyjson_val *k, str name)
{
    return unsafe_yyjson_get_len((void *)k) == name.len &&
           (name.len == 0 || memcmp(k->uni.str, name.p, name.len) == 0);
}

const struct json *json_get(const struct json *object, str key)
{
    if (object == NULL || !unsafe_yyjson_is_obj(val_of(object)))
        return NULL;
    const struct json *found = NULL;
    yyjson_val *k = val_of(object) + 1;
    for (size_t n = unsafe_yyjson_get_len(val_of(object)); n > 0; n--) {
        if (is_key(k, key))
            found = json_of(k + 1);
        k = unsafe_yyjson_get_next(k + 1);
    }
    return found;
}

void json_pick(const struct json *object, const str *keys, size_t n, const struct json **ret)
{
    memset(ret, 0, n * sizeof(struct json *));
    if (object == NULL || !unsafe_yyjson_is_obj(val_of(object)))
        return;
    yyjson_val *k = val_of(object) + 1;
    for (size_t left = unsafe_yyjson_get_len(val_of(object)); left > 0; left--) {
        size_t i = 0;
        while (i < n && !is_key(k, keys[i]))
            i++;
        if (i < n)
            ret[i] = json_of(k + 1);
        k = unsafe_yyjson_get_next(k + 1);
    }
}
