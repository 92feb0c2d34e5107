/*
 * Random operations on a pool, and on a model of it that only knows lists and loops: after each
 * step both must say the same of every key and host, and each choice must be one that the rules
 * allow. The brake is kept from firing by a success now and then; it has tests of its own.
 */
#include "keypool_test.h"

enum { HOSTS = 3, KEYS = 24, MODELS = 2, LEASES = 6, STEPS = 20000, COUNTED_MAX = 4 };

static const char *const URLS[HOSTS] = {HOST_A, HOST_B, HOST_C};
static const str NAMES[MODELS] = {STR_C("free"), STR_C("paid")};

struct model_key {
    uint64_t id; // 0: none
    int host;
    bool enabled;
    enum key_state state;
    enum key_cause cause;
    uint64_t until_ms;
    unsigned row;
    struct {
        uint64_t until_ms; // 0: never refused
        bool signin;
        unsigned doublings;
    } refused[MODELS];
};

struct model_host {
    bool cooling;
    uint64_t until_ms;
    unsigned connect_failures;
    uint64_t trial_ms; // 0: nobody tries it
    unsigned counted;  // verdicts that the brake counts, since the last success
};

/* A request that has a key. */
struct model_request {
    bool busy;
    bool has_lease;
    struct key_search search;
    struct lease lease;
    int model;
    bool skipped[HOSTS];
    bool tried_host[HOSTS];
    uint64_t tried[KEYS * 4];
    unsigned n_tried;
};

struct world {
    struct bench *b;
    uint32_t random;
    uint64_t now_ms;
    uint64_t next_id;
    struct model_key keys[KEYS];
    struct model_host hosts[HOSTS];
    int host_of_index[HOSTS]; // the pool numbers hosts as they come
    int n_indexes;
    struct model_request requests[LEASES];
    unsigned picks[PICK_REFUSED + 1];
};

static uint32_t draw(struct world *w, uint32_t n)
{
    w->random = w->random * 1664525 + 1013904223;
    return (w->random >> 8) % n;
}

static struct model_key *find(struct world *w, uint64_t id)
{
    for (int i = 0; i < KEYS; i++) {
        if (id != 0 && w->keys[i].id == id)
            return &w->keys[i];
    }
    return NULL;
}

static int64_t wall(const struct world *w, uint64_t at_ms)
{
    (void)w;
    return WALL + (int64_t)(at_ms - T0);
}

/* ---- what the rules say ---- */

static bool on_trial(const struct world *w, const struct model_host *h)
{
    return h->trial_ms != 0 && w->now_ms < h->trial_ms + 30000;
}

static unsigned count_enabled(const struct world *w)
{
    unsigned n = 0;
    for (int i = 0; i < KEYS; i++)
        n += w->keys[i].id != 0 && w->keys[i].enabled;
    return n;
}

static bool is_refused(const struct world *w, const struct model_key *k, int model)
{
    return k->refused[model].until_ms > w->now_ms;
}

static bool was_tried(const struct model_request *r, uint64_t id)
{
    for (unsigned i = 0; i < r->n_tried; i++) {
        if (r->tried[i] == id)
            return true;
    }
    return false;
}

static bool host_is_out(const struct model_request *r, int host, bool new_host)
{
    return r->skipped[host] || (new_host && r->tried_host[host]);
}

/* Whether the request may have the key if that is in `state`, and cools, if it does, as `cause`. */
static bool offers(const struct world *w, const struct model_request *r, const struct model_key *k,
                   enum key_state state, enum key_cause cause)
{
    return k->id != 0 && k->enabled && k->state == state &&
           (state != KEY_IS_COOLING || k->cause == cause) && !was_tried(r, k->id) &&
           !is_refused(w, k, r->model);
}

struct expected {
    enum key_pick pick;
    bool trial;
    uint64_t wait_ms;
    uint64_t due_ms; // of the key or host tried
    bool allowed[KEYS];
};

static bool allow_ready(const struct world *w, const struct model_request *r, bool new_host,
                        bool over, struct expected *e)
{
    bool any = false;
    for (int i = 0; i < KEYS; i++) {
        const struct model_key *k = &w->keys[i];
        const struct model_host *h = &w->hosts[k->host];
        bool right = over ? h->cooling && h->until_ms <= w->now_ms && !on_trial(w, h) : !h->cooling;
        e->allowed[i] = right && !host_is_out(r, k->host, new_host) &&
                        offers(w, r, k, KEY_IS_READY, CAUSE_NONE);
        any |= e->allowed[i];
    }
    return any;
}

