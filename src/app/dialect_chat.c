#include "app/dialect.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/xalloc.h"
#include "codec/ollama_request.h"
#include "codec/openai_chat.h"

#define ID_RANDOM_CHARS 29 // as many as OpenAI's have

static enum reasoning_field reasoning_of(const struct config *config)
{
    static const enum reasoning_field fields[] = {
        [REASONING_FIELD_CONTENT] = REASONING_CONTENT,
        [REASONING_FIELD_REASONING] = REASONING_PLAIN,
        [REASONING_FIELD_BOTH] = REASONING_BOTH,
    };
    return fields[config->reasoning_field];
}

static void open_answer(struct answer *answer, const struct chat_request *req,
                        const struct config *config)
{
    memcpy(answer->id, "chatcmpl-", 9);
    crypto_random_text(answer->id + 9, ID_RANDOM_CHARS);
    answer->id[9 + ID_RANDOM_CHARS] = '\0';

    answer->model = xmalloc(req->model.len + 1);
    memcpy(answer->model, req->model.p, req->model.len);
    answer->model[req->model.len] = '\0';

    answer->stream = req->stream;
    answer->head = (struct answer_head){
        .id = str_of(answer->id, 9 + ID_RANDOM_CHARS),
        .created_s = clock_wall_ms() / 1000,
        .model = str_of(answer->model, req->model.len),
        .include_usage = req->include_usage,
        .reasoning = reasoning_of(config),
    };
    if (answer->stream)
        chat_stream_init(&answer->chat, &answer->head);
}

static enum err decode(struct arena *a, struct buf *body, const struct config *config,
                       struct answer *ret, struct buf *native, struct openai_fault *fault)
{
    const struct json *root;
    struct chat_request req;
    enum err e = openai_body_parse(a, body->p, body->len, &root, fault);
    if (e == ERR_OK)
        e = openai_chat_decode(a, root, &req, fault);
    if (e != ERR_OK)
        return e;

    struct ollama_defaults defaults = {.num_ctx = config->default_num_ctx};
    struct ollama_span think = ollama_chat_encode(&req, &defaults, native);
    if (!buf_ok(native)) {
        *fault = openai_fault(FAULT_TOO_LARGE, STR(""), STR("the request is too large"));
        return ERR_TOO_LARGE;
    }
    open_answer(ret, &req, config);
    ret->think = think;
    return ERR_OK;
}

static enum chat_step line(struct answer *answer, const struct ollama_line *native, struct buf *out)
{
    return chat_stream_line(&answer->chat, native, out);
}

static void fail(struct answer *answer, const struct openai_fault *fault, struct buf *out)
{
    chat_stream_fail(&answer->chat, fault, out);
}

static void whole(struct answer *answer, const struct ollama_line *object, struct buf *out)
{
    chat_answer_encode(&answer->head, object, out);
}

const struct dialect DIALECT_CHAT = {
    .native_path = "/api/chat",
    .decode = decode,
    .line = line,
    .fail = fail,
    .whole = whole,
};

void answer_release(struct answer *answer)
{
    if (answer->stream)
        chat_stream_release(&answer->chat);
    free(answer->model);
    *answer = (struct answer){0};
}
