#include "ask.h"

#include "tool.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct bytes *to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void grow(struct bytes *to, size_t n)
{
    to->p = realloc(to->p, to->len + n + 1);
    if (to->p == NULL)
        die("out of memory");
}

static void add(struct bytes *to, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    grow(to, (size_t)n);
    va_start(args, fmt);
    vsnprintf(to->p + to->len, (size_t)n + 1, fmt, args);
    va_end(args);
    to->len += (size_t)n;
}

static void add_text(struct bytes *to, size_t n)
{
    static const char words[] = "Say in a few words why the sky is blue, and name three colours. ";
    grow(to, n);
    for (size_t i = 0; i < n; i++)
        to->p[to->len++] = words[i % (sizeof(words) - 1)];
}

/* Base64 that begins as a PNG does; the rest is noise, the same in every run. */
static void add_image(struct bytes *to, size_t n)
{
    static const char signature[] = "iVBORw0KGgoAAAANSUhEUgAA";
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint64_t noise = 88172645463325252ULL;
    grow(to, n);
    for (size_t i = 0; i < n; i++) {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        to->p[to->len++] = i < sizeof(signature) - 1 ? signature[i] : digits[noise >> 58];
    }
}

static void add_body(struct bytes *to, const struct ask *ask, size_t text_bytes)
{
    bool image_part = ask->openai && ask->image_bytes > 0;
    size_t image_bytes = ask->image_bytes / 4 * 4; // whole groups, so no padding is needed

    add(to,
        "{\"model\":\"%s\",\"messages\":[{\"role\":\"system\",\"content\":"
        "\"You are a helpful assistant.\"},{\"role\":\"user\",\"content\":",
        ask->model);
    if (image_part)
        add(to, "[{\"type\":\"text\",\"text\":");
    add(to, "\"");
    add_text(to, text_bytes);
    add(to, "\"");
    if (image_part) {
        add(to, "},{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,");
        add_image(to, image_bytes);
        add(to, "\"}}]");
    } else if (image_bytes > 0) {
        add(to, ",\"images\":[\"");
        add_image(to, image_bytes);
        add(to, "\"]");
    }
    add(to, "}],");
    if (ask->openai)
        add(to, "\"temperature\":0.7,\"max_tokens\":256");
    else
        add(to, "\"options\":{\"temperature\":0.7,\"num_predict\":256}");
    add(to, ",\"stream\":%s}", ask->stream ? "true" : "false");
}

struct bytes ask_build(const struct ask *ask)
{
    struct bytes body = {0};
    struct bytes all = {0};
    add_body(&body, ask, 0);
    size_t fixed = body.len - ask->image_bytes / 4 * 4;
    if (fixed > ask->body_bytes)
        die("a body of %zu bytes is too small", ask->body_bytes);
    body.len = 0;
    add_body(&body, ask, ask->body_bytes - fixed);

    add(&all,
        "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
        "Accept: application/json\r\nContent-Type: application/json\r\n"
        "User-Agent: OpenAI/Python 1.60.0\r\nContent-Length: %zu\r\n\r\n",
        ask->openai ? "/v1/chat/completions" : "/api/chat", ask->token, body.len);
    grow(&all, body.len);
    memcpy(all.p + all.len, body.p, body.len);
    all.len += body.len;
    free(body.p);
    return all;
}
