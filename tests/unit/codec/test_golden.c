/*
 * Golden cases: a caller's request, the native request we make of it, what the upstream answers,
 * and what we make of that. tests/golden/README.md says which files a case has.
 * O2O_GOLDEN_WRITE=1 writes our side anew, for a look at the difference.
 */
#include <dirent.h>

#include "codec/chat_answer.h"
#include "codec/ndjson.h"
#include "codec/ollama_request.h"
#include "codec/openai_chat.h"
#include "codec/recording.h"
#include "unit.h"

enum { LEAST_CASES = 12 };

enum answer_form {
    WHOLE,   // the native object, translated
    STREAM,  // the native lines, translated
    FAILED,  // an error status upstream, or an answer that is none
    REFUSED, // by us: there is no native request
};

struct golden {
    str name;
    enum answer_form form;
    enum openai_fault_kind fault; // what a failure counts as
    str param;
    str message;   // instead of the upstream's sentence; empty: that one
    str recording; // whose answer it is, if the case has none of its own
};

static const struct {
    str name;
    enum answer_form form;
} FORMS[] = {
    {STR_C("whole"),   WHOLE  },
    {STR_C("stream"),  STREAM },
    {STR_C("failed"),  FAILED },
    {STR_C("refused"), REFUSED},
};

static const struct {
    str name;
    enum openai_fault_kind kind;
} FAULTS[] = {
#define X(name, http, type, code) {STR_C(#name), name},
    OPENAI_FAULT_LIST(X)
#undef X
};

static struct arena arena;
static struct buf native;
static struct buf answer;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 16 << 20);
    buf_init(&native, 1 << 20);
    buf_init(&answer, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    buf_release(&native);
    buf_release(&answer);
    return 0;
}

/* ---- files ---- */

/* Appends the case's file; false if it has none. */
static bool read_case(const struct golden *c, const char *file, struct buf *ret)
{
    char path[512];
    snprintf(path, sizeof(path), "tests/golden/%.*s/%s", STR_ARG(c->name), file);
    return read_file(path, ret);
}

static void expect_file(const struct golden *c, const char *file, str got)
{
    struct buf want;
    buf_init(&want, 1 << 20);
    if (getenv("O2O_GOLDEN_WRITE") != NULL) { // NOLINT(concurrency-mt-unsafe): one thread
        char full[1024];
        snprintf(full, sizeof(full), "%s/tests/golden/%.*s/%s", O2O_SOURCE_DIR, STR_ARG(c->name),
                 file);
        FILE *f = fopen(full, "wb");
        if (f == NULL) {
            fail_msg("cannot write %s", full);
            return;
        }
        fwrite(got.p, 1, got.len, f);
        fclose(f);
    }
    if (!read_case(c, file, &want) || !str_eq(buf_str(&want), got))
        fail_msg("%.*s/%s:\nwant %.*s\ngot  %.*s", STR_ARG(c->name), file, STR_ARG(buf_str(&want)),
                 STR_ARG(got));
    buf_release(&want);
}

static void read_meta(struct golden *c)
{
    struct buf text;
    const struct json *meta = NULL;
    buf_init(&text, 1 << 16);
    if (!read_case(c, "answer.meta.json", &text) ||
        json_parse(&arena, buf_str(&text), JSON_STRICT, &meta, NULL) != ERR_OK)
        fail_msg("%.*s has no meta file", STR_ARG(c->name));
    buf_release(&text);
    c->param = json_str(json_get(meta, STR("param")));
    c->message = json_str(json_get(meta, STR("message")));
    c->recording = json_str(json_get(meta, STR("recording")));
    bool known = false;
    for (size_t i = 0; i < COUNT_OF(FORMS); i++) {
        if (str_eq(FORMS[i].name, json_str(json_get(meta, STR("form"))))) {
            c->form = FORMS[i].form;
            known = true;
        }
    }
    assert_why(known, c->name.p);
    const struct json *fault = json_get(meta, STR("fault"));
    c->fault = FAULT_UPSTREAM_BAD;
    for (size_t i = 0; i < COUNT_OF(FAULTS); i++) {
        if (str_eq(FAULTS[i].name, json_str(fault)))
            c->fault = FAULTS[i].kind;
    }
}

/* What the upstream answers: the case's own file, or a recording. */
static void read_answer(const struct golden *c, struct buf *ret)
{
    char name[128];
    if (read_case(c, "upstream.ndjson", ret) || read_case(c, "upstream.json", ret))
        return;
    snprintf(name, sizeof(name), "%.*s", STR_ARG(c->recording.len > 0 ? c->recording : c->name));
    read_recording(name, ret);
}

/* ---- one way ---- */

static enum err decode_request(const struct golden *c, struct chat_request *req,
                               struct openai_fault *fault)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    if (!read_case(c, "openai.json", &text))
        fail_msg("%.*s has no request", STR_ARG(c->name));
    size_t len = text.len;
    buf_append(&text, STR("\0\0\0\0"));
    char *copy = arena_alloc(&arena, text.len);
    memcpy(copy, text.p, text.len);
    buf_release(&text);
    return openai_chat_read(&arena, copy, len, req, fault);
}

