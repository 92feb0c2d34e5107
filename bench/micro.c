/*
 * micro - what the pure parts of a request and of a streamed line cost
 *
 * The same calls in the same order as the server makes them, without sockets:
 *
 *     line     a chunk of the upstream's stream becomes an event: HTTP, line, JSON, event
 *     codec    the same without HTTP
 *     request  a chat of 1 KiB comes in and goes out, its answer of 400 bytes comes and goes
 *     head     the head of a caller's request alone
 *     body     a conversation of 11 KiB becomes the native request
 *     tools    the same with ten tools and a history of twenty messages
 *     image    the same with an image of 5 MB
 *     embed    64 vectors of 1,024 numbers become base64
 *
 *     micro                        times of all cases: the best of some repetitions
 *     micro --case NAME --count N  N times one case, silently: for a profiler that counts
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/xalloc.h"
#include "codec/chat_answer.h"
#include "codec/embedding_answer.h"
#include "codec/ndjson.h"
#include "codec/ollama_embed.h"
#include "codec/ollama_line.h"
#include "codec/ollama_request.h"
#include "codec/openai_chat.h"
#include "net/http1.h"
#include "tool.h"

#define SCRATCH_BYTES ((size_t)256 << 20)
#define KEPT_BYTES    ((size_t)64 << 10)
#define OUT_BYTES     ((size_t)256 << 20)
#define VECTORS       64
#define NUMBERS       1024
#define REPETITIONS   7
#define REPETITION_NS (NS_PER_S / 5)

static const char LINE[] =
    "{\"model\":\"plain\",\"created_at\":\"2026-01-02T03:04:05.724518109Z\",\"message\":"
    "{\"role\":\"assistant\",\"content\":\" numbers\"},\"done\":false}\n";

static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
    "Date: Fri, 02 Jan 2026 03:04:05 GMT\r\nTransfer-Encoding: chunked\r\n\r\n";

static const char OBJECT[] =
    "{\"model\":\"plain\",\"created_at\":\"2026-01-02T03:04:05.416293398Z\",\"message\":"
    "{\"role\":\"assistant\",\"content\":\"Red, blue and green are three colours that most people "
    "name at once.\\nThe sky is blue.\"},\"done\":true,\"done_reason\":\"stop\","
    "\"total_duration\":1187656021,\"load_duration\":238374962,\"prompt_eval_count\":12,"
    "\"prompt_eval_duration\":459474305,\"eval_count\":6,\"eval_duration\":457074945}";

/* Everything a case works with; like a worker and one open stream. */
static struct {
    struct arena scratch;
    struct buf out;
    struct buf body;
    struct buf native;
    struct ndjson lines;
    struct chat_stream stream;
    struct http1 caller;
    struct http1 upstream;
    struct answer_head head;
    struct bytes chat;  // a caller's request of 1 KiB
    struct bytes talk;  // of 11 KiB
    struct bytes tools; // with tools
    struct bytes image; // with an image
    struct bytes vectors;
    struct buf chunk;  // LINE as a chunk
    struct buf object; // OBJECT as an answer
} m;

/* ---- the parts ------------------------------------------------------------------------------ */

static void take_lines(str data)
{
    str text;
    ndjson_feed(&m.lines, data);
    while (ndjson_next(&m.lines, &text) == NDJSON_LINE) {
        struct ollama_line line;
        arena_reset(&m.scratch);
        enum err e = ollama_line_decode(&m.scratch, text, &line, NULL);
        assert(e == ERR_OK);
        enum chat_step step = chat_stream_line(&m.stream, &line, &m.out);
        assert(step == CHAT_STEP_USEFUL);
    }
}

static void translate_body(void)
{
    static const struct ollama_defaults defaults = {0};
    struct chat_request req;
    struct openai_fault fault;
    struct arena a;
    size_t len = m.body.len;
    bool room = buf_reserve(&m.body, JSON_PADDING);
    assert(room);
    memset(m.body.p + len, 0, JSON_PADDING);
    arena_init(&a, SCRATCH_BYTES);
    enum err e = openai_chat_read(&a, m.body.p, len, &req, &fault);
    assert(e == ERR_OK);
    ollama_chat_encode(&req, &defaults, &m.native);
    assert(buf_ok(&m.native));
    arena_release(&a);
}

static void answer_whole(str object)
{
    struct ollama_line line;
    arena_reset(&m.scratch);
    enum err e = ollama_line_decode(&m.scratch, object, &line, NULL);
    assert(e == ERR_OK && line.done);
    chat_answer_encode(&m.head, &line, &m.out);
}