static uint64_t trial_due(const struct world *w, const struct model_request *r,
                          const struct model_key *k)
{
    const struct model_host *h = &w->hosts[k->host];
    uint64_t host_ms = h->cooling ? h->until_ms : 0;
    if (offers(w, r, k, KEY_IS_READY, CAUSE_NONE))
        return host_ms;
    if (!offers(w, r, k, KEY_IS_COOLING, CAUSE_FAILURES))
        return UINT64_MAX;
    return k->until_ms > host_ms ? k->until_ms : host_ms;
}

/* Returns whether a host that is tried already would have had something. */
static bool allow_trial(const struct world *w, const struct model_request *r, bool new_host,
                        struct expected *e)
{
    bool busy = false;
    e->due_ms = UINT64_MAX;
    for (int i = 0; i < KEYS; i++) {
        const struct model_key *k = &w->keys[i];
        uint64_t due_ms = host_is_out(r, k->host, new_host) ? UINT64_MAX : trial_due(w, r, k);
        if (due_ms == UINT64_MAX)
            continue;
        busy |= on_trial(w, &w->hosts[k->host]);
        e->due_ms = due_ms < e->due_ms ? due_ms : e->due_ms;
    }
    for (int i = 0; i < KEYS; i++)
        e->allowed[i] = e->due_ms != UINT64_MAX && !host_is_out(r, w->keys[i].host, new_host) &&
                        trial_due(w, r, &w->keys[i]) == e->due_ms;
    return busy;
}

static enum key_pick why_nothing(const struct world *w, const struct model_request *r,
                                 bool new_host, struct expected *e)
{
    uint64_t limited_ms = UINT64_MAX;
    bool dead = false;
    bool refused = false;
    bool signin = false;
    for (int i = 0; i < KEYS; i++) {
        const struct model_key *k = &w->keys[i];
        const struct model_host *h = &w->hosts[k->host];
        bool host_enabled = false;
        for (int n = 0; n < KEYS; n++)
            host_enabled |= w->keys[n].id != 0 && w->keys[n].host == k->host && w->keys[n].enabled;
        if (k->id == 0 || host_is_out(r, k->host, new_host) || !host_enabled)
            continue;
        signin |= is_refused(w, k, r->model) && k->refused[r->model].signin;
        refused |= is_refused(w, k, r->model) && !k->refused[r->model].signin;
        if (!k->enabled)
            continue;
        dead |= k->state == KEY_IS_DEAD;
        if (k->state == KEY_IS_COOLING && k->cause == CAUSE_LIMIT) {
            uint64_t due_ms = h->cooling && h->until_ms > k->until_ms ? h->until_ms : k->until_ms;
            limited_ms = due_ms < limited_ms ? due_ms : limited_ms;
        }
    }
    if (limited_ms != UINT64_MAX) {
        e->wait_ms = limited_ms > w->now_ms ? limited_ms - w->now_ms : 1;
        return PICK_LIMITED;
    }
    if (r->n_tried > 0)
        return PICK_EXHAUSTED;
    return dead || signin ? PICK_DEAD : refused ? PICK_REFUSED : PICK_NO_UPSTREAM;
}

static struct expected expect(const struct world *w, const struct model_request *r, bool new_host)
{
    struct expected e = {.pick = PICK_KEY};
    if (allow_ready(w, r, new_host, true, &e)) {
        e.trial = true;
    } else if (!allow_ready(w, r, new_host, false, &e)) {
        e.trial = true;
        if (allow_trial(w, r, new_host, &e))
            e.pick = PICK_BUSY;
        else if (e.due_ms == UINT64_MAX)
            e.pick = why_nothing(w, r, new_host, &e);
    }
    return e;
}

/* ---- comparing ---- */

static struct model_host *host_by_index(struct world *w, uint32_t index)
{
    return &w->hosts[w->host_of_index[index]];
}

static void compare_host(void *arg, const struct host_view *view)
{
    struct world *w = arg;
    const struct model_host *h = host_by_index(w, view->host);
    assert_int_equal(view->cooling, h->cooling);
    if (h->cooling)
        assert_int_equal(view->until_ms, wall(w, h->until_ms));
}

