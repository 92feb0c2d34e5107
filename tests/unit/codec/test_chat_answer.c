#include "codec/chat_answer.h"

#include "codec/json.h"
#include "codec/ndjson.h"
#include "unit.h"

static struct arena arena;
static struct buf out;

static const struct answer_head HEAD = {
    .id = {"chatcmpl-abc", 12},
    .created_s = 1700000000,
    .model = {"m",            1 },
};

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 64 << 20);
    buf_init(&out, 64 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    buf_release(&out);
    return 0;
}

static struct ollama_line line_of(str text)
{
    struct ollama_line line;
    struct err_info info = {0};
    if (ollama_line_decode(&arena, text, &line, &info) != ERR_OK)
        fail_msg("%.*s: %s", STR_ARG(text), info.text);
    return line;
}

/* Streams native lines, one per text, into `out`; the last must be NULL. */
static void stream(const struct answer_head *head, const char *const *texts)
{
    struct chat_stream s;
    chat_stream_init(&s, head);
    for (; *texts != NULL; texts++) {
        struct ollama_line line = line_of(str_z(*texts));
        chat_stream_line(&s, &line, &out);
    }
    chat_stream_release(&s);
}

/* The events of `out`, [DONE] apart, as JSON; checks the frames. */
static size_t events(const struct json **ret, size_t max)
{
    size_t n = 0;
    str rest = buf_str(&out);
    while (rest.len > 0) {
        size_t end = str_find(rest, STR("\n\n"));
        assert_true(end < rest.len);
        str event = str_head(rest, end);
        rest = str_skip(rest, end + 2);
        assert_true(str_starts(event, STR("data: ")));
        assert_int_equal(str_find_char(event, '\n'), event.len);
        assert_true(event.len < CHAT_LINE_MAX);
        if (str_eq(event, STR("data: [DONE]"))) {
            assert_int_equal(rest.len, 0);
            break;
        }
        assert_true(n < max);
        assert_int_equal(json_parse(&arena, str_skip(event, 6), JSON_STRICT, &ret[n++], NULL),
                         ERR_OK);
    }
    return n;
}

static const struct json *choice_of(const struct json *event)
{
    const struct json *choice = NULL;
    struct json_iter it = json_iter(json_get(event, STR("choices")));
    return json_next(&it, NULL, &choice) ? choice : NULL;
}

static const struct json *delta_of(const struct json *event)
{
    return json_get(choice_of(event), STR("delta"));
}

/* Every delta of `out` on a line of its own, then the finish reason. */
static void expect_deltas(const char *want, const char *why)
{
    const struct json *list[64];
    struct buf got;
    buf_init(&got, 1 << 20);
    size_t n = events(list, COUNT_OF(list));
    for (size_t i = 0; i < n; i++) {
        const struct json *reason = json_get(choice_of(list[i]), STR("finish_reason"));
        if (!json_is_null(reason))
            buf_append(&got, json_str(reason));
        else
            json_put_value(&got, delta_of(list[i]));
        buf_append_char(&got, '\n');
    }
    if (!str_eq(buf_str(&got), str_z(want)))
        fail_msg("%s:\nwant %s\ngot  %.*s", why, want, STR_ARG(buf_str(&got)));
    buf_release(&got);
}

#define ROLE                 "{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}\n"
#define DONE                 "{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\"}"
#define TEXT(t)              "{\"message\":{\"content\":\"" t "\"},\"done\":false}"
#define THINK(t)             "{\"message\":{\"content\":\"\",\"thinking\":\"" t "\"},\"done\":false}"
#define CALL(id, name, args) "{" id "\"function\":{\"index\":0,\"name\":\"" name "\"" args "}}"

