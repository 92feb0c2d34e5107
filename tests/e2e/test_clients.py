"""Clients of the OpenAI API as people use them, unmodified, against the scripted upstream.

Each client is a module in node/clients and does the same jobs; what it made of the answer comes
back as one object. "page" is a page in headless Chromium, of another origin than the API.
"""

import base64
import json

import pytest

import answers
from answers import chat_json, chat_stream, chunk, done_line, line, steps, words
from node_clients import Driver

CLIENTS = ["openai", "openai6", "ai-compatible", "ai-openai", "langchain", "page"]
USAGE = [answers.COUNTS["prompt_eval_count"], answers.COUNTS["eval_count"],
         answers.COUNTS["prompt_eval_count"] + answers.COUNTS["eval_count"]]
TEXT = "Grüße, 世界 🌍\n\"quoted\" </script>"
CALLS = [{"id": "call_a", "function": {"index": 0, "name": "get_weather",
                                       "arguments": {"city": "Zürich \"x\""}}},
         {"function": {"index": 0, "name": "add", "arguments": {"b": 2.5, "a": 1}}}]
MADE = [{"name": "get_weather", "args": {"city": "Zürich \"x\""}},
        {"name": "add", "args": {"b": 2.5, "a": 1}}]
RESULTS = ["sunny in Zürich \"x\"", "3.5"]
OBJECT = {"city": "Bern", "degrees": 21.5}
THINKERS = set(CLIENTS) - {"ai-openai"}  # which has no field for thinking


@pytest.fixture(scope="module")
def drivers():
    """The clients, each started once, when a test first asks for it."""
    running = {}

    def get(name):
        if name not in running:
            running[name] = Driver(name)
        return running[name]
    yield get
    for driver in running.values():
        driver.stop()


@pytest.fixture(params=CLIENTS)
def name(request):
    return request.param


@pytest.fixture
def client(drivers, name):
    return drivers(name)


@pytest.fixture(scope="module")
def server(module_server):
    """With a token every origin may ask, the page's too."""
    return module_server(API_TOKEN="any")


@pytest.fixture(scope="module")
def early_server(module_server):
    return module_server(API_TOKEN="any", STREAM_START_TIMEOUT=100)


def body_of(upstream, i=0):
    return json.loads(upstream.chats()[i].body)


def message(**fields):
    return {"message": {"role": "assistant", "content": "", **fields}}


def call_line(*calls):
    return line(**message(tool_calls=list(calls)))


def good(result):
    assert "error" not in result, result
    assert result.get("console", []) == []
    return result


def test_chat(client, server, upstream):
    """The text, the reason and the counts."""
    upstream.script(chat_json(TEXT))
    got = good(client("chat", server))
    assert (got["text"], got["finish"], got["usage"]) == (TEXT, "stop", USAGE)
    assert body_of(upstream)["messages"] == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize("slice_bytes", [None, 7], ids=["lines", "slices"])
def test_stream(client, server, upstream, slice_bytes):
    """The same from a stream, however it is cut."""
    lines = words(*TEXT)
    if slice_bytes is None:
        upstream.script(chat_stream(lines))
    else:
        data = b"".join(lines)
        upstream.script(chat_stream([data[i:i + slice_bytes]
                                     for i in range(0, len(data), slice_bytes)]))
    got = good(client("stream", server))
    assert (got["text"], got["finish"], got["usage"]) == (TEXT, "stop", USAGE)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_tools(client, server, upstream, stream):
    """Two calls at once, their results sent back, and the answer that is made of them."""
    if stream:
        upstream.script(chat_stream([call_line(CALLS[0]), call_line(CALLS[1]), done_line()]),
                        chat_stream(words("It is ", "sunny.")))
    else:
        upstream.script(chat_json(**message(tool_calls=CALLS)), chat_json("It is sunny."))
    got = good(client("tools", server, stream=stream))
    assert got["calls"] == MADE and got["text"] == "It is sunny."
    assert not got.get("invalid")
    first, second = body_of(upstream), body_of(upstream, 1)
    assert [tool["function"]["name"] for tool in first["tools"]] == ["get_weather", "add"]
    assert first["tools"][1]["function"]["parameters"]["properties"]["a"]["type"] == "number"
    _, asked, *results = second["messages"]
    assert [call["function"]["name"] for call in asked["tool_calls"]] == ["get_weather", "add"]
    assert [call["function"]["arguments"] for call in asked["tool_calls"]] \
        == [call["args"] for call in MADE]
    assert [(one["role"], one["tool_name"], one["content"]) for one in results] \
        == [("tool", "get_weather", RESULTS[0]), ("tool", "add", RESULTS[1])]
    ids = [call["id"] for call in asked["tool_calls"]]
    assert ids == [one["tool_call_id"] for one in results]
    assert ids[0] == "call_a" and len(set(ids)) == 2 and all(ids)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_structured_output(client, server, upstream, stream):
    """The schema reaches the upstream, the object comes back as its type."""
    text = json.dumps(OBJECT)
    upstream.script(chat_stream(words(text[:9], text[9:])) if stream else chat_json(text))
    assert good(client("object", server, stream=stream))["object"] == OBJECT
    schema = body_of(upstream)["format"]
    assert list(schema["properties"]) == ["city", "degrees"]
    assert schema["properties"]["degrees"]["type"] == "number"