static void compare(struct world *w)
{
    uint64_t by_state[KEY_STATES] = {0};
    uint64_t total = 0;
    for (int i = 0; i < KEYS; i++) {
        const struct model_key *k = &w->keys[i];
        if (k->id == 0)
            continue;
        struct key_view v = look(w->b, k->id).v;
        bool host_cools = w->hosts[k->host].cooling && k->state != KEY_IS_DEAD;
        enum key_state shown = !k->enabled  ? KEY_IS_DISABLED
                               : host_cools ? KEY_IS_COOLING
                                            : k->state;
        assert_int_equal(v.life.state, k->state);
        assert_int_equal(v.state, shown);
        assert_int_equal(v.enabled, k->enabled);
        if (k->state == KEY_IS_COOLING) {
            assert_int_equal(v.life.cause, k->cause);
            assert_int_equal(v.life.until_ms, wall(w, k->until_ms));
        }
        by_state[shown]++;
        total++;
    }
    struct key_summary sum = summary_of(w->b);
    assert_int_equal(sum.total, total);
    assert_memory_equal(sum.by_state, by_state, sizeof(by_state));
    keypool_walk_hosts(w->b->p, 0, 100, w->now_ms, compare_host, w);
}

/* ---- steps ---- */

static void step_add(struct world *w)
{
    int i = (int)draw(w, KEYS);
    if (w->keys[i].id != 0)
        return;
    char secret[32];
    int n = snprintf(secret, sizeof(secret), "s%u", (unsigned)w->next_id);
    int host = (int)draw(w, HOSTS);
    struct key_spec spec = {.id = w->next_id++,
                            .secret = str_of(secret, (size_t)n),
                            .base_url = str_z(URLS[host]),
                            .enabled = draw(w, 8) != 0};
    assert_int_equal(add_spec(w->b->p, &spec), ERR_OK);
    w->keys[i] = (struct model_key){.id = spec.id, .host = host, .enabled = spec.enabled};
    bool known = false;
    for (int h = 0; h < w->n_indexes; h++)
        known |= w->host_of_index[h] == host;
    if (!known)
        w->host_of_index[w->n_indexes++] = host;
}

static void step_person(struct world *w)
{
    struct model_key *k = &w->keys[draw(w, KEYS)];
    if (k->id == 0)
        return;
    switch (draw(w, 4)) {
    case 0:
        assert_true(keypool_remove(w->b->p, k->id, w->now_ms));
        *k = (struct model_key){.host = k->host};
        break;
    case 1:
        assert_true(keypool_reset(w->b->p, k->id, w->now_ms));
        k->state = KEY_IS_READY;
        k->row = 0;
        memset(k->refused, 0, sizeof(k->refused));
        break;
    default:
        k->enabled = draw(w, 4) != 0;
        assert_true(keypool_set_enabled(w->b->p, k->id, k->enabled, w->now_ms));
        break;
    }
}

static void step_time(struct world *w)
{
    static const uint64_t spans_ms[] = {1, 100, 1000, 10000, 100000, 4000000};
    w->now_ms += spans_ms[draw(w, COUNT_OF(spans_ms))];
    keypool_expire(w->b->p, w->now_ms);
    for (int i = 0; i < KEYS; i++) {
        struct model_key *k = &w->keys[i];
        if (k->enabled && k->state == KEY_IS_COOLING && k->until_ms <= w->now_ms)
            k->state = KEY_IS_READY;
    }
}

/* A disabled key's time goes on; it shows when it is enabled and time goes on. */
static void step_settle(struct world *w)
{
    keypool_expire(w->b->p, w->now_ms);
    for (int i = 0; i < KEYS; i++) {
        struct model_key *k = &w->keys[i];
        if (k->id != 0 && k->enabled && k->state == KEY_IS_COOLING && k->until_ms <= w->now_ms)
            k->state = KEY_IS_READY;
    }
}

static void begin(struct world *w, struct model_request *r)
{
    *r = (struct model_request){.busy = true, .model = (int)draw(w, MODELS)};
}

static void finish(struct model_request *r)
{
    key_search_release(&r->search);
    *r = (struct model_request){0};
}

static void step_acquire(struct world *w, struct model_request *r)
{
    uint64_t wait_ms = 0;
    bool new_host = draw(w, 5) == 0;
    struct expected e = expect(w, r, new_host);
    int asked = PICK_REFUSED + 1;
    if (r->n_tried == 0) // a new request gets what it is told
        asked = (int)keypool_ask(w->b->p, NULL, NAMES[r->model], w->now_ms, &wait_ms);
    enum key_pick picked = keypool_acquire(w->b->p, &r->search, NAMES[r->model], new_host,
                                           w->now_ms, &r->lease, &wait_ms);
    assert_int_equal(picked, e.pick);
    if (asked != PICK_REFUSED + 1)
        assert_int_equal(asked, picked);
    w->picks[picked]++;
    if (picked == PICK_LIMITED)
        assert_int_equal(wait_ms, e.wait_ms);
    if (picked != PICK_KEY) {
        finish(r);
        return;
    }
    struct model_key *k = find(w, r->lease.key_id);
    assert_non_null(k);
    assert_true(e.allowed[k - w->keys]);
    assert_int_equal(r->lease.trial, e.trial);
    assert_int_equal(r->lease.alone, count_enabled(w) == 1);
    r->has_lease = true;
    r->tried[r->n_tried++] = k->id;
    r->tried_host[k->host] = true;
    if (e.trial)
        w->hosts[k->host].trial_ms = w->now_ms;
}