static void test_chat_answer__streams_events_in_order(void **state)
{
    (void)state;
    // clang-format off
    static const struct {
        const char *lines[6];
        const char *want;
        const char *why;
    } cases[] = {
        {{TEXT("a"), TEXT("b"), DONE}, ROLE "{\"content\":\"a\"}\n{\"content\":\"b\"}\nstop\n",
         "the role once, text, one reason"},
        {{DONE}, ROLE "stop\n", "done without text is a success"},
        {{TEXT(""), TEXT(""), TEXT("a"), TEXT(""), DONE}, ROLE "{\"content\":\"a\"}\nstop\n",
         "empty lines are silent"},
        {{"{\"message\":{\"content\":\"a\"},\"done\":true,\"done_reason\":\"length\"}"},
         ROLE "{\"content\":\"a\"}\nlength\n", "the last line may carry text"},
        {{"{\"message\":{},\"done\":true,\"done_reason\":\"load\"}"}, ROLE "stop\n", "load"},
        {{"{\"message\":{},\"done\":true,\"done_reason\":\"unload\"}"}, ROLE "stop\n", "unload"},
        {{"{\"message\":{},\"done\":true,\"done_reason\":\"zzz\"}"}, ROLE "stop\n", "unknown"},
        {{"{\"message\":{},\"done\":true}"}, ROLE "stop\n", "no reason"},
        {{THINK("h"), TEXT("a"), DONE},
         ROLE "{\"reasoning_content\":\"h\"}\n{\"content\":\"a\"}\nstop\n", "thinking"},
        {{"{\"message\":{\"content\":\"a\",\"thinking\":\"h\"},\"done\":true}"},
         ROLE "{\"reasoning_content\":\"h\"}\n{\"content\":\"a\"}\nstop\n",
         "a line with both becomes two chunks"},
        {{"{\"message\":{\"tool_calls\":[" CALL("\"id\":\"x\",", "f", ",\"arguments\":{\"a\":1.0}")
          "," CALL("", "g", "") "]},\"done\":false}",
          "{\"message\":{\"tool_calls\":[" CALL("\"id\":\"\",", "h", ",\"arguments\":{}")
          "]},\"done\":true,\"done_reason\":\"stop\"}"},
         ROLE "{\"tool_calls\":[{\"index\":0,\"id\":\"x\",\"type\":\"function\",\"function\":"
         "{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1.0}\"}}]}\n"
         "{\"tool_calls\":[{\"index\":1,\"id\":\"call_abc_1\",\"type\":\"function\",\"function\":"
         "{\"name\":\"g\",\"arguments\":\"{}\"}}]}\n"
         "{\"tool_calls\":[{\"index\":2,\"id\":\"call_abc_2\",\"type\":\"function\",\"function\":"
         "{\"name\":\"h\",\"arguments\":\"{}\"}}]}\ntool_calls\n",
         "counted over the answer, whole, with ids and text for arguments"},
        {{"{\"message\":{\"tool_calls\":[" CALL("", "f", ",\"arguments\":\"{\\\"a\\\":1}\"")
          "]},\"done\":true,\"done_reason\":\"length\"}"},
         ROLE "{\"tool_calls\":[{\"index\":0,\"id\":\"call_abc_0\",\"type\":\"function\","
         "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]}\nlength\n",
         "arguments that are text already; length wins"},
        {{"{\"message\":{\"tool_calls\":[" CALL("\"id\":\"x\",", "f", "") ","
          CALL("\"id\":\"x\",", "g", "") "]},\"done\":false}",
          "{\"message\":{\"tool_calls\":[" CALL("\"id\":\"x\",", "h", "")
          "]},\"done\":true,\"done_reason\":\"load\"}"},
         ROLE "{\"tool_calls\":[{\"index\":0,\"id\":\"x\",\"type\":\"function\",\"function\":"
         "{\"name\":\"f\",\"arguments\":\"{}\"}}]}\n"
         "{\"tool_calls\":[{\"index\":1,\"id\":\"call_abc_1\",\"type\":\"function\",\"function\":"
         "{\"name\":\"g\",\"arguments\":\"{}\"}}]}\n"
         "{\"tool_calls\":[{\"index\":2,\"id\":\"call_abc_2\",\"type\":\"function\",\"function\":"
         "{\"name\":\"h\",\"arguments\":\"{}\"}}]}\ntool_calls\n",
         "equal ids are made unique over the whole answer"},
        {{"{\"message\":{\"tool_calls\":[" CALL("", "f",
                                                ",\"arguments\": {\"b\\u003c\" : 1.0,\n\"a\":"
                                                "\"\\/ \\u00e9\\ud83d\\ude00\\\\\\\"\"}") ","
          CALL("", "g", ",\"arguments\":{\"a\":\"\\u003c\\ud83d\"}") ","
          CALL("", "h", ",\"argument\\u0073\":{\"a\":\"\\u003c\"}") "]},\"done\":true}"},
         ROLE "{\"tool_calls\":[{\"index\":0,\"id\":\"call_abc_0\",\"type\":\"function\","
         "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"b\\\\u003c\\\":1.0,\\\"a\\\":"
         "\\\"\\\\/ \\\\u00e9\\\\ud83d\\\\ude00\\\\\\\\\\\\\\\"\\\"}\"}}]}\n"
         "{\"tool_calls\":[{\"index\":1,\"id\":\"call_abc_1\",\"type\":\"function\","
         "\"function\":{\"name\":\"g\",\"arguments\":\"{\\\"a\\\":\\\"<\xEF\xBF\xBD\\\"}\"}}]}\n"
         "{\"tool_calls\":[{\"index\":2,\"id\":\"call_abc_2\",\"type\":\"function\","
         "\"function\":{\"name\":\"h\",\"arguments\":\"{\\\"a\\\":\\\"<\\\"}\"}}]}\ntool_calls\n",
         "escapes as they were, but what is no text"},
        {{DONE, TEXT("x"), DONE}, ROLE "stop\n", "nothing after the end"},
        {{TEXT("a\\u2028\\u0000\xFF"), DONE},
         ROLE "{\"content\":\"a\\u2028\\u0000\xEF\xBF\xBD\"}\nstop\n", "valid UTF-8"},
    };
    // clang-format on
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        buf_reset(&out);
        stream(&HEAD, cases[i].lines);
        expect_deltas(cases[i].want, cases[i].why);
        assert_true(str_ends(buf_str(&out), STR("\n\ndata: [DONE]\n\n")));
    }
}

