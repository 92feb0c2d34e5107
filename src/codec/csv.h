/*
 * csv - tables as text (RFC 4180)
 *
 * Fields may be quoted, hold line ends then, and double a quote to mean one. Line ends are LF or
 * CRLF. The separator is the reader's choice, since programs write ',', ';' and tabs.
 *
 * Threads: none.
 * Memory:  borrows the text; a row's fields live until the next row.
 */
#ifndef CODEC_CSV_H
#define CODEC_CSV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
    CSV_FIELDS_MAX = 128,           // per row
    CSV_ROW_MAX = 16 * 1024 * 1024, // bytes of a row's fields
};

struct csv {
    str rest;
    char separator;
    size_t line; // where the row at hand begins, from 1
    size_t next_line;
    size_t n;                   // fields of the row at hand
    size_t end[CSV_FIELDS_MAX]; // of each field in `row`
    struct buf row;             // the fields one behind the other, without quotes
};

void csv_init(struct csv *c, str text, char separator);
void csv_release(struct csv *c);

/*
 * Goes to the next row; empty lines are passed over.
 *
 * ERR_OK         there it is
 * ERR_NOT_FOUND  the text has ended
 * ERR_SYNTAX     a quote that does not end, or stands where none may
 * ERR_RANGE      too many fields
 */
MUST_CHECK enum err csv_next(struct csv *c, struct err_info *info);

/* Field `i` of the row at hand; empty if it has no so many. */
str csv_field(const struct csv *c, size_t i);

#endif
