/*
 * keypool - the upstream keys: which one a request gets, and how each of them is
 *
 * The one structure that workers share. It owns the keys and their hosts. A request asks for a key
 * with keypool_acquire(), says how it went with one of the report functions, and asks again if it
 * needs another. Choice is round robin over the ready keys of the hosts that have the model, in
 * constant time whatever the number of keys and whatever their states.
 *
 *   state     ready ──429, failures──► cooling ──time, a good probe──► ready
 *             ready, cooling ──401──► dead ──a good probe, a person──► ready
 *             any ◄──a person──► disabled
 *
 * Which of these a key is in is its membership of a set, and one function moves it; every move is
 * told to on_move once. A host has a cooling of its own (nobody answers there, or it refuses us):
 * its keys then show as cooling with the host's reason, and keep their own state beneath.
 *
 * An empty pool has one key without a secret on the fallback host, with the same states.
 *
 * Threads: any; a short mutex. Callbacks are called under it: they copy and return.
 * Time:    now_ms is monotonic and never 0; wall clock times are derived by keypool_set_clock().
 * Memory:  the pool copies what it is given. A lease's url and secret live until it is given back.
 */
#ifndef CORE_KEYPOOL_H
#define CORE_KEYPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/url.h"
#include "core/classify.h"

enum {
    KEYPOOL_KEYS_MAX = 1000000,
    KEYPOOL_REFUSALS_MAX = 64,    // keys that one request may be refused by
    KEYPOOL_TRIES_MAX = 256,      // keys that one search hands out, whatever becomes of them
    KEYPOOL_MODEL_SETS_MAX = 256, // (host, model) pairs with a ready set of their own
    KEYPOOL_REFUSALS_KEPT = 16,   // of one key, over a restart
    KEYPOOL_ERROR_BYTES = 512,    // kept of the last error's text
    KEYPOOL_NAME_BYTES = 256,
    KEYPOOL_SECRET_BYTES = 512,
    KEYPOOL_MASK_BYTES = 16, // of a masked secret with its final zero
};

#define KEYPOOL_END UINT32_MAX

struct keypool;

enum key_state {
    KEY_IS_READY,
    KEY_IS_COOLING,
    KEY_IS_DEAD,
    KEY_IS_DISABLED,
    KEY_STATES,
};

/* What put a key, or a host, into its state. */
enum key_cause {
    CAUSE_NONE,
    CAUSE_FAILURES, // resets, malformed answers, 408, 5xx: probed when half of it is over
    CAUSE_LIMIT,    // a 429 or a usage limit: ends by its time alone
    CAUSE_REFUSED,  // 401, 403 about the key
    CAUSE_CONNECT,  // hosts: nobody answers there
    CAUSE_HOST,     // hosts: it refuses us, or something else answers in its place
    CAUSE_BRAKE,    // hosts: many keys failed at once
    CAUSE_PROBE,
    CAUSE_PERSON,
    CAUSE_TIME, // a cooling was over
    CAUSE_SUCCESS,
    KEY_CAUSES,
};

/* "ready", "failures": for logs and JSON; static. */
const char *key_state_name(enum key_state state);
const char *key_cause_name(enum key_cause cause);

/* What is known of a key's life so far; this much is stored. */
struct key_life {
    enum key_state
        state; // KEY_IS_READY, KEY_IS_COOLING or KEY_IS_DEAD; being disabled is kept apart
    enum key_cause cause;
    enum cool_source source; // of a cooling
    int64_t until_ms;        // wall clock: end of a cooling; of a dead key, its next probe; or 0
    uint32_t doublings;      // of the cooling, or of the wait for the next probe
    int64_t last_check_ms;   // wall clock; 0: never
    int64_t last_used_ms;
    uint64_t requests;
    uint64_t failures;
    uint64_t tokens;
    str last_error;   // at most KEYPOOL_ERROR_BYTES
    str account;      // empty: unknown
    int64_t since_ms; // wall clock: when it came into its state; 0: not known
    str reason;       // of its state, unless that is ready; empty: as last_error. At most as long
    bool worked;      // an answer came with this key once
};