static void test_chat_answer__says_what_each_line_did(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum chat_step want;
    } cases[] = {
        {TEXT(""),   CHAT_STEP_NOTHING },
        {THINK("h"), CHAT_STEP_USEFUL  },
        {TEXT("a"),  CHAT_STEP_USEFUL  },
        {TEXT(""),   CHAT_STEP_NOTHING },
        {DONE,       CHAT_STEP_FINISHED},
        {DONE,       CHAT_STEP_NOTHING },
    };
    struct chat_stream s;
    chat_stream_init(&s, &HEAD);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t before = out.len;
        struct ollama_line line = line_of(str_z(cases[i].text));
        assert_int_equal(chat_stream_line(&s, &line, &out), cases[i].want);
        assert_int_equal(out.len == before, cases[i].want == CHAT_STEP_NOTHING);
    }
    chat_stream_release(&s);
}

static void test_chat_answer__r2_r3_every_chunk_has_the_same_head(void **state)
{
    (void)state;
    static const char *const lines[] = {TEXT("a"), DONE, NULL};
    struct answer_head head = HEAD;
    head.include_usage = true;
    const struct json *list[8];
    stream(&head, lines);
    size_t n = events(list, COUNT_OF(list));
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++) {
        int64_t number = -1;
        assert_true(str_eq(json_str(json_get(list[i], STR("id"))), HEAD.id));
        assert_true(str_eq(json_str(json_get(list[i], STR("model"))), HEAD.model));
        assert_true(
            str_eq(json_str(json_get(list[i], STR("object"))), STR("chat.completion.chunk")));
        assert_true(json_to_i64(json_get(list[i], STR("created")), &number));
        assert_int_equal(number, 1700000000);
        assert_null(json_get(list[i], STR("error")));
        assert_int_equal(json_kind(json_get(list[i], STR("choices"))), JSON_ARRAY);
        if (i == n - 1)
            continue;
        assert_true(json_to_i64(json_get(choice_of(list[i]), STR("index")), &number));
        assert_int_equal(number, 0);
        assert_int_equal(json_kind(delta_of(list[i])), JSON_OBJECT);
        assert_non_null(json_get(choice_of(list[i]), STR("finish_reason")));
        assert_non_null(json_get(choice_of(list[i]), STR("logprobs")));
    }
}

