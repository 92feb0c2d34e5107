#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lanes.h"
#include "base/xalloc.h"

#define ROOM_BYTES   ((size_t)1 << 20) // for lines that wait
#define LINE_BYTES   4096
#define VALUE_BYTES  1024
#define IDLE_WAIT_MS 50
// A batch of this many bytes says that more is coming: several small ones hold a worker up less,
// where it shares its processor with the log thread, than one large one.
#define BUSY_BYTES   ((size_t)8 << 10)
#define BUSY_WAIT_MS 5

static struct {
    atomic_int lowest;
    atomic_int format;
    atomic_bool running;

    pthread_t thread;
    int fd;

    pthread_mutex_t mutex; // guards what follows
    pthread_cond_t wake;
    pthread_cond_t done; // the thread has ended
    bool stopping;
    bool ended;
    char *room; // ROOM_BYTES, which the thread swaps for the ones it has written
    size_t len;
    uint64_t dropped;
    uint64_t reported;
} logger = {
    .lowest = LOG_ERROR + 1,
    .mutex = PTHREAD_MUTEX_INITIALIZER,
};

/* Output that stops at the end of the line's room; two bytes stay free for the line's end. */
struct line {
    char *p;
    size_t len;
    size_t cap;
};

static inline void put(struct line *l, str s)
{
    size_t room = l->cap - l->len;
    size_t n = s.len < room ? s.len : room;
    if (n > 0)
        str_copy(l->p + l->len, s.p, n);
    l->len += n;
}

static void put_int(struct line *l, int64_t value)
{
    char digits[DECIMAL_BYTES + 1];
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char *first = str_decimal(digits + sizeof(digits), size);
    if (value < 0)
        *--first = '-';
    put(l, str_of(first, (size_t)(digits + sizeof(digits) - first)));
}

static void put_escape(struct line *l, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char text[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    put(l, str_of(text, sizeof(text)));
}

// clang-format off
/* Bytes that cannot stand as they are between quotes, or not without a look at what follows. */
static const bool NEEDS_ESCAPE[256] = {
    [0 ... 0x1F] = true, ['"'] = true, ['\\'] = true, [0x7F ... 0xFF] = true,
};
// clang-format on

/* The bytes of one value between quotes: JSON escapes, and only whole, valid UTF-8. */
static void put_quoted(struct line *l, str s)
{
    put(l, STR("\""));
    s = str_head(s, utf8_cut(s, VALUE_BYTES));
    while (s.len > 0) {
        size_t n = 0;
        while (n < s.len && !NEEDS_ESCAPE[(unsigned char)s.p[n]])
            n++;
        put(l, str_head(s, n));
        s = str_skip(s, n);
        if (s.len == 0)
            break;
        unsigned char c = (unsigned char)s.p[0];
        n = 1;
        if (c == '"' || c == '\\') {
            char pair[] = {'\\', (char)c};
            put(l, str_of(pair, 2));
        } else if (c == '\n') {
            put(l, STR("\\n"));
        } else if (c < 0x20 || c == 0x7F) {
            put_escape(l, c);
        } else {
            n = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
            if (n > s.len || utf8_valid_prefix(str_head(s, n)) != n) {
                put(l, STR("\\ufffd"));
                n = 1;
            } else if (str_starts(s, STR("\xE2\x80\xA8"))) {
                put(l, STR("\\u2028"));
            } else if (str_starts(s, STR("\xE2\x80\xA9"))) {
                put(l, STR("\\u2029"));
            } else {
                put(l, str_head(s, n));
            }
        }
        s = str_skip(s, n);
    }
    put(l, STR("\""));
}

/* Whether a byte may not stand in a value without quotes: blanks, controls, what is no ASCII … */
static inline bool needs_quotes(lanes v)
{
    return lanes_any((v <= ' ') | (v == '"') | (v == '=') | (v == '\\') | (v == 0x7F));
}

static bool is_plain(str s)
{
    if (s.len == 0 || s.len > VALUE_BYTES)
        return false;
    if (s.len <= LANES)
        return !needs_quotes(lanes_gather(s.p, s.len));
    bool odd = false;
    for (size_t i = 0; i < s.len && !odd; i += LANES)
        odd = needs_quotes(lanes_load(s.p + (i + LANES <= s.len ? i : s.len - LANES)));
    return !odd;
}

static void put_value(struct line *l, const struct log_field *f, enum log_format format)
{
    if (f->kind == LOG_KIND_INT)
        put_int(l, f->number);
    else if (format == LOG_TEXT && is_plain(f->text))
        put(l, f->text); // the last one, which is cut
    else
        put_quoted(l, f->text);
}

static void put_field(struct line *l, const struct log_field *f, enum log_format format)
{
    if (f->kind == LOG_KIND_STR && f->text.p == NULL)
        return;
    str lead = f->lead[format];
    bool has_room = l->cap - l->len >= lead.len + f->text.len;
    if (format == LOG_TEXT && f->kind == LOG_KIND_STR && has_room && is_plain(f->text)) {
        char *at = l->p + l->len; // what most fields are
        str_copy(at, lead.p, lead.len);
        str_copy(at + lead.len, f->text.p, f->text.len);
        l->len += lead.len + f->text.len;
        return;
    }
    put(l, lead);
    put_value(l, f, format);
}

size_t log_format_line(char *out, size_t cap, const struct log_line_head *head,
                       const struct log_field *fields, size_t n)
{
    static const str levels[2][4] = {
        [LOG_TEXT] = {STR_C(" level=debug event="),                 STR_C(" level=info event="),
                      STR_C(" level=warn event="),                 STR_C(" level=error event=")},
        [LOG_JSON] = {STR_C("\",\"level\":\"debug\",\"event\":\""),
                      STR_C("\",\"level\":\"info\",\"event\":\""),
                      STR_C("\",\"level\":\"warn\",\"event\":\""),
                      STR_C("\",\"level\":\"error\",\"event\":\"")                             },
    };
    str close = head->format == LOG_JSON ? STR("}\n") : STR("\n");
    struct line l = {.p = out, .cap = cap - close.len};
    char time[CLOCK_ISO_BYTES];
    clock_iso(head->wall_ms, time);

    put(&l, head->format == LOG_JSON ? STR("{\"time\":\"") : STR("time="));
    put(&l, str_of(time, CLOCK_ISO_BYTES - 1));
    put(&l, levels[head->format][head->level]);
    put(&l, str_z(head->event));
    if (head->format == LOG_JSON)
        put(&l, STR("\""));
    for (size_t i = 0; i < n; i++) {
        size_t before = l.len;
        put_field(&l, &fields[i], head->format);
        if (l.len == l.cap) {
            l.len = before; // a field that does not fit whole is left out
            break;
        }
    }
    l.cap = cap;
    put(&l, close);
    return l.len;
}

void log_configure(enum log_level lowest, enum log_format format)
{
    atomic_store(&logger.lowest, (int)lowest);
    atomic_store(&logger.format, (int)format);
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&logger.lowest, memory_order_relaxed) &&
           atomic_load_explicit(&logger.running, memory_order_relaxed);
}

