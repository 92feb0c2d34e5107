#include "app/admin_auth.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "app/hasher.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "core/throttle.h"

#define BUSY_WAIT_MS 1000

/* A password that is being checked. */
struct check {
    struct list link; // in admin_auth.checks
    struct admin_auth *auth;
    struct list tries; // struct admin_try.link
    uint64_t generation;
    unsigned char digest[CRYPTO_DIGEST_BYTES];
};

struct admin_try {
    struct list link;  // in check.tries, under the lock
    struct loop *loop; // read-only
    admin_try_fn *fn;  // the loop's thread only; NULL: it has left
    void *arg;
    struct sockaddr_storage addr;
    uint64_t generation; // set when it is over
    bool right;
};

struct admin_auth {
    struct hasher *hasher;
    struct store *store; // NULL: tries are not stored

    pthread_mutex_t lock;
    struct sessions *sessions;
    struct throttle *throttle;
    struct list checks; // struct check.link
    uint64_t generation;
    bool storing; // a job is under way that will see what was counted until now
};

enum err admin_auth_new(const struct config *config, struct admin_auth **ret, struct err_info *info)
{
    struct admin_auth *a = xcalloc(1, sizeof(*a));
    unsigned char key[CRYPTO_KEY_BYTES];
    enum err e = hasher_new(&a->hasher, info);
    if (e != ERR_OK) {
        free(a);
        return e;
    }
    crypto_random(key, sizeof(key));
    a->sessions = sessions_new(key);
    crypto_wipe(key, sizeof(key));
    a->throttle = throttle_new();
    list_init(&a->checks);
    pthread_mutex_init(&a->lock, NULL);
    hasher_set_password(a->hasher, config->admin_password.digest.bytes);
    *ret = a;
    return ERR_OK;
}

