/*
 * admin_answer - what the admin API answers
 *
 * Writers append JSON to the caller's buffer, whose maximum bounds them. What can have thousands
 * of parts is written part by part, so that no list of keys has to stand in memory beside its
 * JSON: begin, one call for each part, end.
 *
 * Threads: none.
 */
#ifndef CODEC_ADMIN_ANSWER_H
#define CODEC_ADMIN_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "codec/keyfile.h"

enum {
    ADMIN_SENTENCE_MAX = 512, // bytes of an error's sentence
    ADMIN_INPUT_MAX = 120,    // bytes shown of a line that could not be read
    ADMIN_PART_MAX = 1000,    // keys, duplicates and errors listed of one import, each
    ADMIN_KEY_BYTES = 16384,  // room that is enough for any key object
};

/* A key as it shows. Times are milliseconds since 1970, 0: not known, which is null. */
struct admin_key {
    str id;
    str key;      // masked by the caller
    str base_url; // canonical; shown as keytext_put_shown_url() has it
    str name;
    str status; // "ready", "cooling", "dead", "disabled"
    bool enabled;
    int64_t last_check_ms;
    int64_t last_used_ms;
    str last_error; // empty: null
    int64_t added_ms;
    uint64_t requests;
    uint64_t failures;
    uint64_t tokens;
    int64_t until_ms; // of a cooling
    str account;      // empty: null
    str cause;        // why it is in its state: "failures"; empty: "none"
    str source;       // of a cooling: "stated", "guessed"; empty: null
    str reason;       // a sentence; empty: null
    int64_t since_ms; // when it came into its state
    size_t line;      // of an import's dry run; 0: left out
};

struct admin_summary {
    uint64_t ready;
    uint64_t cooling;
    uint64_t dead;
    uint64_t disabled;
    uint64_t requests;
    uint64_t tokens;
};

/* {"error":…}, a line of its own; the sentence is cut and control characters become blanks. */
void admin_put_error(struct buf *out, str sentence);

/* {"error":…,"key":…}: there is such a key already. */
void admin_put_duplicate(struct buf *out, str sentence, const struct admin_key *key);

/* {"success":true} */
void admin_put_success(struct buf *out);

/* {"success":true,"<name>":n}: "removed", "count". */
void admin_put_number(struct buf *out, str name, uint64_t n);

/* {"success":true,"token":…} */
void admin_put_login(struct buf *out, str token);

/* {"csrf":…,"chatToken":…} */
void admin_put_session(struct buf *out, str csrf, str chat_token);

/* {"success":true,"key":…} */
void admin_put_key_answer(struct buf *out, const struct admin_key *key);

/* The object alone, as other answers hold it. */
void admin_put_key(struct buf *out, const struct admin_key *key);
void admin_put_summary(struct buf *out, const struct admin_summary *summary);

/* A time as a JSON string, or null for 0. */
void admin_put_time(struct buf *out, int64_t wall_ms);

/* ---- {"keys":[…],"summary":…,"total":n} ---- */

struct admin_list {
    struct buf *out;
    bool any;
};

struct admin_list admin_list_begin(struct buf *out);
void admin_list_key(struct admin_list *list, const struct admin_key *key);
/* `total`: keys that match the filter, listed or not. */
void admin_list_end(struct admin_list *list, const struct admin_summary *summary, uint64_t total);

/* ---- {"added":[…],"addedCount":n,"duplicates":[…],…,"errors":[…],…,"notes":[…]} ---- */

/*
 * The answer to an import; parts come in any order. Of each list ADMIN_PART_MAX are written, the
 * counts count all.
 */
struct admin_batch_answer {
    struct buf added;
    struct buf duplicates;
    struct buf errors;
    struct buf notes;
    uint64_t n_added;
    uint64_t n_duplicates;
    uint64_t n_errors;
};

void admin_batch_init(struct admin_batch_answer *b);
void admin_batch_release(struct admin_batch_answer *b);

/* Whether a further one would be listed: else `key` below may be NULL, and is only counted. */
bool admin_batch_lists_added(const struct admin_batch_answer *b);
bool admin_batch_lists_duplicates(const struct admin_batch_answer *b);

void admin_batch_added(struct admin_batch_answer *b, const struct admin_key *key);
void admin_batch_duplicate(struct admin_batch_answer *b, const struct admin_key *key);

/*
 * Something that was not taken: an error, or a note if only a setting stays behind. What the line
 * holds is shown cut, and may be a secret that was mistyped.
 */
void admin_batch_skip(struct admin_batch_answer *b, const struct keyfile_skip *skip);

/* `import` is the id of this import; empty: it added nothing, or was a dry run. */
void admin_batch_end(const struct admin_batch_answer *b, str import, bool dry_run, struct buf *out);

/* ---- jobs ---- */

struct admin_job {
    str id;
    str state; // "running", "done", "stopped", "failed"
    uint64_t done;
    uint64_t total;
    str result; // JSON; empty: none yet
};

/* {"job":{…}}: of a 202. */
void admin_put_job_begun(struct buf *out, const struct admin_job *job);

/* {"id":…,"state":…,"done":n,"total":n,"result":…} */
void admin_put_job(struct buf *out, const struct admin_job *job);

/* ---- {"summary":…,"stats":{"YYYY-MM-DD":{"<id>":{…}}}} ---- */

struct admin_stats {
    struct buf *out;
    int64_t day; // being written
    bool any_day;
    bool any_key;
};

struct admin_stats admin_stats_begin(struct buf *out, const struct admin_summary *summary);
/* Rows come by day; `day` counts from 1970-01-01. */
void admin_stats_row(struct admin_stats *s, int64_t day, str id, uint64_t success, uint64_t fail,
                     uint64_t tokens);
void admin_stats_end(struct admin_stats *s);

#endif
