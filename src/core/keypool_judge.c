#include "core/keypool.h"

#include <stdio.h>

#include "core/keypool_private.h"

#define REASON_BYTES 640

/* ---- leases ---- */

struct key *lease_return(struct keypool *p, struct lease *lease)
{
    if (lease->slot == KEYPOOL_END)
        return NULL;
    struct key *k = key_at(p, lease->slot);
    if (lease->trial)
        p->hosts[lease->host]->trial_ms = 0;
    lease->slot = KEYPOOL_END;
    lease->secret = (str){NULL, 0};
    k->leases--;
    if (!k->gone)
        return k;
    if (k->leases == 0)
        key_free_slot(p, k);
    return NULL;
}

void keypool_release(struct keypool *p, struct lease *lease, uint64_t now_ms)
{
    pthread_mutex_lock(&p->mutex);
    struct key *k = lease_return(p, lease);
    if (k != NULL)
        key_plan_probe_again(p, k, now_ms);
    pthread_mutex_unlock(&p->mutex);
}

/* ---- good news ---- */

static void host_good(struct keypool *p, struct host *h, enum key_cause cause, uint64_t now_ms)
{
    h->connect_failures = 0;
    h->n_notes = 0;
    h->failed_last = false;
    if (h->cooling)
        host_back(p, h, cause, "it answers again", now_ms);
}

static void forget_doublings(struct keypool *p, struct key *k)
{
    if (k->doublings == 0)
        return;
    k->doublings = 0;
    if (k->account != NO_SLOT)
        account_of_key(p, k)->doublings = 0;
}

void judge_good(struct keypool *p, struct key *k, enum key_cause cause, uint64_t now_ms)
{
    struct host *h = host_of(p, k);
    host_good(p, h, cause, now_ms);
    k->row = 0;
    k->worked = true;
    if (k->state == KEY_IS_READY) {
        forget_doublings(p, k);
        if (k->requests <= 1) // it is not new any more
            heap_remove(&h->fresh, &k->probe);
        if (k->last_error.len > 0)
            text_free(&k->last_error);
    } else if (k->state == KEY_IS_COOLING && k->cause == CAUSE_FAILURES) {
        key_move(
            p, k,
            &(struct key_change){.to = KEY_IS_READY, .cause = cause, .reason = "it answers again"},
            now_ms);
    }
}

void keypool_report_success(struct keypool *p, struct lease *lease, str model, uint64_t tokens,
                            uint64_t now_ms)
{
    pthread_mutex_lock(&p->mutex);
    struct host *h = p->hosts[lease->host];
    struct key *k = lease_return(p, lease);
    if (k == NULL) {
        host_good(p, h, CAUSE_SUCCESS, now_ms);
    } else {
        k->requests++;
        k->new_success++;
        k->tokens += tokens;
        k->new_tokens += tokens;
        k->last_used_ms = wall_of(p, now_ms);
        if (!k->fallback) {
            p->requests++;
            p->tokens += tokens;
        }
        judge_good(p, k, CAUSE_SUCCESS, now_ms);
        if (model.len > 0)
            model_answered(p, k, lease, model);
        key_changed(p, k);
    }
    pthread_mutex_unlock(&p->mutex);
}

void keypool_note_answer(struct keypool *p, struct lease *lease, uint64_t now_ms)
{
    if (!lease->trial || lease->slot == KEYPOOL_END)
        return;
    pthread_mutex_lock(&p->mutex);
    struct key *k = key_at(p, lease->slot); // kept by the lease, even if it was removed
    lease->trial = false;
    p->hosts[lease->host]->trial_ms = 0;
    if (k->gone)
        host_good(p, host_of(p, k), CAUSE_SUCCESS, now_ms);
    else
        judge_good(p, k, CAUSE_SUCCESS, now_ms);
    pthread_mutex_unlock(&p->mutex);
}

/* ---- the brake ---- */

static struct verdict_note *note_at(struct host *h, uint32_t back)
{
    return &h->notes[(h->next_note + BRAKE_VERDICTS - 1 - back) % BRAKE_VERDICTS];
}

static bool seen_before(struct host *h, uint32_t back)
{
    for (uint32_t i = 0; i < back; i++) {
        if (note_at(h, i)->counted && note_at(h, i)->slot == note_at(h, back)->slot)
            return true;
    }
    return false;
}