static void test_chat_answer__usage_comes_once_if_asked_for(void **state)
{
    (void)state;
    static const char *const lines[] = {
        TEXT("a"), "{\"message\":{},\"done\":true,\"prompt_eval_count\":10,\"eval_count\":20}",
        NULL};
    const struct json *list[8] = {0};
    struct answer_head head = HEAD;
    stream(&head, lines);
    size_t n = events(list, COUNT_OF(list));
    for (size_t i = 0; i < n; i++)
        assert_null(json_get(list[i], STR("usage")));
    assert_int_equal(n, 3);

    buf_reset(&out);
    head.include_usage = true;
    stream(&head, lines);
    n = events(list, COUNT_OF(list));
    assert_int_equal(n, 4);
    for (size_t i = 0; i < 3; i++) {
        assert_non_null(json_get(list[i], STR("usage")));
        assert_true(json_is_null(json_get(list[i], STR("usage"))));
    }
    struct buf usage;
    buf_init(&usage, 4096);
    json_put_value(&usage, json_get(list[3], STR("usage")));
    assert_int_equal(json_size(json_get(list[3], STR("choices"))), 0);
    assert_true(str_eq(buf_str(&usage), STR("{\"prompt_tokens\":10,\"completion_tokens\":20,"
                                            "\"total_tokens\":30}")));
    buf_release(&usage);
}

static void test_chat_answer__thinking_has_the_chosen_name(void **state)
{
    (void)state;
    static const struct {
        enum reasoning_field field;
        const char *want;
    } cases[] = {
        {REASONING_CONTENT, ROLE "{\"reasoning_content\":\"h\"}\nstop\n"                    },
        {REASONING_PLAIN,   ROLE "{\"reasoning\":\"h\"}\nstop\n"                            },
        {REASONING_BOTH,    ROLE "{\"reasoning_content\":\"h\",\"reasoning\":\"h\"}\nstop\n"},
    };
    static const char *const lines[] = {THINK("h"), DONE, NULL};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct answer_head head = HEAD;
        head.reasoning = cases[i].field;
        buf_reset(&out);
        stream(&head, lines);
        expect_deltas(cases[i].want, "field");
    }
}

/* A long piece of one kind comes out whole, in lines below the limit. */
static void expect_split(const char *open, str unit, const char *close, bool is_call)
{
    struct buf text;
    struct buf joined;
    struct buf whole;
    const struct json *list[512];
    buf_init(&text, 8 << 20);
    buf_init(&joined, 8 << 20);
    buf_init(&whole, 8 << 20);
    buf_append(&text, str_z(open));
    for (size_t i = 0; i < 40000; i++) {
        buf_append(&text, unit);
        buf_append(&whole, unit);
    }
    buf_append(&text, str_z(close));

    struct chat_stream s;
    struct answer_head head = HEAD;
    head.reasoning = REASONING_BOTH;
    struct ollama_line line = line_of(buf_str(&text));
    buf_reset(&out);
    chat_stream_init(&s, &head);
    chat_stream_line(&s, &line, &out);
    chat_stream_release(&s);
    size_t n = events(list, COUNT_OF(list));
    assert_true(n > 3);
    for (size_t i = 1; i < n; i++) {
        const struct json *delta = delta_of(list[i]);
        const struct json *call = NULL;
        struct json_iter it = json_iter(json_get(delta, STR("tool_calls")));
        if (is_call && json_next(&it, NULL, &call)) {
            // Only the first has what must not be repeated.
            assert_int_equal(json_is_null(json_get(call, STR("id"))), i > 1);
            assert_int_equal(json_is_null(json_get(call, STR("type"))), i > 1);
            delta = json_get(call, STR("function"));
            assert_int_equal(json_is_null(json_get(delta, STR("name"))), i > 1);
        }
        buf_append(&joined, json_str(json_get(delta, STR("content"))));
        buf_append(&joined, json_str(json_get(delta, STR("reasoning"))));
        buf_append(&joined, json_str(json_get(delta, STR("arguments"))));
    }
    str got = buf_str(&joined);
    if (is_call) {
        const struct json *arguments = NULL;
        assert_int_equal(json_parse(&arena, got, JSON_STRICT, &arguments, NULL), ERR_OK);
        got = json_str(json_get(arguments, STR("a")));
    }
    assert_true(str_eq(got, buf_str(&whole)));
    buf_release(&text);
    buf_release(&joined);
    buf_release(&whole);
}

