/*
 * keypool_private - what the .c files of the key pool share
 *
 * keypool.c        the mutex, settings, and what people do to keys
 * keypool_keys.c   keys, hosts and accounts come and go; the tables that find them
 * keypool_load.c   many keys at once, and what was stored of hosts
 * keypool_states.c the one function that moves a key, the one that moves a host, time
 * keypool_models.c which models a host has, and which keys a model refuses
 * keypool_choice.c which key a request gets
 * keypool_judge.c  what an answer does to key and host; the brake
 * keypool_health.c probes
 * keypool_look.c   views, sums, what has to be stored
 *
 * A key is in a slot of the pool, found by number, and at a place of its host, a small number that
 * ready sets are made of. All functions here expect the mutex to be held. Times are of the
 * monotonic clock but for those that say "wall".
 */
#ifndef CORE_KEYPOOL_PRIVATE_H
#define CORE_KEYPOOL_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/crypto.h"
#include "base/heap.h"
#include "base/list.h"
#include "core/keypool.h"
#include "core/ready_set.h"
#include "core/slot_table.h"

enum {
    FAILURES_IN_A_ROW = 3,
    CONNECT_FAILURES_IN_A_ROW = 2,

    FAILURE_COOL_MS = 5000, // hosts, and keys that misbehave
    FAILURE_COOL_MAX_MS = 300000,
    TROUBLE_COOL_MS = 1000,
    TROUBLE_COOL_MAX_MS = 5000,
    GUESSED_COOL_MAX_MS = 60000,
    COMPUTED_LONG_MS = 3600000, // from here on a computed wait is a guess that doubles
    COMPUTED_COOL_MAX_MS = 6 * 3600000,
    STATED_COOL_MAX_MS = 3600000,
    REFUSAL_MS = 3600000, // of a model
    REFUSAL_MAX_MS = 24 * 3600000,
    SIGNIN_REFUSAL_MS = 600000,
    DEAD_PROBE_MS = 600000,
    DEAD_PROBE_MAX_MS = 24 * 3600000,
    LOCAL_LOOK_MS = 5000, // the local server that an empty pool looks for

    BRAKE_VERDICTS = 20,
    BRAKE_KEYS = 5,
    BRAKE_PERCENT = 90,
    BRAKE_WINDOW_MS = 10000,

    TRIAL_MS = 30000, // a connect takes no longer: whoever tries has got that far, and another may

    PROBE_GAP_MS = 500,
    PROBE_JITTER_MS = 250,

    REFUSALS_BEFORE_PROVEN = 8, // of one request: then keys come first that have answered
    MODEL_REFUSALS_MAX = 1000000,
    EXPIRE_AT_ONCE = 16, // coolings that end on a request's time
    EXPIRE_STEP = 512,   // or on a timer's
    RESET_STEP = 256,
    EMPTY_HOST_MS = 60000, // a host without keys is kept, lest its number mean two hosts at once
    CHUNK_KEYS = 512,
    KEY_LINE_BYTES = 64,
    MODEL_NAME_BYTES = 256,
    BASE_URL_BYTES = 2048,
};

#define NEVER   UINT64_MAX
#define NO_SLOT UINT32_MAX

/* What doubled; a cooling of another kind begins anew. */
enum doubling {
    DOUBLING_NONE,
    DOUBLING_FAILURES,
    DOUBLING_GUESSED,
    DOUBLING_COMPUTED,
    DOUBLING_DEAD,
};

/*
 * Its first two cache lines are all that a request touches which goes well: with many keys each of
 * them is cold when its turn comes.
 */
struct key {
    _Alignas(KEY_LINE_BYTES) uint64_t id; // 0: the key of an empty pool
    uint32_t slot;
    uint32_t generation;
    uint32_t host;
    uint32_t place; // at the host
    uint32_t leases;
    uint8_t state; // own: enum key_state but KEY_IS_DISABLED
    uint8_t cause;
    uint8_t source;
    uint8_t row;      // failures since the last success
    uint8_t doubling; // enum doubling
    bool used;        // the slot holds a key, or one that was removed while leased
    bool gone;        // removed; freed with its last lease
    bool enabled;
    bool fallback;
    bool worked;
    uint32_t doublings;
    str secret;

    uint64_t requests;
    uint64_t failures;
    uint64_t tokens;
    uint64_t new_tokens; // since the last flush
    uint32_t new_success;
    uint32_t new_failures;
    int64_t last_used_ms; // wall
    str last_error;