@pytest.mark.parametrize("what", ["chat", "stream"])
def test_reasoning(client, name, server, upstream, what):
    """Thinking comes apart from the text, whoever has a place for it."""
    if what == "chat":
        upstream.script(chat_json(**message(thinking="Well, well.", content="Yes.")))
    else:
        upstream.script(chat_stream([line(**message(thinking="Well, ")),
                                     line(**message(thinking="well.", content="Ye")),
                                     line("s."), done_line()]))
    got = good(client(what, server))
    assert got["text"] == "Yes."
    assert got.get("reasoning") == ("Well, well." if name in THINKERS else None)


def test_embeddings(client, server, upstream):
    """Numbers or base64, as the client likes it: the vectors are those of the upstream."""
    upstream.route("/api/embed", answers.whole(200, {
        "model": "minilm", "embeddings": [[0.5, -1.25, 0], [1e-3, 3, 0.015625]],
        "prompt_eval_count": 4}))
    got = good(client("embed", server, model="minilm", input=["a", "b"]))
    assert got["vectors"] == [pytest.approx([0.5, -1.25, 0]),
                              pytest.approx([1e-3, 3, 0.015625], rel=1e-6)]


@pytest.mark.parametrize("how", ["line", "cut", "end"])
def test_error_in_the_middle_of_a_stream(client, server, upstream, how):
    """It is thrown, with its words; what came before is there."""
    end = {"line": [b'{"error":"the model fell over"}\n'], "cut": [], "end": []}[how]
    upstream.script(chat_stream([line("Half an "), line("answer"), *end], delay=0.05,
                                end=answers.RESET if how == "cut" else answers.END_OF_CHUNKS))
    got = client("stream", server)
    assert "error" in got, got
    assert got["text"] == "Half an answer"
    assert ("the model fell over" if how == "line" else "upstream") in got["error"]["message"]


@pytest.mark.parametrize("what", ["chat", "stream"])
@pytest.mark.parametrize("answer, status, words", [
    (answers.error(404, "model 'plain' not found"), 404, "not found"),
    (answers.error(500, "missing data required for image input"), 400, "image"),
    (answers.error(400, "\"plain\" does not support tools"), 400, "does not support tools"),
    (answers.error(503, "server busy, please try again."), 503, "busy"),
])
def test_error_with_a_status(client, name, server, new_upstream, start_server, what, answer,
                             status, words):
    """Before the first byte the client has the status and the words."""
    upstream = new_upstream()
    server = start_server(upstream, API_TOKEN="any", MAX_RETRIES=0)
    upstream.route("/api/chat", answer)
    error = client(what, server)["error"]
    assert error["status"] == status, error
    assert words in error["message"]


def test_stream_with_keep_alives(client, early_server, upstream):
    """Comments before the first chunk and no chunk of their own: nothing is seen of them."""
    upstream.script(steps(0.6, answers.NDJSON_HEAD, *map(chunk, words("Late ", "answer.")),
                          answers.END_OF_CHUNKS))
    got = good(client("stream", early_server))
    assert (got["text"], got["finish"], got["usage"]) == ("Late answer.", "stop", USAGE)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_tools_after_keep_alives(client, early_server, upstream, stream):
    """The role comes with the call: LangChain and the helpers put it together all the same."""
    body = [call_line(*CALLS), done_line()]
    first = steps(0.4, answers.NDJSON_HEAD, *map(chunk, body), answers.END_OF_CHUNKS) if stream \
        else chat_json(**message(tool_calls=CALLS))
    upstream.script(first, chat_stream(words("Done.")) if stream else chat_json("Done."))
    got = good(client("tools", early_server, stream=stream))
    assert got["calls"] == MADE and got["text"] == "Done."