static int on_caller_head(void *arg, const struct http1_message *msg)
{
    (void)arg;
    assert(msg->method == HTTP1_POST);
    buf_init(&m.body, OUT_BYTES);
    buf_reserve(&m.body, (size_t)msg->length_bytes + JSON_PADDING);
    return 0;
}

static int on_caller_body(void *arg, str data)
{
    (void)arg;
    buf_append(&m.body, data);
    return 0;
}

static int on_upstream_head(void *arg, const struct http1_message *msg)
{
    (void)arg;
    assert(msg->status == 200);
    return 0;
}

static int on_upstream_line(void *arg, str data)
{
    (void)arg;
    take_lines(data);
    return 0;
}

static int on_upstream_object(void *arg, str data)
{
    (void)arg;
    buf_append(&m.body, data);
    return 0;
}

static void on_complete(void *arg)
{
    (void)arg;
}

static const struct http1_events CALLER = {on_caller_head, on_caller_body, on_complete};
static const struct http1_events STREAM = {on_upstream_head, on_upstream_line, on_complete};
static const struct http1_events WHOLE = {on_upstream_head, on_upstream_object, on_complete};

static void feed(struct http1 *h, const char *p, size_t len)
{
    size_t used = http1_feed(h, str_of(p, len));
    assert(used == len && h->fault == 0);
}

static void feed_caller(const struct bytes *request)
{
    http1_init(&m.caller, HTTP1_REQUEST, &CALLER, NULL);
    feed(&m.caller, request->p, request->len);
    assert(m.caller.complete);
    http1_release(&m.caller);
}

/* ---- the cases ------------------------------------------------------------------------------ */

static void begin_line(void)
{
    http1_init(&m.upstream, HTTP1_RESPONSE, &STREAM, NULL);
    feed(&m.upstream, STREAM_HEAD, sizeof(STREAM_HEAD) - 1);
}

static void run_line(void)
{
    buf_reset(&m.out);
    feed(&m.upstream, m.chunk.p, m.chunk.len);
    assert(m.out.len > 0);
}

static void run_codec(void)
{
    buf_reset(&m.out);
    take_lines(str_of(LINE, sizeof(LINE) - 1));
    assert(m.out.len > 0);
}

static void run_request(void)
{
    feed_caller(&m.chat);
    buf_init(&m.native, OUT_BYTES);
    translate_body();
    buf_release(&m.body);
    buf_release(&m.native);

    buf_reset(&m.out);
    buf_init(&m.body, OUT_BYTES);
    http1_init(&m.upstream, HTTP1_RESPONSE, &WHOLE, NULL);
    feed(&m.upstream, m.object.p, m.object.len);
    assert(m.upstream.complete);
    answer_whole(buf_str(&m.body));
    http1_release(&m.upstream);
    buf_release(&m.body);
}

static int on_any_head(void *arg, const struct http1_message *msg)
{
    (void)arg;
    assert(msg->n_fields > 0);
    return 0;
}

static const struct http1_events HEAD = {on_any_head, on_caller_body, on_complete};

static void begin_head(void)
{
    http1_init(&m.caller, HTTP1_REQUEST, &HEAD, NULL);
}

static void run_head(void)
{
    static const char get[] = "GET /v1/models HTTP/1.1\r\nHost: localhost:3000\r\n"
                              "Accept: application/json\r\nAccept-Encoding: gzip, deflate\r\n"
                              "User-Agent: OpenAI/Python 1.60.0\r\nX-Stainless-Lang: python\r\n"
                              "X-Stainless-Retry-Count: 0\r\nConnection: keep-alive\r\n"
                              "Authorization: Bearer sk-0123456789abcdef\r\n\r\n";
    feed(&m.caller, get, sizeof(get) - 1);
    assert(m.caller.complete);
    http1_next(&m.caller);
}

static void run_translate(const struct bytes *request)
{
    const char *body = strstr(request->p, "\r\n\r\n") + 4;
    size_t len = request->len - (size_t)(body - request->p);
    buf_init(&m.body, OUT_BYTES);
    buf_init(&m.native, OUT_BYTES);
    buf_reserve(&m.body, len + JSON_PADDING);
    buf_append(&m.body, str_of(body, len));
    translate_body();
    buf_release(&m.body);
    buf_release(&m.native);
}

static void run_body(void)
{
    run_translate(&m.talk);
}

static void run_tools(void)
{
    run_translate(&m.tools);
}

static void run_image(void)
{
    run_translate(&m.image);
}

