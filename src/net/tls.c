#include "net/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/attr.h"
#include "base/xalloc.h"

#define MAX_NAME_BYTES 255
#define MAX_KEY_BYTES  512
#define MAX_KEPT       256
#define RECORD_BYTES   16384

/* A session that a later connection to the same name may resume. */
struct kept {
    uint64_t name_hash;
    char *name;
    SSL_SESSION *session;
};

struct tls_context {
    SSL_CTX *ctx; // safe in threads; of a client under lock, and NULL before its first session
    atomic_uint references;
    bool is_server;

    pthread_mutex_t lock;
    struct kept kept[MAX_KEPT]; // under lock: a ring, overwritten from its oldest place
    size_t next_kept;           // under lock
};

struct tls_session {
    SSL *ssl;
    struct tls_context *context; // holds a reference
    char *resume_key;            // clients; NULL: not resumed
    str in;                      // what OpenSSL may read now
    struct buf *out;             // where it writes now
    bool failed;
    char error[160];
};

/* ---- the bridge between OpenSSL and our bytes ---- */

static int bridge_read(BIO *bio, char *to, int n)
{
    struct tls_session *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (t->in.len == 0 || n <= 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    str piece = str_head(t->in, (size_t)n);
    memcpy(to, piece.p, piece.len);
    t->in = str_skip(t->in, piece.len);
    return (int)piece.len;
}

static int bridge_write(BIO *bio, const char *from, int n)
{
    struct tls_session *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (t->out == NULL || n < 0)
        return -1;
    buf_append(t->out, str_of(from, (size_t)n));
    return buf_ok(t->out) ? n : -1;
}

static long bridge_ctrl(BIO *bio, int command, long number, void *p)
{
    (void)bio;
    (void)number;
    (void)p;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int bridge_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *bridge;
static pthread_once_t bridge_once = PTHREAD_ONCE_INIT;

static void make_bridge(void)
{
    bridge = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
    if (bridge == NULL)
        abort(); // out of heap
    BIO_meth_set_read(bridge, bridge_read);
    BIO_meth_set_write(bridge, bridge_write);
    BIO_meth_set_ctrl(bridge, bridge_ctrl);
    BIO_meth_set_create(bridge, bridge_create);
}

/* ---- sessions that can be resumed ---- */

static void forget(struct kept *k)
{
    free(k->name);
    SSL_SESSION_free(k->session);
    *k = (struct kept){0};
}

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_session *t = SSL_get_app_data(ssl);
    if (t->resume_key == NULL || !SSL_SESSION_is_resumable(session))
        return 0;
    struct tls_context *c = t->context;
    pthread_mutex_lock(&c->lock);
    struct kept *k = &c->kept[c->next_kept];
    c->next_kept = (c->next_kept + 1) % MAX_KEPT;
    forget(k);
    *k = (struct kept){str_hash(str_z(t->resume_key)), xstrdup(t->resume_key), session};
    pthread_mutex_unlock(&c->lock);
    return 1; // the reference is ours now
}

/* The newest session kept for `name`, which the caller then owns, or NULL. */
static SSL_SESSION *take_kept(struct tls_context *c, const char *name)
{
    uint64_t hash = str_hash(str_z(name));
    SSL_SESSION *found = NULL;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 1; i <= MAX_KEPT && found == NULL; i++) {
        struct kept *k = &c->kept[(c->next_kept + MAX_KEPT - i) % MAX_KEPT];
        if (k->session == NULL || k->name_hash != hash || strcmp(k->name, name) != 0)
            continue;
        found = k->session;
        // A TLS 1.3 ticket is for one use, lest connections can be linked by it.
        if (SSL_SESSION_get_protocol_version(found) >= TLS1_3_VERSION) {
            k->session = NULL;
            forget(k);
        } else {
            SSL_SESSION_up_ref(found);
        }
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}

/* ---- contexts ---- */

static const char *library_error(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    return reason != NULL ? reason : "unknown error";
}

/* Without this, OpenSSL asks for a passphrase on the terminal. */
static int no_passphrase(char *to, int n, int writing, void *arg)
{
    (void)to;
    (void)n;
    (void)writing;
    (void)arg;
    return 0;
}

static SSL_CTX *library_context_new(bool is_server)
{
    pthread_once(&bridge_once, make_bridge);
    SSL_CTX *ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    if (ctx == NULL)
        abort(); // out of heap
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    return ctx;
}

/* With nothing of the library's yet. */
static struct tls_context *empty_context(bool is_server)
{
    struct tls_context *c = xcalloc(1, sizeof(*c));
    c->is_server = is_server;
    atomic_init(&c->references, 1);
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

static struct tls_context *new_context(bool is_server)
{
    struct tls_context *c = empty_context(is_server);
    c->ctx = library_context_new(is_server);
    return c;
}

struct tls_context *tls_context_acquire(struct tls_context *c)
{
    atomic_fetch_add(&c->references, 1);
    return c;
}

void tls_context_release(struct tls_context *c)
{
    if (c == NULL || atomic_fetch_sub(&c->references, 1) != 1)
        return;
    for (size_t i = 0; i < MAX_KEPT; i++)
        forget(&c->kept[i]);
    SSL_CTX_free(c->ctx);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static const unsigned char ALPN[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl;
    (void)arg;
    unsigned char *chosen = NULL;
    int rc = SSL_select_next_proto(&chosen, out_len, ALPN, sizeof(ALPN), in, in_len);
    *out = chosen;
    return rc == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

enum err tls_server_context(const char *cert_file, const char *key_file, struct tls_context **ret,
                            struct err_info *info)
{
    static const unsigned char ID[] = "ollama2openai";
    struct tls_context *c = new_context(true);
    const char *file = cert_file;
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(c->ctx, cert_file) != 1)
        goto fail;
    file = key_file;
    if (SSL_CTX_use_PrivateKey_file(c->ctx, key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(c->ctx) != 1)
        goto fail;
    SSL_CTX_set_cipher_list(c->ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set_options(c->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    // Resumption by tickets alone: nothing is kept here for a caller.
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(c->ctx, ID, sizeof(ID) - 1);
    SSL_CTX_set_num_tickets(c->ctx, 1);
    SSL_CTX_set_alpn_select_cb(c->ctx, choose_protocol, NULL);
    *ret = c;
    return ERR_OK;

fail:
    err_set(info, ERR_SYSTEM, "'%s' is no PEM file that can be used: %s", file, library_error());
    ERR_clear_error();
    tls_context_release(c);
    return ERR_SYSTEM;
}

/* What verifies by the system's roots. */
static SSL_CTX *client_context_new(void)
{
    SSL_CTX *ctx = library_context_new(false);
    ERR_clear_error();
    SSL_CTX_set_default_verify_paths(ctx); // none there: nothing verifies, which is said then
    ERR_clear_error();
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(ctx, on_new_session);
    SSL_CTX_set_alpn_protos(ctx, ALPN, sizeof(ALPN)); // 0: done
    return ctx;
}

/* The library's context of `c`, made now if it was not. */
static SSL_CTX *context_of(struct tls_context *c)
{
    if (c->is_server)
        return c->ctx;
    pthread_mutex_lock(&c->lock);
    if (c->ctx == NULL)
        c->ctx = client_context_new();
    pthread_mutex_unlock(&c->lock);
    return c->ctx; // never changes again
}

void tls_context_warm(struct tls_context *c)
{
    (void)context_of(c);
}

enum err tls_client_context(const char *ca_file, struct tls_context **ret, struct err_info *info)
{
    struct tls_context *c = empty_context(false);
    if (ca_file != NULL && SSL_CTX_load_verify_locations(context_of(c), ca_file, NULL) != 1) {
        err_set(info, ERR_SYSTEM, "'%s' is no PEM file that can be used: %s", ca_file,
                library_error());
        ERR_clear_error();
        tls_context_release(c);
        return ERR_SYSTEM;
    }
    *ret = c;
    return ERR_OK;
}

static int verify_pinned(X509_STORE_CTX *chain, void *pinned)
{
    return X509_cmp(X509_STORE_CTX_get0_cert(chain), pinned) == 0;
}

enum err tls_pinned_context(const char *cert_file, struct tls_context **ret, struct err_info *info)
{
    struct tls_context *c = new_context(false);
    // The context keeps the certificate as its own, which it is never asked for.
    if (SSL_CTX_use_certificate_file(c->ctx, cert_file, SSL_FILETYPE_PEM) != 1) {
        err_set(info, ERR_SYSTEM, "'%s' is no PEM file that can be used: %s", cert_file,
                library_error());
        ERR_clear_error();
        tls_context_release(c);
        return ERR_SYSTEM;
    }
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(c->ctx, verify_pinned, SSL_CTX_get0_certificate(c->ctx));
    SSL_CTX_set_alpn_protos(c->ctx, ALPN, sizeof(ALPN)); // 0: done
    *ret = c;
    return ERR_OK;
}

/* ---- sessions ---- */

/* Before each call, whose result is read from the queue of errors; most often it is empty. */
static void clear_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

static void set_error(struct tls_session *t, const char *text)
{
    t->failed = true;
    snprintf(t->error, sizeof(t->error), "%s", text);
}

/* Says which host the peer must prove to be. False if `name` cannot be one. */
static bool expect_name(struct tls_session *t, str name)
{
    char text[MAX_NAME_BYTES + 1];
    if (str_ends(name, STR(".")))
        name.len--; // certificates name hosts without the root's dot
    if (name.len == 0 || name.len > MAX_NAME_BYTES || memchr(name.p, '\0', name.len) != NULL)
        return false;
    memcpy(text, name.p, name.len);
    text[name.len] = '\0';

    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, text) == 1)
        return true;
    ERR_clear_error();
    SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(t->ssl, text) == 1 && SSL_set_tlsext_host_name(t->ssl, text) == 1;
}

struct tls_session *tls_session_new(struct tls_context *ctx, str name, str resume_key)
{
    struct tls_session *t = xcalloc(1, sizeof(*t));
    t->context = tls_context_acquire(ctx);
    t->ssl = SSL_new(context_of(ctx));
    BIO *bio = BIO_new(bridge);
    if (t->ssl == NULL || bio == NULL)
        abort(); // out of heap
    BIO_set_data(bio, t);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_app_data(t->ssl, t);
    if (ctx->is_server) {
        SSL_set_accept_state(t->ssl);
        return t;
    }
    SSL_set_connect_state(t->ssl);
    if (!expect_name(t, name))
        set_error(t, "the host name cannot stand in a certificate");
    if (resume_key.len == 0)
        return t;
    // With the name in front: a resumed session is not verified again.
    struct buf key;
    buf_init(&key, MAX_NAME_BYTES + 1 + MAX_KEY_BYTES + 1);
    buf_append(&key, name);
    buf_append_char(&key, ' ');
    buf_append(&key, resume_key);
    buf_append_char(&key, '\0');
    t->resume_key = key.p;
    if (!buf_ok(&key)) {
        free(key.p);
        t->resume_key = NULL;
        return t;
    }
    SSL_SESSION *kept = take_kept(ctx, t->resume_key);
    if (kept != NULL) {
        SSL_set_session(t->ssl, kept);
        SSL_SESSION_free(kept);
    }
    return t;
}

void tls_session_free(struct tls_session *t)
{
    if (t == NULL)
        return;
    // Without this, a session that was not closed in order could not be resumed.
    if (!t->failed && SSL_is_init_finished(t->ssl))
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(t->ssl);
    tls_context_release(t->context);
    free(t->resume_key);
    free(t);
}

/* What the result `rc` of an SSL_ call means. */
static enum tls_state state_after(struct tls_session *t, int rc)
{
    switch (SSL_get_error(t->ssl, rc)) {
    case SSL_ERROR_NONE:
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return SSL_is_init_finished(t->ssl) ? TLS_OPEN : TLS_HANDSHAKE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_CLOSED;
    default:
        break;
    }
    long verdict = SSL_get_verify_result(t->ssl);
    if (!t->context->is_server && verdict != X509_V_OK)
        set_error(t, X509_verify_cert_error_string(verdict));
    else
        set_error(t, library_error());
    ERR_clear_error();
    return TLS_FAILED;
}

static enum tls_state shake_hands(struct tls_session *t)
{
    if (t->failed)
        return TLS_FAILED;
    if (SSL_is_init_finished(t->ssl))
        return TLS_OPEN;
    ERR_clear_error();
    return state_after(t, SSL_do_handshake(t->ssl));
}

enum tls_state tls_feed(struct tls_session *t, str data, struct buf *out,
                        void (*on_plain)(void *arg, str plain), void *arg)
{
    char plain[RECORD_BYTES];
    t->in = data;
    t->out = out;
    enum tls_state state = shake_hands(t);
    // OpenSSL takes no byte more than it needs for a record: without any there is nothing to read.
    while (state == TLS_OPEN && (t->in.len > 0 || SSL_pending(t->ssl) > 0)) {
        clear_errors();
        int n = SSL_read(t->ssl, plain, sizeof(plain));
        if (n <= 0) {
            state = state_after(t, n);
            break;
        }
        on_plain(arg, str_of(plain, (size_t)n));
        t->out = out; // tls_write() may have been called
    }
    t->in = (str){0};
    t->out = NULL;
    return state;
}

enum tls_state tls_begin(struct tls_session *t, struct buf *out)
{
    t->out = out;
    enum tls_state state = shake_hands(t);
    t->out = NULL;
    return state;
}

enum tls_state tls_write(struct tls_session *t, str plain, struct buf *out)
{
    if (t->failed || !SSL_is_init_finished(t->ssl))
        return t->failed ? TLS_FAILED : TLS_HANDSHAKE;
    buf_reserve(out, plain.len + (plain.len / RECORD_BYTES + 1) * 64);
    t->out = out;
    enum tls_state state = TLS_OPEN;
    while (plain.len > 0 && state == TLS_OPEN) {
        clear_errors();
        str piece = str_head(plain, RECORD_BYTES);
        int n = SSL_write(t->ssl, piece.p, (int)piece.len);
        if (n <= 0)
            state = state_after(t, n);
        else
            plain = str_skip(plain, (size_t)n);
        if (n <= 0 && state == TLS_OPEN)
            break;
    }
    t->out = NULL;
    return state;
}

void tls_close_notify(struct tls_session *t, struct buf *out)
{
    if (t->failed || !SSL_is_init_finished(t->ssl))
        return;
    t->out = out;
    ERR_clear_error();
    SSL_shutdown(t->ssl);
    ERR_clear_error();
    t->out = NULL;
}

str tls_error(const struct tls_session *t)
{
    return str_z(t->error);
}
