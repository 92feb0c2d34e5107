"""POST /v1/completions, by raw requests and the official Python SDK."""

import json

import openai
import pytest

import answers
import raw
from raw import COMPLETIONS, build, exchange

NATIVE = "/api/generate"
GOOD = [("generate", False), ("generate-empty", False), ("generate-stream", True),
        ("generate-raw-stream", True), ("generate-think-stream", True)]


def body(**more):
    return {"model": "plain", "prompt": "Hi", **more}


def line(response="", **more):
    obj = {"model": "plain", "created_at": answers.CREATED_AT, "response": response, "done": False}
    return json.dumps({**obj, **more}, separators=(",", ":")).encode() + b"\n"


def done_line(response="", reason="stop", **more):
    return line(response, done=True, done_reason=reason, **answers.COUNTS, **more)


def whole(response="Hello.", **more):
    return answers.whole(200, json.loads(done_line(response, **more)))


def natives(upstream):
    return [json.loads(r.body) for r in upstream.requests if r.target == NATIVE]


def ask(server, **more):
    return exchange(server, build("POST", COMPLETIONS, body(**more)))


def expected(name):
    lines = answers.recorded_lines(name)
    prompt, completion = (lines[-1].get(key, 0) for key in ("prompt_eval_count", "eval_count"))
    return {"text": "".join(obj.get("response", "") for obj in lines),
            "finish_reason": {"length": "length"}.get(lines[-1]["done_reason"], "stop"),
            "usage": [prompt, completion, prompt + completion]}


def request_of(name):
    _, _, native = answers.recorded_request(name)
    native = json.loads(native)
    return {"model": native["model"], "prompt": native.get("prompt", "")}


def check_stream(response, usage=False, error=False):
    """What holds for every stream of completions."""
    assert response.status == 200 and response.complete
    assert response.header("Content-Type").startswith("text/event-stream")
    sse = response.sse
    assert sse.payloads.count("[DONE]") == 1 and sse.done
    assert all(len(text.encode()) < 16 * 1024 for text in sse.lines)
    for name in ("id", "created", "model", "object"):
        assert len({chunk[name] for chunk in sse.chunks}) <= 1
    reasons = []
    for chunk in sse.chunks:
        assert chunk["object"] == "text_completion" and chunk["id"].startswith("cmpl-")
        for choice in chunk["choices"]:
            assert choice["index"] == 0 and isinstance(choice["text"], str)
            assert {"text", "index", "logprobs", "finish_reason"} <= set(choice)
            assert not (choice["text"] and choice.get("reasoning_content"))
            reasons.append(choice["finish_reason"])
    if error:
        assert len(sse.errors) == 1 and list(sse.objects[-1]) == ["error"]
        raw.check_error_object(sse.errors[0])
        assert not any(reasons)
    else:
        assert not sse.errors and reasons[-1] in ("stop", "length") and not any(reasons[:-1])
        assert len(sse.usage) == (1 if usage else 0)
        if usage:
            assert sse.chunks[-1]["choices"] == [] and sse.chunks[-1]["usage"] is not None
    return sse


def text_of(sse):
    return "".join(choice["text"] for chunk in sse.chunks for choice in chunk["choices"])


# ---- the official SDK ----


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.url + "/v1", api_key="any", max_retries=0,
                       timeout=30) as made:
        yield made


@pytest.fixture
def strict(server):
    """Raises where a field has not its declared type. For whole answers only: the SDK declares
    that a chunk's finish_reason is never null, and OpenAI's own are."""
    with openai.OpenAI(base_url=server.url + "/v1", api_key="any", max_retries=0, timeout=30,
                       _strict_response_validation=True) as made:
        yield made


@pytest.mark.parametrize("name, streamed", GOOD)
def test_sdk_create(client, strict, upstream, name, streamed):
    """create(), streamed or not as the recording was."""
    upstream.route(NATIVE, answers.replay(name, slice_bytes=11))
    if not streamed:
        got = strict.completions.create(**request_of(name))
        assert got.object == "text_completion" and got._request_id
        text, reason, usage = got.choices[0].text, got.choices[0].finish_reason, got.usage
    else:
        text, reason, usage = "", None, None
        for part in client.completions.create(**request_of(name), stream=True,
                                              stream_options={"include_usage": True}):
            usage = part.usage or usage
            for choice in part.choices:
                text += choice.text
                reason = choice.finish_reason or reason
    assert {"text": text, "finish_reason": reason, "usage": [
        usage.prompt_tokens, usage.completion_tokens, usage.total_tokens]} == expected(name)