static void run_embed(void)
{
    static const struct embedding_wish wish = {.n_inputs = VECTORS, .base64 = true};
    struct ollama_embed native;
    arena_reset(&m.scratch);
    buf_reset(&m.out);
    enum err e = ollama_embed_decode(&m.scratch, str_of(m.vectors.p, m.vectors.len), &native, NULL);
    assert(e == ERR_OK);
    e = embedding_answer_encode(STR("embed"), &wish, &native, &m.out, NULL);
    assert(e == ERR_OK);
}

static void begin_nothing(void)
{
}

static const struct micro_case {
    const char *name;
    void (*begin)(void);
    void (*run)(void);
    const struct bytes *bytes; // what one run reads, if MB/s say more than ns
} CASES[] = {
    {"line",    begin_line,    run_line,    NULL      },
    {"codec",   begin_nothing, run_codec,   NULL      },
    {"request", begin_nothing, run_request, NULL      },
    {"head",    begin_head,    run_head,    NULL      },
    {"body",    begin_nothing, run_body,    &m.talk   },
    {"tools",   begin_nothing, run_tools,   &m.tools  },
    {"image",   begin_nothing, run_image,   &m.image  },
    {"embed",   begin_nothing, run_embed,   &m.vectors},
};

#define N_CASES (sizeof(CASES) / sizeof(CASES[0]))

static struct bytes ask_for(size_t body_bytes, size_t image_bytes, bool tools)
{
    struct ask ask = {
        .openai = true,
        .model = "plain",
        .token = "sk-0123456789abcdef",
        .body_bytes = body_bytes,
        .image_bytes = image_bytes,
        .tools = tools,
    };
    return ask_build(&ask);
}

static void prepare(void)
{
    arena_init_kept(&m.scratch, SCRATCH_BYTES, KEPT_BYTES);
    buf_init(&m.out, OUT_BYTES);
    ndjson_init(&m.lines, NDJSON_LINE_MAX);
    m.head = (struct answer_head){
        .id = STR("chatcmpl-0123456789abcdefghijklmnopqrs"),
        .created_s = 1767323045,
        .model = STR("plain"),
    };
    chat_stream_init(&m.stream, &m.head);
    run_codec(); // the first line of a stream also brings the role

    buf_init(&m.chunk, 1024);
    buf_printf(&m.chunk, "%zx\r\n%s\r\n", sizeof(LINE) - 1, LINE);
    buf_init(&m.object, 2048);
    buf_printf(&m.object,
               "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
               "Date: Fri, 02 Jan 2026 03:04:05 GMT\r\nContent-Length: %zu\r\n\r\n%s",
               sizeof(OBJECT) - 1, OBJECT);
    m.chat = ask_for(1024, 0, false);
    m.talk = ask_for(11000, 0, false);
    m.tools = ask_for(10000, 0, true);
}

static void run_times(const struct micro_case *c, uint64_t n)
{
    // Only the cases that need them pay for them.
    if (c->bytes == &m.image && m.image.p == NULL)
        m.image = ask_for(1024, 5000000, false);
    if (c->bytes == &m.vectors && m.vectors.p == NULL)
        m.vectors = vectors_build(VECTORS, NUMBERS);
    c->begin();
    for (uint64_t i = 0; i < n; i++)
        c->run();
}

static void print_time(const struct micro_case *c)
{
    double best_ns = 0;
    run_times(c, 1);
    for (int i = 0; i < REPETITIONS; i++) {
        uint64_t n = 0;
        uint64_t began = now_ns();
        uint64_t now = began;
        for (; now - began < REPETITION_NS; now = now_ns()) {
            unsigned batch = c->bytes != NULL ? 1 : 100;
            for (unsigned k = 0; k < batch; k++)
                c->run();
            n += batch;
        }
        double ns = (double)(now - began) / (double)n;
        best_ns = i == 0 || ns < best_ns ? ns : best_ns;
    }
    printf("%-8s %12.0f ns", c->name, best_ns);
    if (c->bytes != NULL)
        printf(" %8.0f MB/s", (double)c->bytes->len / best_ns * 1e3);
    printf("\n");
}

static const struct micro_case *find_case(const char *name)
{
    for (size_t i = 0; i < N_CASES; i++) {
        if (strcmp(CASES[i].name, name) == 0)
            return &CASES[i];
    }
    die("'%s' is no case", name);
}

int main(int argc, char **argv)
{
    prepare();
    if (argc == 5 && strcmp(argv[1], "--case") == 0 && strcmp(argv[3], "--count") == 0) {
        run_times(find_case(argv[2]), parse_number("count", argv[4], 0, 1000000000));
        return 0;
    }
    if (argc != 1)
        die("usage: micro [--case NAME --count N]");
    for (size_t i = 0; i < N_CASES; i++)
        print_time(&CASES[i]);
    return 0;
}
