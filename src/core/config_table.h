/*
 * config_table - every setting as one row of data, and how each kind of value is read
 *
 * For config.c, its tests and the program that writes the manual: others see struct config.
 */
#ifndef CORE_CONFIG_TABLE_H
#define CORE_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"

/* What a row's field in struct config is, and how its text is read. */
enum config_kind {
    CONFIG_NUMBER,   // uint32_t in min..max; empty: 0
    CONFIG_BOOL,     // bool: 0, 1, false, true
    CONFIG_WORD,     // int-sized enum: the place of the text in `words`
    CONFIG_TEXT,     // str
    CONFIG_PATH,     // str
    CONFIG_HOST,     // str: an IP address without brackets
    CONFIG_URL,      // struct url of an upstream
    CONFIG_PROXY,    // str: "http://[user:password@]host:port"
    CONFIG_CIDRS,    // struct cidr_list
    CONFIG_TRUST,    // struct cidr_list; "true", "false"
    CONFIG_ORIGINS,  // struct cors_policy
    CONFIG_PASSWORD, // struct config_password
    CONFIG_TOKENS,   // struct config_tokens, by commas
    CONFIG_TOKEN,    // struct config_tokens, one
};

enum config_flag {
    CONFIG_FIXED = 1,     // a reload leaves it as it is
    CONFIG_FROM_FILE = 2, // NAME_FILE may name a file that holds it
    CONFIG_SECRET = 4,    // never shown
};

struct config_row {
    str name;
    enum config_kind kind;
    unsigned flags; // of enum config_flag
    size_t offset;  // of the field in struct config
    uint32_t min;
    uint32_t max;
    str fallback;
    const char *words; // CONFIG_WORD: "debug, info", in the order of the enum
    const char *help;  // a line
    const char *more;  // further sentences of the manual, the last without its full stop; or NULL
};

#define CONFIG_ROWS 32

extern const struct config_row CONFIG_TABLE[CONFIG_ROWS];

/*
 * Reads `text` (empty only if the row's fallback is) into `field`, with what it needs in `a`.
 * On failure `why` has the reason without name and value, and never a secret.
 */
MUST_CHECK enum err config_parse(struct arena *a, const struct config_row *row, str text,
                                 void *field, struct err_info *why);

/* What is allowed, for messages and --help: "a number from 1 to 65535"; may be empty. */
void config_allowed(const struct config_row *row, struct buf *out);

/* Copies `s` into `a` with a zero byte behind its end. */
str config_copy(struct arena *a, str s);

#endif