@pytest.mark.parametrize("streamed", [False, True])
def test_sdk_logprobs(client, strict, upstream, streamed):
    """The legacy lists, their offsets in characters, the chosen token among the best."""
    def entry(token, logprob, *top):
        one = {"token": token, "logprob": logprob, "bytes": list(token.encode())}
        return {**one, "top_logprobs": [{"token": t, "logprob": p, "bytes": list(t.encode())}
                                        for t, p in top]}
    tokens = [entry("é", -0.5, ("é", -0.5), ("a", -1.5)), entry("!", -2, ("?", -1))]
    if streamed:
        upstream.route(NATIVE, answers.chat_stream(
            [line("é", logprobs=tokens[:1]), line("!", logprobs=tokens[1:]), done_line()]))
        parts = [part.choices[0].logprobs for part in client.completions.create(
            model="plain", prompt="x", logprobs=2, stream=True)]
        parts = [part for part in parts if part]
    else:
        upstream.route(NATIVE, whole("é!", logprobs=tokens))
        parts = [strict.completions.create(model="plain", prompt="x", logprobs=2)
                 .choices[0].logprobs]
    assert [token for part in parts for token in part.tokens] == ["é", "!"]
    assert [p for part in parts for p in part.token_logprobs] == [-0.5, -2]
    assert [top for part in parts for top in part.top_logprobs] == [
        {"é": -0.5, "a": -1.5}, {"!": -2, "?": -1}]
    assert [offset for part in parts for offset in part.text_offset] == [0, 1]
    assert natives(upstream)[0]["logprobs"] is True and natives(upstream)[0]["top_logprobs"] == 2


def test_sdk_broken_stream_raises(client, upstream):
    """What came before the break is there, then an APIError."""
    upstream.route(NATIVE, answers.chat_stream([line("Hel"), b'{"error":"boom"}\n']))
    text = ""
    with pytest.raises(openai.APIError) as caught:
        for part in client.completions.create(model="plain", prompt="x", stream=True):
            text += part.choices[0].text
    assert text == "Hel" and not isinstance(caught.value, openai.APIStatusError)
    assert "boom" in caught.value.message


# ---- streams ----


@pytest.mark.parametrize("name", [name for name, streamed in GOOD if streamed])
@pytest.mark.parametrize("usage", [False, True])
def test_streams(server, upstream, name, usage):
    """Object, ids, one finish reason, [DONE], and usage where it was asked for."""
    upstream.route(NATIVE, answers.replay(name))
    options = {"stream_options": {"include_usage": True}} if usage else {}
    sse = check_stream(exchange(server, build("POST", COMPLETIONS, {
        **request_of(name), "stream": True, **options})), usage)
    assert text_of(sse) == expected(name)["text"]
    if usage:
        assert list(sse.usage[0].values()) == expected(name)["usage"]


def test_thinking_is_not_text(server, upstream):
    """It goes beside the text, in a chunk of its own."""
    upstream.route(NATIVE, answers.replay("generate-think-stream"))
    sse = check_stream(exchange(server, build("POST", COMPLETIONS, {
        **request_of("generate-think-stream"), "stream": True})))
    thinking = "".join(choice.get("reasoning_content", "") for chunk in sse.chunks
                       for choice in chunk["choices"])
    recorded = answers.recorded_lines("generate-think-stream")
    assert thinking and thinking == "".join(obj.get("thinking", "") for obj in recorded)


def test_a_load_is_an_empty_answer(server, upstream):
    """An empty prompt loads the model; asked to stream, Ollama answers one object all the same."""
    upstream.route(NATIVE, answers.replay("generate-empty"))
    obj = ask(server, prompt="").json()
    assert obj["choices"] == [
        {"text": "", "index": 0, "logprobs": None, "finish_reason": "stop"}]
    sse = check_stream(ask(server, prompt="", stream=True))
    assert text_of(sse) == ""