static bool push_locked(str line)
{
    if (line.len > ROOM_BYTES - logger.len)
        return false;
    memcpy(logger.room + logger.len, line.p, line.len);
    logger.len += line.len;
    return true;
}

/* The log thread wakes by itself; it is only called when the room fills up. */
static void push(str line)
{
    pthread_mutex_lock(&logger.mutex);
    if (!push_locked(line))
        logger.dropped++;
    bool hurry = logger.len > ROOM_BYTES / 2;
    pthread_mutex_unlock(&logger.mutex);
    if (hurry)
        pthread_cond_signal(&logger.wake);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
    char text[LINE_BYTES];
    struct log_line_head head = {.format = (enum log_format)atomic_load(&logger.format),
                                 .wall_ms = clock_wall_ms(),
                                 .level = level,
                                 .event = event};
    push(str_of(text, log_format_line(text, sizeof(text), &head, fields, n)));
}

/* Reports lines lost since the last report; true if the report is among them. */
static void report_dropped_locked(void)
{
    if (logger.dropped == logger.reported)
        return;
    char text[256];
    struct log_line_head head = {.format = (enum log_format)atomic_load(&logger.format),
                                 .wall_ms = clock_wall_ms(),
                                 .level = LOG_WARN,
                                 .event = "log_dropped"};
    struct log_field lines = LOG_INT("lines", logger.dropped - logger.reported);
    if (push_locked(str_of(text, log_format_line(text, sizeof(text), &head, &lines, 1))))
        logger.reported = logger.dropped;
}

static void write_all(const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(logger.fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; // a closed or broken output: there is nowhere to say so
        p += n;
        len -= (size_t)n;
    }
}

static void wait_locked(long ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&logger.wake, &logger.mutex, &until);
}

static void *run(void *arg)
{
    char *spare = xmalloc(ROOM_BYTES);
    pthread_mutex_lock(&logger.mutex);
    for (;;) {
        report_dropped_locked();
        size_t len = logger.len;
        char *full = logger.room;
        logger.room = spare;
        logger.len = 0;
        spare = full;
        if (len > 0) {
            pthread_mutex_unlock(&logger.mutex);
            write_all(full, len);
            pthread_mutex_lock(&logger.mutex);
        }
        if (len == 0 && logger.stopping)
            break;
        if (!logger.stopping && logger.len <= ROOM_BYTES / 2)
            wait_locked(len >= BUSY_BYTES ? BUSY_WAIT_MS : IDLE_WAIT_MS);
    }
    logger.ended = true;
    pthread_cond_signal(&logger.done);
    pthread_mutex_unlock(&logger.mutex);
    free(spare);
    return arg;
}

/* Made once and kept: a worker that is still about may be writing when the thread has ended. */
static void make_room(void)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); // the wall clock may jump
    pthread_cond_init(&logger.wake, &attr);
    pthread_cond_init(&logger.done, &attr);
    pthread_condattr_destroy(&attr);
    logger.room = xmalloc(ROOM_BYTES);
}

void log_start(int fd)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_room);
    logger.fd = fd;
    logger.stopping = logger.ended = false;
    if (pthread_create(&logger.thread, NULL, run, NULL) != 0)
        abort();
    atomic_store(&logger.running, true);
}

void log_stop(void)
{
    if (!atomic_exchange(&logger.running, false))
        return;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 1;
    pthread_mutex_lock(&logger.mutex);
    logger.stopping = true;
    pthread_cond_signal(&logger.wake);
    int rc = 0;
    while (!logger.ended && rc == 0)
        rc = pthread_cond_timedwait(&logger.done, &logger.mutex, &until);
    bool ended = logger.ended;
    pthread_mutex_unlock(&logger.mutex);
    if (ended) {
        pthread_join(logger.thread, NULL);
    } else {
        pthread_detach(logger.thread); // its output is stuck; the process is about to end
    }
}

uint64_t log_dropped(void)
{
    pthread_mutex_lock(&logger.mutex);
    uint64_t n = logger.dropped;
    pthread_mutex_unlock(&logger.mutex);
    return n;
}