static void test_chat_answer__long_pieces_are_split_between_characters(void **state)
{
    (void)state;
    static const str units[] = {STR_C("a"), STR_C("\xE4\xB8\xAD"), STR_C("\xF0\x9F\x8E\x89"),
                                STR_C("x\xE2\x80\xA8")};
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        expect_split("{\"message\":{\"content\":\"", units[i], "\"},\"done\":false}", false);
        expect_split("{\"message\":{\"thinking\":\"", units[i], "\"},\"done\":false}", false);
        expect_split("{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":"
                     "{\"a\":\"",
                     units[i], "\"}}}]},\"done\":false}", true);
    }
}

static void test_chat_answer__failures_are_an_event_and_the_end(void **state)
{
    (void)state;
    struct openai_fault fault = openai_fault(FAULT_UPSTREAM_BAD, (str){0}, STR("boom"));
    static const char want[] = "data: {\"error\":{\"message\":\"boom\",\"type\":\"upstream_error\","
                               "\"param\":null,\"code\":\"bad_upstream_response\"}}\n\n"
                               "data: [DONE]\n\n";
    struct chat_stream s;
    chat_stream_init(&s, &HEAD);
    chat_stream_fail(&s, &fault, &out);
    assert_true(str_eq(buf_str(&out), str_z(want)));
    chat_stream_fail(&s, &fault, &out);
    struct ollama_line line = line_of(STR(DONE));
    assert_int_equal(chat_stream_line(&s, &line, &out), CHAT_STEP_NOTHING);
    assert_int_equal(out.len, sizeof(want) - 1);
    chat_stream_release(&s);

    buf_reset(&out);
    chat_stream_init(&s, &HEAD);
    chat_stream_line(&s, &line, &out);
    size_t len = out.len;
    chat_stream_fail(&s, &fault, &out);
    assert_int_equal(out.len, len);
    chat_stream_release(&s);
}

static void test_chat_answer__an_overflow_shows(void **state)
{
    (void)state;
    struct buf small;
    struct chat_stream s;
    struct ollama_line line = line_of(STR(TEXT("a")));
    buf_init(&small, 100);
    chat_stream_init(&s, &HEAD);
    chat_stream_line(&s, &line, &small);
    assert_false(buf_ok(&small));
    chat_stream_release(&s);
    buf_release(&small);
}

static void test_chat_answer__whole_answers_have_the_full_schema(void **state)
{
    (void)state;
#define WHOLE_HEAD                                                                                 \
    "{\"id\":\"chatcmpl-abc\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":"    \
    "\"m\",\"system_fingerprint\":\"fp_ollama\",\"choices\":[{\"index\":0,\"message\":"
#define TAIL(reason, usage)                                                                        \
    ",\"logprobs\":null,\"finish_reason\":\"" reason "\"}],\"usage\":" usage "}"
#define NO_USAGE "{\"prompt_tokens\":0,\"completion_tokens\":0,\"total_tokens\":0}"
    // clang-format off
    static const struct {
        const char *line;
        const char *want;
        const char *why;
    } cases[] = {
        {"{\"message\":{\"content\":\"a\"},\"done\":true,\"done_reason\":\"stop\","
         "\"prompt_eval_count\":1,\"eval_count\":2}",
         WHOLE_HEAD "{\"role\":\"assistant\",\"content\":\"a\",\"refusal\":null}"
         TAIL("stop", "{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}"), "text"},
        {"{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"load\"}",
         WHOLE_HEAD "{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}"
         TAIL("stop", NO_USAGE), "without text it is a text still"},
        {"{\"message\":{\"content\":\"\",\"thinking\":\"h\"},\"done\":true,"
         "\"done_reason\":\"length\"}",
         WHOLE_HEAD "{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null,"
         "\"reasoning_content\":\"h\"}" TAIL("length", NO_USAGE), "thinking only"},
        {"{\"message\":{\"content\":\"\",\"tool_calls\":["
         CALL("\"id\":\"x\",", "f", ",\"arguments\":{\"a\":1e2}") "," CALL("", "g", "")
         "]},\"done\":true,\"done_reason\":\"stop\"}",
         WHOLE_HEAD "{\"role\":\"assistant\",\"content\":null,\"refusal\":null,\"tool_calls\":["
         "{\"id\":\"x\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
         "\"{\\\"a\\\":1e2}\"}},{\"id\":\"call_abc_1\",\"type\":\"function\",\"function\":"
         "{\"name\":\"g\",\"arguments\":\"{}\"}}]}" TAIL("tool_calls", NO_USAGE), "calls"},
        {"{\"message\":{\"content\":\"t\",\"tool_calls\":[" CALL("", "f", "")
         "]},\"done\":true,\"done_reason\":\"length\"}",
         WHOLE_HEAD "{\"role\":\"assistant\",\"content\":\"t\",\"refusal\":null,\"tool_calls\":["
         "{\"id\":\"call_abc_0\",\"type\":\"function\",\"function\":{\"name\":\"f\","
         "\"arguments\":\"{}\"}}]}" TAIL("length", NO_USAGE), "text beside calls; length wins"},
    };
    // clang-format on
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ollama_line line = line_of(str_z(cases[i].line));
        buf_reset(&out);
        chat_answer_encode(&HEAD, &line, &out);
        if (!str_eq(buf_str(&out), str_z(cases[i].want)))
            fail_msg("%s:\nwant %s\ngot  %.*s", cases[i].why, cases[i].want,
                     STR_ARG(buf_str(&out)));
    }
}

