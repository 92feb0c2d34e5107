/*
 * remark - what may be kept of a sentence of an upstream's
 *
 * A server may quote a prompt in its error, and a prompt is in no store, log or page. So only words
 * that are known beforehand are kept: the sentences of Ollama and ollama.com, with names in them
 * that have no room for text. What follows a known beginning is left out.
 *
 * Threads: none; pure.
 */
#ifndef CORE_REMARK_H
#define CORE_REMARK_H

#include "base/str.h"

enum { REMARK_NAME_BYTES = 64 };

/* The beginning of `text` that is known, as it stands there; empty: it is none of ours. */
str remark_known(str text);

/* What a usage limit counts over. */
enum remark_window {
    WINDOW_NOT_NAMED,
    WINDOW_SESSION,
    WINDOW_HOUR,
    WINDOW_DAY,
    WINDOW_WEEK,
    WINDOW_MONTH,
    REMARK_WINDOWS,
};

/* The window in "… have reached your weekly usage limit", wherever that stands in `text`. */
enum remark_window remark_window(str text);

/* "weekly": static; empty for WINDOW_NOT_NAMED. */
str remark_window_name(enum remark_window window);

/* The account in "you (ACCOUNT) have reached your …"; empty: the sentence is another one. */
str remark_account(str text);

#endif
