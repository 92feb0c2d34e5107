/*
 * Golden cases of completions and embeddings, as test_golden.c has them of chat. Failures of the
 * upstream are judged by core, so of those only the native request is looked at here.
 */
#include "unit.h"

#include "codec/completion_answer.h"
#include "codec/embedding_answer.h"
#include "codec/ndjson.h"
#include "codec/ollama_request.h"
#include "codec/openai_chat.h"
#include "codec/openai_completion.h"
#include "codec/openai_embedding.h"
#include "codec/recording.h"

enum answer_form {
    WHOLE,
    STREAM,
    VECTORS,
    FAILED_TEXT,    // of completions
    FAILED_VECTORS, // of embeddings
};

static const struct golden {
    const char *name;
    enum answer_form form;
} CASES[] = {
    {"generate",                    WHOLE         },
    {"generate-empty",              WHOLE         },
    {"generate-stream",             STREAM        },
    {"generate-raw-stream",         STREAM        },
    {"generate-think-stream",       STREAM        },
    {"generate-suffix-unsupported", FAILED_TEXT   },
    {"embed",                       VECTORS       },
    {"embed-batch",                 VECTORS       },
    {"embed-dimensions",            VECTORS       },
    {"embed-empty",                 FAILED_VECTORS},
    {"embed-missing-model",         FAILED_VECTORS},
    {"embed-wrong-model",           FAILED_VECTORS},
    {"embed-too-long",              FAILED_VECTORS},
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
    assert_true(read_file(path, &want));
    assert_str_why(got, buf_str(&want), path);
    buf_release(&want);
}

static const struct json *read_body(const struct golden *c)
{
    char path[512];
    struct buf text;
    struct openai_fault fault;
    const struct json *body = NULL;
    buf_init(&text, 1 << 20);
    snprintf(path, sizeof(path), "tests/golden/%s/openai.json", c->name);
    assert_true(read_file(path, &text));
    size_t len = text.len;
    buf_append(&text, STR("\0\0\0\0"));
    char *copy = arena_alloc(&arena, text.len);
    memcpy(copy, text.p, text.len);
    buf_release(&text);
    assert_int_equal(openai_body_parse(&arena, copy, len, &body, &fault), ERR_OK);
    return body;
}

static void translate_vectors(str model, const struct embedding_wish *wish, str body)
{
    struct ollama_embed object;
    assert_int_equal(ollama_embed_decode(&arena, body, &object, NULL), ERR_OK);
    assert_false(object.has_error);
    assert_int_equal(embedding_answer_encode(model, wish, &object, &answer, NULL), ERR_OK);
}

static void run_embedding(const struct golden *c, str recorded)
{
    struct embedding_request req;
    struct openai_fault fault;
    assert_int_equal(openai_embedding_decode(&arena, read_body(c), &req, &fault), ERR_OK);
    ollama_embed_encode(&req, &native);
    expect_file(c, "ollama.json", buf_str(&native));
    if (c->form == FAILED_VECTORS)
        return;
    translate_vectors(req.model, &req.wish, recorded);
    expect_file(c, "answer.json", buf_str(&answer));
}

/* Feeds the lines in small pieces; what comes out must not depend on that. */
static void translate_stream(const struct answer_head *head, str body)
{
    struct completion_stream s;
    struct ndjson nd;
    str text;
    completion_stream_init(&s, head);
    ndjson_init(&nd, NDJSON_LINE_MAX);
    while (body.len > 0) {
        ndjson_feed(&nd, str_head(body, 100));
        body = str_skip(body, 100);
        while (ndjson_next(&nd, &text) == NDJSON_LINE) {
            struct ollama_line line;
            assert_int_equal(ollama_generate_decode(&arena, text, &line, NULL), ERR_OK);
            completion_stream_line(&s, &line, &answer);
        }
    }
    assert_true(s.finished);
    ndjson_release(&nd);
    completion_stream_release(&s);
}

static void run_completion(const struct golden *c, str recorded)
{
    struct completion_request req;
    struct openai_fault fault;
    struct ollama_line line;
    assert_int_equal(openai_completion_decode(&arena, read_body(c), &req, &fault), ERR_OK);
    ollama_generate_encode(&req, &(struct ollama_defaults){0}, &native);
    expect_file(c, "ollama.json", buf_str(&native));
    if (c->form == FAILED_TEXT)
        return;
    struct answer_head head = {
        .id = STR("cmpl-golden"),
        .created_s = 1700000000,
        .model = req.common.model,
        .include_usage = req.common.include_usage,
    };
    if (c->form == STREAM) {
        translate_stream(&head, recorded);
        expect_file(c, "answer.sse", buf_str(&answer));
        return;
    }
    assert_int_equal(ollama_generate_decode(&arena, recorded, &line, NULL), ERR_OK);
    completion_answer_encode(&head, &line, &answer);
    expect_file(c, "answer.json", buf_str(&answer));
}

static void test_golden_routes__translates_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        const struct golden *c = &CASES[i];
        struct buf recorded;
        buf_reset(&native);
        buf_reset(&answer);
        arena_reset(&arena);
        buf_init(&recorded, 1 << 20);
        read_recording(c->name, &recorded);
        if (c->form == VECTORS || c->form == FAILED_VECTORS)
            run_embedding(c, buf_str(&recorded));
        else
            run_completion(c, buf_str(&recorded));
        buf_release(&recorded);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_golden_routes__translates_both_ways, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
