#include "codec/openai_think.h"

/* OpenAI's words for effort, and the native `think` of each. */
static const struct {
    str effort;
    str think;
} EFFORTS[] = {
    {STR_C("none"),    STR_C("false")     },
    {STR_C("minimal"), STR_C("\"low\"")   },
    {STR_C("low"),     STR_C("\"low\"")   },
    {STR_C("medium"),  STR_C("\"medium\"")},
    {STR_C("high"),    STR_C("\"high\"")  },
    {STR_C("xhigh"),   STR_C("\"max\"")   },
    {STR_C("max"),     STR_C("\"max\"")   },
    {STR_C("ultra"),   STR_C("\"max\"")   },
};

/* What `think` itself may be, beside a boolean. */
static const struct {
    str level;
    str think;
} LEVELS[] = {
    {STR_C("low"),    STR_C("\"low\"")   },
    {STR_C("medium"), STR_C("\"medium\"")},
    {STR_C("high"),   STR_C("\"high\"")  },
    {STR_C("max"),    STR_C("\"max\"")   },
};

/* Null and the empty text leave it to the model. */
static enum err decode_effort(struct arena *a, const struct json *v, str param, str *ret,
                              struct openai_fault *fault)
{
    str effort = json_str(v);
    if (json_is_null(v))
        return ERR_OK;
    if (json_kind(v) != JSON_STRING)
        return openai_refuse(a, fault, FAULT_BAD_REQUEST, param, "'%.*s' must be a string, not %s",
                             STR_ARG(param), json_kind_name(json_kind(v)));
    if (effort.len == 0)
        return ERR_OK;
    for (size_t i = 0; i < COUNT_OF(EFFORTS); i++) {
        if (str_eq(EFFORTS[i].effort, effort)) {
            *ret = EFFORTS[i].think;
            return ERR_OK;
        }
    }
    return openai_refuse(a, fault, FAULT_BAD_REQUEST, param,
                         "'%.*s' must be 'none', 'minimal', 'low', 'medium', 'high', 'xhigh' or "
                         "'max'",
                         STR_ARG(param));
}

/* The object says all there is to say, even if that is nothing. */
static enum err decode_reasoning(struct arena *a, const struct json *v, str *ret,
                                 struct openai_fault *fault)
{
    if (json_is_null(v))
        return ERR_OK;
    if (json_kind(v) != JSON_OBJECT)
        return openai_refuse(a, fault, FAULT_BAD_REQUEST, STR("reasoning"),
                             "'reasoning' must be an object, not %s", json_kind_name(json_kind(v)));
    *ret = (str){0};
    return decode_effort(a, json_get(v, STR("effort")), STR("reasoning.effort"), ret, fault);
}

static enum err decode_think(struct arena *a, const struct json *v, str *ret,
                             struct openai_fault *fault)
{
    bool on = false;
    if (json_is_null(v))
        return ERR_OK;
    if (json_to_bool(v, &on)) {
        *ret = on ? STR("true") : STR("false");
        return ERR_OK;
    }
    for (size_t i = 0; json_kind(v) == JSON_STRING && i < COUNT_OF(LEVELS); i++) {
        if (str_eq(LEVELS[i].level, json_str(v))) {
            *ret = LEVELS[i].think;
            return ERR_OK;
        }
    }
    return openai_refuse(a, fault, FAULT_BAD_REQUEST, STR("think"),
                         "'think' must be a boolean, 'low', 'medium', 'high' or 'max'");
}

enum err openai_think_decode(struct arena *a, const struct openai_think *fields, str *ret,
                             struct openai_fault *fault)
{
    str think = {0};
    enum err err =
        decode_effort(a, fields->reasoning_effort, STR("reasoning_effort"), &think, fault);
    if (err == ERR_OK)
        err = decode_reasoning(a, fields->reasoning, &think, fault);
    if (err == ERR_OK)
        err = decode_think(a, fields->think, &think, fault);
    if (err == ERR_OK)
        *ret = think;
    return err;
}
