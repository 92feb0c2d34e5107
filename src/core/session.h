/*
 * session - who is logged in on the admin side
 *
 * A session is known by a random token. Only a keyed hash of it is kept, so that memory that leaks
 * holds no token; the session's CSRF token and its chat token (a bearer for /v1 and nothing else)
 * are computed from the token whenever they are needed. A session ends after 30 min without a
 * call, 12 h after it began, or when there are too many: then the one that was idle longest.
 *
 * The password itself, presented as a bearer, is a token too once it was found right: see
 * sessions_adopt().
 *
 * Threads: none.
 * Time:    the caller passes now_ms, monotonic.
 */
#ifndef CORE_SESSION_H
#define CORE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/crypto.h"
#include "base/str.h"

enum {
    SESSIONS_MAX = 256,
    SESSION_IDLE_MS = 30 * 60 * 1000,
    SESSION_AGE_MS = 12 * 60 * 60 * 1000,
    SESSION_TOKEN_BYTES = 49, // "o2s_", 44 characters (261 bits), a zero
    SESSION_TEXT_BYTES = 69,  // of a CSRF token or a chat token, with a zero
};

struct sessions;

/* `key` is random and of this process alone; copied. */
struct sessions *sessions_new(const unsigned char key[CRYPTO_KEY_BYTES]);

/* Accepts NULL. */
void sessions_free(struct sessions *s);

/* Whether `bearer` has the form of a session's token, or of a chat token: never a password. */
bool session_is_token(str bearer);
bool session_is_chat_token(str bearer);

/* Begins a session and writes its token, zero-terminated. */
str sessions_begin(struct sessions *s, uint64_t now_ms, char token[SESSION_TOKEN_BYTES]);

/* Begins a session whose token is `secret`, a password that was found right. */
void sessions_adopt(struct sessions *s, str secret, uint64_t now_ms);

/* Whether `token` is of a session; counts as a call of it. */
bool sessions_has(struct sessions *s, str token, uint64_t now_ms);

/* The same, without counting as a call. */
bool sessions_knows(const struct sessions *s, str token, uint64_t now_ms);

/* Whether `bearer` is the chat token of a session; counts as a call of it. */
bool sessions_has_chat(struct sessions *s, str bearer, uint64_t now_ms);

void sessions_end(struct sessions *s, str token);
void sessions_end_all(struct sessions *s);

size_t sessions_count(struct sessions *s, uint64_t now_ms);

/* Of the session of `token`, zero-terminated. */
str session_csrf(const struct sessions *s, str token, char out[SESSION_TEXT_BYTES]);
str session_chat_token(const struct sessions *s, str token, char out[SESSION_TEXT_BYTES]);

/* Whether `presented` is the CSRF token of the session of `token`. */
bool session_csrf_ok(const struct sessions *s, str token, str presented);

#endif
