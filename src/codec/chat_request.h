/*
 * chat_request - one request for a chat answer, in no dialect
 *
 * What the decoders of callers' dialects fill in and the encoder of the native request reads.
 * Names and roles are the native ones.
 *
 * Threads: none.
 * Memory:  all of it lives in the arena of the exchange, or is borrowed from the parsed body.
 */
#ifndef CODEC_CHAT_REQUEST_H
#define CODEC_CHAT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "codec/json.h"

/* A call of a tool that an earlier answer made. */
struct chat_call {
    str id; // may be empty
    str name;
    const struct json *arguments; // an object; NULL: none
};

struct chat_message {
    str role;          // lower case
    str content;       // texts of all parts in one
    str thinking;      // empty: none
    const str *images; // base64; sound too
    size_t n_images;
    const struct chat_call *calls;
    size_t n_calls;
    str tool_call_id; // of a tool's result; empty: none
    str tool_name;
};

enum chat_value {
    CHAT_VALUE_INTEGER,
    CHAT_VALUE_NUMBER, // its text, written as it is
    CHAT_VALUE_JSON,   // written as it is
    CHAT_VALUE_TEXTS,
};

/* One member of the native `options`. */
struct chat_option {
    str name;
    enum chat_value kind;
    int64_t integer;
    str number;
    const struct json *json;
    const str *texts;
    size_t n_texts;
};

enum { CHAT_OPTIONS_MAX = 16 };

enum chat_format {
    CHAT_FORMAT_TEXT,
    CHAT_FORMAT_JSON,
    CHAT_FORMAT_SCHEMA,
};

struct chat_request {
    str model;
    const struct chat_message *messages;
    size_t n_messages;
    str messages_json; // the native array, instead of the list; p NULL: the list holds them
    bool stream;
    bool include_usage;

    const struct json *extra_options; // an object that wins over `options`; NULL: none

    enum chat_format format;
    const struct json *schema;
    const struct json *const *tools; // those to send, each with a named function
    size_t n_tools;
    str think; // its JSON text, `true` or `"high"`; empty: not said
    bool logprobs;
    int64_t top_logprobs; // 0: not asked for
    const struct json *keep_alive;

    size_t n_options;
    struct chat_option options[CHAT_OPTIONS_MAX]; // the last member: those unused need no clearing
};

#endif
