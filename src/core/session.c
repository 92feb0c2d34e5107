#include "core/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

#define TOKEN_PREFIX STR_C("o2s_")
#define CHAT_PREFIX  STR_C("o2c_")
#define PREFIX_BYTES 4

static const str TOKEN_BEGIN = TOKEN_PREFIX;
static const str CHAT_BEGIN = CHAT_PREFIX;

struct session {
    unsigned char token[CRYPTO_DIGEST_BYTES];
    unsigned char chat[CRYPTO_DIGEST_BYTES];
    uint64_t begun_ms;
    uint64_t used_ms;
};

struct sessions {
    unsigned char key[CRYPTO_KEY_BYTES];
    size_t n;
    struct session items[SESSIONS_MAX]; // the first n; in no order
};

struct sessions *sessions_new(const unsigned char key[CRYPTO_KEY_BYTES])
{
    struct sessions *s = xcalloc(1, sizeof(*s));
    memcpy(s->key, key, sizeof(s->key));
    return s;
}

void sessions_free(struct sessions *s)
{
    if (s == NULL)
        return;
    crypto_wipe(s, sizeof(*s));
    free(s);
}

bool session_is_token(str bearer)
{
    return str_starts(bearer, TOKEN_BEGIN);
}

bool session_is_chat_token(str bearer)
{
    return str_starts(bearer, CHAT_BEGIN);
}

static void hash(const struct sessions *s, const char *purpose, str text,
                 unsigned char out[CRYPTO_DIGEST_BYTES])
{
    crypto_keyed_digest(s->key, str_z(purpose), text, out);
}

static str text_of(const struct sessions *s, const char *purpose, str token, str prefix,
                   char out[SESSION_TEXT_BYTES])
{
    unsigned char digest[CRYPTO_DIGEST_BYTES];
    _Static_assert(SESSION_TEXT_BYTES == PREFIX_BYTES + CRYPTO_HEX_BYTES, "room for both");
    hash(s, purpose, token, digest);
    memcpy(out, prefix.p, prefix.len);
    str hex = crypto_hex(digest, out + prefix.len);
    return str_of(out, prefix.len + hex.len);
}

str session_csrf(const struct sessions *s, str token, char out[SESSION_TEXT_BYTES])
{
    return text_of(s, "csrf", token, STR(""), out);
}

str session_chat_token(const struct sessions *s, str token, char out[SESSION_TEXT_BYTES])
{
    return text_of(s, "chat", token, CHAT_BEGIN, out);
}

bool session_csrf_ok(const struct sessions *s, str token, str presented)
{
    char right[SESSION_TEXT_BYTES];
    unsigned char a[CRYPTO_DIGEST_BYTES];
    unsigned char b[CRYPTO_DIGEST_BYTES];
    crypto_digest(session_csrf(s, token, right), a);
    crypto_digest(presented, b);
    return crypto_digest_equal(a, b);
}

static bool is_over(const struct session *item, uint64_t now_ms)
{
    return now_ms - item->used_ms >= SESSION_IDLE_MS || now_ms - item->begun_ms >= SESSION_AGE_MS;
}

static void drop(struct sessions *s, size_t i)
{
    s->items[i] = s->items[--s->n];
    crypto_wipe(&s->items[s->n], sizeof(s->items[s->n]));
}

static void drop_those_over(struct sessions *s, uint64_t now_ms)
{
    for (size_t i = s->n; i-- > 0;) {
        if (is_over(&s->items[i], now_ms))
            drop(s, i);
    }
}

/* Makes room for one more. */
static void make_room(struct sessions *s, uint64_t now_ms)
{
    drop_those_over(s, now_ms);
    if (s->n < SESSIONS_MAX)
        return;
    size_t oldest = 0;
    for (size_t i = 1; i < s->n; i++) {
        if (s->items[i].used_ms < s->items[oldest].used_ms)
            oldest = i;
    }
    drop(s, oldest);
}

void sessions_adopt(struct sessions *s, str secret, uint64_t now_ms)
{
    char chat[SESSION_TEXT_BYTES];
    sessions_end(s, secret);
    make_room(s, now_ms);
    struct session *item = &s->items[s->n++];
    item->begun_ms = item->used_ms = now_ms;
    hash(s, "token", secret, item->token);
    hash(s, "chat token", session_chat_token(s, secret, chat), item->chat);
    crypto_wipe(chat, sizeof(chat));
}

str sessions_begin(struct sessions *s, uint64_t now_ms, char token[SESSION_TOKEN_BYTES])
{
    memcpy(token, TOKEN_BEGIN.p, PREFIX_BYTES);
    crypto_random_text(token + PREFIX_BYTES, SESSION_TOKEN_BYTES - PREFIX_BYTES - 1);
    token[SESSION_TOKEN_BYTES - 1] = '\0';
    str text = str_of(token, SESSION_TOKEN_BYTES - 1);
    sessions_adopt(s, text, now_ms);
    return text;
}

/* The place of the session with this hash, or s->n. */
static size_t find(const struct sessions *s, const unsigned char digest[CRYPTO_DIGEST_BYTES],
                   bool by_chat)
{
    size_t found = s->n;
    for (size_t i = 0; i < s->n; i++) {
        if (crypto_digest_equal(digest, by_chat ? s->items[i].chat : s->items[i].token))
            found = i;
    }
    return found;
}

static bool use(struct sessions *s, size_t i, uint64_t now_ms)
{
    if (i == s->n)
        return false;
    if (is_over(&s->items[i], now_ms)) {
        drop(s, i);
        return false;
    }
    s->items[i].used_ms = now_ms;
    return true;
}

bool sessions_has(struct sessions *s, str token, uint64_t now_ms)
{
    unsigned char digest[CRYPTO_DIGEST_BYTES];
    hash(s, "token", token, digest);
    return use(s, find(s, digest, false), now_ms);
}

bool sessions_knows(const struct sessions *s, str token, uint64_t now_ms)
{
    unsigned char digest[CRYPTO_DIGEST_BYTES];
    hash(s, "token", token, digest);
    size_t i = find(s, digest, false);
    return i < s->n && !is_over(&s->items[i], now_ms);
}

bool sessions_has_chat(struct sessions *s, str bearer, uint64_t now_ms)
{
    unsigned char digest[CRYPTO_DIGEST_BYTES];
    hash(s, "chat token", bearer, digest);
    return use(s, find(s, digest, true), now_ms);
}

void sessions_end(struct sessions *s, str token)
{
    unsigned char digest[CRYPTO_DIGEST_BYTES];
    hash(s, "token", token, digest);
    size_t i = find(s, digest, false);
    if (i < s->n)
        drop(s, i);
}

void sessions_end_all(struct sessions *s)
{
    while (s->n > 0)
        drop(s, s->n - 1);
}

size_t sessions_count(struct sessions *s, uint64_t now_ms)
{
    drop_those_over(s, now_ms);
    return s->n;
}
