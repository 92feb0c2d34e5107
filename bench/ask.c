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

/* Noise that is the same in every run. */
static uint64_t next_noise(uint64_t *noise)
{
    *noise ^= *noise << 13;
    *noise ^= *noise >> 7;
    *noise ^= *noise << 17;
    return *noise;
}

#define FIRST_NOISE 88172645463325252ULL

/* Base64 that begins as a PNG does. */
static void add_image(struct bytes *to, size_t n)
{
    static const char signature[] = "iVBORw0KGgoAAAANSUhEUgAA";
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint64_t noise = FIRST_NOISE;
    grow(to, n);
    for (size_t i = 0; i < n; i++) {
        uint64_t some = next_noise(&noise);
        to->p[to->len++] = i < sizeof(signature) - 1 ? signature[i] : digits[some >> 58];
    }
}

/* Eighteen messages: four times a question, a call, its result and an answer; then two more. */
static void add_history(struct bytes *to, bool openai)
{
    for (int i = 0; i < 4; i++) {
        add(to, "{\"role\":\"user\",\"content\":\"");
        add_text(to, 200);
        add(to,
            "\"},{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":"
            "\"call_%d\",\"type\":\"function\",\"function\":{\"name\":\"tool_%d\","
            "\"arguments\":",
            i, i);
        if (openai)
            add(to, "\"{\\\"city\\\":\\\"Bern\\\",\\\"days\\\":%d}\"", i);
        else
            add(to, "{\"city\":\"Bern\",\"days\":%d}", i);
        add(to, "}}]},{\"role\":\"tool\",\"tool_call_id\":\"call_%d\",\"content\":\"", i);
        add_text(to, 400);
        add(to, "\"},{\"role\":\"assistant\",\"content\":\"");
        add_text(to, 200);
        add(to, "\"},");
    }
    add(to, "{\"role\":\"user\",\"content\":\"And now?\"},"
            "{\"role\":\"assistant\",\"content\":\"Nothing.\"},");
}

static void add_tools(struct bytes *to)
{
    add(to, "\"tools\":[");
    for (int i = 0; i < 10; i++)
        add(to,
            "%s{\"type\":\"function\",\"function\":{\"name\":\"tool_%d\",\"description\":"
            "\"Tells the weather of a city for some days to come.\",\"parameters\":{\"type\":"
            "\"object\",\"properties\":{\"city\":{\"type\":\"string\",\"description\":"
            "\"Its name\"},\"days\":{\"type\":\"integer\",\"minimum\":1},\"unit\":{\"type\":"
            "\"string\",\"enum\":[\"celsius\",\"fahrenheit\"]}},\"required\":[\"city\"]}}}",
            i > 0 ? "," : "", i);
    add(to, "],");
}

static void add_body(struct bytes *to, const struct ask *ask, size_t text_bytes)
{
    bool image_part = ask->openai && ask->image_bytes > 0;
    size_t image_bytes = ask->image_bytes / 4 * 4; // whole groups, so no padding is needed

    add(to,
        "{\"model\":\"%s\",\"messages\":[{\"role\":\"system\",\"content\":"
        "\"You are a helpful assistant.\"},",
        ask->model);
    if (ask->tools)
        add_history(to, ask->openai);
    add(to, "{\"role\":\"user\",\"content\":");
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
    if (ask->tools)
        add_tools(to);
    if (ask->openai)
        add(to, "\"temperature\":0.7,\"max_tokens\":256");
    else
        add(to, "\"options\":{\"temperature\":0.7,\"num_predict\":256}");
    add(to, ",\"stream\":%s}", ask->stream ? "true" : "false");
}

static void add_inputs(struct bytes *to, const struct ask *ask)
{
    add(to, "{\"model\":\"%s\",\"input\":[", ask->model);
    for (size_t i = 0; i < ask->inputs; i++) {
        add(to, "%s\"%zu: ", i > 0 ? "," : "", i);
        add_text(to, 100);
        add(to, "\"");
    }
    add(to, "]%s}", ask->openai ? ",\"encoding_format\":\"base64\"" : "");
}

static void add_conversation(struct bytes *to, const struct ask *ask)
{
    add_body(to, ask, 0);
    size_t fixed = to->len - ask->image_bytes / 4 * 4;
    if (fixed > ask->body_bytes)
        die("a body of %zu bytes is too small", ask->body_bytes);
    to->len = 0;
    add_body(to, ask, ask->body_bytes - fixed);
}

static const char *path_of(const struct ask *ask)
{
    if (ask->inputs > 0)
        return ask->openai ? "/v1/embeddings" : "/api/embed";
    return ask->openai ? "/v1/chat/completions" : "/api/chat";
}

struct bytes ask_build(const struct ask *ask)
{
    struct bytes body = {0};
    struct bytes all = {0};
    if (ask->inputs > 0)
        add_inputs(&body, ask);
    else
        add_conversation(&body, ask);

    add(&all,
        "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
        "Accept: application/json\r\nContent-Type: application/json\r\n"
        "User-Agent: OpenAI/Python 1.60.0\r\nContent-Length: %zu\r\n\r\n",
        path_of(ask), ask->token, body.len);
    grow(&all, body.len);
    memcpy(all.p + all.len, body.p, body.len);
    all.len += body.len;
    free(body.p);
    return all;
}

/* A number as Ollama prints the parts of a unit vector: up to nine digits of a 32-bit float. */
static void add_number(struct bytes *to, uint64_t *noise)
{
    int64_t part = (int64_t)(next_noise(noise) >> 44) - (1 << 19);
    add(to, "%.8g", (double)((float)part * 1.9e-7F));
}

struct bytes vectors_build(size_t vectors, size_t numbers)
{
    struct bytes all = {0};
    uint64_t noise = FIRST_NOISE;
    add(&all, "{\"model\":\"embed\",\"embeddings\":[");
    for (size_t i = 0; i < vectors; i++) {
        for (size_t k = 0; k < numbers; k++) {
            add(&all, k > 0 ? "," : i > 0 ? ",[" : "[");
            add_number(&all, &noise);
        }
        add(&all, "]");
    }
    add(&all, "],\"total_duration\":11876560,\"load_duration\":2383749,"
              "\"prompt_eval_count\":1600}");
    return all;
}
