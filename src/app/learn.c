#include "app/learn.h"

#include <stdlib.h>
#include <string.h>

#include "app/catalog.h"
#include "app/upstream.h"
#include "base/log.h"
#include "base/xalloc.h"

#define ASK_TIMEOUT_MS      10000 // later than anybody waits: a slow answer is used by the next
#define PARSE_PER_BODY_BYTE 10    // what parsing may take; see codec/json.h
#define PARSE_SPARE_BYTES   ((size_t)1 << 20)
#define HOSTS_PER_STEP      64

/* One question under way. */
struct ask {
    struct list link; // in worker->asks
    struct worker *worker;
    struct snapshot *snapshot; // a counted reference
    struct lease lease;        // of the host that is asked
    char *name;                // of a model; NULL: the list
    struct key_search search;  // the hosts that were asked for the model
    bool doubted;              // one of those could not say, and `doubt` is why
    struct fetch_result doubt; // without texts
    bool in_round;
    struct fetch *fetch;
    uint64_t started_ms;
    struct list waits; // for a model
};

/* All hosts are asked for their lists, one after the other. */
struct learn_round {
    struct worker *worker;
    struct snapshot *snapshot; // a counted reference
    uint64_t started_ms;
    uint32_t from; // where the walk over the hosts goes on; KEYPOOL_END: it is at its end
    uint32_t hosts[HOSTS_PER_STEP]; // found and not yet asked
    size_t n_hosts;
    size_t n_running;
    bool ok;           // an answer came
    bool without_keys; // the pool is empty, and its fallback is asked
    struct list waits;
    struct loop_timer grace; // ends their wait
};

void learn_wait_init(struct learn_wait *wait, learn_fn *fn, void *arg)
{
    list_init(&wait->link);
    wait->fn = fn;
    wait->arg = arg;
}

void learn_leave(struct learn_wait *wait)
{
    list_remove(&wait->link);
}

static void tell(struct list *waits, const struct learned *learned)
{
    while (!list_empty(waits)) {
        struct learn_wait *wait = list_entry(waits->next, struct learn_wait, link);
        list_remove(&wait->link);
        wait->fn(wait->arg, learned);
    }
}

static uint64_t now_ms_of(const struct worker *w)
{
    return loop_now_ms(w->loop);
}

static void ask_free(struct ask *ask)
{
    list_remove(&ask->link);
    if (ask->lease.slot != KEYPOOL_END)
        keypool_release(ask->worker->program->keypool, &ask->lease, now_ms_of(ask->worker));
    key_search_release(&ask->search);
    snapshot_release(ask->snapshot);
    free(ask->name);
    free(ask);
}

/* ---- answers ---- */

/* Tells the pool which models a host has. */
static void tell_pool(struct keypool *pool, uint32_t host, const struct model_list *list)
{
    str *names = xcalloc(list->n + 1, sizeof(*names));
    for (size_t i = 0; i < list->n; i++)
        names[i] = list->items[i].name;
    keypool_set_models(pool, host, names, list->n);
    free(names);
}

static bool take_list(const struct ask *ask, struct arena *a, const struct fetch_result *result)
{
    struct program *p = ask->worker->program;
    struct model_list list;
    struct err_info info = {0};
    if (result->how != ATTEMPT_STATUS || result->status != 200) {
        log_debug("models_failed", LOG_STR("host", ask->lease.url->authority),
                  LOG_INT("status", result->status), LOG_STR("detail", result->detail));
        return false;
    }
    enum err e = ollama_tags_decode(a, result->body, &list, &info);
    if (e == ERR_OK) {
        // The pool first: who sees a model in the list may ask for it.
        tell_pool(p->keypool, ask->lease.host, &list);
        e = catalog_publish(p->catalog, ask->lease.host, &list, now_ms_of(ask->worker));
    }
    if (e != ERR_OK) {
        log_warn("models_not_understood", LOG_STR("host", ask->lease.url->authority),
                 LOG_STR("why", str_z(info.text)), LOG_INT("bytes", result->body.len));
        return false;
    }
    log_debug("models", LOG_STR("host", ask->lease.url->authority), LOG_INT("n", list.n));
    return true;
}

