/*
 * tool_schema - writes a function's schema so that Ollama can read it
 *
 * Ollama decodes the schemas of tools into typed structs and refuses the whole request when one
 * keyword has a form it does not expect, though JSON Schema allows it: a subschema that is true
 * or false, `type` as a list at the root, `required` as a boolean. What it expects goes out byte
 * for byte, in the caller's order; the rest becomes the nearest thing it reads, or is left out.
 *
 * Threads: none.
 */
#ifndef CODEC_TOOL_SCHEMA_H
#define CODEC_TOOL_SCHEMA_H

#include "base/buf.h"
#include "codec/json.h"

/* Appends a tool of the kind `function`, whose function is an object with a name. */
void tool_schema_put_tool(struct buf *out, const struct json *tool);

#endif