    // touched when it moves
    uint64_t until_ms; // end of a cooling
    uint64_t probe_ms; // a dead key's next probe; a new key's first
    uint32_t moves;    // counted, so that a mark can tell whether it is still the last one
    struct heap_node cool;
    struct heap_node probe;
    str reason;
    uint32_t account;
    struct list account_link;

    int64_t last_check_ms; // wall
    int64_t added_ms;      // wall
    int64_t since_ms;      // wall: when it came into its state; 0: not known
    str name;
    str old_id;
};

/* One of the last verdicts about a host's keys; with what it did, to be taken back. */
struct verdict_note {
    uint64_t at_ms;
    uint32_t slot;
    uint32_t generation;
    bool counted;
    bool moved;
    uint32_t moves; // of the key after the move
    uint8_t row;    // of the key before
    uint8_t doubling;
    uint32_t doublings;
};

struct host {
    uint32_t index;         // while it lives
    int64_t born_ms;        // wall: when it got a number that was another one's; or 0
    uint64_t empty_ms;      // since then it has no key
    struct list empty_link; // in the pool's list then
    uint32_t n_gone;        // keys that were removed, and are leased
    str base_url;
    struct arena arena; // of url
    struct url url;
    uint32_t active_at; // index in the pool's list of hosts with enabled keys; NO_SLOT

    struct ready_set ready;
    uint32_t cursor;
    uint64_t share; // rounds that its ready keys were given, in SHARE_ROUND

    uint32_t *slots; // by place
    uint32_t n_places;
    uint32_t cap_places;
    uint32_t n_enabled;
    uint32_t n_keyed;
    uint64_t by_state[KEY_STATES]; // without the key of an empty pool

    struct heap failed;  // enabled keys that cool after failures
    struct heap limited; // or because of a limit
    struct heap doubted; // keys to be probed that cool or are dead
    struct heap fresh;   // or are new
    bool fresh_turn;
    uint64_t next_probe_ms;

    bool cooling;
    bool failed_last;
    uint8_t cause;
    uint32_t connect_failures; // in a row
    uint32_t doublings;
    uint64_t until_ms;
    uint64_t trial_ms; // since then a request tries the host, or a cooling key of it; 0: none does
    int64_t since_ms;  // wall clock: when it began to cool, or to be used again; 0: never cooled
    str reason;

    struct verdict_note notes[BRAKE_VERDICTS];
    uint32_t n_notes; // since the last success
    uint32_t next_note;

    bool models_known;
    uint64_t *models; // hashes of names, sorted
    size_t n_models;
    uint32_t n_sets;
};

/* One round of a host's ready keys, in the unit of host.share. */
#define SHARE_ROUND (UINT64_C(1) << 40)

/* A key that may not use a model. */
struct refusal {
    struct heap_node due; // in the set's heap while it holds; then its doublings are kept
    uint32_t slot;
    uint32_t doublings;
    uint32_t index; // among the set's
    bool signin;
};

/* What is known of a (host, model): who refused, who answered. */
struct model_set {
    uint64_t hash; // of the model's name
    str name;      // in the form that is hashed
    uint32_t host;
    uint64_t used; // the pool's tick of the last use
    bool own;      // a refusal came: the two ready sets below are kept
    struct ready_set answered;
    struct ready_set ready;  // ready keys that are not refused
    struct ready_set proven; // those of them that have answered
    uint32_t cursor;
    uint32_t proven_cursor;
    struct heap due;
    struct refusal **refusals;
    uint32_t n_refusals;
    uint32_t cap_refusals;
    uint32_t n_active; // refusals that hold
    uint32_t n_signin; // of them
    struct slot_table by_slot;
};

/* Keys that share limits. */
struct account {
    str name;
    uint32_t host;
    struct list keys;
    uint64_t until_ms; // all of them cool until then
    uint8_t doubling;  // as of a key
    uint32_t doublings;
};

struct keypool {
    pthread_mutex_t mutex;
    struct keypool_options options;
    _Atomic uint64_t version; // rises with each change that people see; read without the mutex
    uint64_t random;
    int64_t wall_offset_ms; // wall clock less monotonic clock
    unsigned char hash_key[CRYPTO_HASH_KEY_BYTES];

    struct key **chunks; // of CHUNK_KEYS
    uint32_t n_slots;    // in use once
    uint32_t n_chunks;
    uint32_t *free_slots;
    uint32_t n_free;
    uint32_t cap_free;
    uint32_t n_keys; // without the key of an empty pool
    uint32_t n_enabled;
    uint64_t requests; // sums over the keys
    uint64_t tokens;
    struct ready_set changed; // slots that have to be stored
    struct ready_set refused; // slots whose refusals have to be stored
    bool refusals_forgotten;  // and before them, that all were forgotten

