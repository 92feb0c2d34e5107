#include "net/resolve.h"

#include <netdb.h>
#include <netinet/in.h>
#include <uv.h>

#include "base/xalloc.h"
#include "core/address.h"

/* One name: its last answer, and who waits for the next. */
struct resolve_entry {
    struct list link; // resolver.entries
    struct list waits;
    uint64_t hash; // of the name
    char *name;
    bool asking;         // a lookup is under way
    uint64_t asked_ms;   // when it began
    uint64_t due_ms;     // when the answer ceases to be fresh
    uint64_t useless_ms; // when the addresses cease to be better than none
    struct sockaddr_storage *addrs;
    size_t n;
    char why[128]; // the last lookup's failure; "": it worked
};

struct resolver {
    struct loop *loop;
    struct resolver_options options;
    struct list entries; // the most recently asked first
    size_t n_entries;
    size_t n_queries;
    bool freed; // by its owner, while lookups were under way
    struct sockaddr_storage literal;
};

/* A lookup on a thread of the pool. Owned by the pool until after_lookup(). */
struct query {
    uv_work_t work;
    struct resolver *resolver;
    struct resolve_entry *entry; // pinned: an entry that asks is not evicted
    resolve_lookup_fn *lookup;
    char *name;
    int code;
    size_t n;
    struct sockaddr_storage addrs[RESOLVE_ADDRS];
};

static int system_lookup(const char *host, struct sockaddr_storage *addrs, size_t max,
                         size_t *ret_n)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(host, NULL, &hints, &found);
    if (code != 0)
        return code;
    size_t n = 0;
    for (struct addrinfo *i = found; i != NULL && n < max; i = i->ai_next) {
        if (i->ai_family != AF_INET && i->ai_family != AF_INET6)
            continue;
        memset(&addrs[n], 0, sizeof(addrs[n]));
        memcpy(&addrs[n++], i->ai_addr, i->ai_addrlen);
    }
    freeaddrinfo(found);
    *ret_n = n;
    return 0;
}

struct resolver *resolver_new(struct loop *loop, const struct resolver_options *options)
{
    struct resolver *r = xcalloc(1, sizeof(*r));
    r->loop = loop;
    r->options = *options;
    if (r->options.lookup == NULL)
        r->options.lookup = system_lookup;
    list_init(&r->entries);
    return r;
}

static void entry_free(struct resolver *r, struct resolve_entry *e)
{
    list_remove(&e->link);
    r->n_entries--;
    free(e->addrs);
    free(e->name);
    free(e);
}

static void destroy(struct resolver *r)
{
    for (struct list *i = r->entries.next, *next; i != &r->entries; i = next) {
        next = i->next;
        entry_free(r, list_entry(i, struct resolve_entry, link));
    }
    free(r);
}

void resolver_free(struct resolver *r)
{
    if (r == NULL)
        return;
    r->freed = true;
    if (r->n_queries == 0)
        destroy(r); // otherwise the last lookup does it
}

void resolve_wait_init(struct resolve_wait *w, resolve_fn *fn, void *arg)
{
    *w = (struct resolve_wait){.fn = fn, .arg = arg};
    list_init(&w->link);
}

void resolve_wait_cancel(struct resolve_wait *w)
{
    if (w->entry == NULL)
        return;
    list_remove(&w->link);
    loop_timer_cancel(w->resolver->loop, &w->limit);
    w->entry = NULL;
}

static void wake(struct resolve_wait *w, const struct resolve_answer *answer)
{
    resolve_wait_cancel(w);
    w->fn(w->arg, answer);
}

static struct resolve_answer answer_of(const struct resolve_entry *e)
{
    return (struct resolve_answer){.addrs = e->addrs, .n = e->n, .why = str_z(e->why)};
}

/* Takes the result of a lookup over. An old answer outlives a failure, but not the news that there
 * is no such name. */
static void learn(struct resolve_entry *e, const struct query *q, uint64_t now_ms)
{
    const struct resolver_options *o = &q->resolver->options;
    if (q->code == 0 && q->n > 0) {
        free(e->addrs);
        e->n = q->n;
        e->addrs = xmalloc(q->n * sizeof(*e->addrs));
        memcpy(e->addrs, q->addrs, q->n * sizeof(*e->addrs));
        e->due_ms = now_ms + o->fresh_ms;
        e->useless_ms = e->due_ms + o->stale_ms;
        e->why[0] = '\0';
        return;
    }
    const char *reason = q->code != 0 ? gai_strerror(q->code) : "no address";
    snprintf(e->why, sizeof(e->why), "%s", reason);
    e->due_ms = now_ms + o->failed_ms;
    if (q->code == EAI_NONAME || now_ms >= e->useless_ms)
        e->n = 0;
}

