/*
 * keyfile_private - what the parts of the keyfile module share
 *
 * keyfile.c knows the formats apart and reads texts and the older program's files;
 * keyfile_rows.c reads channels and tables.
 */
#ifndef CODEC_KEYFILE_PRIVATE_H
#define CODEC_KEYFILE_PRIVATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "codec/json.h"
#include "codec/keyfile.h"
#include "codec/keytext.h"

enum {
    KEYFILE_PLACE_BYTES = 96,
    KEYFILE_TEXT_BYTES = 1024, // of a cleaned name or error
};

/* Settings of other programs that have no counterpart here, counted. */
enum keyfile_setting {
    SETTING_MODELS,
    SETTING_MAPPING,
    SETTING_WEIGHT,
    SETTING_PRIORITY,
    SETTING_LIMIT,
    SETTING_GROUP,
    SETTING_TAGS,
    KEYFILE_SETTINGS,
};

/* One reading. */
struct keyfile {
    struct arena *arena;
    const struct keytext_options *options;
    const struct keyfile_sink *sink;
    struct keytext urls; // remembers base URLs
    size_t settings[KEYFILE_SETTINGS];
    bool stop; // a callback said so, or `err` is set
    enum err err;
    struct err_info *info;
    char place[KEYFILE_PLACE_BYTES];
    struct buf name;  // cleaned
    struct buf error; // cleaned
};

void keyfile_skip(struct keyfile *f, str place, size_t line, str what, const char *why);

/*
 * Tells a key that was found, after its key, base URL (empty: the default, any form otherwise),
 * name and error were looked through.
 */
void keyfile_take(struct keyfile *f, struct keyfile_key key);

/* The same for a text that holds one key in any form; all else as in `key`. */
void keyfile_take_text(struct keyfile *f, struct keyfile_key key, str text);

/* Ends the reading with an error. */
void keyfile_fail(struct keyfile *f, enum err e);

/* Prints a place into f->place. */
str keyfile_place(struct keyfile *f, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Counts the settings of an entry that have a value of their own. */
void keyfile_count_settings(struct keyfile *f, const struct json *entry);

/* The setting that a field or a column with this name is; KEYFILE_SETTINGS: none. */
enum keyfile_setting keyfile_setting_of(str field);

/* Whether somebody chose this value: those that programs write by themselves count as nothing. */
bool keyfile_is_chosen(str value);

/* A list of channels as an admin API sends it. */
void keyfile_channels(struct keyfile *f, const struct json *rows, enum keyfile_format *format);

/* Whether `text` begins with the header of a table that keyfile_table() reads, or refuses. */
bool keyfile_is_table(str text);

void keyfile_table(struct keyfile *f, str text, enum keyfile_format *format);

#endif
