/*
 * keytext - upstream keys as people write them, one per line
 *
 * Pieces end at a newline, ',' or ';'; empty ones and those that begin with '#' are passed over.
 * Each other piece is one of
 *
 *   key    URL|key    key|URL    URL#key    URL/key    URL
 *
 * where a key in the path is a last segment of 20 or more of [A-Za-z0-9_.-]. A piece with "://"
 * is never a bare key. What is none of these comes out as a fault, with its line and why.
 *
 * Base URLs have one form: scheme and host in lower case, no default port, no "/" at the end, one
 * "/api" or "/v1" cut off. URLs that were seen shortly before are not parsed again, and keys are
 * slices of the input, so that 100,000 lines cost a pass over the text.
 *
 * Threads: none.
 * Memory:  borrows the text and the options; base URLs live in the arena.
 */
#ifndef CODEC_KEYTEXT_H
#define CODEC_KEYTEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/url.h"

enum {
    KEYTEXT_KEY_MAX = 512,     // bytes of a key
    KEYTEXT_PATH_KEY_MIN = 20, // bytes that make a last path segment a key
    KEYTEXT_CACHE = 64,        // URLs remembered
    KEYTEXT_FAULT_BYTES = 320, // of a fault's sentence with its final zero
};

/* NULL when an upstream may be at `url`, else a static phrase that says what is there. */
typedef const char *keytext_check_fn(void *arg, const struct url *url);

struct keytext_options {
    str default_url;         // for keys without a URL, in any form; empty: such keys are faults
    keytext_check_fn *check; // refuses addresses; NULL: none
    void *check_arg;
};

struct keytext_item {
    size_t line;  // from 1; pieces of one line share it
    str input;    // the piece, without the blanks around it
    str key;      // empty: a server without a key
    str base_url; // canonical
};

enum keytext_got {
    KEYTEXT_END,
    KEYTEXT_KEY,       // all of the item is set
    KEYTEXT_FAULT,     // line and input are set, and t->fault says why
    KEYTEXT_NO_MEMORY, // the arena's budget is used up; the walk is over
};

/* A walk over a text. */
struct keytext {
    str rest;
    size_t line;
    struct arena *arena;
    struct keytext_options options;
    struct {
        str text;
        str base_url; // empty: none is here
    } cache[KEYTEXT_CACHE];
    char fault[KEYTEXT_FAULT_BYTES]; // a sentence without the key
};

void keytext_init(struct keytext *t, struct arena *a, str text,
                  const struct keytext_options *options);

/* The next key or fault. */
enum keytext_got keytext_next(struct keytext *t, struct keytext_item *ret);

/* As keytext_base_url(), remembering what it saw: imports mostly name few servers. */
MUST_CHECK enum err keytext_walk_url(struct keytext *t, str text, str *ret, struct err_info *info);

/*
 * Reads a text that is to hold one key, as the form of a single key does.
 *
 * ERR_SYNTAX     none, more than one, or a fault: `info` says which
 * ERR_TOO_LARGE  the arena's budget is used up
 */
MUST_CHECK enum err keytext_one(struct arena *a, str text, const struct keytext_options *options,
                                struct keytext_item *ret, struct err_info *info);

/*
 * Brings a base URL to its one form.
 *
 * ERR_SYNTAX  not such a URL, or refused by the options' check; `info` says why
 */
MUST_CHECK enum err keytext_base_url(struct arena *a, str text,
                                     const struct keytext_options *options, str *ret,
                                     struct err_info *info);

/* NULL when `key` is 1 to 512 bytes that a key may have, else a static phrase for "the key …". */
const char *keytext_key_fault(str key);

/* Appends a canonical base URL as people see it: with "/api" for the host ollama.com exactly. */
void keytext_put_shown_url(struct buf *out, str base_url);

/* Appends the line, newline and all, that this module reads as this key at this base URL. */
void keytext_put_line(struct buf *out, str base_url, str key);

#endif