static void on_lookup(uv_work_t *work)
{
    struct query *q = CONTAINER_OF(work, struct query, work);
    q->code = q->lookup(q->name, q->addrs, RESOLVE_ADDRS, &q->n);
}

static void after_lookup(uv_work_t *work, int status)
{
    (void)status; // nothing cancels lookups
    struct query *q = CONTAINER_OF(work, struct query, work);
    struct resolver *r = q->resolver;
    struct resolve_entry *e = q->entry;
    r->n_queries--;
    e->asking = false;
    if (!r->freed) {
        learn(e, q, loop_now_ms(r->loop));
        struct resolve_answer answer = answer_of(e);
        while (!list_empty(&e->waits))
            wake(list_entry(e->waits.next, struct resolve_wait, link), &answer);
    } else if (r->n_queries == 0) {
        destroy(r);
    }
    free(q->name);
    free(q);
}

static void start_lookup(struct resolver *r, struct resolve_entry *e)
{
    struct query *q = xcalloc(1, sizeof(*q));
    q->resolver = r;
    q->entry = e;
    q->lookup = r->options.lookup;
    q->name = xstrdup(e->name);
    e->asking = true;
    e->asked_ms = loop_now_ms(r->loop);
    r->n_queries++;
    // Fails on a missing callback alone.
    int code = uv_queue_work(loop_handle(r->loop), &q->work, on_lookup, after_lookup);
    if (code != 0)
        abort();
}

static struct resolve_entry *find(struct resolver *r, str name, uint64_t hash)
{
    for (struct list *i = r->entries.next; i != &r->entries; i = i->next) {
        struct resolve_entry *e = list_entry(i, struct resolve_entry, link);
        if (e->hash == hash && str_eq(str_z(e->name), name))
            return e;
    }
    return NULL;
}

/* Forgets the name that was not asked for the longest. False when each has a lookup under way. */
static bool evict_one(struct resolver *r)
{
    for (struct list *i = r->entries.prev; i != &r->entries; i = i->prev) {
        struct resolve_entry *e = list_entry(i, struct resolve_entry, link);
        if (e->asking)
            continue;
        entry_free(r, e);
        return true;
    }
    return false;
}

/* The entry of `name`, put first; NULL when there is no room for it. */
static struct resolve_entry *obtain(struct resolver *r, str name)
{
    uint64_t hash = str_hash(name);
    struct resolve_entry *e = find(r, name, hash);
    if (e != NULL) {
        list_remove(&e->link);
        list_prepend(&r->entries, &e->link);
        return e;
    }
    if (r->n_entries >= RESOLVE_NAMES && !evict_one(r))
        return NULL;
    e = xcalloc(1, sizeof(*e));
    e->hash = hash;
    e->name = xmalloc(name.len + 1);
    memcpy(e->name, name.p, name.len);
    e->name[name.len] = '\0';
    list_init(&e->waits);
    list_prepend(&r->entries, &e->link);
    r->n_entries++;
    return e;
}

static void on_limit(void *arg)
{
    struct resolve_wait *w = arg;
    struct resolve_entry *e = w->entry;
    struct resolve_answer answer = {.why = STR("the resolver does not answer")};
    if (loop_now_ms(w->resolver->loop) < e->useless_ms && e->n > 0)
        answer = answer_of(e);
    wake(w, &answer);
}

/* What is known without asking: a literal, a fresh answer, or, while the resolver stalls or has
 * just failed, an older one. */
static bool known(const struct resolver *r, const struct resolve_entry *e)
{
    uint64_t now_ms = loop_now_ms(r->loop);
    if (!e->asking)
        return now_ms < e->due_ms;
    return e->n > 0 && now_ms < e->useless_ms && now_ms >= e->asked_ms + r->options.wait_ms;
}

static bool refuse(struct resolve_answer *ret, str why)
{
    *ret = (struct resolve_answer){.why = why};
    return true;
}

bool resolver_ask(struct resolver *r, str host, struct resolve_wait *w, struct resolve_answer *ret)
{
    if (address_parse(host, &r->literal)) {
        *ret = (struct resolve_answer){.addrs = &r->literal, .n = 1};
        return true;
    }
    if (host.len == 0 || host.len > RESOLVE_NAME_BYTES || memchr(host.p, '\0', host.len) != NULL)
        return refuse(ret, STR("not a host name"));
    struct resolve_entry *e = obtain(r, host);
    if (e == NULL)
        return refuse(ret, STR("too many names are being looked up"));
    if (known(r, e)) {
        *ret = answer_of(e);
        return true;
    }
    w->resolver = r;
    w->entry = e;
    list_append(&e->waits, &w->link);
    loop_timer_init(&w->limit, on_limit, w);
    loop_timer_set(r->loop, &w->limit, r->options.wait_ms);
    if (!e->asking)
        start_lookup(r, e);
    return false;
}
