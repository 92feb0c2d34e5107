#include "app/healthcheck.h"

#include <stdio.h>

#include "base/buf.h"
#include "net/client.h"
#include "net/loop.h"

#define BODY_BYTES 4096

struct check {
    struct loop *loop;
    struct client_call *call; // NULL: over
    struct loop_timer deadline;
    struct buf body;
    int status; // 0: no answer
    char why[160];
};

static void end(struct check *c, str why)
{
    snprintf(c->why, sizeof(c->why), "%.*s", STR_ARG(why));
    loop_stop(c->loop);
}

static void on_head(void *arg, const struct http1_message *m)
{
    struct check *c = arg;
    c->status = m->status;
}

static void on_body(void *arg, str data)
{
    struct check *c = arg;
    buf_append(&c->body, data);
}

static void on_done(void *arg)
{
    struct check *c = arg;
    c->call = NULL;
    end(c, str_trim_ws(buf_str(&c->body)));
}

static void on_fail(void *arg, enum client_fail how, str text)
{
    struct check *c = arg;
    (void)how;
    c->call = NULL;
    c->status = 0;
    end(c, text);
}

static void on_deadline(void *arg)
{
    struct check *c = arg;
    c->status = 0;
    end(c, STR("no answer in time"));
}

/* Where the server is reached from here. */
static struct url url_of(const struct config *config, char authority[80])
{
    str host = config->host;
    if (str_eq(host, STR("0.0.0.0")))
        host = STR("127.0.0.1");
    else if (str_eq(host, STR("::")))
        host = STR("::1");
    bool ipv6 = str_contains(host, STR(":"));
    int n = snprintf(authority, 80, ipv6 ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(host), config->port);
    return (struct url){.tls = config->tls_cert.len > 0,
                        .host = host,
                        .ipv6 = ipv6,
                        .port = (uint16_t)config->port,
                        .authority = str_of(authority, (size_t)n)};
}

static void ask(struct check *c, struct client *client, const struct url *url)
{
    static const struct client_events events = {on_head, on_body, on_done, on_fail};
    struct client_request request = {.url = url, .method = STR("GET"), .path = STR("/health")};
    loop_timer_init(&c->deadline, on_deadline, c);
    loop_timer_set(c->loop, &c->deadline, HEALTHCHECK_MS);
    c->call = client_start(client, &request, &events, c);
    loop_run(c->loop);
    client_cancel(c->call);
    loop_timer_cancel(c->loop, &c->deadline);
}

int healthcheck_run(const struct snapshot *snapshot)
{
    const struct config *config = snapshot->config;
    struct tls_context *tls = NULL;
    struct err_info info = {0};
    if (config->tls_cert.len > 0 && tls_pinned_context(config->tls_cert.p, &tls, &info) != ERR_OK) {
        fprintf(stderr, "ollama2openai: %s\n", info.text);
        return 1;
    }
    // No proxy stands between a server and its own check, and its own address is no upstream.
    struct client_options options = snapshot->client;
    options.http_proxy = options.https_proxy = options.no_proxy = STR("");
    options.connect_timeout_ms = HEALTHCHECK_MS;
    if (tls != NULL)
        options.tls = tls;

    char authority[80];
    struct url url = url_of(config, authority);
    struct check c = {.loop = loop_new()};
    buf_init(&c.body, BODY_BYTES);
    struct client *client = client_new(c.loop, &options);
    ask(&c, client, &url);
    bool well = c.status == 200;
    if (well)
        printf("%s\n", c.why);
    else if (c.status != 0)
        fprintf(stderr, "ollama2openai: %s answers %d\n", authority, c.status);
    else
        fprintf(stderr, "ollama2openai: %s is not well: %s\n", authority, c.why);
    client_free(client);
    loop_free(c.loop);
    buf_release(&c.body);
    tls_context_release(tls);
    return well ? 0 : 1;
}
