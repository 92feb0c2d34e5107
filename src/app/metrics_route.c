#include "app/metrics_route.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "app/admin_gate.h"
#include "app/keeper.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "codec/prometheus.h"
#include "core/auth.h"
#include "core/keypool.h"
#include "core/metrics.h"
#include "net/budget.h"

#define BODY_BYTES ((size_t)1 << 20)
#define HOSTS_MAX  50 // with labels of their own; the rest is "other"
#define HOSTS_STEP 64 // looked at under one hold of the pool's mutex

#define NAME(rest) "ollama2openai_" rest

bool metrics_allowed(const struct request *r)
{
    const struct config *config = r->snapshot->config;
    if (config->metrics_token.n == 0)
        return gate_is_loopback_caller(r->x);
    str authorization = http1_find(exchange_message(r->x), STR("authorization"));
    return auth_is_token(&config->metrics_token, auth_bearer(authorization));
}

static void counter(struct prometheus *p, const char *name, const char *help, uint64_t value)
{
    prometheus_family(p, name, PROMETHEUS_COUNTER, help);
    prometheus_value(p, "", NULL, 0, value);
}

static void gauge(struct prometheus *p, const char *name, const char *help, uint64_t value)
{
    prometheus_family(p, name, PROMETHEUS_GAUGE, help);
    prometheus_value(p, "", NULL, 0, value);
}

static void put_requests(struct prometheus *p, const struct metrics *m)
{
    prometheus_family(p, NAME("requests_total"), PROMETHEUS_COUNTER,
                      "Requests that ended, by route, status and how they ended.");
    for (size_t route = 0; route < ROUTE_COUNT; route++) {
        for (size_t i = 0; i < METRICS_STATUSES; i++) {
            for (size_t end = 0; end < METRICS_ENDS; end++) {
                uint64_t n = m->requests[route][i][end];
                char status[8] = "other";
                if (n == 0)
                    continue;
                if (metrics_status(i) != 0)
                    snprintf(status, sizeof(status), "%d", metrics_status(i));
                const struct prometheus_label labels[] = {
                    {"route",  route_info((enum route)route)->name           },
                    {"status", str_z(status)                                 },
                    {"end",    str_z(metrics_end_name((enum metrics_end)end))},
                };
                prometheus_value(p, "", labels, COUNT_OF(labels), n);
            }
        }
    }
}

/* A bound as Prometheus writes it: seconds, without zeroes at the end. */
static void bound_text(size_t i, char out[24])
{
    if (i == METRICS_BUCKETS - 1) {
        snprintf(out, 24, "+Inf");
        return;
    }
    int n = snprintf(out, 24, "%u.%03u", METRICS_BOUNDS_MS[i] / 1000, METRICS_BOUNDS_MS[i] % 1000);
    while (out[n - 1] == '0')
        n--;
    n += out[n - 1] == '.'; // OpenMetrics wants a number with a point: "1.0"
    out[n] = '\0';
}

static void put_times(struct prometheus *p, const struct metrics_times *times, str route)
{
    uint64_t below = 0;
    for (size_t i = 0; i < METRICS_BUCKETS; i++) {
        char bound[24];
        bound_text(i, bound);
        below += times->buckets[i];
        const struct prometheus_label labels[] = {
            {"route", route       },
            {"le",    str_z(bound)}
        };
        prometheus_value(p, "_bucket", labels, COUNT_OF(labels), below);
    }
    const struct prometheus_label label = {"route", route};
    prometheus_milli(p, "_sum", &label, 1, times->sum_ms);
    prometheus_value(p, "_count", &label, 1, below);
}

/* One histogram per route that was called. */
static void put_histogram(struct prometheus *p, const char *name, const char *help,
                          const struct metrics_times *by_route)
{
    prometheus_family(p, name, PROMETHEUS_HISTOGRAM, help);
    for (size_t route = 0; route < ROUTE_COUNT; route++) {
        uint64_t n = 0;
        for (size_t i = 0; i < METRICS_BUCKETS; i++)
            n += by_route[route].buckets[i];
        if (n > 0)
            put_times(p, &by_route[route], route_info((enum route)route)->name);
    }
}

