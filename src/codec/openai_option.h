/*
 * openai_option - the callers' fields that become native options
 *
 * Ranges are OpenAI's where it has the field, else wide enough for what models take. Of two rows
 * for one native option the first that is given wins. A field that is absent is not sent: the
 * model's own default holds. For openai_chat.c and openai_chat_fast.c.
 *
 * Threads: none; constant.
 */
#ifndef CODEC_OPENAI_OPTION_H
#define CODEC_OPENAI_OPTION_H

#include "base/str.h"

enum openai_option_kind {
    OPTION_NUMBER,
    OPTION_INTEGER,
    OPTION_LIMIT, // an integer for which 0 means none, as if it were absent
};

struct openai_option {
    str name; // the caller's
    str native;
    enum openai_option_kind kind;
    double lowest;
    double highest;
};

enum { OPENAI_OPTIONS = 11 };

extern const struct openai_option OPENAI_OPTION[OPENAI_OPTIONS];

#endif