bool learn_says_missing(const struct fetch_result *result)
{
    return result->how == ATTEMPT_STATUS &&
           (result->status == 404 || result->status == 400 || result->status == 405);
}

static bool take_model(struct arena *a, struct learned *learned)
{
    const struct fetch_result *result = learned->result;
    bool ok = result->how == ATTEMPT_STATUS && result->status == 200 &&
              ollama_show_decode(a, result->body, &learned->show, NULL) == ERR_OK;
    if (!ok)
        learned->show = (struct ollama_show){0};
    return ok;
}

static bool ask_next(struct ask *ask);

/* No host has shown the model. It is missing only if each of them said so. */
static void settle_model(struct ask *ask, struct learned *learned)
{
    if (!learned->ok && ask->doubted && learn_says_missing(learned->result))
        learned->result = &ask->doubt;
    if (!learned->ok && learn_says_missing(learned->result))
        learned->left = keypool_ask(ask->worker->program->keypool, &ask->search, str_z(ask->name),
                                    now_ms_of(ask->worker), &learned->wait_ms);
    catalog_note(ask->worker->program->catalog, str_z(ask->name), learned->show.abilities,
                 now_ms_of(ask->worker));
}

/* True: another host is asked for the model now, and those who wait go on waiting. */
static bool move_on(struct ask *ask, const struct learned *learned)
{
    if (ask->name == NULL || learned->ok)
        return false;
    bool doubts = !learn_says_missing(learned->result);
    if (!ask_next(ask))
        return false;
    if (doubts)
        ask->doubt =
            (struct fetch_result){.how = learned->result->how, .status = learned->result->status};
    ask->doubted = ask->doubted || doubts;
    return true;
}

static void round_on_answer(struct learn_round *round, struct learned *learned);

static void on_result(void *arg, const struct fetch_result *result)
{
    struct ask *ask = arg;
    struct worker *w = ask->worker;
    struct arena arena;
    struct learned learned = {.result = result};
    arena_init(&arena, PARSE_SPARE_BYTES + PARSE_PER_BODY_BYTE * result->body.len);
    if (ask->name == NULL)
        learned.ok = take_list(ask, &arena, result);
    else
        learned.ok = take_model(&arena, &learned);
    arena_release(&arena);
    if (ask->name != NULL && !learned.ok && learn_says_missing(result))
        key_search_lacks_model(&ask->search, &ask->lease);
    fetch_give_back(w, ask->snapshot->config, &ask->lease, result);
    if (move_on(ask, &learned))
        return;
    list_remove(&ask->link); // whoever asks again from here on asks anew
    if (ask->name != NULL)
        settle_model(ask, &learned);
    tell(&ask->waits, &learned);
    bool in_round = ask->in_round;
    ask_free(ask);
    if (in_round && w->round != NULL)
        round_on_answer(w->round, &learned);
}

/* ---- questions ---- */

/* An empty name: the list. Nothing is asked yet. */
static struct ask *ask_new(struct worker *w, struct snapshot *s, str name)
{
    struct ask *ask = xcalloc(1, sizeof(*ask));
    ask->worker = w;
    ask->snapshot = snapshot_acquire(s);
    ask->started_ms = now_ms_of(w);
    ask->lease.slot = KEYPOOL_END;
    list_init(&ask->waits);
    list_append(&w->asks, &ask->link);
    if (name.len > 0) {
        ask->name = xcalloc(1, name.len + 1);
        memcpy(ask->name, name.p, name.len);
    }
    return ask;
}

