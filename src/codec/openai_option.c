#include "codec/openai_option.h"

#include <math.h>

const struct openai_option OPENAI_OPTION[OPENAI_OPTIONS] = {
    {STR_C("temperature"),           STR_C("temperature"),       OPTION_NUMBER,  0,         2        },
    {STR_C("top_p"),                 STR_C("top_p"),             OPTION_NUMBER,  0,         1        },
    {STR_C("frequency_penalty"),     STR_C("frequency_penalty"), OPTION_NUMBER,  -2,        2        },
    {STR_C("presence_penalty"),      STR_C("presence_penalty"),  OPTION_NUMBER,  -2,        2        },
    {STR_C("seed"),                  STR_C("seed"),              OPTION_INTEGER, -HUGE_VAL, HUGE_VAL },
    {STR_C("max_completion_tokens"), STR_C("num_predict"),       OPTION_LIMIT,   -2,        INT32_MAX},
    {STR_C("max_tokens"),            STR_C("num_predict"),       OPTION_LIMIT,   -2,        INT32_MAX},
    {STR_C("num_ctx"),               STR_C("num_ctx"),           OPTION_INTEGER, 1,         INT32_MAX},
    {STR_C("top_k"),                 STR_C("top_k"),             OPTION_INTEGER, -1,        INT32_MAX},
    {STR_C("min_p"),                 STR_C("min_p"),             OPTION_NUMBER,  0,         1        },
    {STR_C("repeat_penalty"),        STR_C("repeat_penalty"),    OPTION_NUMBER,  0,         100      },
};