#define LOGPROB(token, top) "{\"token\":\"" token "\",\"logprob\":-1.50,\"bytes\":[1]" top "}"

/* The tokens of all log probabilities in `out`, a bar between chunks that have some. */
static void expect_tokens(const char *want, const char *why)
{
    const struct json *list[512];
    struct buf got;
    buf_init(&got, 1 << 20);
    size_t n = events(list, COUNT_OF(list));
    for (size_t i = 0; i < n; i++) {
        const struct json *logprobs = json_get(choice_of(list[i]), STR("logprobs"));
        const struct json *entry = NULL;
        struct json_iter it = json_iter(json_get(logprobs, STR("content")));
        if (json_is_null(logprobs))
            continue;
        assert_int_equal(json_size(logprobs), 2);
        assert_true(json_is_null(json_get(logprobs, STR("refusal"))));
        buf_append_char(&got, '|');
        while (json_next(&it, NULL, &entry)) {
            assert_int_equal(json_kind(json_get(entry, STR("top_logprobs"))), JSON_ARRAY);
            buf_append(&got, json_str(json_get(entry, STR("token"))));
        }
    }
    assert_str_why(buf_str(&got), str_z(want), why);
    buf_release(&got);
}

static void test_chat_answer__log_probabilities_go_with_their_line(void **state)
{
    (void)state;
#define WITH(entries) ",\"logprobs\":[" entries "]}"
#define LINE(message) "{\"message\":{" message "},\"done\":false"
    // clang-format off
    static const struct {
        const char *lines[6];
        const char *tokens;
        const char *deltas;
        const char *why;
    } cases[] = {
        {{LINE("\"content\":\"ab\"") WITH(LOGPROB("a", "") "," LOGPROB("b", "")), DONE}, "|ab",
         ROLE "{\"content\":\"ab\"}\nstop\n", "with the text"},
        {{LINE("\"content\":\"a\",\"thinking\":\"h\"") WITH(LOGPROB("h", "")), DONE}, "|h",
         ROLE "{\"reasoning_content\":\"h\"}\n{\"content\":\"a\"}\nstop\n",
         "with the first chunk of the line"},
        {{LINE("\"content\":\"\"") WITH(LOGPROB("<", "")), LINE("") WITH(LOGPROB("f", "")),
          "{\"message\":{\"tool_calls\":[" CALL("\"id\":\"x\",", "f", "") "]},\"done\":false"
          WITH(LOGPROB(">", "")), DONE}, "|<|f|>",
         ROLE "{}\n{}\n{\"tool_calls\":[{\"index\":0,\"id\":\"x\",\"type\":\"function\","
         "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}\ntool_calls\n",
         "tokens of a hidden call are not lost"},
        {{TEXT("a"), "{\"message\":{},\"done\":true" WITH(LOGPROB("z", ""))}, "|z",
         ROLE "{\"content\":\"a\"}\n{}\nstop\n", "on the last line"},
        {{TEXT("a"), DONE}, "", ROLE "{\"content\":\"a\"}\nstop\n", "none"},
    };
    // clang-format on
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        buf_reset(&out);
        stream(&HEAD, cases[i].lines);
        expect_tokens(cases[i].tokens, cases[i].why);
        expect_deltas(cases[i].deltas, cases[i].why);
    }
}

