#include "app/keeper.h"

#include <stdlib.h>

#include "app/keeper_private.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"

#define MS_PER_DAY ((int64_t)86400000)

enum {
    LOOK_MAX = 256,   // lives taken at once, while the pool's mutex is held
    MOVES_MAX = 4096, // of one transaction
};

/* ---- moves ---- */

/* Under the pool's mutex: copies and returns. */
void keeper_on_move(void *arg, const struct key_move *move)
{
    struct keeper *k = arg;
    struct keeper_move *m = xmalloc(sizeof(*m) + move->host.len + move->reason.len);
    m->move = *move;
    m->move.host.p = m->text;
    m->move.reason.p = m->text + move->host.len;
    if (move->host.len > 0)
        memcpy(m->text, move->host.p, move->host.len);
    if (move->reason.len > 0)
        memcpy(m->text + move->host.len, move->reason.p, move->reason.len);

    pthread_mutex_lock(&k->mutex);
    bool room = k->n_moves < KEEPER_MOVES_MAX;
    if (room) {
        list_append(&k->moves, &m->link);
        k->n_moves++;
    } else {
        k->n_lost++;
    }
    pthread_mutex_unlock(&k->mutex);
    if (!room)
        free(m);
}

static void drop_list(struct list *moves)
{
    for (struct list *l = moves->next, *next; l != moves; l = next) {
        next = l->next;
        free(list_entry(l, struct keeper_move, link));
    }
    list_init(moves);
}

void keeper_drop_moves(struct keeper *k)
{
    drop_list(&k->moves);
    drop_list(&k->taken);
    k->n_moves = 0;
}

static void log_move(const struct key_move *m)
{
    struct log_field id = LOG_INT("key", m->key_id);
    struct log_field host = LOG_STR("host", m->host);
    struct log_field from = LOG_STR("from", str_z(key_state_name(m->from)));
    struct log_field to = LOG_STR("to", str_z(key_state_name(m->to)));
    struct log_field cause = LOG_STR("cause", str_z(key_cause_name(m->cause)));
    struct log_field until = LOG_INT("for_ms", m->until_ms > 0 ? m->until_ms - m->at_ms : 0);
    struct log_field why = LOG_STR("why", m->reason);
    if (m->key_id == 0)
        log_warn("host_moved", host, from, to, cause, until, why);
    else
        log_info("key_moved", id, host, from, to, cause, until, why);
}

/* Takes all moves out of the queue; each is logged here, once, whatever becomes of the disk. */
static void take_moves(struct keeper *k)
{
    struct list fresh;
    list_init(&fresh);
    pthread_mutex_lock(&k->mutex);
    uint64_t lost = k->n_lost;
    k->n_lost = 0;
    while (!list_empty(&k->moves)) {
        struct list *link = k->moves.next;
        list_remove(link);
        list_append(&fresh, link);
    }
    pthread_mutex_unlock(&k->mutex);

    if (lost > 0)
        log_warn("moves_lost", LOG_INT("count", lost));
    while (!list_empty(&fresh)) {
        struct keeper_move *m = list_entry(fresh.next, struct keeper_move, link);
        list_remove(&m->link);
        list_append(&k->taken, &m->link);
        log_move(&m->move);
    }
}

/* Frees the first `n` of those that were taken: they are written. */
static void drop_taken(struct keeper *k, size_t n)
{
    struct list written;
    list_init(&written);
    for (size_t i = 0; i < n; i++) {
        struct list *link = k->taken.next;
        list_remove(link);
        list_append(&written, link);
    }
    drop_list(&written);
    pthread_mutex_lock(&k->mutex);
    k->n_moves -= n;
    pthread_mutex_unlock(&k->mutex);
}

/* Writes what was taken, in batches, and keeps the batch that fails and those behind it. */
static enum err write_moves(struct keeper *k, struct err_info *info)
{
    struct key_move *moves = xmalloc(MOVES_MAX * sizeof(*moves));
    enum err e = ERR_OK;
    while (e == ERR_OK && !list_empty(&k->taken)) {
        size_t n = 0;
        for (struct list *l = k->taken.next; l != &k->taken && n < MOVES_MAX; l = l->next)
            moves[n++] = list_entry(l, struct keeper_move, link)->move;
        e = store_write_moves(k->store, moves, n, info);
        if (e == ERR_OK)
            drop_taken(k, n);
    }
    free(moves);
    return e;
}

/* ---- lives ---- */

static void take_life(void *arg, const struct key_view *view)
{
    struct keeper *k = arg;
    struct store_flush *f = &k->flushes[k->n_flushes++];
    *f = (struct store_flush){.id = view->id,
                              .life = view->life,
                              .success = view->success,
                              .fail = view->fail,
                              .tokens = view->new_tokens};
    f->life.last_error = arena_copy(&k->texts, view->life.last_error);
    f->life.account = arena_copy(&k->texts, view->life.account);
    f->life.reason = arena_copy(&k->texts, view->life.reason);
}