@pytest.mark.slow
def test_keep_alives_in_the_middle(drivers, early_server, upstream):
    """Silence of 16 s within the answer, all clients at once."""
    upstream.script(*[steps(answers.NDJSON_HEAD, chunk(line("Slow ")), 16, chunk(line("answer.")),
                            chunk(done_line()), answers.END_OF_CHUNKS)] * len(CLIENTS))
    for name in CLIENTS:
        drivers(name)  # which takes a while, and may find no browser
    for name in CLIENTS:
        drivers(name).start("stream", early_server)
    for name in CLIENTS:
        got = good(drivers(name).result())
        assert (got["text"], got["finish"], got["usage"]) == ("Slow answer.", "stop", USAGE), name


# ---- what only the official package has ----

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
OFFICIAL = pytest.mark.parametrize("name", ["openai", "openai6"], indirect=True)
TOKENS = [{"token": token, "logprob": logprob, "bytes": list(token.encode()),
           "top_logprobs": [{"token": "?", "logprob": -3.5, "bytes": [63]}]}
          for token, logprob in (("né", -0.25), ("!", -1))]


@OFFICIAL
@pytest.mark.parametrize("what", ["chat", "stream"])
def test_logprobs(client, server, upstream, what):
    """Each token with its bytes and what else it might have been; the stream helper joins them."""
    if what == "chat":
        upstream.script(chat_json("né!", logprobs=TOKENS))
    else:
        upstream.script(chat_stream([line("né", logprobs=TOKENS[:1]),
                                     line("!", logprobs=TOKENS[1:]), done_line()]))
    got = good(client(what, server, body={"logprobs": True, "top_logprobs": 1}))
    assert got["text"] == "né!" and got["logprobs"] == TOKENS
    assert (body_of(upstream)["logprobs"], body_of(upstream)["top_logprobs"]) == (True, 1)


@OFFICIAL
@pytest.mark.parametrize("what", ["chat", "stream"])
def test_vision(client, server, upstream, what):
    """The parts of a message become one, with its images beside it."""
    urls = [f"data:image/{kind};base64,{base64.b64encode(PNG).decode()}"
            for kind in ("png", "jpeg", "webp", "gif")]
    parts = [{"type": "text", "text": "What "}, *[
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}} for url in urls],
        {"type": "text", "text": "is it?"}]
    upstream.script(chat_json("A cat.") if what == "chat" else chat_stream(words("A ", "cat.")))
    got = good(client(what, server, messages=[{"role": "user", "content": parts}]))
    assert got["text"] == "A cat."
    [sent] = body_of(upstream)["messages"]
    assert sent["content"] == "What is it?"
    assert [base64.b64decode(image) for image in sent["images"]] == [PNG] * 4


@OFFICIAL
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_completions(client, server, upstream, stream):
    """The route of old, with the lists of its log probabilities."""
    name = "generate-stream" if stream else "generate"
    upstream.route("/api/generate", answers.replay(name, slice_bytes=13))
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    got = good(client("complete", server, prompt="Name three colours.", body=options))
    lines = answers.recorded_lines(name)
    counts = [lines[-1]["prompt_eval_count"], lines[-1]["eval_count"]]
    assert got["text"] == "".join(one["response"] for one in lines)
    assert got["usage"] == [*counts, sum(counts)] and got["finish"] == "stop"


# ---- the page ----


def test_page_with_the_official_package(drivers, server, upstream):
    """The package sends many headers of its own in a browser: each has to be allowed."""
    upstream.script(chat_stream(words("Hel", "lo.")))
    assert good(drivers("page")("sdk", server))["text"] == "Hello."


def test_page_reads_errors_of_the_front_door(drivers, server, upstream):
    """A wrong token: the answer has the headers that let the page read it."""
    error = drivers("page")("chat", server, apiKey="wrong")["error"]
    assert (error["status"], error["code"]) == (401, "invalid_api_key")


def test_page_of_the_web_is_kept_out_without_a_token(drivers, module_server, upstream):
    """Without a token the browser lets a page of another site see nothing, and nothing is done."""
    open_server = module_server()
    got = drivers("page")("chat", open_server)
    assert got["error"]["message"] == "Failed to fetch"
    assert any("CORS" in text for text in got["console"])
    assert upstream.chats() == []
    assert good(drivers("page")("chat", open_server, host="localhost"))["text"] == "Hello."
