#include "app/dialect.h"

#include "codec/ollama_line.h"
#include "codec/ollama_request.h"
#include "codec/openai_chat.h"
#include "codec/openai_completion.h"

static enum err decode(struct arena *a, struct buf *body, const struct config *config,
                       struct answer *ret, struct buf *native, struct openai_fault *fault)
{
    const struct json *root;
    struct completion_request req;
    enum err e = openai_body_parse(a, body->p, body->len, &root, fault);
    if (e == ERR_OK)
        e = openai_completion_decode(a, root, &req, fault);
    if (e != ERR_OK)
        return e;

    struct ollama_defaults defaults = {.num_ctx = config->default_num_ctx};
    ret->think = ollama_generate_encode(&req, &defaults, native);
    if (!buf_ok(native))
        return answer_too_large(fault);
    struct answer_wish wish = {.id_prefix = STR("cmpl-"),
                               .model = req.common.model,
                               .stream = req.common.stream,
                               .include_usage = req.common.include_usage};
    answer_open(ret, &wish, config);
    if (ret->stream)
        completion_stream_init(&ret->completion, &ret->head);
    return ERR_OK;
}

/* Decodes an object; NATIVE_USEFUL if it is one to go on with. */
static enum native_step read_object(struct native *native, struct ollama_line *ret)
{
    enum err e = ollama_generate_decode(native->scratch, native->text, ret, &native->info);
    return answer_object(native, e, ret);
}

static enum native_step line(struct answer *answer, struct native *native, struct buf *out)
{
    struct ollama_line object;
    enum native_step step = read_object(native, &object);
    if (step != NATIVE_USEFUL)
        return step;
    return answer_step(completion_stream_line(&answer->completion, &object, out));
}

static void fail(struct answer *answer, const struct openai_fault *fault, struct buf *out)
{
    completion_stream_fail(&answer->completion, fault, out);
}

static enum native_step whole(struct answer *answer, struct native *native, struct buf *out)
{
    struct ollama_line object;
    enum native_step step = read_object(native, &object);
    if (step != NATIVE_USEFUL)
        return step;
    if (!object.done)
        return NATIVE_NOT_DONE;
    completion_answer_encode(&answer->head, &object, out);
    return NATIVE_FINISHED;
}

static void release(struct answer *answer)
{
    if (answer->stream)
        completion_stream_release(&answer->completion);
    answer_release(answer);
}

const struct dialect DIALECT_COMPLETIONS = {
    .native_path = "/api/generate",
    .input_param = "prompt",
    .decode = decode,
    .line = line,
    .fail = fail,
    .whole = whole,
    .release = release,
};