/* A key as it comes in. */
struct key_spec {
    uint64_t id;      // > 0, never used before
    str old_id;       // the older program's; empty: none
    str secret;       // empty: a server without a key
    str base_url;     // canonical, as keypool_canonical_url() has it
    str name;         // for people; empty: none
    int64_t added_ms; // wall clock
    bool enabled;
    struct key_life life; // all zero: a new key, which is probed once
};

struct key_move {
    uint64_t key_id; // 0: the host moved
    str host;        // base URL
    enum key_state from;
    enum key_state to;
    enum key_cause cause;
    enum cool_source source;
    int64_t at_ms;    // wall clock
    int64_t until_ms; // wall clock; 0: no end
    str reason;       // a sentence for people, without secrets
};

struct keypool_options {
    uint64_t seed; // of jitter and of the places keys take; 0 in tests for a fixed one
    void (*on_move)(void *arg, const struct key_move *move); // NULL: nobody is told
    void (*on_host_gone)(void *arg, uint32_t host); // the number will be another host's; or NULL
    void *arg;
};

struct keypool *keypool_new(const struct keypool_options *options);

/* Accepts NULL. No lease may be out. */
void keypool_free(struct keypool *p);

/* Relates the two clocks; to be called at the start, and every second or so. */
void keypool_set_clock(struct keypool *p, uint64_t now_ms, int64_t wall_ms);

/* Where requests go while the pool is empty; a NULL url: nowhere. Keeps a copy. */
void keypool_set_fallback(struct keypool *p, const struct url *url, uint64_t now_ms);

/* ---- keys; adding and taking away is for one thread at a time ---- */

/*
 * Puts a key in.
 *
 * ERR_EXISTS  its (secret, base_url) is there already; `*ret_id` is the id of that one.
 * ERR_SYNTAX  base_url is no URL.
 * ERR_RANGE   a text of it is longer than the limits above.
 * ERR_TOO_LARGE  there are KEYPOOL_KEYS_MAX keys.
 */
MUST_CHECK enum err keypool_add(struct keypool *p, const struct key_spec *spec, uint64_t now_ms,
                                uint64_t *ret_id);

/*
 * Around the calls of keypool_add() that fill an empty pool, with near `n` keys: the same comes of
 * it, in half the time. Until the end no other function may be called.
 */
void keypool_load_begin(struct keypool *p, size_t n);
void keypool_load_end(struct keypool *p);

/*
 * Has a host that has keys cool as it did before a restart, if `move` is the last it made and its
 * time is not long over. Nobody is told.
 */
void keypool_restore_host(struct keypool *p, const struct key_move *move, uint64_t now_ms);

/* A model that a key may not use for a while; stored too. */
struct key_refusal {
    uint64_t key_id;
    str model;
    int64_t until_ms; // wall clock; when it is over, it still counts for the next one's length
    uint32_t doublings;
    bool signin; // the server wants a login
};

/* Puts back a refusal of a key that is there, unless it is long over. */
void keypool_restore_refusal(struct keypool *p, const struct key_refusal *stored, uint64_t now_ms);

/* The id of the key with this identity; 0: none. */
uint64_t keypool_find(struct keypool *p, str base_url, str secret);

/* The id that `text` names: ours in decimal, or the older program's; 0: none. */
uint64_t keypool_find_id(struct keypool *p, str text);

/* Each returns false if there is no such key. */
bool keypool_remove(struct keypool *p, uint64_t id, uint64_t now_ms);
bool keypool_set_enabled(struct keypool *p, uint64_t id, bool enabled, uint64_t now_ms);
bool keypool_set_name(struct keypool *p, uint64_t id, str name);
/* A cooling or dead key becomes ready, and what its models refused is forgotten. */
bool keypool_reset(struct keypool *p, uint64_t id, uint64_t now_ms);

/* All keys and hosts. */
void keypool_reset_all(struct keypool *p, uint64_t now_ms);

/* ---- choice ---- */

/* What one request has tried so far; begins as zeroes. Allocates when a second key is needed. */
struct key_try {
    uint32_t slot;
    uint32_t generation;
    uint32_t host;
    bool skip_host;
    bool lacks_model; // the host has said so
};

struct key_search {
    struct key_try first;
    struct key_try *more; // those after the first
    uint32_t n;           // tries in all
};

