/*
 * Golden cases: a caller's request, the native request we make of it, the recorded answer of a
 * real Ollama, and what we make of that. O2O_GOLDEN_WRITE=1 writes our side anew, for a look at
 * the difference.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "codec/chat_answer.h"
#include "codec/ndjson.h"
#include "codec/ollama_request.h"
#include "codec/openai_chat.h"
#include "codec/recording.h"

enum answer_form {
    WHOLE,  // the recorded object, translated
    STREAM, // the recorded lines, translated
    FAILED, // an error status upstream
};

static const struct golden {
    const char *name;
    enum answer_form form;
    enum openai_fault_kind fault; // what the failure in the recording counts as
    const char *param;
} CASES[] = {
    {"chat",                       WHOLE,  0,                     ""     },
    {"chat-system",                WHOLE,  0,                     ""     },
    {"chat-options",               WHOLE,  0,                     ""     },
    {"chat-empty-messages",        WHOLE,  0,                     ""     },
    {"chat-stream",                STREAM, 0,                     ""     },
    {"chat-stream-length",         STREAM, 0,                     ""     },
    {"chat-stop",                  STREAM, 0,                     ""     },
    {"chat-unicode",               STREAM, 0,                     ""     },
    {"chat-missing-model",         FAILED, FAULT_MODEL_NOT_FOUND, "model"},
    {"chat-runner-killed",         FAILED, FAULT_SERVER,          ""     },
    {"chat-stream-runner-killed",  STREAM, FAULT_SERVER,          ""     },
    {"chat-stream-server-stopped", STREAM, FAULT_UPSTREAM_BAD,    ""     },
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

static void expect_file(const struct golden *c, const char *file, str got)
{
    char path[512];
    struct buf want;
    buf_init(&want, 1 << 20);
    snprintf(path, sizeof(path), "tests/golden/%s/%s", c->name, file);
    if (getenv("O2O_GOLDEN_WRITE") != NULL) { // NOLINT(concurrency-mt-unsafe): one thread
        char full[1024];
        snprintf(full, sizeof(full), "%s/%s", O2O_SOURCE_DIR, path);
        FILE *f = fopen(full, "wb");
        assert_non_null(f);
        fwrite(got.p, 1, got.len, f);
        fclose(f);
    }
    if (!read_file(path, &want) || !str_eq(buf_str(&want), got))
        fail_msg("%s:\nwant %.*s\ngot  %.*s", path, STR_ARG(buf_str(&want)), STR_ARG(got));
    buf_release(&want);
}

static void translate_request(const struct golden *c, struct chat_request *req)
{
    char path[512];
    struct buf text;
    struct openai_fault fault;
    const struct json *body = NULL;
    buf_init(&text, 1 << 20);
    snprintf(path, sizeof(path), "tests/golden/%s/openai.json", c->name);
    if (!read_file(path, &text))
        fail_msg("cannot read '%s'", path);
    size_t len = text.len;
    buf_append(&text, STR("\0\0\0\0"));
    char *copy = arena_alloc(&arena, text.len);
    memcpy(copy, text.p, text.len);
    buf_release(&text);
    assert_int_equal(openai_body_parse(&arena, copy, len, &body, &fault), ERR_OK);
    assert_int_equal(openai_chat_decode(&arena, body, req, &fault), ERR_OK);
    ollama_chat_encode(req, &(struct ollama_defaults){0}, &native);
}

static struct openai_fault upstream_fault(const struct golden *c, str sentence)
{
    struct openai_fault fault = openai_fault_upstream(&arena, c->fault, sentence);
    fault.param = str_z(c->param);
    return fault;
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
    assert_true(error.is_native);
    struct openai_fault fault = upstream_fault(c, error.text);
    openai_error_body(&answer, &fault);
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
        while (ndjson_next(&nd, &text) == NDJSON_LINE) {
            struct ollama_line line;
            assert_int_equal(ollama_line_decode(&arena, text, &line, NULL), ERR_OK);
            struct openai_fault fault = upstream_fault(c, line.error);
            fault.type = STR("upstream_error"); // whatever it was: text has been sent
            if (line.has_error)
                chat_stream_fail(&s, &fault, &answer);
            else
                chat_stream_line(&s, &line, &answer);
        }
    }
    struct openai_fault cut = upstream_fault(c, CHAT_CUT_SHORT);
    chat_stream_fail(&s, &cut, &answer);
    ndjson_release(&nd);
    chat_stream_release(&s);
}

static void run_case(const struct golden *c)
{
    struct chat_request req;
    struct buf recorded;
    translate_request(c, &req);
    expect_file(c, "ollama.json", buf_str(&native));

    struct answer_head head = {
        .id = STR("chatcmpl-golden"),
        .created_s = 1700000000,
        .model = req.model,
        .include_usage = req.include_usage,
    };
    buf_init(&recorded, 1 << 20);
    read_recording(c->name, &recorded);
    if (c->form == WHOLE)
        translate_whole(&head, buf_str(&recorded));
    else if (c->form == FAILED)
        translate_failure(c, buf_str(&recorded));
    else
        translate_stream(c, &head, buf_str(&recorded));
    buf_release(&recorded);
    assert_true(buf_ok(&answer));
    expect_file(c, c->form == STREAM ? "answer.sse" : "answer.json", buf_str(&answer));
}

static void test_golden__translates_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        buf_reset(&native);
        buf_reset(&answer);
        arena_reset(&arena);
        run_case(&CASES[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_golden__translates_both_ways, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
