/*
 * config - the settings, as one immutable snapshot
 *
 * Every setting is one row of the table in config_table.c, which gives its name, kind, range,
 * default and help; loading, --help and --check-config walk that table. The environment wins over
 * .env, which wins over the default; a value that is empty counts as not set. A reload makes a new
 * snapshot and leaves the old one to those who still hold it.
 *
 * Of secrets only digests are kept, under keys that are this process's own.
 *
 * Threads: any; a snapshot never changes, and has one owner.
 * Memory:  a snapshot copies what it needs; its strings live as long as it does and have a zero
 *          byte behind their end.
 */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/crypto.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "base/url.h"
#include "core/address.h"
#include "core/cors.h"

/* Which field of an answer carries the model's thinking. */
enum config_reasoning { REASONING_FIELD_CONTENT, REASONING_FIELD_REASONING, REASONING_FIELD_BOTH };

struct config_digest {
    unsigned char bytes[CRYPTO_DIGEST_BYTES];
};

struct config_tag {
    unsigned char bytes[CRYPTO_TAG_BYTES];
};

struct config_tokens {
    const struct config_tag *items;
    size_t n; // 0: no authentication
};

struct config_password {
    struct config_digest digest;
    bool is_default; // the built-in one, whoever set it
    bool is_short;   // under 8 characters
};

enum config_origin {
    CONFIG_DEFAULT,
    CONFIG_DOTENV,
    CONFIG_ENVIRONMENT,
    CONFIG_FILE, // NAME_FILE named a file that holds it
};

/* What one row of the table came to; in the order of the table. */
struct config_value {
    str text; // as it was given; empty for a secret
    enum config_origin origin;
    bool set;                    // is not empty
    struct config_digest digest; // of the text, to see a change
};

struct config {
    uint32_t port;
    str host;
    struct config_password admin_password;
    struct config_tokens api_tokens;
    struct url upstream;              // OLLAMA_BASE_URL without /api or /v1
    bool upstream_set;                // somebody set it
    uint32_t health_check_interval_s; // 0: off
    uint32_t connect_timeout_ms;
    uint32_t request_timeout_ms;
    uint32_t stream_idle_timeout_ms;
    uint32_t stream_start_timeout_ms; // 0: never
    uint32_t max_retries;
    enum config_reasoning reasoning_field;
    uint32_t default_num_ctx; // 0: not sent
    enum log_level log_level;
    enum log_format log_format;
    bool debug_headers;
    str data_dir;
    str key_file;
    uint32_t workers; // 0: see config_workers_from()
    str tls_cert;     // both or neither
    str tls_key;
    str ca_file;
    str http_proxy;
    str https_proxy;
    str no_proxy;
    struct cidr_list upstream_allow;
    struct cidr_list trust_proxy; // "true" has become the loopback and private ranges
    struct cors_policy cors;
    uint32_t max_conn_per_ip; // 0: no limit
    uint32_t body_limit_bytes;
    struct config_tokens metrics_token; // none or one
    uint32_t shutdown_timeout_ms;

    /* For one warning each at the start; empty when there is nothing to say. */
    str ignored; // names the older program had and this one does not: "CACHE_TTL, IP_WHITELIST"
    str unknown; // other names in .env that are no setting

    const struct config_value *values;
    struct arena arena;
};

/*
 * Reads a whole file into memory of `a`, which is overwritten once it was used. `path` has a zero
 * byte behind its end. On failure `info` says why ("cannot open '/x': …").
 */
typedef enum err config_read_fn(void *arg, struct arena *a, str path, str *ret,
                                struct err_info *info);

struct config_sources {
    const char *const *environ; // "NAME=value", ends with NULL
    str dotenv;                 // text of .env; empty: there is none
    config_read_fn *read_file;  // for NAME_FILE
    void *read_arg;
};

/*
 * Makes a snapshot of what the sources say; the caller owns one reference to `*ret`.
 *
 * ERR_SYNTAX, ERR_RANGE  a setting is bad; `info` has one sentence that names it, its value (not
 *                        a secret's) and what is allowed.
 * other                  what read_file() said about a NAME_FILE.
 */
MUST_CHECK enum err config_load(const struct config_sources *sources, struct config **ret,
                                struct err_info *info);

/*
 * Runs for each setting that a reload leaves as it was although the sources ask for another value.
 * `why` is a static phrase: "needs a restart", "set by the environment".
 */
typedef void config_kept_fn(void *arg, str name, const char *why);

struct config_reload {
    const struct config *old;
    const struct config_sources *sources;
    config_kept_fn *kept; // may be NULL
    void *kept_arg;
};

/*
 * As config_load, for SIGHUP: what needs a restart and what the process environment had set (the
 * variables may be gone from it by now) is taken from the old snapshot.
 */
MUST_CHECK enum err config_reload(const struct config_reload *reload, struct config **ret,
                                  struct err_info *info);

/* Accepts NULL. */
void config_free(struct config *cfg);

static inline bool config_admin_password_is_default(const struct config *cfg)
{
    return cfg->admin_password.is_default;
}

/* Calls `line` for each setting: secrets as "(set)" or "(empty)", `origin` in words. */
void config_describe(const struct config *cfg,
                     void (*line)(void *arg, str name, str value, str origin), void *arg);

/* A setting as people see it; texts live until the callback returns. */
struct config_setting {
    str name;
    str value;  // empty of a secret; a proxy's without its password
    str origin; // "default", ".env", "environment", "file"
    bool secret;
    bool set;
    bool restart; // a change needs one: it is fixed, or the process environment has set it
    str fallback; // empty of a secret
    const char *help;
};

/* Calls fn for each setting. */
void config_walk(const struct config *cfg,
                 void (*fn)(void *arg, const struct config_setting *setting), void *arg);

/* Appends the settings' part of --help. */
void config_help(struct buf *out);

/*
 * The number of workers for a machine: CPUs that we may run on, less if a cgroup's cpu.max
 * ("200000 100000", "max 100000"; empty: none) grants less. At least 1, at most 256.
 */
uint32_t config_workers_from(uint32_t cpus, str cpu_max);

#endif
