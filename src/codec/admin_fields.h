/*
 * admin_fields - what bodies and queries of the admin side have in common
 *
 *   admin_request.c  bodies
 *   admin_query.c    queries
 */
#ifndef CODEC_ADMIN_FIELDS_H
#define CODEC_ADMIN_FIELDS_H

#include "codec/admin_request.h"

enum { FIELDS_MAX = 8 }; // of one body or query

enum field_kind { FIELD_TEXT, FIELD_BOOL, FIELD_LIST, FIELD_OBJECT };

struct field {
    str name;
    enum field_kind kind;
    bool required;
    size_t max; // bytes of a text; 0: as long as the body lets it be
};

/* Fails for a name that is none of `fields`; `kind` says what it names: "field", "parameter". */
enum err admin_unknown(str kind, str name, const struct field *fields, size_t n,
                       struct err_info *info);

/* Reads "dead,cooling"; nothing means all. */
MUST_CHECK enum err admin_read_states(str text, unsigned *ret, struct err_info *info);

#endif