/* Asks the host of the lease. */
static void ask_send(struct ask *ask)
{
    struct fetch_request request = {
        .snapshot = ask->snapshot, .lease = &ask->lease, .timeout_ms = ASK_TIMEOUT_MS};
    if (ask->name == NULL) {
        request.method = STR("GET");
        request.path = STR("/api/tags");
    } else {
        str name = str_z(ask->name);
        request.method = STR("POST");
        request.path = STR("/api/show");
        buf_init(&request.body, 64 + 6 * name.len); // a byte is six of an escape at most
        ollama_show_encode(name, &request.body);
    }
    ask->fetch = fetch_start(ask->worker, &request, on_result, ask);
}

static bool may_ask(struct worker *w, const struct snapshot *s)
{
    return upstream_may_try(&w->program->upstream, w->program->keypool, s->config, now_ms_of(w));
}

/* For how long an answer is worth waiting for that was asked for `started_ms`. */
static uint64_t worth_ms(const struct worker *w, uint64_t started_ms)
{
    uint64_t age_ms = now_ms_of(w) - started_ms;
    return age_ms < LEARN_WAIT_MS ? LEARN_WAIT_MS - age_ms : 0;
}

/* ---- one model ---- */

static struct ask *find_ask(struct worker *w, str name)
{
    for (struct list *l = w->asks.next; l != &w->asks; l = l->next) {
        struct ask *ask = list_entry(l, struct ask, link);
        if (ask->name != NULL && str_eq(str_z(ask->name), name))
            return ask;
    }
    return NULL;
}

/*
 * Asks a host that is likely to have the model and was not asked yet. False: there is none, or
 * nobody waits any more.
 */
static bool ask_next(struct ask *ask)
{
    struct worker *w = ask->worker;
    uint64_t wait_ms;
    if (ask->search.n >= LEARN_SHOWS_MAX || worth_ms(w, ask->started_ms) == 0 ||
        !may_ask(w, ask->snapshot) ||
        keypool_acquire(w->program->keypool, &ask->search, str_z(ask->name), true, now_ms_of(w),
                        &ask->lease, &wait_ms) != PICK_KEY)
        return false;
    ask_send(ask);
    return true;
}

/* NULL: no host can be asked. */
static struct ask *ask_model(struct worker *w, struct snapshot *s, str name)
{
    struct ask *ask = ask_new(w, s, name);
    if (ask_next(ask))
        return ask;
    ask_free(ask);
    return NULL;
}

bool learn_model(struct worker *w, struct snapshot *s, str name, struct learn_wait *wait,
                 uint64_t *ret_ms)
{
    struct ask *ask = find_ask(w, name);
    if (ask == NULL)
        ask = ask_model(w, s, name);
    if (ask == NULL)
        return false;
    if (wait != NULL)
        list_append(&ask->waits, &wait->link);
    *ret_ms = worth_ms(w, ask->started_ms);
    return true;
}

/* ---- the list ---- */

/* Asks one host, if it has a key to ask with. */
static struct ask *ask_host(struct worker *w, struct snapshot *s, uint32_t host)
{
    struct lease lease;
    if (!keypool_acquire_host(w->program->keypool, host, now_ms_of(w), &lease))
        return NULL;
    struct ask *ask = ask_new(w, s, STR(""));
    ask->lease = lease;
    ask_send(ask);
    return ask;
}

static void on_host(void *arg, const struct host_view *view)
{
    struct learn_round *round = arg;
    if (view->fallback == round->without_keys)
        round->hosts[round->n_hosts++] = view->host;
}

/* Asks further hosts, as many as may be asked at once; false when all have answered. */
static bool round_go_on(struct learn_round *round)
{
    struct worker *w = round->worker;
    struct keypool *pool = w->program->keypool;
    while (round->n_running < LEARN_HOSTS_AT_ONCE) {
        if (round->n_hosts == 0 && round->from == KEYPOOL_END)
            break;
        if (round->n_hosts == 0) {
            round->from =
                keypool_walk_hosts(pool, round->from, HOSTS_PER_STEP, now_ms_of(w), on_host, round);
            continue;
        }
        uint32_t host = round->hosts[--round->n_hosts];
        catalog_mark_host(w->program->catalog, host, round->started_ms);
        struct ask *ask = ask_host(w, round->snapshot, host);
        if (ask == NULL)
            continue;
        ask->in_round = true;
        round->n_running++;
    }
    return round->n_running > 0;
}