@pytest.mark.parametrize("lines, end, code", [
    ([line("Hel"), b'{"error":"an error was encountered"}\n'], answers.END_OF_CHUNKS, None),
    ([line("Hel")], answers.END_OF_CHUNKS, "bad_upstream_response"),
    ([line("Hel")], answers.CLOSE, "bad_upstream_response"),
    ([line("Hel"), b"garbage\n"], answers.END_OF_CHUNKS, "bad_upstream_response"),
    ([line("Hel"), b'{"message":{"content":"x"}}\n'], answers.END_OF_CHUNKS,
     "bad_upstream_response"),
], ids=["error line", "no done", "cut", "garbage", "another route's line"])
def test_broken_streams_have_an_error_event(server, upstream, lines, end, code):
    """Never an end without a finish reason or an error."""
    upstream.route(NATIVE, answers.chat_stream(lines, end=end))
    sse = check_stream(ask(server, stream=True), error=True)
    assert text_of(sse) == "Hel" and sse.errors[0]["code"] == code


def test_long_lines_are_cut(server, upstream):
    """Text of one native line that no chunk can hold goes out in several, whole."""
    text = "é\u2028\"" * 30000
    upstream.route(NATIVE, answers.chat_stream([line(text), done_line()]))
    assert text_of(check_stream(ask(server, stream=True))) == text


def test_the_log_names_the_route(server, upstream):
    """One access line with the route's name and the model's."""
    upstream.route(NATIVE, whole())
    response = ask(server)
    found = server.wait_log(response.header("x-request-id"))[0]
    assert "completions" in found and "plain" in found


def test_a_reader_who_leaves_stops_the_model(server, upstream):
    """The upstream's connection is closed when the caller's is."""
    upstream.route(NATIVE, answers.endless_stream(lambda n: line(f"w{n} "), delay=0.02))
    with raw.Client(server.port) as client:
        client.send(build("POST", COMPLETIONS, body(stream=True)))
        client.read_chunk(client.read_head())
    conn = next(request.conn for request in upstream.requests if request.target == NATIVE)
    upstream.wait_for(lambda: conn.closed_at, what="the upstream to be closed")


# ---- failures ----


@pytest.mark.parametrize("status, text, ours, code, param", [
    (404, "model 'x' not found", 404, "model_not_found", "model"),
    (400, "registry.ollama.ai/library/x:latest does not support insert", 400,
     "unsupported_parameter", "suffix"),
    (400, '"x" does not support generate', 400, None, "model"),
    (400, "the input length exceeds the context length", 400, "context_length_exceeded", "prompt"),
    (500, 'option "temperature" must be of type float32', 400, None, "temperature"),
    (500, "model runner has unexpectedly stopped", 500, None, None),
    (503, "server busy, please try again.  maximum pending requests exceeded", 503, "overloaded",
     None),
])
@pytest.mark.parametrize("stream", [False, True])
def test_native_errors(server, upstream, stream, status, text, ours, code, param):
    """The status they deserve, and the name that completions have for the field."""
    upstream.route(NATIVE, answers.error(status, text))
    response = ask(server, stream=stream)
    assert (response.status, response.error["code"], response.error["param"]) == (ours, code, param)


@pytest.mark.parametrize("answer", [
    answers.whole(200, b"{}"), answers.whole(200, b"[]"), answers.whole(200, b"hello"),
    answers.whole(200, {"response": 5, "done": True}),
    answers.whole(200, {"response": "x", "done": False}),
    answers.whole(200, {"message": {"content": "x"}}),
    answers.whole(200, b"")])
def test_bad_answers(server, upstream, answer):
    """502 bad_upstream_response, never half an answer."""
    upstream.route(NATIVE, answer)
    response = ask(server)
    assert (response.status, response.error["code"]) == (502, "bad_upstream_response")


# ---- requests ----

