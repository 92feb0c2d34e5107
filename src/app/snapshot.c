#include "app/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "store/files.h"

#define SETTINGS_FILE_MAX ((size_t)1 << 20)

/* For config: the content of a file that a setting names. */
static enum err read_named_file(void *arg, struct arena *a, str path, str *ret,
                                struct err_info *info)
{
    (void)arg;
    struct buf content;
    enum err e = files_read(path.p, SETTINGS_FILE_MAX, &content,
                            info); // config's strings end in a zero byte
    if (e == ERR_OK)
        *ret = arena_copy(a, buf_str(&content));
    crypto_wipe(content.p, content.len);
    buf_release(&content);
    return e;
}

static void warn_kept(void *arg, str name, const char *why)
{
    (void)arg;
    log_warn("setting_kept", LOG_STR("name", name), LOG_STR("why", str_z(why)));
}

static enum err load_config(struct config *old, struct config **ret, struct err_info *info)
{
    struct buf dotenv;
    enum err e = files_read(".env", SETTINGS_FILE_MAX, &dotenv, info);
    if (e == ERR_OK || e == ERR_NOT_FOUND) {
        struct config_sources sources = {.environ = (const char *const *)environ,
                                         .dotenv = buf_str(&dotenv),
                                         .read_file = read_named_file};
        struct config_reload reload = {.old = old, .sources = &sources, .kept = warn_kept};
        e = old == NULL ? config_load(&sources, ret, info) : config_reload(&reload, ret, info);
    }
    if (dotenv.p != NULL)
        crypto_wipe(dotenv.p, dotenv.len);
    buf_release(&dotenv);
    return e;
}

/* Config's strings have a zero byte behind their end; NULL for an empty one. */
static const char *path_z(str path)
{
    return path.len > 0 ? path.p : NULL;
}

/* Says which setting's file cannot be opened, and why. */
static enum err check_file(const char *name, str path, struct err_info *info)
{
    int fd = path.len > 0 ? open(path.p, O_RDONLY | O_CLOEXEC) : -1;
    if (path.len > 0 && fd < 0)
        return err_set(info, ERR_SYSTEM, "bad setting %s='%s': %s; a readable PEM file is allowed",
                       name, path.p, strerrordesc_np(errno));
    if (fd >= 0)
        close(fd);
    return ERR_OK;
}

/* Puts the name of the setting before what a library said of its file. */
static enum err blame(enum err e, const char *name, struct err_info *info)
{
    if (info == NULL)
        return e;
    char why[sizeof(info->text)];
    if (info == NULL)
        return e;
    memcpy(why, info->text, sizeof(why));
    return err_set(info, e, "bad setting %s: %.200s", name, why);
}

static enum err make_tls(struct snapshot *s, struct err_info *info)
{
    const struct config *c = s->config;
    enum err e = check_file("TLS_CERT", c->tls_cert, info);
    if (e == ERR_OK)
        e = check_file("TLS_KEY", c->tls_key, info);
    if (e == ERR_OK)
        e = check_file("CA_FILE", c->ca_file, info);
    if (e != ERR_OK)
        return e;

    if (c->tls_cert.len > 0)
        e = tls_server_context(path_z(c->tls_cert), path_z(c->tls_key), &s->server_tls, info);
    if (e != ERR_OK)
        return blame(e, str_contains(str_z(info->text), c->tls_key) ? "TLS_KEY" : "TLS_CERT", info);
    e = tls_client_context(path_z(c->ca_file), &s->client_tls, info);
    return e != ERR_OK ? blame(e, "CA_FILE", info) : ERR_OK;
}

static enum err finish(struct snapshot *s, struct err_info *info)
{
    enum err e = make_tls(s, info);
    if (e != ERR_OK)
        return e;
    const struct config *c = s->config;
    s->addresses.allow = c->upstream_allow;
    s->client = (struct client_options){
        .tls = s->client_tls,
        .addresses = &s->addresses,
        .connect_timeout_ms = c->connect_timeout_ms,
        .http_proxy = c->http_proxy,
        .https_proxy = c->https_proxy,
        .no_proxy = c->no_proxy,
        .user_agent = STR("ollama2openai/" O2O_VERSION),
    };
    e = client_options_check(&s->client, info);
    return e != ERR_OK ? blame(e, "of HTTP_PROXY, HTTPS_PROXY or NO_PROXY", info) : ERR_OK;
}

static enum err make(const struct snapshot *old, struct snapshot **ret, struct err_info *info)
{
    struct snapshot *s = xcalloc(1, sizeof(*s));
    atomic_store(&s->refs, 1);
    enum err e = load_config(old != NULL ? old->config : NULL, &s->config, info);
    if (e == ERR_OK)
        e = finish(s, info);
    if (e != ERR_OK) {
        snapshot_release(s);
        return e;
    }
    if (old != NULL)
        s->addresses.own_listen = old->addresses.own_listen;
    *ret = s;
    return ERR_OK;
}

/*
 * Takes secrets out of the process's environment, where other programs of the user can read them
 * (/proc/PID/environ), once their digests are made.
 */
static void forget_secrets(void)
{
    static const char *const names[] = {"ADMIN_PASSWORD", "API_TOKEN", "METRICS_TOKEN"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char *value = getenv(names[i]); // NOLINT(concurrency-mt-unsafe): no thread runs yet
        if (value == NULL)
            continue;
        crypto_wipe(value, strlen(value));
        unsetenv(names[i]); // NOLINT(concurrency-mt-unsafe)
    }
}

enum err snapshot_load(struct snapshot **ret, struct err_info *info)
{
    enum err e = make(NULL, ret, info);
    forget_secrets();
    return e;
}

enum err snapshot_reload(const struct snapshot *old, struct snapshot **ret, struct err_info *info)
{
    return make(old, ret, info);
}

struct snapshot *snapshot_acquire(struct snapshot *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void snapshot_release(struct snapshot *s)
{
    if (s == NULL || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) > 1)
        return;
    tls_context_release(s->server_tls);
    tls_context_release(s->client_tls);
    config_free(s->config);
    free(s);
}