void key_search_release(struct key_search *s);

/* A key in a request's hands. */
struct lease {
    uint32_t slot; // KEYPOOL_END: none
    uint32_t generation;
    uint32_t host;
    bool alone;            // the only enabled key of the pool: its failures do not cool it
    bool trial;            // a key or host that cools is tried by this one request
    bool fallback;         // the key of an empty pool
    uint64_t key_id;       // 0: the fallback
    uint64_t model_hash;   // the pool's own
    const struct url *url; // of the host
    str secret;            // empty: send none
};

enum key_pick {
    PICK_KEY,
    PICK_NO_UPSTREAM, // nothing is enabled
    PICK_LIMITED,     // all that is left waits for a limit; *wait_ms until the first is over
    PICK_BUSY,        // what is left cools, and another request tries the first of it now
    PICK_EXHAUSTED,   // all that could be tried was tried by this search
    PICK_DEAD,        // nothing was tried yet: the upstream has refused all keys that are left
    PICK_REFUSED,     // nothing was tried yet: no key that is left may use this model
};

/*
 * Leases a key for a request of `model` that `s` has not tried yet. With `new_host`, one of a host
 * that it has not tried either.
 */
enum key_pick keypool_acquire(struct keypool *p, struct key_search *s, str model, bool new_host,
                              uint64_t now_ms, struct lease *ret, uint64_t *wait_ms);

/*
 * What a request of `model` would get now; takes nothing, and nobody loses a turn. Hosts that have
 * told `told` (NULL: none have) that they lack the model are left out, and if there are any, those
 * whose list lacks it too, unless they have refused it to a key: what is left may have it.
 */
enum key_pick keypool_ask(struct keypool *p, const struct key_search *told, str model,
                          uint64_t now_ms, uint64_t *wait_ms);

/* Leases one certain key, whatever its state, for a check. False: there is no such key. */
bool keypool_acquire_id(struct keypool *p, uint64_t id, struct lease *ret);

/*
 * Leases a key of one host to ask it something that costs nothing: a ready one, or whichever is
 * due for a trial. False: none is.
 */
bool keypool_acquire_host(struct keypool *p, uint32_t host, uint64_t now_ms, struct lease *ret);

/* Takes the key's host out of this search: it cannot be reached, say. */
void key_search_skip_host(struct key_search *s, const struct lease *lease);

/* The same, because it has said that it lacks the model. */
void key_search_lacks_model(struct key_search *s, const struct lease *lease);

/*
 * Says that a good answer to this lease has begun, and goes on: what it was a trial of is well, and
 * others need not wait for the end of a long stream.
 */
void keypool_note_answer(struct keypool *p, struct lease *lease, uint64_t now_ms);

/* Gives a lease back without a verdict: the caller went away. */
void keypool_release(struct keypool *p, struct lease *lease, uint64_t now_ms);

/*
 * How a use of a key went; both give the lease back. `model` is the one that the key was acquired
 * for; empty: what was asked concerns no model.
 */

/* The request was answered; tokens are those of prompt and answer. */
void keypool_report_success(struct keypool *p, struct lease *lease, str model, uint64_t tokens,
                            uint64_t now_ms);

/* The attempt failed as `verdict` says. */
void keypool_report_failure(struct keypool *p, struct lease *lease, str model,
                            const struct verdict *verdict, uint64_t now_ms);

/* Which models a host has, by name; NULL names: not known any more. */
void keypool_set_models(struct keypool *p, uint32_t host, const str *names, size_t n);

/* ---- health ---- */

enum probe_result {
    PROBE_GOOD,    // the key is known there, or the server without keys answers
    PROBE_REFUSED, // 401
    PROBE_NOTHING, // anything else: says nothing about the key, but the host answers
    PROBE_FAILED,  // nobody answered
};

/* How often background rounds are; 0: never. */
void keypool_set_probe_interval(struct keypool *p, uint64_t interval_ms, uint64_t now_ms);

/*
 * Leases the next key that is due for a background probe, paced at two a second and host with
 * jitter. False: none is due now; `*ret_next_ms` is when to ask again.
 */