    struct host **hosts;
    struct list empty_hosts; // struct host.empty_link, of those without keys, oldest first
    uint32_t n_hosts;
    uint32_t cap_hosts;
    struct host **active;
    uint32_t n_active;
    uint32_t cap_active;

    struct slot_table by_id;
    struct slot_table by_identity;
    struct slot_table by_old_id;
    struct slot_table by_url; // hosts

    struct account **accounts; // NULL: free
    uint32_t n_accounts;
    struct slot_table by_account;

    struct model_set *sets[KEYPOOL_MODEL_SETS_MAX]; // NULL: free
    struct slot_table by_model;
    uint32_t n_sets;
    uint32_t n_refusals;
    uint64_t tick;
    uint32_t n_lists; // hosts whose models are known

    uint32_t fallback; // slot; NO_SLOT: none
    bool loading;      // keys take places in their order, and are in no set yet

    uint64_t probe_interval_ms;
    uint64_t next_round_ms;
    uint64_t round_ms;   // beginning of the round
    uint32_t probe_host; // among the active ones: where the next probe is looked for
};

static inline struct key *key_at(const struct keypool *p, uint32_t slot)
{
    return &p->chunks[slot / CHUNK_KEYS][slot % CHUNK_KEYS];
}

static inline struct host *host_of(const struct keypool *p, const struct key *k)
{
    return p->hosts[k->host];
}

static inline int64_t wall_of(const struct keypool *p, uint64_t mono_ms)
{
    return (int64_t)mono_ms + p->wall_offset_ms;
}

/* ---- keypool.c ---- */

/* A random number below `n` (> 0). */
uint64_t keypool_random(struct keypool *p, uint64_t n);

/* `base_ms` doubled so often, at most `max_ms`, and up to a tenth away from it: never shorter
 * than it, never longer than the most. */
uint64_t keypool_jittered(struct keypool *p, uint64_t base_ms, uint32_t doublings, uint64_t max_ms);

/* The same without the tenth. */
uint64_t keypool_doubled(uint64_t base_ms, uint32_t doublings, uint64_t max_ms);

/* Replaces an owned text by a copy of the first `max` bytes of `text`. */
void text_set(str *owned, str text, size_t max);
void text_free(str *owned);

/* ---- keypool_keys.c ---- */

/* The slot of a key with this id; NO_SLOT: none. */
uint32_t key_slot_of_id(const struct keypool *p, uint64_t id);

/* The host with this base URL, made if there is none; NULL: it is no URL. */
struct host *host_get(struct keypool *p, str base_url, uint64_t now_ms);

/* The host with this base URL; NULL: there is none. */
struct host *host_find(const struct keypool *p, str base_url);

/* A key in a slot and at a place of `h`; in no set. */
struct key *key_new(struct keypool *p, struct host *h, str secret);

/* Frees a key that was removed, with its last lease. */
void key_free_slot(struct keypool *p, struct key *k);

/* Takes a removed key out of its host. */
void key_leave_host(struct keypool *p, struct key *k, uint64_t now_ms);

void key_set_account(struct keypool *p, struct key *k, str name);
void key_leave_account(struct keypool *p, struct key *k);
struct account *account_of_key(const struct keypool *p, const struct key *k);

void keypool_free_tables(struct keypool *p);

/* ---- keypool_states.c ---- */

/* Where a key goes, and why. */
struct key_change {
    enum key_state to; // not KEY_IS_DISABLED
    enum key_cause cause;
    enum cool_source source;
    uint64_t until_ms; // end of a cooling; a dead key's next probe
    const char *reason;
};

/* Moves a key, or gives it another time; tells on_move. */
void key_move(struct keypool *p, struct key *k, const struct key_change *change, uint64_t now_ms);

/* Into and out of all sets that its state and being enabled put it in. */
void key_enter(struct keypool *p, struct key *k);
void key_leave(struct keypool *p, struct key *k);

/* Enables or disables; tells on_move. */
void key_enable(struct keypool *p, struct key *k, bool enabled, uint64_t now_ms);

/* Whether nothing is known of the key yet. */
bool key_is_new(const struct key *k);

static inline void key_changed(struct keypool *p, const struct key *k)
{
    if (!k->fallback && !k->gone)
        ready_set_insert(&p->changed, k->slot);
}

/* To be called under the mutex by whatever changes what people see of keys and hosts. */
static inline void pool_changed(struct keypool *p)
{
    uint64_t version = atomic_load_explicit(&p->version, memory_order_relaxed);
    atomic_store_explicit(&p->version, version + 1, memory_order_relaxed);
}

/* Cools a host, or cools it longer. */
void host_cool(struct keypool *p, struct host *h, enum key_cause cause, str reason,
               uint64_t now_ms);