HUGE = 10**30
BAD_FIELDS = [
    # name, values with a 400 that names it
    ("model", [5, True, [], {}, "", None, "x" * 10000, "a\u0000b"]),
    ("prompt", [5, True, {}, None, [], [None], [{}], [5], [[5]], ["a", "b"], HUGE]),
    ("suffix", [5, True, [], {}, HUGE]),
    ("max_tokens", ["5", True, [], {}, 1.5, HUGE, ""]),
    ("max_completion_tokens", ["5", True, [], {}, 1.5, HUGE, ""]),
    ("temperature", ["1", True, [], {}, HUGE, -1, ""]),
    ("top_p", ["1", True, [], {}, HUGE, -1]),
    ("frequency_penalty", ["1", True, [], {}, HUGE]),
    ("presence_penalty", ["1", True, [], {}, HUGE]),
    ("seed", ["1", True, [], {}, HUGE, 1.5]),
    ("stop", [5, True, {}, [5], [None], HUGE]),
    ("stream", [5, "true", [], {}, HUGE, ""]),
    ("stream_options", [5, "x", [], True, HUGE, {"include_usage": "yes"}]),
    ("logprobs", ["2", True, [], {}, -1, 21, 1.5, HUGE, ""]),
    ("echo", [5, "true", [], {}, True, HUGE]),
    ("best_of", ["2", True, [], {}, 0, 2, 1.5, HUGE]),
    ("n", ["2", True, [], {}, 0, 2, 1.5, HUGE]),
    ("logit_bias", [5, "x", [], True, {"50256": -100}]),
    ("raw", [5, "true", [], {}, HUGE]),
    ("think", [5, [], {}, "x"]),
    ("reasoning_effort", [5, True, [], {}, "x", "x" * 10000]),
    ("reasoning", [5, True, [], "x", {"effort": 5}, {"effort": "x"}]),
    ("keep_alive", [True, [], {}]),
    ("num_ctx", ["5", True, [], {}, HUGE, 0]),
    ("top_k", ["5", True, [], {}, 1.5, HUGE, ""]),
    ("min_p", ["0.5", True, [], {}, HUGE, ""]),
    ("repeat_penalty", ["1", True, [], {}, HUGE, ""]),
    ("options", [5, "x", [], True]),
]


@pytest.mark.parametrize("name, value", [(name, value) for name, values in BAD_FIELDS
                                         for value in values])
def test_bad_fields(server, upstream, name, value):
    """400 that names the field; the upstream is not asked."""
    response = ask(server, **{name: value})
    assert response.status == 400, response
    assert response.error["type"] == "invalid_request_error"
    assert response.error["param"].startswith(name)
    assert natives(upstream) == []


@pytest.mark.parametrize("name", ["prompt", "n", "best_of", "echo", "logit_bias"])
def test_what_is_not_supported_says_so(server, name):
    """unsupported_parameter, naming it."""
    value = {"prompt": [1, 2], "echo": True, "logit_bias": {"1": 1}}.get(name, 2)
    error = ask(server, **{name: value}).error
    assert (error["code"], error["param"]) == ("unsupported_parameter", name)


@pytest.mark.parametrize("fields", [
    {name: None} for name, _ in BAD_FIELDS if name not in ("model", "prompt")] + [
    {"suffix": "", "stop": "", "n": 1, "best_of": 1, "echo": False, "logit_bias": {},
     "max_tokens": 0, "user": "u", "service_tier": {"x": []}}])
def test_neutral_values_change_nothing(server, upstream, fields):
    """Null is absent; what asks for nothing is taken; unknown fields are ignored."""
    upstream.route(NATIVE, whole())
    assert ask(server, **fields).status == 200
    assert natives(upstream) == [{"model": "plain", "prompt": "Hi", "stream": False}]


def test_huge_prompt(server, upstream):
    """Several megabytes pass; above BODY_LIMIT it is 413."""
    upstream.route(NATIVE, whole())
    assert ask(server, prompt="é" * 2_000_000).status == 200
    assert natives(upstream)[0]["prompt"] == "é" * 2_000_000


def test_default_num_ctx(start_server, upstream):
    """DEFAULT_NUM_CTX holds here as in chat."""
    upstream.route(NATIVE, whole())
    assert ask(start_server(upstream, DEFAULT_NUM_CTX=8192)).status == 200
    assert natives(upstream)[0]["options"] == {"num_ctx": 8192}


def test_think_is_left_out_for_a_model_that_cannot(pair):
    """As in chat, the request goes on without it instead of failing."""
    server, upstream = pair

    def generate(conn, request):
        if "think" in json.loads(request.body):
            return answers.error(400, '"plain" does not support thinking')(conn, request)
        return whole()(conn, request)
    upstream.route(NATIVE, generate)
    upstream.route("/api/show", answers.error(500, "no"))
    response = ask(server, think=True)
    assert response.status == 200 and response.json()["choices"][0]["text"] == "Hello."
    assert "think" not in natives(upstream)[-1]
