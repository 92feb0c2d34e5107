#include "core/throttle.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "core/address.h"

#define MINUTE_MS 60000

/*
 * Times are kept as if the clock had begun so much earlier: what happened before the process, or
 * before the machine's last start, has one too.
 */
#define BEFORE_MS THROTTLE_KNOWN_MS

/* IPv4 as IPv4-mapped; of IPv6 the upper half. */
struct origin {
    unsigned char bytes[THROTTLE_ORIGIN_BYTES];
};

/* Tries that are left; one comes back every MINUTE_MS / THROTTLE_PER_MINUTE. */
struct budget {
    uint64_t spent_ms; // the time at which all tries that were made will have come back
};

struct row {
    struct origin origin;
    uint64_t last_ms; // of the last try that counted as wrong, or of the last login; 0: free
    uint32_t wrong;
    struct budget own; // of an address that is known
};

struct throttle {
    struct row known[THROTTLE_KNOWN_MAX]; // by last login
    struct budget strangers;
    struct row rows[THROTTLE_ADDRESSES_MAX];
    struct row here; // this machine
};

struct throttle *throttle_new(void)
{
    return xcalloc(1, sizeof(struct throttle));
}

void throttle_free(struct throttle *t)
{
    free(t);
}

static struct origin origin_of(const struct sockaddr *addr)
{
    struct origin o = {{0}};
    if (addr->sa_family == AF_INET) {
        o.bytes[10] = o.bytes[11] = 0xff;
        memcpy(o.bytes + 12, &((const struct sockaddr_in *)(const void *)addr)->sin_addr, 4);
    } else if (addr->sa_family == AF_INET6) {
        const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr;
        memcpy(o.bytes, six, IN6_IS_ADDR_V4MAPPED(six) ? 16 : 8);
    }
    return o;
}

/* The row of `o`, or NULL. */
static struct row *find(struct row *rows, size_t n, const struct origin *o)
{
    for (size_t i = 0; i < n; i++) {
        if (rows[i].last_ms != 0 && memcmp(&rows[i].origin, o, sizeof(*o)) == 0)
            return &rows[i];
    }
    return NULL;
}

/* A row for `o`: a free one, or that which was quiet longest. */
static struct row *take(struct row *rows, size_t n, const struct origin *o)
{
    struct row *oldest = &rows[0];
    for (size_t i = 1; i < n; i++) {
        if (rows[i].last_ms < oldest->last_ms)
            oldest = &rows[i];
    }
    *oldest = (struct row){.origin = *o};
    return oldest;
}

/* The row of an address that has logged in within 30 days, or NULL. */
static struct row *find_known(struct throttle *t, const struct origin *o, uint64_t now_ms)
{
    struct row *row = find(t->known, THROTTLE_KNOWN_MAX, o);
    if (row != NULL && now_ms - row->last_ms >= THROTTLE_KNOWN_MS) {
        *row = (struct row){0};
        return NULL;
    }
    return row;
}

/* How long until the budget has a try beyond the `kept` ones. */
static uint64_t budget_wait_ms(const struct budget *b, uint64_t kept, uint64_t now_ms)
{
    uint64_t each_ms = MINUTE_MS / THROTTLE_PER_MINUTE;
    uint64_t debt_ms = b->spent_ms > now_ms ? b->spent_ms - now_ms : 0;
    uint64_t room_ms = (THROTTLE_PER_MINUTE - kept) * each_ms;
    return debt_ms + each_ms > room_ms ? debt_ms + each_ms - room_ms : 0;
}

static void budget_spend(struct budget *b, uint64_t now_ms)
{
    if (b->spent_ms < now_ms)
        b->spent_ms = now_ms;
    b->spent_ms += MINUTE_MS / THROTTLE_PER_MINUTE;
}

/* A try that was right costs nothing: a script that logs in often is no attack. */
static void budget_refund(struct budget *b)
{
    uint64_t each_ms = MINUTE_MS / THROTTLE_PER_MINUTE;
    b->spent_ms = b->spent_ms > each_ms ? b->spent_ms - each_ms : 0;
}

/* How long an address waits for its own wrong tries. */
static uint64_t own_wait_ms(const struct row *row, uint64_t now_ms)
{
    if (row->wrong < THROTTLE_FREE_TRIES)
        return 0;
    uint32_t doublings = row->wrong - THROTTLE_FREE_TRIES;
    uint64_t wait_ms = doublings < 9 ? (uint64_t)1000 << doublings : THROTTLE_WAIT_MAX_MS;
    if (wait_ms > THROTTLE_WAIT_MAX_MS)
        wait_ms = THROTTLE_WAIT_MAX_MS;
    uint64_t gone_ms = now_ms - row->last_ms;
    return gone_ms < wait_ms ? wait_ms - gone_ms : 0;
}

uint64_t throttle_admit(struct throttle *t, const struct sockaddr *addr, uint64_t now_ms)
{
    struct origin o = origin_of(addr);
    now_ms += BEFORE_MS;
    bool here = address_is_loopback(addr);
    struct row *known = here ? NULL : find_known(t, &o, now_ms);
    struct row *row = here ? &t->here : find(t->rows, THROTTLE_ADDRESSES_MAX, &o);
    assert(!here || row != NULL); // the analyzer does not see it
    if (row != NULL && now_ms - row->last_ms >= THROTTLE_WINDOW_MS)
        row->wrong = 0;

    struct budget *budget = known != NULL ? &known->own : &t->strangers;
    if (here)
        budget = &t->here.own;
    bool newcomer = here || known != NULL || row == NULL || row->wrong == 0;
    uint64_t own_ms = row != NULL ? own_wait_ms(row, now_ms) : 0;
    uint64_t budget_ms = budget_wait_ms(budget, newcomer ? 0 : THROTTLE_FOR_NEWCOMERS, now_ms);
    if (own_ms > 0 || budget_ms > 0)
        return own_ms > budget_ms ? own_ms : budget_ms;

    if (row == NULL)
        row = take(t->rows, THROTTLE_ADDRESSES_MAX, &o);
    row->wrong++;
    row->last_ms = now_ms;
    budget_spend(budget, now_ms);
    return 0;
}