static void round_free(struct learn_round *round)
{
    if (round->worker->round == round)
        round->worker->round = NULL;
    loop_timer_cancel(round->worker->loop, &round->grace);
    snapshot_release(round->snapshot);
    free(round);
}

/* Those who wait have waited long enough for hosts that are slower than others. */
static void on_grace(void *arg)
{
    static const struct fetch_result late = {.how = ATTEMPT_TIMEOUT};
    struct learn_round *round = arg;
    struct learned learned = {.result = &late, .ok = true};
    tell(&round->waits, &learned);
}

static void round_on_answer(struct learn_round *round, struct learned *learned)
{
    struct worker *w = round->worker;
    round->n_running--;
    if (learned->ok && !round->ok)
        loop_timer_set(w->loop, &round->grace, LEARN_GRACE_MS);
    round->ok = round->ok || learned->ok;
    learned->ok = round->ok;
    if (round_go_on(round))
        return;
    catalog_sweep(w->program->catalog, round->started_ms);
    w->round = NULL; // whoever asks again from here on asks anew
    tell(&round->waits, learned);
    round_free(round);
}

/* Begins to ask all hosts; NULL: none can be asked. */
static struct learn_round *round_start(struct worker *w, struct snapshot *s)
{
    struct key_summary summary;
    if (!may_ask(w, s))
        return NULL;
    struct learn_round *round = xcalloc(1, sizeof(*round));
    keypool_summary(w->program->keypool, now_ms_of(w), &summary);
    round->worker = w;
    round->snapshot = snapshot_acquire(s);
    round->started_ms = now_ms_of(w);
    round->without_keys = summary.total == 0;
    list_init(&round->waits);
    loop_timer_init(&round->grace, on_grace, round);
    w->round = round;
    catalog_note_try(w->program->catalog, round->started_ms);
    if (round_go_on(round))
        return round;
    round_free(round);
    return NULL;
}

bool learn_list(struct worker *w, struct snapshot *s, struct learn_wait *wait, uint64_t *ret_ms)
{
    struct learn_round *round = w->round != NULL ? w->round : round_start(w, s);
    if (round == NULL)
        return false;
    if (wait != NULL)
        list_append(&round->waits, &wait->link);
    if (wait != NULL && round->ok)
        loop_timer_set(w->loop, &round->grace, LEARN_GRACE_MS);
    *ret_ms = worth_ms(w, round->started_ms);
    return true;
}

void learn_keep_fresh(struct worker *w, struct snapshot *s)
{
    uint64_t ignored;
    if (catalog_claim(w->program->catalog, CATALOG_OLD_MS, now_ms_of(w)))
        (void)learn_list(w, s, NULL, &ignored);
}

void learn_host(struct worker *w, struct snapshot *s, uint32_t host)
{
    if (catalog_claim_host(w->program->catalog, host, now_ms_of(w)))
        (void)ask_host(w, s, host);
}

void learn_doubt(struct worker *w, struct snapshot *s, const struct lease *lease, str name)
{
    if (catalog_host_has(w->program->catalog, lease->host, name))
        learn_host(w, s, lease->host);
}

void learn_stop(struct worker *w)
{
    struct list *next;
    for (struct list *l = w->asks.next; l != &w->asks; l = next) {
        struct ask *ask = list_entry(l, struct ask, link);
        next = l->next;
        fetch_cancel(ask->fetch);
        ask_free(ask);
    }
    if (w->round != NULL)
        round_free(w->round);
}