static void host_back(struct model_host *h)
{
    h->cooling = false;
    h->connect_failures = 0;
    h->counted = 0;
}

static void model_success(struct world *w, struct model_request *r, struct model_host *h)
{
    struct model_key *k = find(w, r->lease.key_id);
    host_back(h);
    if (k == NULL)
        return;
    k->row = 0;
    k->refused[r->model].until_ms = 0;
    k->refused[r->model].doublings = 0;
    if (k->state == KEY_IS_COOLING && k->cause == CAUSE_FAILURES)
        k->state = KEY_IS_READY;
}

static void model_failures(struct world *w, struct model_key *k, bool trial)
{
    k->row++;
    bool alone = k->enabled && count_enabled(w) == 1;
    if (alone || k->row < 3 || k->state == KEY_IS_DEAD ||
        (k->state == KEY_IS_COOLING && (k->cause == CAUSE_LIMIT || !trial)))
        return;
    k->state = KEY_IS_COOLING;
    k->cause = CAUSE_FAILURES;
    uint64_t until = T0 + (uint64_t)(look(w->b, k->id).v.life.until_ms - WALL);
    assert_in_range(until - w->now_ms, 1000, 300000); // its jitter and doublings are not ours
    k->until_ms = until;
}

static void model_limit(struct world *w, struct model_key *k, uint64_t ms)
{
    if (k->state == KEY_IS_DEAD)
        return;
    bool limited = k->state == KEY_IS_COOLING && k->cause == CAUSE_LIMIT && k->until_ms > w->now_ms;
    if (!limited || k->until_ms < w->now_ms + ms)
        k->until_ms = w->now_ms + ms;
    k->state = KEY_IS_COOLING;
    k->cause = CAUSE_LIMIT;
}

static void model_refusal(struct world *w, struct model_key *k, int model, bool signin)
{
    if (is_refused(w, k, model))
        return;
    k->refused[model].signin = signin;
    uint64_t hours = UINT64_C(1) << k->refused[model].doublings;
    k->refused[model].until_ms = w->now_ms + (signin       ? 600000
                                              : hours < 24 ? hours * HOUR
                                                           : 24 * HOUR);
    k->refused[model].doublings += !signin && hours < 24;
}

/* The host's cooling is as long as the pool says, within the rules. */
static void model_host_cools(struct world *w, struct model_host *h, uint32_t index)
{
    h->cooling = true;
    h->until_ms = T0 + (uint64_t)(host_at(w->b, index).until_ms - WALL);
    assert_in_range(h->until_ms - w->now_ms, 5000, 300000);
}

static bool host_has_keys(const struct world *w, int host)
{
    for (int i = 0; i < KEYS; i++) {
        if (w->keys[i].id != 0 && w->keys[i].host == host)
            return true;
    }
    return false;
}

enum {
    DO_SUCCESS,
    DO_RESET,
    DO_TROUBLE,
    DO_LIMIT,
    DO_DEAD,
    DO_REFUSED,
    DO_SIGNIN,
    DO_CONNECT,
    DO_NOTHING,
    DO_RELEASE,
    DOINGS
};

static struct verdict verdict_of(int doing)
{
    switch (doing) {
    case DO_RESET:
        return V_RESET;
    case DO_TROUBLE:
        return V_TROUBLE;
    case DO_LIMIT:
        return V_STATED(30);
    case DO_DEAD:
        return V_DEAD;
    case DO_REFUSED:
        return V_REFUSED;
    case DO_SIGNIN:
        return V_SIGNIN;
    case DO_CONNECT:
        return V_CONNECT;
    default:
        return V_NOTHING;
    }
}

static void model_key_verdict(struct world *w, struct model_request *r, int doing, bool trial)
{
    struct model_key *k = find(w, r->lease.key_id);
    if (k == NULL)
        return;
    if (doing == DO_RESET || doing == DO_TROUBLE)
        model_failures(w, k, trial);
    else if (doing == DO_LIMIT)
        model_limit(w, k, 30000);
    else if (doing == DO_DEAD)
        k->state = KEY_IS_DEAD;
    else if (doing == DO_REFUSED || doing == DO_SIGNIN)
        model_refusal(w, k, r->model, doing == DO_SIGNIN);
}