static bool brake_fires(struct host *h, uint64_t now_ms)
{
    uint32_t n = 0;
    uint32_t counted = 0;
    uint32_t keys = 0;
    for (; n < h->n_notes && note_at(h, n)->at_ms + BRAKE_WINDOW_MS >= now_ms; n++) {
        if (!note_at(h, n)->counted)
            continue;
        counted++;
        keys += !seen_before(h, n);
    }
    return keys >= BRAKE_KEYS && counted * 100 >= n * BRAKE_PERCENT;
}

/* Puts the key back where it was before the verdict. */
static void take_back(struct keypool *p, const struct verdict_note *note, uint64_t now_ms)
{
    struct key *k = key_at(p, note->slot);
    if (k->generation != note->generation || k->gone)
        return;
    if (k->row > note->row)
        k->row = note->row;
    if (!note->moved || k->moves != note->moves)
        return;
    k->doubling = note->doubling;
    k->doublings = note->doublings;
    key_move(p, k,
             &(struct key_change){.to = KEY_IS_READY,
                                  .cause = CAUSE_BRAKE,
                                  .reason = "taken back: many keys of the host failed at once"},
             now_ms);
}

static void brake(struct keypool *p, struct host *h, uint64_t now_ms)
{
    for (uint32_t i = 0; i < h->n_notes && note_at(h, i)->at_ms + BRAKE_WINDOW_MS >= now_ms; i++) {
        if (note_at(h, i)->counted)
            take_back(p, note_at(h, i), now_ms);
    }
    h->n_notes = 0;
    host_cool(p, h, CAUSE_BRAKE, STR("many of its keys failed at once"), now_ms);
}

bool brake_note(struct keypool *p, struct key *k, bool counted, uint64_t now_ms)
{
    struct host *h = host_of(p, k);
    h->notes[h->next_note] = (struct verdict_note){
        .at_ms = now_ms,
        .slot = k->slot,
        .generation = k->generation,
        .counted = counted,
        .row = k->row,
        .doubling = k->doubling,
        .doublings = k->doublings,
    };
    h->next_note = (h->next_note + 1) % BRAKE_VERDICTS;
    h->n_notes += h->n_notes < BRAKE_VERDICTS;
    if (!counted)
        return true;
    if (h->cooling)
        return h->cause != CAUSE_BRAKE;
    if (!brake_fires(h, now_ms))
        return true;
    brake(p, h, now_ms);
    return false;
}

void brake_note_mark(struct keypool *p, const struct key *k, uint32_t moves_before)
{
    struct verdict_note *note = note_at(host_of(p, k), 0);
    note->moved = k->moves != moves_before;
    note->moves = k->moves;
}

/* ---- what a verdict does to the host ---- */

void judge_no_connect(struct keypool *p, struct host *h, bool trial, str text, uint64_t now_ms)
{
    uint32_t needed = host_is_local_fallback(p, h) ? 1 : CONNECT_FAILURES_IN_A_ROW;
    h->connect_failures++;
    // While it cools only the one that tries it has something to say.
    if (h->cooling ? trial : h->connect_failures >= needed)
        host_cool(p, h, CAUSE_CONNECT, text, now_ms);
}

void judge_contact(struct keypool *p, struct host *h, bool trial, bool counted, uint64_t now_ms)
{
    h->connect_failures = 0;
    if (!h->cooling || !trial)
        return;
    if (h->cause == CAUSE_BRAKE && counted)
        host_cool(p, h, CAUSE_BRAKE, STR("its keys fail still"), now_ms);
    else
        host_back(p, h, CAUSE_SUCCESS, "it answers again", now_ms);
}

static void judge_host(struct keypool *p, struct host *h, const struct verdict *v, bool trial,
                       bool counted, uint64_t now_ms)
{
    if (v->host == HOST_NO_CONNECT) {
        judge_no_connect(p, h, trial, v->note, now_ms);
    } else if (v->host == HOST_AT_FAULT) {
        h->connect_failures = 0;
        if (!h->cooling || trial)
            host_cool(p, h, CAUSE_HOST, v->note, now_ms);
    } else {
        judge_contact(p, h, trial, counted, now_ms);
    }
}

/* ---- what a verdict does to the key ---- */

/* How often a time of this kind was doubled. */
static uint32_t doublings_of(struct key *k, enum doubling kind)
{
    if (k->doubling != kind)
        k->doublings = 0;
    k->doubling = (uint8_t)kind;
    return k->doublings;
}

