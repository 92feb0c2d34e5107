/*
 * Property: a native answer of /api/embed is refused, with nothing written, or becomes a list of
 * the same vectors: as numbers the same texts, as base64 the bits that strtof() gives for them.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/embedding_answer.h"
#include "codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int digit_value(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

/* The next float of a base64 text, its bytes one by one. */
static uint32_t float_at(str text, size_t index)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 32; i++) { // bit by bit of four bytes, high bit first in each
        size_t bit = index * 32 + i;
        int digit = digit_value(text.p[bit / 6]);
        assert(digit >= 0);
        uint32_t value = (uint32_t)digit >> (5 - bit % 6) & 1;
        bits |= value << (i / 8 * 8 + 7 - i % 8);
    }
    return bits;
}

static void check_vector(const struct json *numbers, str base64)
{
    struct json_iter it = json_iter(numbers);
    const struct json *v = NULL;
    size_t n = json_size(numbers);
    assert(base64.len == (n * 4 + 2) / 3 * 4);
    for (size_t i = 0; json_next(&it, NULL, &v); i++) {
        char copy[JSON_NUMBER_MAX + 1];
        str text = json_number_text(v);
        assert(text.len > 0 && text.len <= JSON_NUMBER_MAX);
        memcpy(copy, text.p, text.len);
        copy[text.len] = '\0';
        float f = strtof(copy, NULL);
        uint32_t bits;
        memcpy(&bits, &f, sizeof(bits));
        assert(float_at(base64, i) == bits);
    }
}

static const struct json *parse_data(struct arena *a, const struct buf *out)
{
    const struct json *v = NULL;
    enum err err = json_parse(a, buf_str(out), JSON_TOLERANT, &v, NULL);
    assert(err == ERR_OK || err == ERR_TOO_LARGE);
    return err == ERR_OK ? json_get(v, STR("data")) : NULL;
}

static void check_answers(struct arena *a, const struct ollama_embed *native)
{
    struct buf numbers;
    struct buf base64;
    const struct embedding_wish as_numbers = {native->n_vectors, false};
    const struct embedding_wish as_base64 = {native->n_vectors, true};
    buf_init(&numbers, 64 << 20);
    buf_init(&base64, 64 << 20);
    enum err err = embedding_answer_encode(STR("m"), &as_numbers, native, &numbers, NULL);
    assert(embedding_answer_encode(STR("m"), &as_base64, native, &base64, NULL) == err);
    if (err != ERR_OK) {
        assert(numbers.len == 0 && base64.len == 0);
    } else {
        struct json_iter left = json_iter(parse_data(a, &numbers));
        struct json_iter right = json_iter(parse_data(a, &base64));
        const struct json *x = NULL;
        const struct json *y = NULL;
        assert(left.left == native->n_vectors || a->overflowed);
        while (json_next(&left, NULL, &x) && json_next(&right, NULL, &y))
            check_vector(json_get(x, STR("embedding")), json_str(json_get(y, STR("embedding"))));
    }
    buf_release(&numbers);
    buf_release(&base64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct ollama_embed native;
    char *text = malloc(size + 1); // of its own size, so that a look too far is seen
    assert(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    arena_init(&a, 64 << 20);
    if (ollama_embed_decode(&a, str_of(text, size), &native, NULL) == ERR_OK && !native.has_error)
        check_answers(&a, &native);
    arena_release(&a);
    free(text);
    return 0;
}