void throttle_passed(struct throttle *t, const struct sockaddr *addr, uint64_t now_ms)
{
    struct origin o = origin_of(addr);
    now_ms += BEFORE_MS;
    if (address_is_loopback(addr)) {
        budget_refund(&t->here.own);
        t->here.wrong = 0;
        return;
    }
    struct row *known = find_known(t, &o, now_ms);
    struct row *row = find(t->rows, THROTTLE_ADDRESSES_MAX, &o);
    budget_refund(known != NULL ? &known->own : &t->strangers);
    if (known == NULL)
        known = take(t->known, THROTTLE_KNOWN_MAX, &o);
    known->last_ms = now_ms;
    if (row != NULL)
        *row = (struct row){0};
}

/* ---- over a restart ---- */

/* What is the same for rows and budgets: our times, and how to say them on the wall clock. */
struct moment {
    uint64_t now_ms;
    int64_t wall_ms;
};

static int64_t wall_of(const struct moment *m, uint64_t at_ms)
{
    return m->wall_ms + (int64_t)(at_ms - m->now_ms);
}

static void save_row(const struct row *row, enum throttle_kind kind, uint64_t keep_ms,
                     const struct moment *m, struct throttle_row **to)
{
    if (row->last_ms == 0 || m->now_ms - row->last_ms >= keep_ms)
        return;
    struct throttle_row *out = (*to)++;
    *out = (struct throttle_row){.kind = kind,
                                 .wrong = row->wrong,
                                 .last_ms = wall_of(m, row->last_ms),
                                 .spent_ms = wall_of(m, row->own.spent_ms)};
    memcpy(out->origin, row->origin.bytes, sizeof(out->origin));
}

size_t throttle_save(const struct throttle *t, uint64_t now_ms, int64_t wall_ms,
                     struct throttle_row rows[THROTTLE_ROWS_MAX])
{
    const struct moment m = {.now_ms = now_ms + BEFORE_MS, .wall_ms = wall_ms};
    struct throttle_row *to = rows;
    for (size_t i = 0; i < THROTTLE_KNOWN_MAX; i++)
        save_row(&t->known[i], THROTTLE_KNOWN, THROTTLE_KNOWN_MS, &m, &to);
    for (size_t i = 0; i < THROTTLE_ADDRESSES_MAX; i++)
        save_row(&t->rows[i], THROTTLE_WRONG, THROTTLE_WINDOW_MS, &m, &to);
    save_row(&t->here, THROTTLE_HERE, THROTTLE_WINDOW_MS, &m, &to);
    if (t->strangers.spent_ms > m.now_ms)
        *to++ = (struct throttle_row){.kind = THROTTLE_STRANGERS,
                                      .last_ms = wall_ms,
                                      .spent_ms = wall_of(&m, t->strangers.spent_ms)};
    return (size_t)(to - rows);
}

/* A budget as it was; a clock that was wrong may take all tries of a minute, and no more. */
static struct budget load_budget(const struct throttle_row *row, const struct moment *m)
{
    int64_t left_ms = row->spent_ms - m->wall_ms;
    if (left_ms > MINUTE_MS)
        left_ms = MINUTE_MS;
    return (struct budget){.spent_ms = left_ms > 0 ? m->now_ms + (uint64_t)left_ms : 0};
}

static void load_row(struct row *out, const struct throttle_row *row, uint64_t keep_ms,
                     const struct moment *m)
{
    int64_t gone_ms = row->last_ms < m->wall_ms ? m->wall_ms - row->last_ms : 0;
    if ((uint64_t)gone_ms >= keep_ms)
        return;
    *out = (struct row){
        .last_ms = m->now_ms - (uint64_t)gone_ms, .wrong = row->wrong, .own = load_budget(row, m)};
    memcpy(out->origin.bytes, row->origin, sizeof(out->origin.bytes));
}

void throttle_load(struct throttle *t, const struct throttle_row *row, uint64_t now_ms,
                   int64_t wall_ms)
{
    const struct moment m = {.now_ms = now_ms + BEFORE_MS, .wall_ms = wall_ms};
    struct origin o;
    memcpy(o.bytes, row->origin, sizeof(o.bytes));
    switch (row->kind) {
    case THROTTLE_KNOWN:
        load_row(take(t->known, THROTTLE_KNOWN_MAX, &o), row, THROTTLE_KNOWN_MS, &m);
        break;
    case THROTTLE_WRONG:
        load_row(take(t->rows, THROTTLE_ADDRESSES_MAX, &o), row, THROTTLE_WINDOW_MS, &m);
        break;
    case THROTTLE_HERE:
        load_row(&t->here, row, THROTTLE_WINDOW_MS, &m);
        break;
    case THROTTLE_STRANGERS:
        t->strangers = load_budget(row, &m);
        break;
    case THROTTLE_KINDS:
        break;
    }
}