static void test_chat_answer__log_probabilities_stay_within_a_line(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 8 << 20);
    buf_append(&text, STR("{\"message\":{\"content\":\"a\"},\"done\":false,\"logprobs\":["));
    for (size_t i = 0; i < 3000; i++) {
        buf_append(&text, i > 0 ? STR(",") : STR(""));
        buf_append(&text, STR(LOGPROB("t", ",\"top_logprobs\":[{\"token\":\"u\"}]")));
    }
    buf_append(&text, STR("]}"));
    struct chat_stream s;
    struct ollama_line line = line_of(buf_str(&text));
    chat_stream_init(&s, &HEAD);
    chat_stream_line(&s, &line, &out);
    chat_stream_release(&s);

    const struct json *list[512];
    size_t tokens = 0;
    size_t n = events(list, COUNT_OF(list)); // checks the length of each
    for (size_t i = 0; i < n; i++)
        tokens +=
            json_size(json_get(json_get(choice_of(list[i]), STR("logprobs")), STR("content")));
    assert_int_equal(tokens, 3000);
    assert_true(n < 64);
    buf_release(&text);
}

static void test_chat_answer__r6_finish_reasons(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        const char *without_calls;
        const char *with_calls;
    } cases[] = {
        {"\"stop\"",   "stop",   "tool_calls"},
        {"\"length\"", "length", "length"    },
        {"\"load\"",   "stop",   "tool_calls"},
        {"\"unload\"", "stop",   "tool_calls"},
        {"\"\"",       "stop",   "tool_calls"},
        {"\"new\"",    "stop",   "tool_calls"},
        {"null",       "stop",   "tool_calls"},
    };
    for (size_t i = 0; i < 2 * COUNT_OF(cases); i++) {
        char text[512];
        bool calls = i % 2 == 1;
        const char *want = calls ? cases[i / 2].with_calls : cases[i / 2].without_calls;
        snprintf(text, sizeof(text), "{\"message\":{%s},\"done\":true,\"done_reason\":%s}",
                 calls ? "\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]" : "",
                 cases[i / 2].reason);
        struct ollama_line line = line_of(str_z(text));
        const struct json *whole = NULL;
        const struct json *list[8] = {0};
        const char *const lines[] = {text, NULL};
        buf_reset(&out);
        chat_answer_encode(&HEAD, &line, &out);
        assert_int_equal(json_parse(&arena, buf_str(&out), JSON_STRICT, &whole, NULL), ERR_OK);
        assert_str_why(json_str(json_get(choice_of(whole), STR("finish_reason"))), str_z(want),
                       text);
        buf_reset(&out);
        stream(&HEAD, lines);
        size_t n = events(list, COUNT_OF(list));
        assert_str_why(json_str(json_get(choice_of(list[n - 1]), STR("finish_reason"))),
                       str_z(want), text);
    }
}

static void test_chat_answer__an_idle_stream_is_small(void **state)
{
    (void)state;
    struct chat_stream s;
    chat_stream_init(&s, &HEAD);
    assert_true(sizeof(s) + s.head.cap < 1024);
    chat_stream_release(&s);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_chat_answer__streams_events_in_order),
        TEST(test_chat_answer__says_what_each_line_did),
        TEST(test_chat_answer__r2_r3_every_chunk_has_the_same_head),
        TEST(test_chat_answer__usage_comes_once_if_asked_for),
        TEST(test_chat_answer__thinking_has_the_chosen_name),
        TEST(test_chat_answer__long_pieces_are_split_between_characters),
        TEST(test_chat_answer__failures_are_an_event_and_the_end),
        TEST(test_chat_answer__an_overflow_shows),
        TEST(test_chat_answer__whole_answers_have_the_full_schema),
        TEST(test_chat_answer__log_probabilities_go_with_their_line),
        TEST(test_chat_answer__log_probabilities_stay_within_a_line),
        TEST(test_chat_answer__r6_finish_reasons),
        TEST(test_chat_answer__an_idle_stream_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