bool keypool_take_probe(struct keypool *p, uint64_t now_ms, struct lease *ret,
                        uint64_t *ret_next_ms);

/* What a probe found; `text` says what, for people. Gives the lease back. */
void keypool_report_probe(struct keypool *p, struct lease *lease, enum probe_result result,
                          str text, uint64_t now_ms);

/* Ends coolings whose time is over; returns when the next one is due (UINT64_MAX: none). */
uint64_t keypool_expire(struct keypool *p, uint64_t now_ms);

/* ---- looking ---- */

struct key_summary {
    uint64_t total;
    uint64_t by_state[KEY_STATES]; // as shown: keys of a cooling host count as cooling
    uint64_t requests;
    uint64_t tokens;
};

/* A number that rises whenever a key or host changes its state, is added or deleted. */
uint64_t keypool_version(const struct keypool *p);

/* O(hosts). */
void keypool_summary(struct keypool *p, uint64_t now_ms, struct key_summary *ret);

/* A key as it shows; strings live until the callback returns. */
struct key_view {
    uint64_t id;
    str old_id;
    str secret;
    str base_url;
    str name;
    uint32_t host;
    bool enabled;
    enum key_state state; // with the host's cooling and being disabled
    enum key_cause cause;
    enum cool_source source;
    int64_t until_ms; // wall clock: end of the cooling shown; 0: none
    int64_t since_ms; // wall clock: when it came into this state; 0: not known
    str reason;       // why it cools or is dead, for people; the host's while that cools
    int64_t added_ms;
    uint64_t success; // since the last keypool_flush(); in keypool_flush() only
    uint64_t fail;
    uint64_t new_tokens;
    struct key_life life; // its own, as it is to be stored
};

typedef void key_view_fn(void *arg, const struct key_view *view);

/*
 * Calls `fn` for at most `max` keys from place `from` on, under the mutex: so that a worker never
 * waits long, walk in steps of a few hundred. Returns where to go on, KEYPOOL_END at the end.
 */
uint32_t keypool_walk(struct keypool *p, uint32_t from, size_t max, uint64_t now_ms,
                      key_view_fn *fn, void *arg);

/* The same for one key; false: there is none. */
bool keypool_look(struct keypool *p, uint64_t id, uint64_t now_ms, key_view_fn *fn, void *arg);

/*
 * Calls `fn` for at most `max` keys that changed since they were flushed last, and counts them as
 * flushed. Returns the number of calls.
 */
size_t keypool_flush(struct keypool *p, size_t max, uint64_t now_ms, key_view_fn *fn, void *arg);

/* All that is to be stored of a key's refusals now; strings live until the callback returns. */
typedef void key_refusals_fn(void *arg, uint64_t key_id, const struct key_refusal *refusals,
                             size_t n);

/*
 * Calls `fn` for at most `max` keys whose refusals changed since they were flushed last. With
 * `*ret_forgotten` those of all keys were forgotten before. Returns the number of calls.
 */
size_t keypool_flush_refusals(struct keypool *p, size_t max, bool *ret_forgotten,
                              key_refusals_fn *fn, void *arg);

struct host_view {
    uint32_t host; // stays the same while it has keys, and for a minute longer
    str base_url;
    bool fallback;
    bool keyed;                    // at least one of its keys has a secret
    uint64_t by_state[KEY_STATES]; // own states of its keys
    bool cooling;
    enum key_cause cause;
    int64_t until_ms;
    int64_t since_ms; // wall clock: since when it cools, or does not any more; 0: it never did
    str reason;
    bool models_known;
    bool failed_last; // the last attempt there failed
};

uint32_t keypool_walk_hosts(struct keypool *p, uint32_t from, size_t max, uint64_t now_ms,
                            void (*fn)(void *arg, const struct host_view *view), void *arg);

/*
 * Appends the base URL that the host with this number had at `at_ms` (wall clock), also if it has
 * no key any more; nothing where that is not known.
 */
void keypool_put_host(struct keypool *p, uint32_t host, int64_t at_ms, struct buf *out);

/* "sk-a…wxyz" of a secret with 20 bytes or more; all hidden of a shorter one. */
str key_mask(str secret, char out[KEYPOOL_MASK_BYTES]);

#endif