static void double_next(struct key *k)
{
    if (k->doublings < 32)
        k->doublings++;
}

void judge_dead(struct keypool *p, struct key *k, str text, uint64_t now_ms)
{
    char reason[REASON_BYTES];
    if (k->state == KEY_IS_DEAD) // requests that were under way
        return;
    (void)doublings_of(k, DOUBLING_DEAD);
    k->doublings = 0;
    snprintf(reason, sizeof(reason), "refused: %.*s", STR_ARG(text));
    key_move(p, k,
             &(struct key_change){.to = KEY_IS_DEAD,
                                  .cause = CAUSE_REFUSED,
                                  .until_ms = now_ms + DEAD_PROBE_MS,
                                  .reason = reason},
             now_ms);
}

/* Of a run of failures. */
struct failure {
    uint64_t base_ms;
    uint64_t max_ms;
    bool trial;
    str text;
};

static void fail_key(struct keypool *p, struct key *k, const struct failure *f, uint64_t now_ms)
{
    char reason[REASON_BYTES];
    k->row += k->row < UINT8_MAX;
    bool cools = k->state == KEY_IS_COOLING;
    bool alone = k->enabled && p->n_enabled == 1;
    if (alone || k->row < FAILURES_IN_A_ROW || k->state == KEY_IS_DEAD)
        return;
    if (cools && (k->cause == CAUSE_LIMIT || !f->trial))
        return;
    uint32_t doublings = doublings_of(k, DOUBLING_FAILURES);
    double_next(k);
    snprintf(reason, sizeof(reason), "%u failures in a row; the last: %.*s", (unsigned)k->row,
             STR_ARG(f->text));
    key_move(p, k,
             &(struct key_change){.to = KEY_IS_COOLING,
                                  .cause = CAUSE_FAILURES,
                                  .until_ms = now_ms +
                                              keypool_jittered(p, f->base_ms, doublings, f->max_ms),
                                  .reason = reason},
             now_ms);
}

static uint64_t limit_ms(struct key *k, const struct verdict *v)
{
    uint64_t ms = (uint64_t)v->cool_s * 1000;
    bool guessed = v->cool_source == COOL_GUESSED;
    if (!guessed && (v->cool_source != COOL_COMPUTED || ms < COMPUTED_LONG_MS))
        return ms;
    ms = keypool_doubled(ms, doublings_of(k, guessed ? DOUBLING_GUESSED : DOUBLING_COMPUTED),
                         guessed ? GUESSED_COOL_MAX_MS : COMPUTED_COOL_MAX_MS);
    double_next(k);
    return ms;
}

static bool is_limited(const struct key *k, uint64_t now_ms)
{
    return k->state == KEY_IS_COOLING && k->cause == CAUSE_LIMIT && k->until_ms > now_ms;
}

static void cool_limited(struct keypool *p, struct key *k, const struct key_change *change,
                         uint64_t now_ms)
{
    bool longer = !is_limited(k, now_ms) || k->until_ms < change->until_ms;
    if (k->state != KEY_IS_DEAD && longer)
        key_move(p, k, change, now_ms);
}

/* What doubled for one key of an account has doubled for all. */
static void join_account(struct keypool *p, struct key *k, str name)
{
    key_set_account(p, k, name);
    const struct account *a = account_of_key(p, k);
    if (a->doubling != DOUBLING_NONE) {
        k->doubling = a->doubling;
        k->doublings = a->doublings;
    }
}

/* Cools all keys of the account alike. */
static void limit_account(struct keypool *p, struct key *k, const struct key_change *change,
                          uint64_t now_ms)
{
    struct account *a = account_of_key(p, k);
    a->doubling = k->doubling;
    a->doublings = k->doublings;
    if (a->until_ms >= change->until_ms) // they were told so by another key's answer
        return;
    a->until_ms = change->until_ms;
    for (struct list *at = a->keys.next; at != &a->keys; at = at->next) {
        struct key *other = list_entry(at, struct key, account_link);
        cool_limited(p, other, change, now_ms);
    }
}