static void expect_refusal(const struct golden *c)
{
    struct chat_request req;
    struct openai_fault fault = {0};
    assert_why(decode_request(c, &req, &fault) != ERR_OK, c->name.p);
    assert_str_why(fault.param, c->param, c->name.p);
    openai_error_body(&answer, &fault);
    expect_file(c, "answer.json", buf_str(&answer));
}

static void translate_request(const struct golden *c, struct chat_request *req)
{
    struct openai_fault fault = {0};
    if (decode_request(c, req, &fault) != ERR_OK)
        fail_msg("%.*s: %.*s", STR_ARG(c->name), STR_ARG(fault.message));
    ollama_chat_encode(req, &(struct ollama_defaults){0}, &native);
    expect_file(c, "ollama.json", buf_str(&native));
}

/* ---- and back ---- */

/* What the app makes of a failure, as the case's meta file says; the end-to-end tests prove it. */
static struct openai_fault upstream_fault(const struct golden *c, str sentence)
{
    if (c->message.len > 0)
        sentence = c->message;
    return openai_fault(c->fault, c->param, sentence);
}

static void translate_whole(const struct answer_head *head, str body)
{
    struct ollama_line line;
    assert_int_equal(ollama_line_decode(&arena, body, &line, NULL), ERR_OK);
    assert_false(line.has_error);
    assert_true(line.done);
    chat_answer_encode(head, &line, &answer);
}

static void translate_failure(const struct golden *c, str body)
{
    struct ollama_error error;
    ollama_error_decode(&arena, body, &error);
    assert_true(error.is_native || c->message.len > 0);
    struct openai_fault fault = upstream_fault(c, error.text);
    openai_error_body(&answer, &fault);
}

static void translate_line(const struct golden *c, struct chat_stream *s, str text)
{
    struct ollama_line line;
    assert_int_equal(ollama_line_decode(&arena, text, &line, NULL), ERR_OK);
    struct openai_fault fault = upstream_fault(c, line.error);
    fault.type = STR("upstream_error"); // whatever it was: text has been sent
    if (line.has_error)
        chat_stream_fail(s, &fault, &answer);
    else
        chat_stream_line(s, &line, &answer);
}

/* Feeds the lines in small pieces; what comes out must not depend on that. */
static void translate_stream(const struct golden *c, const struct answer_head *head, str body)
{
    struct chat_stream s;
    struct ndjson nd;
    str text;
    chat_stream_init(&s, head);
    ndjson_init(&nd, NDJSON_LINE_MAX);
    while (body.len > 0) {
        ndjson_feed(&nd, str_head(body, 100));
        body = str_skip(body, 100);
        while (ndjson_next(&nd, &text) == NDJSON_LINE)
            translate_line(c, &s, text);
    }
    if (ndjson_finish(&nd, &text) == NDJSON_LINE && text.p[text.len - 1] == '}')
        translate_line(c, &s, text);
    struct openai_fault cut =
        upstream_fault(c, STR("the upstream ended its answer before it was complete"));
    chat_stream_fail(&s, &cut, &answer);
    ndjson_release(&nd);
    chat_stream_release(&s);
}

static void run_case(const struct golden *c)
{
    struct chat_request req;
    struct buf body;
    if (c->form == REFUSED) {
        expect_refusal(c);
        return;
    }
    translate_request(c, &req);
    struct answer_head head = {
        .id = STR("chatcmpl-golden"),
        .created_s = 1700000000,
        .model = req.model,
        .include_usage = req.include_usage,
    };
    buf_init(&body, 1 << 20);
    read_answer(c, &body);
    if (c->form == WHOLE)
        translate_whole(&head, buf_str(&body));
    else if (c->form == FAILED)
        translate_failure(c, buf_str(&body));
    else
        translate_stream(c, &head, buf_str(&body));
    buf_release(&body);
    assert_true(buf_ok(&answer));
    expect_file(c, c->form == STREAM ? "answer.sse" : "answer.json", buf_str(&answer));
}

static void test_golden__translates_both_ways(void **state)
{
    (void)state;
    size_t n = 0;
    DIR *dir = opendir(O2O_SOURCE_DIR "/tests/golden");
    if (dir == NULL) {
        fail_msg("there is no tests/golden");
        return;
    }
    // NOLINTBEGIN(concurrency-mt-unsafe): one thread
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        // NOLINTEND(concurrency-mt-unsafe)
        struct golden c = {.name = str_z(entry->d_name)};
        if (!str_starts(c.name, STR("chat")))
            continue;
        buf_reset(&native);
        buf_reset(&answer);
        arena_reset(&arena);
        read_meta(&c);
        run_case(&c);
        n++;
    }
    closedir(dir);
    assert_true(n >= LEAST_CASES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_golden__translates_both_ways, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
