/*
 * catalog - what is known of the models of all hosts: their lists, and what each model can do
 *
 * Workers read it and never wait for it. The lists of the hosts are kept apart and shown as one, an
 * immutable view which is counted and swapped whole; it is made anew when somebody looks after a
 * list has come. The catalog says when it is old; those who learn (see learn.h) claim the right to
 * refresh it, so that one worker asks and the others go on with what there is.
 *
 * What a model can do is kept for the CATALOG_NOTES_MAX names that were asked about last, whatever
 * the host: a name stands for the same model everywhere. An answer that is out of date is used
 * until a newer one comes: a request waits for the first at most.
 *
 * Threads: any; a short mutex, atomics where every request looks.
 * Time:    the caller passes now_ms, never 0.
 */
#ifndef APP_CATALOG_H
#define APP_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "codec/model_list.h"

enum {
    CATALOG_NOTES_MAX = 256,
    CATALOG_TOLD_MAX = 64,
    CATALOG_CURRENT_MS = 5000,  // a list is taken for current, and not asked for again
    CATALOG_OLD_MS = 60000,     // a list is refreshed while requests come
    CATALOG_NOTE_MS = 600000,   // what a model can do is asked again
    CATALOG_SILENCE_MS = 60000, // the same, where there was no answer
};

struct catalog;

/* The list at one moment. */
struct catalog_view {
    struct model_list list;
    struct buf body; // the same as OpenAI writes it
};

/* A catalog that knows nothing. */
struct catalog *catalog_new(void);

/* Accepts NULL. */
void catalog_free(struct catalog *c);

/* Forgets everything: requests without keys go to another place from now on. */
void catalog_reset(struct catalog *c);

/* All models, with a reference of the caller's; NULL: no list came yet. */
const struct catalog_view *catalog_view(struct catalog *c);

/* Accepts NULL. */
void catalog_view_release(const struct catalog_view *view);

/*
 * Whether the caller shall ask for the list now: it is older than `max_age_ms` or not there, and
 * nobody began to ask in the last CATALOG_CURRENT_MS.
 */
bool catalog_claim(struct catalog *c, uint64_t max_age_ms, uint64_t now_ms);

/* Notes that somebody begins to ask for the list, without a claim. */
void catalog_note_try(struct catalog *c, uint64_t now_ms);

/*
 * Takes a new list of one host, which is copied; views live on with those who have them.
 *
 * ERR_TOO_LARGE  the list takes too much memory; the previous one stays.
 */
MUST_CHECK enum err catalog_publish(struct catalog *c, uint32_t host, const struct model_list *list,
                                    uint64_t now_ms);

/* Whether the list of `host` has the model; false where none is known. */
bool catalog_host_has(struct catalog *c, uint32_t host, str name);

/* How many models the list of `host` has; -1: none is known. */
int64_t catalog_host_count(struct catalog *c, uint32_t host);

/* As catalog_claim() with CATALOG_CURRENT_MS, for the list of one host. */
bool catalog_claim_host(struct catalog *c, uint32_t host, uint64_t now_ms);

/* Drops what is known of a host: its number will be another's. */
void catalog_forget_host(struct catalog *c, uint32_t host);

/* Notes, in a round that began at `round_ms`, that the host is still one of ours. */
void catalog_mark_host(struct catalog *c, uint32_t host, uint64_t round_ms);

/* Drops the lists of hosts that were not marked since the round began. */
void catalog_sweep(struct catalog *c, uint64_t round_ms);

enum catalog_answer {
    CATALOG_UNKNOWN,
    CATALOG_YES,
    CATALOG_NO,
};

struct catalog_ability {
    enum catalog_answer answer;
    bool ask;  // nothing is known, or what is known is old: learn it
    bool wait; // nothing was ever learned: an answer is worth waiting for
};

/* Whether the model `name` can think. */
struct catalog_ability catalog_thinks(struct catalog *c, str name, uint64_t now_ms);

/* Notes what `name` can do; with `abilities.known` false, that there was no answer. */
void catalog_note(struct catalog *c, str name, struct model_abilities abilities, uint64_t now_ms);

/* Notes that `name` cannot think, whatever else it can do: an upstream said so. */
void catalog_note_no_thinking(struct catalog *c, str name, uint64_t now_ms);

/*
 * Whether people have yet to be told that `name` is not held to a format: true once for each of
 * the last CATALOG_TOLD_MAX names.
 */
bool catalog_tell_once(struct catalog *c, str name);

#endif