static void limit_key(struct keypool *p, struct key *k, const struct verdict *v, uint64_t now_ms)
{
    static const char *const sources[] = {
        [COOL_NONE] = "",
        [COOL_STATED] = "the upstream named the time",
        [COOL_COMPUTED] = "the time is computed",
        [COOL_GUESSED] = "the time is a guess",
    };
    char reason[REASON_BYTES];
    if (v->account.len > 0)
        join_account(p, k, v->account);
    bool limited = is_limited(k, now_ms);
    uint64_t until_ms = k->until_ms;
    // Answers to requests that were under way do not double what the first of them began.
    if (!limited || v->cool_source == COOL_STATED)
        until_ms = now_ms + limit_ms(k, v);
    snprintf(reason, sizeof(reason), "limited (%s): %.*s", sources[v->cool_source],
             STR_ARG(v->note));
    struct key_change change = {.to = KEY_IS_COOLING,
                                .cause = CAUSE_LIMIT,
                                .source = v->cool_source,
                                .until_ms = until_ms,
                                .reason = reason};
    cool_limited(p, k, &change, now_ms);
    if (v->account.len > 0)
        limit_account(p, k, &change, now_ms);
}

static void mark_key(struct keypool *p, struct key *k, struct asked_model asked,
                     const struct verdict *v, bool trial, uint64_t now_ms)
{
    struct failure f = {.trial = trial, .text = v->note};
    switch (v->key) {
    case KEY_NO_VERDICT:
        break;
    case KEY_DEAD:
        judge_dead(p, k, v->note, now_ms);
        break;
    case KEY_LIMITED:
        limit_key(p, k, v, now_ms);
        break;
    case KEY_MISBEHAVED:
        f.base_ms = FAILURE_COOL_MS;
        f.max_ms = FAILURE_COOL_MAX_MS;
        fail_key(p, k, &f, now_ms);
        break;
    case KEY_IN_TROUBLE:
        f.base_ms = TROUBLE_COOL_MS;
        f.max_ms = TROUBLE_COOL_MAX_MS;
        fail_key(p, k, &f, now_ms);
        break;
    case KEY_MODEL_REFUSED:
    case KEY_MODEL_SIGNIN:
        if (asked.hash != 0)
            model_refused(p, k, asked, v->key == KEY_MODEL_SIGNIN, now_ms);
        break;
    }
}

/* ---- a failed attempt ---- */

/* Whether the verdict speaks against key or host, and not only against the request. */
static bool is_failure(const struct verdict *v)
{
    return v->key != KEY_NO_VERDICT || v->counts || v->host == HOST_NO_CONNECT ||
           v->host == HOST_AT_FAULT;
}

/* Whether the brake counts it: what a fault of host or network looks like. */
static bool is_counted(const struct verdict *v, const struct key *k)
{
    return v->host == HOST_NO_CONNECT || v->host == HOST_AT_FAULT || v->key == KEY_MISBEHAVED ||
           v->key == KEY_IN_TROUBLE || (v->key == KEY_DEAD && k->worked);
}

static void count_use(struct keypool *p, struct key *k, const struct verdict *v, uint64_t now_ms)
{
    bool failed = is_failure(v);
    k->requests++;
    if (!k->fallback)
        p->requests++;
    k->failures += failed;
    k->new_failures += failed;
    k->new_success += !failed;
    k->last_used_ms = wall_of(p, now_ms);
    if (failed)
        text_set(&k->last_error, v->note, KEYPOOL_ERROR_BYTES);
    if (k->state == KEY_IS_READY && k->requests == 1) // it is not new any more
        heap_remove(&host_of(p, k)->fresh, &k->probe);
    key_changed(p, k);
}

void keypool_report_failure(struct keypool *p, struct lease *lease, str model,
                            const struct verdict *verdict, uint64_t now_ms)
{
    pthread_mutex_lock(&p->mutex);
    struct host *h = p->hosts[lease->host];
    bool trial = lease->trial;
    struct asked_model asked = {0, model};
    if (model.len > 0)
        asked.hash = model_of_lease(p, lease, model);
    struct key *k = lease_return(p, lease);
    bool counted = k != NULL && is_counted(verdict, k);
    uint32_t moves = k != NULL ? k->moves : 0;
    bool marks = k != NULL && brake_note(p, k, counted, now_ms);
    h->failed_last = is_failure(verdict);
    judge_host(p, h, verdict, trial, counted, now_ms);
    if (k != NULL)
        count_use(p, k, verdict, now_ms);
    if (k != NULL && marks) {
        mark_key(p, k, asked, verdict, trial, now_ms);
        brake_note_mark(p, k, moves);
    }
    pthread_mutex_unlock(&p->mutex);
}