void admin_auth_free(struct admin_auth *a)
{
    if (a == NULL)
        return;
    hasher_free(a->hasher); // ends every check
    sessions_free(a->sessions);
    throttle_free(a->throttle);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

void admin_auth_reload(struct admin_auth *a, const struct config *old, const struct config *now)
{
    const unsigned char *digest = now->admin_password.digest.bytes;
    if (crypto_digest_equal(old->admin_password.digest.bytes, digest))
        return;
    pthread_mutex_lock(&a->lock);
    a->generation++;
    sessions_end_all(a->sessions);
    hasher_set_password(a->hasher, digest);
    pthread_mutex_unlock(&a->lock);
}

bool admin_auth_has(struct admin_auth *a, str bearer)
{
    pthread_mutex_lock(&a->lock);
    bool has = sessions_has(a->sessions, bearer, clock_mono_ms());
    pthread_mutex_unlock(&a->lock);
    return has;
}

bool admin_auth_knows(struct admin_auth *a, str bearer)
{
    pthread_mutex_lock(&a->lock);
    bool has = sessions_knows(a->sessions, bearer, clock_mono_ms());
    pthread_mutex_unlock(&a->lock);
    return has;
}

bool admin_auth_is_caller(struct admin_auth *a, str bearer)
{
    if (session_is_token(bearer))
        return admin_auth_has(a, bearer);
    if (!session_is_chat_token(bearer))
        return false;
    pthread_mutex_lock(&a->lock);
    bool has = sessions_has_chat(a->sessions, bearer, clock_mono_ms());
    pthread_mutex_unlock(&a->lock);
    return has;
}

bool admin_auth_begin(struct admin_auth *a, uint64_t generation, char token[SESSION_TOKEN_BYTES])
{
    pthread_mutex_lock(&a->lock);
    bool current = a->generation == generation;
    if (current)
        sessions_begin(a->sessions, clock_mono_ms(), token);
    pthread_mutex_unlock(&a->lock);
    return current;
}

void admin_auth_adopt(struct admin_auth *a, uint64_t generation, str password)
{
    pthread_mutex_lock(&a->lock);
    if (a->generation == generation)
        sessions_adopt(a->sessions, password, clock_mono_ms());
    pthread_mutex_unlock(&a->lock);
}

void admin_auth_end(struct admin_auth *a, str bearer)
{
    pthread_mutex_lock(&a->lock);
    sessions_end(a->sessions, bearer);
    pthread_mutex_unlock(&a->lock);
}

/* These read the sessions' key alone, which never changes. */
str admin_auth_csrf(struct admin_auth *a, str bearer, char out[SESSION_TEXT_BYTES])
{
    return session_csrf(a->sessions, bearer, out);
}

str admin_auth_chat_token(struct admin_auth *a, str bearer, char out[SESSION_TEXT_BYTES])
{
    return session_chat_token(a->sessions, bearer, out);
}

bool admin_auth_csrf_ok(struct admin_auth *a, str bearer, str presented)
{
    return session_csrf_ok(a->sessions, bearer, presented);
}

/* ---- tries in the store ---- */

static void load_try(void *arg, const struct throttle_row *row)
{
    struct admin_auth *a = arg;
    throttle_load(a->throttle, row, clock_mono_ms(), clock_wall_ms());
}

enum err admin_auth_keep(struct admin_auth *a, struct store *store, struct err_info *info)
{
    a->store = store;
    return store_read_tries(store, load_try, a, info);
}

/* On the store's thread. */
static void store_tries(struct store *s, void *arg)
{
    struct admin_auth *a = arg;
    struct err_info info = {0};
    struct throttle_row *rows = xmalloc(THROTTLE_ROWS_MAX * sizeof(*rows));
    pthread_mutex_lock(&a->lock);
    a->storing = false;
    size_t n = throttle_save(a->throttle, clock_mono_ms(), clock_wall_ms(), rows);
    pthread_mutex_unlock(&a->lock);
    // The next try writes all of them again, so one that fails is not kept for later.
    if (store_write_tries(s, rows, n, &info) != ERR_OK)
        log_error("tries_not_stored", LOG_STR("why", str_z(info.text)));
    free(rows);
}

static void begin_storing_locked(struct admin_auth *a)
{
    if (a->store != NULL && !a->storing)
        a->storing = store_post(a->store, store_tries, a);
}

/* ---- passwords ---- */

static void check_free(struct check *c)
{
    crypto_wipe(c->digest, sizeof(c->digest));
    free(c);
}

/* The check of this password that is under way, or NULL. */
static struct check *find_check_locked(struct admin_auth *a, const unsigned char *digest)
{
    for (struct list *l = a->checks.next; l != &a->checks; l = l->next) {
        struct check *c = list_entry(l, struct check, link);
        if (c->generation == a->generation && crypto_digest_equal(c->digest, digest))
            return c;
    }
    return NULL;
}

/* On the loop of the one who waits. */
static void tell(void *arg)
{
    struct admin_try *t = arg;
    if (t->fn != NULL)
        t->fn(t->arg, t->right, t->generation);
    free(t);
}

/* On the hasher's thread. */
static void on_checked(void *arg, bool right)
{
    struct check *c = arg;
    struct admin_auth *a = c->auth;
    pthread_mutex_lock(&a->lock);
    list_remove(&c->link);
    while (!list_empty(&c->tries)) {
        struct admin_try *t = list_entry(c->tries.next, struct admin_try, link);
        list_remove(&t->link);
        t->right = right;
        t->generation = c->generation;
        if (right)
            throttle_passed(a->throttle, (const struct sockaddr *)&t->addr, clock_mono_ms());
        loop_post(t->loop, tell, t);
    }
    if (right)
        begin_storing_locked(a);
    pthread_mutex_unlock(&a->lock);
    check_free(c);
}

/* Starts the check of a password; NULL: not now, but in `*ret_wait_ms`. */
static struct check *begin_check_locked(struct admin_auth *a, const unsigned char *digest,
                                        const struct sockaddr *addr, uint64_t *ret_wait_ms)
{
    *ret_wait_ms = throttle_admit(a->throttle, addr, clock_mono_ms());
    if (*ret_wait_ms > 0)
        return NULL;
    begin_storing_locked(a);
    struct check *c = xcalloc(1, sizeof(*c));
    c->auth = a;
    c->generation = a->generation;
    memcpy(c->digest, digest, sizeof(c->digest));
    list_init(&c->tries);
    list_init(&c->link);
    if (!hasher_check(a->hasher, digest, on_checked, c)) {
        check_free(c);
        *ret_wait_ms = BUSY_WAIT_MS;
        return NULL;
    }
    list_append(&a->checks, &c->link);
    return c;
}

static struct admin_try *try_new(const struct admin_try_setup *setup)
{
    struct admin_try *t = xcalloc(1, sizeof(*t));
    t->loop = setup->loop;
    t->fn = setup->fn;
    t->arg = setup->arg;
    list_init(&t->link);
    socklen_t size = setup->addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                        : sizeof(struct sockaddr_in);
    memcpy(&t->addr, setup->addr, size);
    return t;
}

struct admin_try *admin_auth_try(struct admin_auth *a, const struct admin_try_setup *setup,
                                 uint64_t *ret_wait_ms)
{
    struct admin_try *t = NULL;
    unsigned char digest[CRYPTO_DIGEST_BYTES];
    crypto_digest(setup->password, digest);
    pthread_mutex_lock(&a->lock);
    struct check *c = find_check_locked(a, digest);
    if (c == NULL)
        c = begin_check_locked(a, digest, setup->addr, ret_wait_ms);
    if (c != NULL) {
        t = try_new(setup);
        list_append(&c->tries, &t->link); // on_checked() needs the lock, so it is in time
    }
    pthread_mutex_unlock(&a->lock);
    crypto_wipe(digest, sizeof(digest));
    return t;
}

void admin_try_leave(struct admin_try *t)
{
    t->fn = NULL;
}