static void put_tokens(struct prometheus *p, const struct metrics *m)
{
    static const struct prometheus_label in = {"direction", STR_C("in")};
    static const struct prometheus_label out = {"direction", STR_C("out")};
    prometheus_family(p, NAME("tokens_total"), PROMETHEUS_COUNTER,
                      "Tokens of prompts (in) and answers (out), as the upstreams count them.");
    prometheus_value(p, "", &in, 1, m->prompt_tokens);
    prometheus_value(p, "", &out, 1, m->answer_tokens);
}

static void put_attempts(struct prometheus *p, const struct metrics *m)
{
    prometheus_family(p, NAME("upstream_attempts_total"), PROMETHEUS_COUNTER,
                      "Attempts at upstreams, by how they went.");
    for (size_t i = 0; i < METRICS_VERDICTS_MAX; i++) {
        const char *name = m->verdicts[i].name;
        if (name == NULL)
            break;
        const struct prometheus_label label = {"verdict", str_z(name)};
        prometheus_value(p, "", &label, 1, m->verdicts[i].attempts);
    }
}

/* What the hosts have: the first HOSTS_MAX whose names fit by name. */
struct hosts {
    size_t n;
    struct {
        char name[200];
        uint64_t by_state[KEY_STATES];
        bool cooling;
    } items[HOSTS_MAX + 1]; // the last: all others
    uint64_t cooling_by_cause[KEY_CAUSES];
};

/* Keys of a cooling host show as cooling, whatever else they are, but for those switched off. */
static void note_host(void *arg, const struct host_view *view)
{
    struct hosts *hosts = arg;
    // Two names that were cut could be the same, and a series that is there twice is none at all.
    bool fits = view->base_url.len < sizeof(hosts->items[0].name);
    size_t i = fits && hosts->n < HOSTS_MAX ? hosts->n++ : HOSTS_MAX;
    str name = i == HOSTS_MAX ? STR("other") : view->base_url;
    memcpy(hosts->items[i].name, name.p, name.len);
    hosts->items[i].name[name.len] = '\0';
    for (size_t state = 0; state < KEY_STATES; state++) {
        bool shown_as_cooling = view->cooling && state == KEY_IS_READY;
        hosts->items[i].by_state[shown_as_cooling ? KEY_IS_COOLING : state] +=
            view->by_state[state];
    }
    hosts->items[i].cooling |= view->cooling;
    if (view->cooling)
        hosts->cooling_by_cause[view->cause]++;
}

static void put_hosts(struct prometheus *p, const struct hosts *hosts)
{
    prometheus_family(p, NAME("keys"), PROMETHEUS_GAUGE, "Keys by host and by the state shown.");
    for (size_t i = 0; i <= HOSTS_MAX; i++) {
        for (size_t state = 0; state < KEY_STATES && hosts->items[i].name[0] != '\0'; state++) {
            const struct prometheus_label labels[] = {
                {"host",  str_z(hosts->items[i].name)                 },
                {"state", str_z(key_state_name((enum key_state)state))},
            };
            prometheus_value(p, "", labels, COUNT_OF(labels), hosts->items[i].by_state[state]);
        }
    }
    prometheus_family(p, NAME("hosts_cooling"), PROMETHEUS_GAUGE,
                      "Hosts that are left alone for a while, by why.");
    for (size_t cause = 0; cause < KEY_CAUSES; cause++) {
        if (hosts->cooling_by_cause[cause] == 0)
            continue;
        const struct prometheus_label label = {"cause",
                                               str_z(key_cause_name((enum key_cause)cause))};
        prometheus_value(p, "", &label, 1, hosts->cooling_by_cause[cause]);
    }
}

