#include "answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void answer_reset(struct answer *a)
{
    memset(a, 0, offsetof(struct answer, head));
}

static size_t broken(struct answer *a, const char *why)
{
    a->state = ANSWER_BROKEN;
    a->why = why;
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Finds the marks in a piece of the body; one may begin in one piece and end in the next. */
static void scan(struct answer *a, const char *p, size_t n, const struct mark_sink *sink)
{
    const char *end = p + n;
    a->size += n;
    while (p < end) {
        if (!a->in_mark) {
            p = memchr(p, '@', (size_t)(end - p));
            if (p == NULL)
                return;
            p++;
            a->in_mark = true;
            a->mark = a->mark_digits = 0;
            continue;
        }
        int digit = hex_digit(*p++);
        if (digit < 0) {
            a->in_mark = false;
            continue;
        }
        a->mark = a->mark << 4 | (unsigned)digit;
        if (++a->mark_digits == MARK_DIGITS) {
            a->in_mark = false;
            a->marks++;
            sink->on_mark(sink->arg, a->mark);
        }
    }
}

static void take_field(struct answer *a, char *line)
{
    if (strncasecmp(line, "content-length:", 15) == 0)
        a->left = strtoull(line + 15, NULL, 10);
    else if (strncasecmp(line, "transfer-encoding:", 18) == 0)
        a->chunked = strcasestr(line + 18, "chunked") != NULL;
    else if (strncasecmp(line, "connection:", 11) == 0)
        a->close = strcasestr(line + 11, "close") != NULL;
}

static size_t feed_head(struct answer *a, const char *p, size_t n)
{
    size_t before = a->head_len;
    size_t room = ANSWER_HEAD_MAX - before;
    size_t part = n < room ? n : room;
    memcpy(a->head + before, p, part);
    a->head_len += part;
    a->head[a->head_len] = '\0';
    char *end = strstr(a->head, "\r\n\r\n");
    if (end == NULL)
        return a->head_len < ANSWER_HEAD_MAX ? part : broken(a, "its head is too large");
    size_t used = (size_t)(end - a->head) + 4 - before;
    a->head_len = before + used;
    a->head[a->head_len] = '\0';
    if (strncmp(a->head, "HTTP/1.1 ", 9) != 0)
        return broken(a, "it does not begin as HTTP/1.1 does");
    a->status = (int)strtol(a->head + 9, NULL, 10);
    for (char *line = strstr(a->head, "\r\n"); line != NULL && line < end;
         line = strstr(line + 2, "\r\n"))
        take_field(a, line + 2);
    if (a->chunked)
        a->state = ANSWER_CHUNK_SIZE;
    else
        a->state = a->left > 0 ? ANSWER_BODY : ANSWER_DONE;
    return used;
}

static size_t feed_chunk_size(struct answer *a, char c)
{
    int digit = hex_digit(c);
    if (digit >= 0 && a->left < 1ULL << 40)
        a->left = a->left << 4 | (unsigned)digit;
    else if (c == '\r' || c == ';')
        a->state = ANSWER_CHUNK_REST;
    else
        return broken(a, "a chunk's size is malformed");
    return 1;
}

static size_t feed_trailer(struct answer *a, char c)
{
    if (c == '\n') {
        if (a->blank)
            a->state = ANSWER_DONE;
        a->blank = true;
    } else if (c != '\r') {
        a->blank = false;
    }
    return 1;
}

static size_t feed_data(struct answer *a, const char *p, size_t n, const struct mark_sink *sink)
{
    size_t part = n < a->left ? n : (size_t)a->left;
    scan(a, p, part, sink);
    a->left -= part;
    if (a->left == 0)
        a->state = a->state == ANSWER_BODY ? ANSWER_DONE : ANSWER_CHUNK_END;
    return part;
}

/* Takes one step; returns how many bytes it used, at least one unless the answer broke. */
static size_t feed_step(struct answer *a, const char *p, size_t n, const struct mark_sink *sink)
{
    switch (a->state) {
    case ANSWER_HEAD:
        return feed_head(a, p, n);
    case ANSWER_BODY:
    case ANSWER_CHUNK_DATA:
        return feed_data(a, p, n, sink);
    case ANSWER_CHUNK_SIZE:
        return feed_chunk_size(a, *p);
    case ANSWER_CHUNK_REST:
        if (*p == '\n') {
            a->state = a->left > 0 ? ANSWER_CHUNK_DATA : ANSWER_TRAILER;
            a->blank = true;
        }
        return 1;
    case ANSWER_CHUNK_END:
        if (*p == '\n')
            a->state = ANSWER_CHUNK_SIZE;
        else if (*p != '\r')
            return broken(a, "a chunk is longer than its size");
        return 1;
    case ANSWER_TRAILER:
        return feed_trailer(a, *p);
    default:
        return 0;
    }
}

size_t answer_feed(struct answer *a, const char *p, size_t n, const struct mark_sink *sink)
{
    size_t at = 0;
    while (at < n && a->state < ANSWER_DONE)
        at += feed_step(a, p + at, n - at, sink);
    return at;
}
