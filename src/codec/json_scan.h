/*
 * json_scan - where the text of a JSON string stops being plain
 *
 * A body is mostly the text of long strings, and most of that is characters that mean themselves.
 * Finding the ends of such runs sixteen bytes at a time is what parsing and writing have in
 * common.
 *
 * Threads: none.
 */
#ifndef CODEC_JSON_SCAN_H
#define CODEC_JSON_SCAN_H

#include "base/lanes.h"
#include "base/str.h"

/* The number of bytes before the first that is a quote, a backslash, a control or no ASCII. */
size_t json_plain_run(str s);

/* The number of bytes before the first that is a quote, a backslash or a control. */
size_t json_string_run(str s);

#endif