static void put_pool(struct prometheus *p, const struct program *program)
{
    struct hosts *hosts = xcalloc(1, sizeof(*hosts));
    uint64_t now_ms = clock_mono_ms();
    uint32_t from = 0;
    while (from != KEYPOOL_END)
        from = keypool_walk_hosts(program->keypool, from, HOSTS_STEP, now_ms, note_host, hosts);
    put_hosts(p, hosts);
    free(hosts);
    gauge(p, NAME("store_queue_length"), "Jobs that wait for the store.",
          store_queue_length(keeper_store(program->keeper)));
}

static uint64_t cpu_ms(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) != 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* From /proc, which is memory: no disk is waited for. 0: not known. */
static uint64_t resident_bytes(void)
{
    char text[128] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    if (fd >= 0)
        close(fd);
    str size;
    str resident;
    str rest = str_of(text, n > 0 ? (size_t)n : 0);
    uint64_t pages = 0;
    str_cut(rest, ' ', &size, &rest);
    str_cut(rest, ' ', &resident, &rest);
    return str_to_u64(resident, &pages) ? pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static void put_process(struct prometheus *p, const struct program *program)
{
    uint64_t up_ms = clock_mono_ms() - program->started_ms;
    prometheus_family(p, "process_cpu_seconds_total", PROMETHEUS_COUNTER,
                      "CPU time of the process.");
    prometheus_milli(p, "", NULL, 0, cpu_ms());
    prometheus_family(p, "process_start_time_seconds", PROMETHEUS_GAUGE,
                      "When the process started, in seconds since 1970.");
    prometheus_milli(p, "", NULL, 0, (uint64_t)clock_wall_ms() - up_ms);
    gauge(p, "process_resident_memory_bytes", "Memory of the process that is in RAM.",
          resident_bytes());
    gauge(p, NAME("buffer_bytes"), "Bytes of bodies and streams that the budget counts.",
          budget_used());
    counter(p, NAME("log_lines_dropped_total"),
            "Log lines that were dropped because nobody took them fast enough.", log_dropped());
    static const struct prometheus_label version = {"version", STR_C(O2O_VERSION)};
    prometheus_family(p, NAME("build_info"), PROMETHEUS_GAUGE, "The version that runs; always 1.");
    prometheus_value(p, "", &version, 1, 1);
}

static void put_open(struct prometheus *p, const struct program *program, const struct metrics *m)
{
    size_t connections = 0;
    for (size_t i = 0; i < program->n_workers; i++)
        connections += server_connections(program->workers[i]->server);
    gauge(p, NAME("open_connections"), "Connections of callers.", connections);
    gauge(p, NAME("open_requests"), "Requests that have not ended.", m->open_requests);
    gauge(p, NAME("open_streams"), "Streams of events that have not ended.", m->open_streams);
}

void metrics_reply(struct request *r)
{
    const struct program *program = r->worker->program;
    const struct http1_message *m = exchange_message(r->x);
    struct metrics *sum = xcalloc(1, sizeof(*sum));
    for (size_t i = 0; i < program->n_workers; i++)
        metrics_add(sum, &program->workers[i]->metrics);

    struct buf body;
    buf_init(&body, BODY_BYTES);
    struct prometheus p = {
        .out = &body, .openmetrics = prometheus_wants_openmetrics(http1_find(m, STR("accept")))};
    put_requests(&p, sum);
    put_histogram(&p, NAME("time_to_first_token_seconds"),
                  "From the request to the first text, thinking or tool call of a stream, or to "
                  "the whole answer.",
                  sum->first);
    put_histogram(&p, NAME("request_duration_seconds"), "From the request to its end.", sum->whole);
    put_tokens(&p, sum);
    put_attempts(&p, sum);
    put_pool(&p, program);
    put_open(&p, program, sum);
    put_process(&p, program);
    prometheus_end(&p);
    request_reply_text(r, 200, p.openmetrics ? STR(PROMETHEUS_OPEN) : STR(PROMETHEUS_TEXT),
                       buf_str(&body));
    buf_release(&body);
    free(sum);
}