void host_back(struct keypool *p, struct host *h, enum key_cause cause, const char *reason,
               uint64_t now_ms);

/* Whether a fallback on this machine is looked for every LOCAL_LOOK_MS. */
bool host_is_local_fallback(const struct keypool *p, const struct host *h);

/* Ends at most `max` coolings of keys of `h`; returns how many it ended. */
size_t host_expire(struct keypool *p, struct host *h, size_t max, uint64_t now_ms);

/* ---- keypool_models.c ---- */

/* Hash of a model's name, as equal for equal names: case and ":latest" do not count. */
uint64_t model_hash(const struct keypool *p, str model);

/* Whether anything of the pool depends on the model. */
static inline bool models_matter(const struct keypool *p)
{
    return p->n_lists > 0 || p->n_sets > 0;
}

/* The hash of the model that a lease was used for. */
static inline uint64_t model_of_lease(const struct keypool *p, const struct lease *lease, str model)
{
    return lease->model_hash != 0 ? lease->model_hash : model_hash(p, model);
}

bool host_has_model(const struct host *h, uint64_t hash);

/* What is known of (host, model); NULL: nothing. */
struct model_set *model_set_find(const struct keypool *p, const struct host *h, uint64_t hash);

/* Notes that the key has answered the model: what was refused before is forgotten. */
void model_answered(struct keypool *p, struct key *k, const struct lease *lease, str model);

/* A model as a request names it. */
struct asked_model {
    uint64_t hash; // 0: none
    str name;
};

/* Notes that the key may not use the model. */
void model_refused(struct keypool *p, struct key *k, struct asked_model asked, bool signin,
                   uint64_t now_ms);

/* The refusal of the key that holds; NULL: none. */
const struct refusal *model_refusal(const struct model_set *m, const struct key *k);

/* Ends at most `max` refusals whose time is over. */
size_t model_set_expire(struct keypool *p, struct model_set *m, size_t max, uint64_t now_ms);

/* The key became ready, or is not any more. */
void models_key_ready(struct keypool *p, struct key *k, bool ready);

/* The key that was at place `from` is at place `to`, where none was. */
void models_key_place(struct keypool *p, struct host *h, uint32_t from, uint32_t to);

/* Forgets what models refused the key; with `answered`, also what it answered. */
void models_forget_key(struct keypool *p, struct key *k, bool answered);

/* Forgets all that is known of a host's models. */
void models_forget_host(struct keypool *p, struct host *h);

/* Forgets all refusals and answers. */
void models_forget_all(struct keypool *p);

/* ---- keypool_load.c ---- */

/* What is left of a deadline of the wall clock, at most `max_ms`: the clock may have been wrong. */
uint64_t keypool_deadline(const struct keypool *p, int64_t wall_ms, uint64_t max_ms,
                          uint64_t now_ms);

/* ---- keypool_choice.c ---- */

/* Leases the key; as a `trial` of its host or of itself. */
void lease_key(struct keypool *p, struct key *k, bool trial, uint64_t now_ms, struct lease *ret);

/* Whether a request tries the host, or one of its cooling keys, now. */
static inline bool host_on_trial(const struct host *h, uint64_t now_ms)
{
    return h->trial_ms != 0 && now_ms < h->trial_ms + TRIAL_MS;
}

/* ---- keypool_judge.c ---- */

/* Gives a lease back; returns its key, or NULL if that was removed. */
struct key *lease_return(struct keypool *p, struct lease *lease);

/* A use of the key was good: host and key are well. */
void judge_good(struct keypool *p, struct key *k, enum key_cause cause, uint64_t now_ms);

/*
 * Notes a verdict for the brake. Returns false if it must not mark the key: the brake is on, or
 * has fired now.
 */
bool brake_note(struct keypool *p, struct key *k, bool counted, uint64_t now_ms);

/* Notes what the verdict that was noted last did to the key. */
void brake_note_mark(struct keypool *p, const struct key *k, uint32_t moves_before);

/* Nobody answers at the host. */
void judge_no_connect(struct keypool *p, struct host *h, bool trial, str text, uint64_t now_ms);

/* The host answers, whatever it says. */
void judge_contact(struct keypool *p, struct host *h, bool trial, bool counted, uint64_t now_ms);

/* The upstream refused the key. */
void judge_dead(struct keypool *p, struct key *k, str text, uint64_t now_ms);

/* ---- keypool_health.c ---- */

/* Plans the probe again that a lease was for, if it was. */
void key_plan_probe_again(struct keypool *p, struct key *k, uint64_t now_ms);

#endif
