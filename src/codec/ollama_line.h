/*
 * ollama_line - one native answer object, of /api/chat or /api/generate
 *
 * A line of a stream and the object of a whole answer have the same form. Servers differ by
 * version, and clouds by mood: nulls are absent fields, counts may be missing or negative, and
 * an error may be a text, an object, or an object written as text.
 *
 * Threads: none.
 * Memory:  what comes back lives in the arena, which is reset per line on the hot path, or is
 *          borrowed from the text.
 */
#ifndef CODEC_OLLAMA_LINE_H
#define CODEC_OLLAMA_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/json.h"

struct ollama_line {
    bool has_error; // look here first: such a line may have `done` too
    str error;      // a sentence, never empty when has_error
    bool done;
    str done_reason; // empty: none was said
    str thinking;
    str content;
    const struct json *tool_calls; // NULL, or an array with items, each with a function's name
    str calls_text;                // of tool_calls, as it stood in the line; empty: none
    const struct json *logprobs;   // NULL, or an array with items
    uint64_t prompt_tokens;
    uint64_t completion_tokens;
};

/*
 * Decodes one object.
 *
 * ERR_SYNTAX     not an object, none of ours, or a field of a wrong type
 * ERR_TOO_LARGE  the arena's budget is used up
 */
MUST_CHECK enum err ollama_line_decode(struct arena *a, str text, struct ollama_line *ret,
                                       struct err_info *info);

/* As ollama_line_decode, which calls it for what has not the common shape: always a full parse. */
MUST_CHECK enum err ollama_line_parse(struct arena *a, str text, struct ollama_line *ret,
                                      struct err_info *info);

/* The same for an object of /api/generate, whose `response` is the content. */
MUST_CHECK enum err ollama_generate_decode(struct arena *a, str text, struct ollama_line *ret,
                                           struct err_info *info);

/* Whether the line holds something a caller would see: text, thinking or a tool call. */
static inline bool ollama_line_useful(const struct ollama_line *line)
{
    return line->content.len > 0 || line->thinking.len > 0 || line->tool_calls != NULL;
}

/*
 * The sentence of an `error` member, never empty; false for null and the empty text, no errors. Of
 * an object about the size of the context it is the object's JSON, which has the numbers.
 */
bool ollama_error_of(struct arena *a, const struct json *v, str *ret);

/* What the body of an answer with an error status says. */
struct ollama_error {
    str text;            // a sentence; empty when the body says nothing fit to show (HTML, binary)
    bool is_native;      // a JSON object with `error`, as Ollama itself writes it
    bool has_signin_url; // Ollama asks its owner to sign in to the cloud
};

/* Never fails: what cannot be read is a body that says nothing. */
void ollama_error_decode(struct arena *a, str body, struct ollama_error *ret);

#endif
