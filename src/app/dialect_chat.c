#include "app/dialect.h"

#include "codec/ollama_line.h"
#include "codec/ollama_request.h"
#include "codec/openai_chat.h"

static enum err decode(struct arena *a, struct buf *body, const struct config *config,
                       struct answer *ret, struct buf *native, struct openai_fault *fault)
{
    struct chat_request req;
    enum err e = openai_chat_read(a, body->p, body->len, &req, fault);
    if (e != ERR_OK)
        return e;

    struct ollama_defaults defaults = {.num_ctx = config->default_num_ctx};
    ret->think = ollama_chat_encode(&req, &defaults, native);
    if (!buf_ok(native))
        return answer_too_large(fault);
    struct answer_wish wish = {.id_prefix = STR("chatcmpl-"),
                               .model = req.model,
                               .stream = req.stream,
                               .include_usage = req.include_usage};
    answer_open(ret, &wish, config);
    ret->formatted = req.format != CHAT_FORMAT_TEXT;
    if (ret->stream)
        chat_stream_init(&ret->chat, &ret->head);
    return ERR_OK;
}

/* Decodes an object; NATIVE_USEFUL if it is one to go on with. */
static enum native_step read_object(struct native *native, struct ollama_line *ret)
{
    enum err e = ollama_line_decode(native->scratch, native->text, ret, &native->info);
    return answer_object(native, e, ret);
}

static enum native_step line(struct answer *answer, struct native *native, struct buf *out)
{
    struct ollama_line object;
    enum native_step step = read_object(native, &object);
    return step == NATIVE_USEFUL ? answer_step(chat_stream_line(&answer->chat, &object, out))
                                 : step;
}

static void fail(struct answer *answer, const struct openai_fault *fault, struct buf *out)
{
    chat_stream_fail(&answer->chat, fault, out);
}

static enum native_step whole(struct answer *answer, struct native *native, struct buf *out)
{
    struct ollama_line object;
    enum native_step step = read_object(native, &object);
    if (step != NATIVE_USEFUL)
        return step;
    if (!object.done)
        return NATIVE_NOT_DONE;
    chat_answer_encode(&answer->head, &object, out);
    return NATIVE_FINISHED;
}

static void release(struct answer *answer)
{
    if (answer->stream)
        chat_stream_release(&answer->chat);
    answer_release(answer);
}

const struct dialect DIALECT_CHAT = {
    .native_path = "/api/chat",
    .input_param = "messages",
    .decode = decode,
    .line = line,
    .fail = fail,
    .whole = whole,
    .release = release,
};
