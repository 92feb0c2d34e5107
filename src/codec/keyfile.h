/*
 * keyfile - keys out of the files of other programs
 *
 * Says by itself what it was given, and tells each key it found, in order, and each thing it did
 * not take with its place and why: nothing falls silently under the table.
 *
 *   text          as codec/keytext.h has it; gpt-load's export is that
 *   JSON list     of strings, each as a line of such a text
 *   keys.json     the older program's, versions 2 and 3
 *   channels.json of its version 3: the keys in its channels
 *   channels      of new-api and one-api: the answer of their admin API (or its list alone)
 *   CSV           with a header that has `key`: a table of channels, or key, base_url, name,
 * enabled tokens.json   of version 3, and other programs' callers' tokens: named as not taken
 *
 * Threads: none; pure.
 * Memory:  strings of an event live until its call
 * returns, but base URLs as long as the arena.
 */
#ifndef CODEC_KEYFILE_H
#define CODEC_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/keytext.h"

enum {
    KEYFILE_NAME_MAX = 256,  // bytes of a name; what is longer is cut between characters
    KEYFILE_OLD_ID_MAX = 64, // bytes of an old id
    KEYFILE_ERROR_MAX = 512, // bytes of a last error
};

enum keyfile_format {
    KEYFILE_TEXT,
    KEYFILE_STRINGS,
    KEYFILE_OLDER_KEYS,
    KEYFILE_OLDER_CHANNELS,
    KEYFILE_OLDER_TOKENS,
    KEYFILE_NEW_API,
    KEYFILE_ONE_API,
    KEYFILE_TABLE,
    KEYFILE_FORMATS,
};

/* "keys.json", "channels of new-api": for people; static. */
const char *keyfile_format_name(enum keyfile_format format);

struct keyfile_key {
    str place;    // "line 7", "keys[3]", "channels[0].keys[1]"
    size_t line;  // in texts and CSV; 0: the file has no lines that count
    str key;      // empty: a server without a key
    str base_url; // canonical
    str name;     // one line of UTF-8; empty: none
    str old_id;   // the older program's; empty: none
    bool enabled;
    uint64_t requests;
    uint64_t failures;
    uint64_t tokens;
    int64_t added_ms; // wall clock; 0: not known
    int64_t last_used_ms;
    int64_t last_check_ms;
    str last_error;
};

struct keyfile_skip {
    str place;    // as above, or "weight of 12 entries"
    size_t line;  // as above
    bool setting; // of keys that were taken: no key is missing
    str what;     // the input or the field, cut short; it may be a secret, which is for the one who
                  // gave the file and not for logs. Empty: the place says it.
    str why;      // a sentence without secrets
};

/* Neither may be NULL. Returning false ends the reading. */
struct keyfile_sink {
    bool (*on_key)(void *arg, const struct keyfile_key *key);
    bool (*on_skip)(void *arg, const struct keyfile_skip *skip);
    void *arg;
};

/*
 * Reads `text`. `*ret` is set once the format is known, on failure too; events that were told
 * before a failure stand.
 *
 * ERR_OK         to the end, or a callback has ended it
 * ERR_SYNTAX     none of these formats, or broken JSON; info says what, and where
 * ERR_RANGE      more than JSON_ITEMS_MAX items, or too deep
 * ERR_TOO_LARGE  the arena's budget is used up
 */
MUST_CHECK enum err keyfile_read(struct arena *a, str text, const struct keytext_options *options,
                                 const struct keyfile_sink *sink, enum keyfile_format *ret,
                                 struct err_info *info);

#endif
