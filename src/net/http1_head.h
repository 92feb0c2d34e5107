/*
 * http1_head - the text of a head, and the message that is cut from it
 *
 * Private to http1. The head is copied into one piece of memory, line by line as it comes, and
 * llhttp reads it from there. So its fields can be cut out of that text once llhttp has found it
 * sound, limits hold on the bytes as they were sent, and a message that came in one piece costs
 * one allocation.
 *
 * Threads: none.
 * Memory:  from the parser's pool if it has one; goes with http1_drop_head().
 */
#ifndef NET_HTTP1_HEAD_H
#define NET_HTTP1_HEAD_H

#include "net/http1.h"
#include "net/http1_quick.h"

struct http1_head_store {
    struct http1_message message;
    bool whole; // `message` is filled in
    size_t len;
    size_t cap;                                         // of text, the fields behind it included
    _Alignas(_Alignof(struct http1_field)) char text[]; // then, aligned, the fields
};

/* Adds `s` to the head's text; with the head's last piece comes the room for its fields. */
void http1_head_add(struct http1 *h, str s, bool whole);

/*
 * Tabs in fields become blanks, which mean the same (RFC 9110 section 5.5): llhttp does not take
 * one behind a Content-Length. In the request line they stay, and are refused.
 */
void http1_head_blank_tabs(struct http1_head_store *store, size_t from);

/* Cuts target and fields out of a head that llhttp has read without complaint. */
void http1_head_cut(struct http1 *h);

/* Moves what was read quickly into the store: `data` goes, and so does `q`. */
void http1_head_take(struct http1 *h, str data, const struct http1_quick_head *q);

#endif