static void model_host_verdict(struct world *w, struct model_host *h, int doing, bool trial,
                               uint32_t index)
{
    if (doing == DO_CONNECT) {
        h->connect_failures++;
        if (h->cooling ? trial : h->connect_failures >= 2)
            model_host_cools(w, h, index);
    } else if (doing == DO_SUCCESS || (h->cooling && trial)) {
        host_back(h);
    } else {
        h->connect_failures = 0;
    }
}

/* A good answer begins, and goes on. */
static void step_answer(struct world *w, struct model_request *r)
{
    struct model_host *h = host_by_index(w, r->lease.host);
    struct model_key *k = find(w, r->lease.key_id);
    bool trial = r->lease.trial;
    keypool_note_answer(w->b->p, &r->lease, w->now_ms);
    assert_false(r->lease.trial);
    if (!trial)
        return;
    h->trial_ms = 0;
    host_back(h);
    if (k == NULL)
        return;
    k->row = 0;
    if (k->state == KEY_IS_COOLING && k->cause == CAUSE_FAILURES)
        k->state = KEY_IS_READY;
}

static void step_report(struct world *w, struct model_request *r)
{
    struct model_host *h = host_by_index(w, r->lease.host);
    int doing = (int)draw(w, DOINGS);
    bool trial = r->lease.trial;
    struct lease lease = r->lease; // the pool takes its own away
    bool skip = doing == DO_CONNECT || (doing == DO_NOTHING && draw(w, 2));
    int host = w->host_of_index[r->lease.host];
    if (doing == DO_RESET || doing == DO_TROUBLE || doing == DO_CONNECT || doing == DO_DEAD) {
        // Four that count at most, and of one host: else it would brake. A host without keys
        // does not show, so that its time cannot be compared.
        if (h->counted == COUNTED_MAX || !host_has_keys(w, host))
            doing = DO_SUCCESS;
        else
            h->counted++;
    }
    r->has_lease = false;
    h->trial_ms = trial ? 0 : h->trial_ms;
    if (skip && doing != DO_SUCCESS) {
        key_search_skip_host(&r->search, &lease);
        r->skipped[host] = true;
    }
    if (doing == DO_RELEASE) {
        keypool_release(w->b->p, &lease, w->now_ms);
    } else if (doing == DO_SUCCESS) {
        keypool_report_success(w->b->p, &lease, NAMES[r->model], 1, w->now_ms);
        model_success(w, r, h);
    } else {
        struct verdict v = verdict_of(doing);
        keypool_report_failure(w->b->p, &lease, NAMES[r->model], &v, w->now_ms);
        model_key_verdict(w, r, doing, trial);
        model_host_verdict(w, h, doing, trial, r->lease.host);
    }
    if (doing == DO_SUCCESS || doing == DO_RELEASE || r->n_tried > 20)
        finish(r);
}

static void step_request(struct world *w)
{
    struct model_request *r = &w->requests[draw(w, LEASES)];
    if (r->has_lease) {
        if (draw(w, 8) == 0)
            step_answer(w, r);
        else
            step_report(w, r);
        return;
    }
    if (!r->busy)
        begin(w, r);
    step_settle(w);
    step_acquire(w, r);
}

static void run_world(uint32_t seed, unsigned picks[PICK_REFUSED + 1])
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->b = empty_bench();
    w->random = seed;
    w->now_ms = T0;
    w->next_id = 1;
    for (int i = 0; i < STEPS; i++) {
        uint32_t what = draw(w, 100);
        if (what < 4)
            step_add(w);
        else if (what < 8)
            step_person(w);
        else if (what < 20)
            step_time(w);
        else
            step_request(w);
        compare(w);
    }
    for (int i = 0; i < LEASES; i++) {
        if (w->requests[i].has_lease)
            keypool_release(w->b->p, &w->requests[i].lease, w->now_ms);
        finish(&w->requests[i]);
    }
    for (int i = 0; i <= PICK_REFUSED; i++)
        picks[i] += w->picks[i];
    bench_free(w->b);
    free(w);
}

static void test_keypool__is_as_its_model(void **state)
{
    unsigned picks[PICK_REFUSED + 1] = {0};
    (void)state;
    for (uint32_t seed = 1; seed <= 12; seed++)
        run_world(seed, picks);
    for (int i = 0; i <= PICK_REFUSED; i++)
        assert_true(picks[i] > 0); // the steps have been everywhere
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keypool__is_as_its_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
