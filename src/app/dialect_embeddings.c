#include "app/dialect.h"

#include "codec/ollama_embed.h"
#include "codec/ollama_request.h"
#include "codec/openai_chat.h"
#include "codec/openai_embedding.h"

/* DEFAULT_NUM_CTX is for conversations: an embedder has a window of its own, mostly a small one. */
static enum err decode(struct arena *a, struct buf *body, const struct config *config,
                       struct answer *ret, struct buf *native, struct openai_fault *fault)
{
    const struct json *root;
    struct embedding_request req;
    enum err e = openai_body_parse(a, body->p, body->len, &root, fault);
    if (e == ERR_OK)
        e = openai_embedding_decode(a, root, &req, fault);
    if (e != ERR_OK)
        return e;

    ollama_embed_encode(&req, native);
    if (!buf_ok(native))
        return answer_too_large(fault);
    struct answer_wish wish = {.model = req.model};
    answer_open(ret, &wish, config);
    ret->embedding = req.wish;
    return ERR_OK;
}

static enum native_step whole(struct answer *answer, struct native *native, struct buf *out)
{
    struct ollama_embed object;
    if (ollama_embed_decode(native->scratch, native->text, &object, &native->info) != ERR_OK)
        return NATIVE_MALFORMED;
    native->error = object.error;
    native->prompt_tokens = object.prompt_tokens;
    if (object.has_error)
        return NATIVE_ERROR;
    enum err e = embedding_answer_encode(answer->head.model, &answer->embedding, &object, out,
                                         &native->info);
    return e == ERR_OK ? NATIVE_FINISHED : NATIVE_MALFORMED;
}

const struct dialect DIALECT_EMBEDDINGS = {
    .native_path = "/api/embed",
    .input_param = "input",
    .decode = decode,
    .whole = whole,
    .release = answer_release,
};
