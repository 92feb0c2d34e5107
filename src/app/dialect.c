#include "app/dialect.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/xalloc.h"

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

static str make_id(struct answer *answer, str prefix)
{
    if (prefix.len == 0)
        return (str){0};
    memcpy(answer->id, prefix.p, prefix.len);
    crypto_random_text(answer->id + prefix.len, ID_RANDOM_CHARS);
    answer->id[prefix.len + ID_RANDOM_CHARS] = '\0';
    return str_of(answer->id, prefix.len + ID_RANDOM_CHARS);
}

void answer_open(struct answer *answer, const struct answer_wish *wish, const struct config *config)
{
    answer->model = xmalloc(wish->model.len + 1);
    memcpy(answer->model, wish->model.p, wish->model.len);
    answer->model[wish->model.len] = '\0';

    answer->stream = wish->stream;
    answer->head = (struct answer_head){
        .id = make_id(answer, wish->id_prefix),
        .created_s = clock_wall_ms() / 1000,
        .model = str_of(answer->model, wish->model.len),
        .include_usage = wish->include_usage,
        .reasoning = reasoning_of(config),
    };
}

void answer_release(struct answer *answer)
{
    free(answer->model);
    *answer = (struct answer){0};
}

enum err answer_too_large(struct openai_fault *fault)
{
    *fault = openai_fault(FAULT_TOO_LARGE, STR(""), STR("the request is too large"));
    return ERR_TOO_LARGE;
}

enum native_step answer_object(struct native *native, enum err e, const struct ollama_line *object)
{
    if (e != ERR_OK)
        return NATIVE_MALFORMED;
    native->error = object->error;
    native->prompt_tokens = object->prompt_tokens;
    native->answer_tokens = object->completion_tokens;
    return object->has_error ? NATIVE_ERROR : NATIVE_USEFUL;
}

enum native_step answer_step(enum chat_step step)
{
    static const enum native_step steps[] = {
        [CHAT_STEP_NOTHING] = NATIVE_NOTHING,
        [CHAT_STEP_USEFUL] = NATIVE_USEFUL,
        [CHAT_STEP_FINISHED] = NATIVE_FINISHED,
    };
    return steps[step];
}
