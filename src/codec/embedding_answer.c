#include "codec/embedding_answer.h"

#include "codec/float32.h"
#include "codec/json.h"

enum {
    BLOCK = 192, // floats at a time; a multiple of three, so no block but the last is padded
    BLOCK_CHARS = BLOCK * 4 / 3 * 4,
};

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The low 24 bits of `three` as four characters. */
static void put_four(char *out, uint32_t three)
{
    out[0] = DIGITS[three >> 18 & 63];
    out[1] = DIGITS[three >> 12 & 63];
    out[2] = DIGITS[three >> 6 & 63];
    out[3] = DIGITS[three & 63];
}

/* Three floats are twelve bytes, sixteen characters. `bits` has the first byte lowest. */
static void put_three_floats(char *out, const uint32_t bits[3])
{
    uint32_t x = __builtin_bswap32(bits[0]);
    uint32_t y = __builtin_bswap32(bits[1]);
    uint32_t z = __builtin_bswap32(bits[2]);
    put_four(out, x >> 8);
    put_four(out + 4, (x & 0xFF) << 16 | y >> 16);
    put_four(out + 8, (y & 0xFFFF) << 8 | z >> 24);
    put_four(out + 12, z & 0xFFFFFF);
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
static bool put_vector(struct buf *out, str vector, const char *limit, bool base64)
{
    uint32_t bits[BLOCK];
    const char *p = vector.p;
    const char *end = vector.p + vector.len;
    buf_append_char(out, base64 ? '"' : '[');
    while (p < end) {
        size_t n = 0;
        if (!float32_read(&p, end, limit, BLOCK, bits, &n))
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
    const char *limit = native->vectors.p + native->vectors.len + 1; // the outer bracket
    str rest = native->vectors;
    str vector;
    for (size_t i = 0; ollama_embed_next(&rest, &vector); i++) {
        buf_append(out, i > 0 ? STR(",{") : STR("{"));
        buf_append(out, STR("\"object\":\"embedding\",\"index\":"));
        buf_append_u64(out, i);
        buf_append(out, STR(",\"embedding\":"));
        if (!put_vector(out, vector, limit, base64))
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
