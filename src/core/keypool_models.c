#include "core/keypool.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "core/keypool_private.h"

/* ---- names ---- */

/* The name that all names of one model come to. */
static str one_name(str model, char lower[MODEL_NAME_BYTES])
{
    static const str latest = STR_C(":latest");
    model = str_head(model, MODEL_NAME_BYTES);
    for (size_t i = 0; i < model.len; i++)
        lower[i] = ascii_lower(model.p[i]);
    str name = str_of(lower, model.len);
    if (name.len > latest.len && str_ends(name, latest))
        name.len -= latest.len;
    return name;
}

uint64_t model_hash(const struct keypool *p, str model)
{
    char lower[MODEL_NAME_BYTES];
    return crypto_hash64(p->hash_key, one_name(model, lower));
}

/* ---- lists of hosts ---- */

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

bool host_has_model(const struct host *h, uint64_t hash)
{
    size_t low = 0;
    size_t high = h->n_models;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (h->models[middle] == hash)
            return true;
        if (h->models[middle] < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

void keypool_set_models(struct keypool *p, uint32_t host, const str *names, size_t n)
{
    uint64_t *hashes = names != NULL && n > 0 ? xmalloc(n * sizeof(*hashes)) : NULL;
    for (size_t i = 0; hashes != NULL && i < n; i++)
        hashes[i] = model_hash(p, names[i]);
    if (hashes != NULL)
        qsort(hashes, n, sizeof(*hashes), compare_hashes);
    pthread_mutex_lock(&p->mutex);
    struct host *h = host < p->n_hosts ? p->hosts[host] : NULL;
    uint64_t *old = hashes;
    if (h != NULL) {
        old = h->models;
        h->models = hashes;
        h->n_models = hashes != NULL ? n : 0;
        p->n_lists -= h->models_known;
        h->models_known = names != NULL;
        p->n_lists += h->models_known;
    }
    pthread_mutex_unlock(&p->mutex);
    free(old);
}

/* ---- sets ---- */

static uint64_t set_hash(uint32_t host, uint64_t hash)
{
    return slot_table_hash_number(hash + host);
}

struct model_set *model_set_find(const struct keypool *p, const struct host *h, uint64_t hash)
{
    uint32_t index;
    if (h->n_sets == 0)
        return NULL;
    struct slot_probe probe = slot_table_probe(&p->by_model, set_hash(h->index, hash));
    while (slot_table_next(&p->by_model, &probe, &index)) {
        struct model_set *m = p->sets[index];
        if (m->hash == hash && m->host == h->index)
            return m;
    }
    return NULL;
}

static void set_free(struct keypool *p, uint32_t index)
{
    struct model_set *m = p->sets[index];
    p->hosts[m->host]->n_sets--;
    p->n_sets--;
    p->n_refusals -= m->n_refusals;
    p->sets[index] = NULL;
    slot_table_remove(&p->by_model, set_hash(m->host, m->hash), index);
    for (uint32_t i = 0; i < m->n_refusals; i++)
        free(m->refusals[i]);
    free(m->refusals);
    heap_release(&m->due);
    ready_set_release(&m->answered);
    ready_set_release(&m->ready);
    ready_set_release(&m->proven);
    slot_table_release(&m->by_slot);
    text_free(&m->name);
    free(m);
}

/* The set that was used least lately; such as no key is refused by come first. */
static uint32_t least_used(const struct keypool *p, const struct model_set *but)
{
    uint32_t least = NO_SLOT;
    for (uint32_t i = 0; i < KEYPOOL_MODEL_SETS_MAX; i++) {
        const struct model_set *m = p->sets[i];
        const struct model_set *l = least != NO_SLOT ? p->sets[least] : NULL;
        if (m != NULL && m != but &&
            (l == NULL || m->own < l->own || (m->own == l->own && m->used < l->used)))
            least = i;
    }
    return least;
}

static struct model_set *set_new(struct keypool *p, struct host *h, struct asked_model asked)
{
    char lower[MODEL_NAME_BYTES];
    uint32_t index = 0;
    if (p->n_sets == KEYPOOL_MODEL_SETS_MAX)
        set_free(p, least_used(p, NULL));
    while (p->sets[index] != NULL)
        index++;
    struct model_set *m = xcalloc(1, sizeof(*m));
    m->hash = asked.hash;
    text_set(&m->name, one_name(asked.name, lower), MODEL_NAME_BYTES);
    m->host = h->index;
    m->used = ++p->tick;
    ready_set_init(&m->answered);
    ready_set_init(&m->ready);
    ready_set_init(&m->proven);
    ready_set_reserve(&m->answered, h->n_places);
    heap_init(&m->due);
    slot_table_init(&m->by_slot);
    p->sets[index] = m;
    p->n_sets++;
    h->n_sets++;
    slot_table_insert(&p->by_model, set_hash(h->index, asked.hash), index);
    return m;
}

/* Gives the set ready sets of its own, in which nobody is refused yet. */
static void make_own(struct host *h, struct model_set *m)
{
    m->own = true;
    ready_set_reserve(&m->ready, h->n_places);
    ready_set_reserve(&m->proven, h->n_places);
    uint32_t place = ready_set_next(&h->ready, 0);
    for (uint32_t i = 0; i < h->ready.n; i++) {
        ready_set_insert(&m->ready, place);
        if (ready_set_has(&m->answered, place))
            ready_set_insert(&m->proven, place);
        place = ready_set_next(&h->ready, place + 1);
    }
    m->cursor = h->cursor;
}

/* ---- refusals ---- */

static struct refusal *find_refusal(const struct model_set *m, uint32_t slot)
{
    uint32_t index;
    struct slot_probe probe = slot_table_probe(&m->by_slot, slot_table_hash_number(slot));
    while (slot_table_next(&m->by_slot, &probe, &index)) {
        if (m->refusals[index]->slot == slot)
            return m->refusals[index];
    }
    return NULL;
}

const struct refusal *model_refusal(const struct model_set *m, const struct key *k)
{
    const struct refusal *r = m->own ? find_refusal(m, k->slot) : NULL;
    return r != NULL && heap_has(&r->due) ? r : NULL;
}

/* The key may use the model again; its doublings stay. */
static void end_refusal(struct model_set *m, struct refusal *r)
{
    if (!heap_has(&r->due))
        return;
    heap_remove(&m->due, &r->due);
    m->n_active--;
    m->n_signin -= r->signin;
}

/* What the key is refused has to be stored. */
static void note_change(struct keypool *p, uint32_t slot)
{
    if (!key_at(p, slot)->fallback)
        ready_set_insert(&p->refused, slot);
}

static void drop_refusal(struct keypool *p, struct model_set *m, struct refusal *r)
{
    struct refusal *last = m->refusals[m->n_refusals - 1];
    note_change(p, r->slot);
    end_refusal(m, r);
    slot_table_remove(&m->by_slot, slot_table_hash_number(r->slot), r->index);
    if (last != r) {
        slot_table_remove(&m->by_slot, slot_table_hash_number(last->slot), last->index);
        last->index = r->index;
        m->refusals[last->index] = last;
        slot_table_insert(&m->by_slot, slot_table_hash_number(last->slot), last->index);
    }
    m->n_refusals--;
    p->n_refusals--;
    free(r);
}

static struct refusal *refusal_new(struct keypool *p, struct model_set *m, uint32_t slot)
{
    if (p->n_refusals >= MODEL_REFUSALS_MAX) {
        uint32_t least = least_used(p, m);
        if (least != NO_SLOT)
            set_free(p, least);
    }
    if (m->n_refusals == m->cap_refusals) {
        m->cap_refusals = m->cap_refusals > 0 ? 2 * m->cap_refusals : 8;
        m->refusals = xrealloc(m->refusals, m->cap_refusals * sizeof(struct refusal *));
    }
    struct refusal *r = xcalloc(1, sizeof(*r));
    r->slot = slot;
    r->index = m->n_refusals;
    heap_node_init(&r->due);
    m->refusals[m->n_refusals++] = r;
    p->n_refusals++;
    slot_table_insert(&m->by_slot, slot_table_hash_number(slot), r->index);
    return r;
}

/* Puts the key into the set's ready sets, or takes it out, as its states say. */
static void place_key(const struct host *h, struct model_set *m, const struct key *k)
{
    if (!m->own)
        return;
    bool ready = ready_set_has(&h->ready, k->place) && model_refusal(m, k) == NULL;
    if (ready)
        ready_set_insert(&m->ready, k->place);
    else
        ready_set_remove(&m->ready, k->place);
    if (ready && ready_set_has(&m->answered, k->place))
        ready_set_insert(&m->proven, k->place);
    else
        ready_set_remove(&m->proven, k->place);
}

/* The set of (host, model), with ready sets of its own. */
static struct model_set *own_set(struct keypool *p, struct host *h, struct asked_model asked)
{
    struct model_set *m = model_set_find(p, h, asked.hash);
    if (m == NULL)
        m = set_new(p, h, asked);
    if (!m->own)
        make_own(h, m);
    return m;
}

/* The refusal holds until then. */
static void hold(struct model_set *m, struct refusal *r, bool signin, uint64_t until_ms)
{
    m->n_active++;
    m->n_signin += signin;
    r->signin = signin;
    heap_set(&m->due, &r->due, until_ms);
}

void model_refused(struct keypool *p, struct key *k, struct asked_model asked, bool signin,
                   uint64_t now_ms)
{
    struct host *h = host_of(p, k);
    struct model_set *m = own_set(p, h, asked);
    struct refusal *r = find_refusal(m, k->slot);
    if (r == NULL)
        r = refusal_new(p, m, k->slot);
    if (heap_has(&r->due)) // requests that were under way: it was refused once
        return;
    m->used = ++p->tick;
    uint64_t ms =
        signin ? SIGNIN_REFUSAL_MS : keypool_doubled(REFUSAL_MS, r->doublings, REFUSAL_MAX_MS);
    r->doublings += signin || r->doublings >= 32 ? 0 : 1;
    hold(m, r, signin, now_ms + ms);
    ready_set_remove(&m->answered, k->place);
    place_key(h, m, k);
    note_change(p, k->slot);
}

/* A set is worth making for an answer alone if one request could be refused by many keys. */
static bool worth_noting(const struct keypool *p, const struct host *h)
{
    return h->n_keyed > REFUSALS_BEFORE_PROVEN && p->n_sets < KEYPOOL_MODEL_SETS_MAX;
}

void model_answered(struct keypool *p, struct key *k, const struct lease *lease, str model)
{
    struct host *h = host_of(p, k);
    if (h->n_sets == 0 && !worth_noting(p, h))
        return;
    uint64_t hash = model_of_lease(p, lease, model);
    struct model_set *m = model_set_find(p, h, hash);
    if (m == NULL && worth_noting(p, h))
        m = set_new(p, h, (struct asked_model){hash, model});
    if (m == NULL)
        return;
    m->used = ++p->tick;
    struct refusal *r = m->own ? find_refusal(m, k->slot) : NULL;
    if (r != NULL)
        drop_refusal(p, m, r);
    if (r == NULL && ready_set_has(&m->answered, k->place))
        return;
    ready_set_reserve(&m->answered, h->n_places);
    ready_set_insert(&m->answered, k->place);
    place_key(h, m, k);
}

size_t model_set_expire(struct keypool *p, struct model_set *m, size_t max, uint64_t now_ms)
{
    size_t n = 0;
    for (; n < max; n++) {
        struct heap_node *node = heap_first(&m->due);
        if (node == NULL || node->key > now_ms)
            break;
        struct refusal *r = CONTAINER_OF(node, struct refusal, due);
        end_refusal(m, r);
        place_key(p->hosts[m->host], m, key_at(p, r->slot));
    }
    return n;
}

/* ---- what happens to keys ---- */

void models_key_ready(struct keypool *p, struct key *k, bool ready)
{
    const struct host *h = host_of(p, k);
    for (uint32_t i = 0, left = h->n_sets; left > 0; i++) {
        struct model_set *m = p->sets[i];
        if (m == NULL || m->host != h->index)
            continue;
        left--;
        if (m->own && ready) {
            ready_set_reserve(&m->ready, h->n_places);
            ready_set_reserve(&m->proven, h->n_places);
        }
        place_key(h, m, k);
    }
}

static void move_member(struct ready_set *s, uint32_t from, uint32_t to)
{
    if (!ready_set_has(s, from))
        return;
    ready_set_remove(s, from);
    ready_set_reserve(s, to + 1);
    ready_set_insert(s, to);
}

void models_key_place(struct keypool *p, struct host *h, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0, left = h->n_sets; left > 0; i++) {
        struct model_set *m = p->sets[i];
        if (m == NULL || m->host != h->index)
            continue;
        left--;
        move_member(&m->answered, from, to);
        move_member(&m->ready, from, to);
        move_member(&m->proven, from, to);
    }
}

void models_forget_key(struct keypool *p, struct key *k, bool answered)
{
    const struct host *h = host_of(p, k);
    for (uint32_t i = 0, left = h->n_sets; left > 0; i++) {
        struct model_set *m = p->sets[i];
        if (m == NULL || m->host != h->index)
            continue;
        left--;
        struct refusal *r = m->own ? find_refusal(m, k->slot) : NULL;
        if (r != NULL)
            drop_refusal(p, m, r);
        if (answered)
            ready_set_remove(&m->answered, k->place);
        place_key(h, m, k);
    }
}

void models_forget_host(struct keypool *p, struct host *h)
{
    for (uint32_t i = 0; h->n_sets > 0; i++) {
        if (p->sets[i] != NULL && p->sets[i]->host == h->index)
            set_free(p, i);
    }
    p->n_lists -= h->models_known;
    h->models_known = false;
}

void models_forget_all(struct keypool *p)
{
    p->refusals_forgotten = true;
    for (uint32_t i = 0; i < KEYPOOL_MODEL_SETS_MAX; i++) {
        if (p->sets[i] != NULL)
            set_free(p, i);
    }
}

/* ---- over a restart ---- */

static void restore_refusal(struct keypool *p, struct key *k, const struct key_refusal *stored,
                            uint64_t now_ms)
{
    struct host *h = host_of(p, k);
    struct asked_model asked = {model_hash(p, stored->model), stored->model};
    uint64_t most_ms = stored->signin ? SIGNIN_REFUSAL_MS : REFUSAL_MAX_MS;
    uint64_t until_ms = keypool_deadline(p, stored->until_ms, most_ms, now_ms);
    bool room = p->n_sets < KEYPOOL_MODEL_SETS_MAX || model_set_find(p, h, asked.hash) != NULL;
    if (!room || p->n_refusals >= MODEL_REFUSALS_MAX)
        return;
    struct model_set *m = own_set(p, h, asked);
    if (find_refusal(m, k->slot) != NULL)
        return;
    struct refusal *r = refusal_new(p, m, k->slot);
    r->doublings = stored->doublings < 32 ? stored->doublings : 32;
    r->due.key = until_ms;
    if (until_ms > now_ms) // otherwise it only tells how long the next one is
        hold(m, r, stored->signin, until_ms);
    place_key(h, m, k);
}

void keypool_restore_refusal(struct keypool *p, const struct key_refusal *stored, uint64_t now_ms)
{
    pthread_mutex_lock(&p->mutex);
    uint32_t slot = key_slot_of_id(p, stored->key_id);
    bool fresh = stored->until_ms + (int64_t)REFUSAL_MAX_MS > wall_of(p, now_ms);
    if (slot != NO_SLOT && fresh && stored->model.len > 0)
        restore_refusal(p, key_at(p, slot), stored, now_ms);
    pthread_mutex_unlock(&p->mutex);
}

/* Puts one among those that are told; of more than fit those stay that hold longest. */
static size_t choose(struct key_refusal *rows, size_t n, const struct key_refusal *row)
{
    size_t at = n;
    for (size_t i = 0; n == KEYPOOL_REFUSALS_KEPT && i < n; i++) {
        if (rows[i].until_ms < row->until_ms && (at == n || rows[i].until_ms < rows[at].until_ms))
            at = i;
    }
    if (at == KEYPOOL_REFUSALS_KEPT)
        return n;
    rows[at] = *row;
    return at == n ? n + 1 : n;
}

static size_t refusals_of(const struct keypool *p, const struct key *k,
                          struct key_refusal rows[KEYPOOL_REFUSALS_KEPT])
{
    size_t n = 0;
    for (uint32_t i = 0, left = host_of(p, k)->n_sets; left > 0; i++) {
        const struct model_set *m = p->sets[i];
        if (m == NULL || m->host != k->host)
            continue;
        left--;
        const struct refusal *r = m->own ? find_refusal(m, k->slot) : NULL;
        if (r != NULL)
            n = choose(rows, n,
                       &(struct key_refusal){.key_id = k->id,
                                             .model = m->name,
                                             .until_ms = wall_of(p, r->due.key),
                                             .doublings = r->doublings,
                                             .signin = r->signin});
    }
    return n;
}

size_t keypool_flush_refusals(struct keypool *p, size_t max, bool *ret_forgotten,
                              key_refusals_fn *fn, void *arg)
{
    struct key_refusal rows[KEYPOOL_REFUSALS_KEPT];
    size_t n = 0;
    pthread_mutex_lock(&p->mutex);
    *ret_forgotten = p->refusals_forgotten;
    p->refusals_forgotten = false;
    for (; n < max && p->refused.n > 0; n++) {
        uint32_t slot = ready_set_next(&p->refused, 0);
        const struct key *k = key_at(p, slot);
        ready_set_remove(&p->refused, slot);
        fn(arg, k->id, rows, refusals_of(p, k, rows));
    }
    pthread_mutex_unlock(&p->mutex);
    return n;
}