/* Takes a batch of lives out of the pool; false: that were all. */
static bool take_lives(struct keeper *k)
{
    uint64_t now_ms = clock_mono_ms();
    size_t n = LOOK_MAX;
    k->flush_day = clock_wall_ms() / MS_PER_DAY;
    while (n == LOOK_MAX && k->n_flushes + LOOK_MAX <= KEEPER_FLUSH_MAX)
        n = keypool_flush(k->pool, LOOK_MAX, now_ms, take_life, k);
    return n == LOOK_MAX;
}

static enum err write_batch(struct keeper *k, struct err_info *info)
{
    enum err e = store_write_lives(k->store, k->flushes, k->n_flushes, k->flush_day, info);
    if (e == ERR_OK) {
        k->n_flushes = 0;
        arena_reset(&k->texts);
    }
    return e;
}

/*
 * A batch that could not be written is kept, and nothing more is taken until it was: what changes
 * meanwhile adds up in the pool.
 */
static enum err write_lives(struct keeper *k, struct err_info *info)
{
    bool more = true;
    enum err e = write_batch(k, info); // what an earlier call has left
    while (e == ERR_OK && more) {
        more = take_lives(k);
        e = write_batch(k, info);
    }
    return e;
}

/* ---- refusals ---- */

static void take_refusals(void *arg, uint64_t key_id, const struct key_refusal *refusals, size_t n)
{
    struct keeper_refusals *r = arg;
    r->ids[r->n_ids++] = key_id;
    for (size_t i = 0; i < n; i++) {
        r->rows[r->n] = refusals[i];
        r->rows[r->n++].model = arena_copy(&r->texts, refusals[i].model);
    }
}

static enum err write_refusal_batch(struct keeper *k, struct err_info *info)
{
    struct keeper_refusals *r = &k->refusals;
    if (r->n_ids == 0 && !r->forget)
        return ERR_OK;
    const struct store_refusals all = {r->forget, r->ids, r->n_ids, r->rows, r->n};
    enum err e = store_write_refusals(k->store, &all, info);
    if (e == ERR_OK) {
        r->forget = false;
        r->n_ids = 0;
        r->n = 0;
        arena_reset(&r->texts);
    }
    return e;
}

/* As write_lives(): a batch that could not be written is kept. */
static enum err write_refusals(struct keeper *k, struct err_info *info)
{
    struct keeper_refusals *r = &k->refusals;
    size_t n = KEEPER_REFUSED_MAX;
    enum err e = write_refusal_batch(k, info);
    while (e == ERR_OK && n == KEEPER_REFUSED_MAX) {
        n = keypool_flush_refusals(k->pool, KEEPER_REFUSED_MAX, &r->forget, take_refusals, r);
        e = write_refusal_batch(k, info);
    }
    return e;
}

/* What is to be done once a day. */
static enum err do_daily(struct keeper *k, struct err_info *info)
{
    int64_t now_ms = clock_wall_ms();
    struct err_info damage = {0};
    if (k->trimmed_day == now_ms / MS_PER_DAY)
        return ERR_OK;
    enum err e = store_trim(k->store, now_ms, info);
    if (e != ERR_OK)
        return e;
    // The start has looked already, and what still works goes on.
    if (k->trimmed_day != 0 && store_check(k->store, &damage) != ERR_OK)
        log_error("store_damaged", LOG_STR("why", str_z(damage.text)));
    k->trimmed_day = now_ms / MS_PER_DAY;
    return ERR_OK;
}

enum err keeper_flush(struct keeper *k, struct err_info *info)
{
    take_moves(k);
    enum err e = write_lives(k, info);
    if (e == ERR_OK)
        e = write_refusals(k, info);
    return e == ERR_OK ? write_moves(k, info) : e;
}

void keeper_tick(struct store *s, void *arg)
{
    struct keeper *k = arg;
    struct err_info info = {0};
    (void)s;
    keypool_set_clock(k->pool, clock_mono_ms(), clock_wall_ms());
    enum err e = keeper_flush(k, &info);
    if (e == ERR_OK)
        e = do_daily(k, &info);
    if (k->on_second != NULL) { // counts what there is, whatever becomes of the disk
        struct err_info why = {0};
        enum err second = k->on_second(k->on_second_arg, false, e == ERR_OK ? &info : &why);
        e = e == ERR_OK ? second : e;
    }
    k->trouble = info;
    if (e != ERR_OK && k->failed++ == 0)
        log_error("store_failed", LOG_STR("why", str_z(info.text)));
    if (e == ERR_OK && k->failed > 0) {
        log_info("store_recovered", LOG_INT("failed_times", k->failed));
        k->failed = 0;
    }
}
