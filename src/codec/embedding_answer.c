#include "codec/embedding_answer.h"

#include <endian.h>
#include <string.h>

#include "base/lanes.h"
#include "codec/float32.h"
#include "codec/json.h"

enum {
    BLOCK = 192, // floats at a time; a multiple of three, so no block but the last is padded
    BLOCK_CHARS = BLOCK * 4 / 3 * 4,
};

/* Sixteen numbers of six bits as the digits of base64. */
static lanes digits_of(lanes six)
{
    typedef uint8_t wrapping __attribute__((vector_size(LANES)));
    wrapping c = (wrapping)six + 'A';
    c += (wrapping)((six > 25) & ('a' - 'Z' - 1));
    c += (wrapping)((six > 51) & ('0' - 'z' - 1));
    c += (wrapping)((six > 61) & ('+' - '9' - 1));
    c += (wrapping)((six > 62) & ('/' - '+' - 1));
    return (lanes)c;
}

/* The low 48 bits as eight bytes of six, by halving: 24 and 24, 12 each, 6 each. */
static uint64_t spread(uint64_t x)
{
    x = (x & 0xFFFFFF) | (x & 0xFFFFFF000000) << 8;
    x = (x & 0x00000FFF00000FFF) | (x & 0x00FFF00000FFF000) << 4;
    x = (x & 0x003F003F003F003F) | (x & 0x0FC00FC00FC00FC0) << 2;
    return htobe64(x);
}

/* Three floats are twelve bytes, sixteen characters. `bits` has the first byte lowest. */
static void put_three_floats(char *out, const uint32_t bits[3])
{
    typedef uint64_t halves __attribute__((vector_size(LANES)));
    uint64_t x = __builtin_bswap32(bits[0]);
    uint64_t y = __builtin_bswap32(bits[1]);
    uint64_t z = __builtin_bswap32(bits[2]);
    const halves six = {spread(x << 16 | y >> 16), spread((y & 0xFFFF) << 32 | z)};
    lanes v = digits_of((lanes)six);
    memcpy(out, &v, sizeof(v));
}

static void put_base64(struct buf *out, uint32_t *bits, size_t n)
{
    if (!buf_reserve(out, BLOCK_CHARS))
        return;
    char *p = out->p + out->len;
    size_t rest = n % 3;
    for (size_t i = n; rest > 0 && i < n - rest + 3; i++)
        bits[i] = 0;
    for (size_t i = 0; i < n; i += 3)
        put_three_floats(p + i / 3 * 16, bits + i);
    out->len += n / 3 * 16;
    if (rest == 0)
        return;
    // Four bytes are six characters and "==", eight are eleven and "=".
    size_t chars = rest == 1 ? 6 : 11;
    memcpy(out->p + out->len + chars, "==", rest == 1 ? 2 : 1);
    out->len += rest == 1 ? 8 : 12;
}

/* Checks one vector's numbers, and writes them. */
static bool put_vector(struct buf *out, str vector, str around, bool base64)
{
    uint32_t bits[BLOCK];
    const char *p = vector.p;
    const char *end = vector.p + vector.len;
    buf_append_char(out, base64 ? '"' : '[');
    while (p < end) {
        size_t n = 0;
        if (!float32_read(&p, end, around, BLOCK, bits, &n))
            return false;
        if (base64)
            put_base64(out, bits, n);
    }
    if (!base64)
        buf_append(out, vector);
    buf_append_char(out, base64 ? '"' : ']');
    return true;
}

static bool put_vectors(struct buf *out, const struct ollama_embed *native, bool base64)
{
    str rest = native->vectors;
    str vector;
    for (size_t i = 0; ollama_embed_next(&rest, &vector); i++) {
        buf_append(out, i > 0 ? STR(",{") : STR("{"));
        buf_append(out, STR("\"object\":\"embedding\",\"index\":"));
        buf_append_u64(out, i);
        buf_append(out, STR(",\"embedding\":"));
        if (!put_vector(out, vector, native->vectors, base64))
            return false;
        buf_append_char(out, '}');
    }
    return true;
}

enum err embedding_answer_encode(str model, const struct embedding_wish *wish,
                                 const struct ollama_embed *native, struct buf *out,
                                 struct err_info *info)
{
    size_t start = out->len;
    if (native->n_vectors != wish->n_inputs)
        return err_set(info, ERR_SYNTAX, "%zu vectors came for %zu inputs", native->n_vectors,
                       wish->n_inputs);
    buf_append(out, STR("{\"object\":\"list\",\"data\":["));
    if (!put_vectors(out, native, wish->base64)) {
        out->len = start;
        return err_set(info, ERR_SYNTAX, "a vector has something that is no 32-bit float");
    }
    buf_append(out, STR("],\"model\":"));
    json_put_string(out, model);
    buf_append(out, STR(",\"usage\":{\"prompt_tokens\":"));
    buf_append_u64(out, native->prompt_tokens);
    buf_append(out, STR(",\"total_tokens\":"));
    buf_append_u64(out, native->prompt_tokens);
    buf_append(out, STR("}}"));
    return ERR_OK;
}
