"""What a chat request may say and what becomes of it, and bad input."""

import base64
import json
import random

import pytest

import answers
import raw
from answers import chat_stream, done_line, line
from raw import CHAT, build, chat_body, exchange


def native_of(server, upstream, body):
    """Sends a chat request that must be taken; returns what the upstream got."""
    seen = len(upstream.chats())
    response = exchange(server, build("POST", CHAT, body))
    assert response.status == 200, response
    return json.loads(upstream.wait_for_chat(seen + 1).body)


UNKNOWN_FIELDS = {
    "user": "u-1", "metadata": {"a": "b"}, "store": False, "prompt_cache_key": "k",
    "parallel_tool_calls": True, "verbosity": "low", "safety_identifier": "s",
    "service_tier": "auto", "client_metadata": {"x": [1, {"y": None}]},
    "stream_options": {"include_usage": True}, "something_new": [1, 2, {"deep": {"er": True}}],
    "prediction": None, "modalities": ["text"], "web_search_options": {},
    "prompt_cache_retention": "24h", "include_obfuscation": True,
}


@pytest.mark.parametrize("name", UNKNOWN_FIELDS)
def test_unknown_fields_are_ignored(server, upstream, name):
    """Never a 400, and nothing of it reaches the upstream."""
    native = native_of(server, upstream, chat_body(**{name: UNKNOWN_FIELDS[name]}))
    assert set(native) <= {"model", "messages", "stream", "options", "keep_alive", "think"}


def test_all_of_them_at_once(server, upstream):
    """The bodies of agents have many such fields."""
    native_of(server, upstream, chat_body(**UNKNOWN_FIELDS))


NULL_FIELDS = ["stop", "temperature", "top_p", "seed", "max_tokens", "max_completion_tokens",
               "frequency_penalty", "presence_penalty", "stream", "stream_options", "tools", "n",
               "response_format", "logit_bias", "logprobs", "top_logprobs", "user",
               "reasoning_effort", "tool_choice", "options", "keep_alive", "think"]


@pytest.mark.parametrize("name", NULL_FIELDS)
def test_null_is_absent_in_every_optional_field(server, upstream, name):
    """Clients send null for what they do not set."""
    native = native_of(server, upstream, {**chat_body(), name: None})
    assert native["stream"] is False
    assert not native.get("options")


def text_parts(*texts):
    return [{"type": "text", "text": text} for text in texts]


CONTENT_FORMS = [
    # why, messages, roles sent, contents sent
    ("a string", [{"role": "user", "content": "Hi"}], ["user"], ["Hi"]),
    ("one text part", [{"role": "user", "content": text_parts("Hi")}], ["user"], ["Hi"]),
    ("developer is system", [{"role": "developer", "content": "Be brief."},
                             {"role": "user", "content": "Hi"}],
     ["system", "user"], ["Be brief.", "Hi"]),
    ("system", [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
     ["system", "user"], ["Be brief.", "Hi"]),
    ("null content of an assistant", [{"role": "user", "content": "a"},
                                      {"role": "assistant", "content": None},
                                      {"role": "user", "content": "b"}],
     ["user", "assistant", "user"], ["a", "", "b"]),
    ("absent content", [{"role": "user", "content": "a"}, {"role": "assistant"},
                        {"role": "user", "content": "b"}],
     ["user", "assistant", "user"], ["a", "", "b"]),
    ("null content of a user", [{"role": "user", "content": None}], ["user"], [""]),
    ("empty array", [{"role": "user", "content": []}], ["user"], [""]),
    ("name is taken", [{"role": "user", "name": "bob", "content": "Hi"}], ["user"], ["Hi"]),
    ("empty string", [{"role": "user", "content": ""}], ["user"], [""]),
    ("unicode", [{"role": "user", "content": "é€😀\u0000\u2028"}], ["user"], ["é€😀\u0000\u2028"]),
]


@pytest.mark.parametrize("why, messages, roles, contents", CONTENT_FORMS,
                         ids=[row[0] for row in CONTENT_FORMS])
def test_message_forms(server, upstream, why, messages, roles, contents):
    """String, null, absent, [], text parts; the roles that clients use."""
    native = native_of(server, upstream, {**chat_body(), "messages": messages})
    assert [message["role"] for message in native["messages"]] == roles
    assert [message["content"] for message in native["messages"]] == contents


def test_text_parts_stay_in_one_message(server, upstream):
    """Several text parts are one native message with all of the text in order."""
    native = native_of(server, upstream, {**chat_body(), "messages": [
        {"role": "user", "content": text_parts("one", "two")}]})
    assert len(native["messages"]) == 1
    content = native["messages"][0]["content"]
    assert content.startswith("one") and content.endswith("two")


@pytest.mark.parametrize("stream", [False, True])
def test_content_is_never_null(server, upstream, stream):
    """A string, also when the model said nothing (deltas: check_stream)."""
    from stream_rules import check_stream
    if stream:
        upstream.script(answers.chat_stream([answers.done_line()]))
        check_stream(raw.chat(server, stream=True))
    else:
        upstream.script(answers.chat_json(""))
        assert raw.chat(server).json()["choices"][0]["message"]["content"] == ""


def test_whole_answer_shape(server, upstream):
    """What strict clients require of a chat.completion."""
    upstream.script(answers.replay("chat"))
    response = raw.chat(server)
    assert response.header("Content-Type").startswith("application/json")
    assert response.header("Content-Length") is not None
    obj = response.json()
    assert obj["object"] == "chat.completion" and obj["model"] == "plain"
    assert type(obj["created"]) is int and obj["id"].startswith("chatcmpl-")
    choice = obj["choices"][0]
    assert choice["index"] == 0 and choice["finish_reason"] == "stop"
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] == "Name three colours.\n"
    assert choice["message"].get("refusal", "absent") is None and choice["logprobs"] is None
    assert {name: obj["usage"][name] for name in
            ("prompt_tokens", "completion_tokens", "total_tokens")} == {
        "prompt_tokens": 12, "completion_tokens": 6, "total_tokens": 18}


@pytest.mark.parametrize("fields, expected", [
    ({"max_tokens": 7}, 7), ({"max_completion_tokens": 8}, 8),
    ({"max_tokens": 7, "max_completion_tokens": 8}, 8),
    ({"max_tokens": None, "max_completion_tokens": 8}, 8),
    ({"max_tokens": 7, "max_completion_tokens": None}, 7),
])
def test_token_limits_become_num_predict(server, upstream, fields, expected):
    """max_completion_tokens wins over max_tokens."""
    native = native_of(server, upstream, chat_body(**fields))
    assert native["options"] == {"num_predict": expected}


def test_plain_options_are_passed_on(server, upstream):
    """OpenAI's plain options, Ollama's own, and `options`, which is merged last."""
    native = native_of(server, upstream, chat_body(
        temperature=0.25, top_p=0.5, seed=42, frequency_penalty=0.5, presence_penalty=-0.5,
        stop=["a", "b"], top_k=20, min_p=0.1, repeat_penalty=1.25, num_ctx=4096, keep_alive="5m",
        options={"seed": 43, "mirostat": 1}))
    assert native["options"] == {
        "temperature": 0.25, "top_p": 0.5, "seed": 43, "frequency_penalty": 0.5,
        "presence_penalty": -0.5, "stop": ["a", "b"], "top_k": 20, "min_p": 0.1,
        "repeat_penalty": 1.25, "num_ctx": 4096, "mirostat": 1}
    assert native["keep_alive"] == "5m"


@pytest.mark.parametrize("stop, expected", [("x", ["x"]), (["x", "y"], ["x", "y"])])
def test_stop_forms(server, upstream, stop, expected):
    """A string or an array; always an array upstream."""
    native = native_of(server, upstream, chat_body(stop=stop))
    assert native["options"]["stop"] == expected


def test_nothing_is_forced_on_the_model(server, upstream):
    """No options are invented: the model's own defaults hold."""
    native = native_of(server, upstream, chat_body())
    assert native == {"model": "plain", "messages": [{"role": "user", "content": "Hi"}],
                      "stream": False}


def test_default_num_ctx(start_server, upstream):
    """DEFAULT_NUM_CTX is sent where the request says none, and only there."""
    server = start_server(upstream, DEFAULT_NUM_CTX=8192)
    assert native_of(server, upstream, chat_body())["options"]["num_ctx"] == 8192
    assert native_of(server, upstream, chat_body(num_ctx=99))["options"]["num_ctx"] == 99
    own = chat_body(options={"num_ctx": 77})
    assert native_of(server, upstream, own)["options"]["num_ctx"] == 77


@pytest.mark.parametrize("setting, fields", [
    (None, {"reasoning_content"}), ("reasoning_content", {"reasoning_content"}),
    ("reasoning", {"reasoning"}), ("both", {"reasoning_content", "reasoning"})])
def test_reasoning_field(start_server, upstream, setting, fields):
    """The fields that carry thinking, in both routes that have any, whole and streamed; no others.
    A caller's history may have it in either."""
    server = start_server(upstream, REASONING_FIELD=setting)
    lines = [line("", message={"role": "assistant", "content": "", "thinking": "2+2 "}),
             line("", message={"role": "assistant", "content": "4", "thinking": "is 4"}),
             done_line()]
    upstream.script(chat_stream(lines), answers.chat_json(
        "4", message={"role": "assistant", "content": "4", "thinking": "2+2 is 4"}))
    chat = [chunk["choices"][0]["delta"] for chunk in raw.chat(server, stream=True).sse.chunks]
    assert thinking_of(chat) == {name: "2+2 is 4" for name in fields}
    assert thinking_of([raw.chat(server).json()["choices"][0]["message"]]) == \
        {name: "2+2 is 4" for name in fields}

    body = {"model": "plain", "prompt": "2+2"}
    for stream in (True, False):
        name = "generate-think-stream"
        recorded = answers.recorded_lines(name)
        told = "".join(obj.get("thinking", "") for obj in recorded)
        upstream.route("/api/generate", answers.replay(name) if stream else answers.whole(
            200, {**recorded[-1], "response": "4", "thinking": told}))
        response = exchange(server, build("POST", raw.COMPLETIONS, {**body, "stream": stream}))
        objects = response.sse.chunks if stream else [response.json()]
        assert thinking_of([choice for obj in objects for choice in obj["choices"]]) == \
            {name: told for name in fields}

    for name in ("reasoning_content", "reasoning"):
        native = native_of(server, upstream, chat_body(messages=[
            {"role": "user", "content": "2+2"},
            {"role": "assistant", "content": "4", name: "two and two"},
            {"role": "user", "content": "sure?"}]))
        assert native["messages"][1]["thinking"] == "two and two"


def thinking_of(objects):
    """The thinking by the name of its field, joined."""
    found = {}
    for obj in objects:
        for name in {"reasoning_content", "reasoning", "thinking"} & set(obj):
            found[name] = found.get(name, "") + obj[name]
    return found


PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_large_image_arrives_as_it_was_sent(server, upstream, stream):
    """5 MB of base64, in a message with text and another image."""
    large = base64.b64encode(PNG + random.Random(5).randbytes(3_750_000)).decode()
    small = base64.b64encode(PNG).decode()
    assert len(large) > 5_000_000
    parts = [{"type": "text", "text": "which "},
             {"type": "image_url", "image_url": {"url": "data:image/png;base64," + large}},
             {"type": "image_url", "image_url": "DATA:Image/JPEG;name=x;base64," + small},
             {"type": "text", "text": "is it?"}]
    assert raw.chat(server, stream=stream, messages=[
        {"role": "user", "content": parts}]).status == 200
    [message] = json.loads(upstream.chats()[0].body)["messages"]
    assert (message["role"], message["content"]) == ("user", "which is it?")
    assert message["images"] == [large, small]


def test_own_headers_upstream(server, upstream):
    """Of a caller's headers only traceparent and Via go on; ours are as promised."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    exchange(server, build("POST", CHAT, chat_body(), {
        "traceparent": trace, "Via": "1.1 front", "Cookie": "a=b", "X-Custom": "1",
        "Origin": "http://localhost:5173", "Authorization": "Bearer caller-secret",
        "x-api-key": "caller-secret", "OpenAI-Organization": "org", "Accept-Encoding": "gzip",
        "User-Agent": "test/1", "X-Forwarded-For": "1.2.3.4"}))
    got = upstream.chats()[0]
    names = {name.lower() for name, _ in got.fields}
    assert names <= {"host", "content-type", "content-length", "accept", "accept-encoding",
                     "user-agent", "authorization", "via", "traceparent", "connection"}
    assert got.header("Host") == f"127.0.0.1:{upstream.port}"
    assert got.header("Content-Type").startswith("application/json")
    assert got.header("Accept-Encoding") == "identity"
    assert got.header("Content-Length") == str(len(got.body))
    assert "ollama2openai" in got.header("User-Agent")
    assert got.header("traceparent") == trace
    assert got.header("Via").startswith("1.1 front, ")
    assert got.header("Authorization") is None
    assert b"caller-secret" not in got.head


@pytest.mark.parametrize("value", ["garbage", "00-short-b7ad6b7169203331-01", "00-" + "0" * 32 +
                                   "-b7ad6b7169203331-01"])
def test_invalid_traceparent_is_dropped(server, upstream, value):
    """Only a valid traceparent goes on."""
    exchange(server, raw.chat_request(headers={"traceparent": value}))
    assert upstream.chats()[0].header("traceparent") is None


BAD_BODIES = [
    # why, body, param
    ("empty", b"", None),
    ("blanks", b"  \n", None),
    ("cut", b'{"model":"m"', None),
    ("garbage behind", b'{"model":"m","messages":[{"role":"user","content":"x"}]} x', None),
    ("an array", b"[]", None),
    ("a string", b'"x"', None),
    ("null", b"null", None),
    ("a number", b"1", None),
    ("comment", b'{"model":"m",/**/"messages":[]}', None),
    ("trailing comma", b'{"model":"m","messages":[],}', None),
    ("NaN", b'{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":NaN}', None),
    ("Infinity", b'{"model":"m","messages":[{"role":"user","content":"x"}],"seed":Infinity}', None),
    ("1e999", b'{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":1e999}',
     ...),
    ("invalid UTF-8", b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}', None),
    ("lone surrogate", b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}', None),
    ("duplicate key", b'{"model":"a","model":"b","messages":[{"role":"user","content":"x"}]}',
     None),
    ("duplicate key, escaped", b'{"model":"a","\\u006dodel":"b","messages":'
                               b'[{"role":"user","content":"x"}]}', None),
    ("duplicate key deep", b'{"model":"m","messages":[{"role":"user","content":"x","content":"y"}]}',
     None),
    ("deep arrays", b'{"model":"m","messages":' + b"[" * 65 + b"]" * 65 + b"}", None),
    ("very deep", b"[" * 100_000, None),
    ("control character", b'{"model":"m","messages":[{"role":"user","content":"a\x01"}]}', None),
    ("no model", b'{"messages":[{"role":"user","content":"x"}]}', "model"),
    ("empty model", b'{"model":"","messages":[{"role":"user","content":"x"}]}', "model"),
    ("null model", b'{"model":null,"messages":[{"role":"user","content":"x"}]}', "model"),
    ("number as model", b'{"model":1,"messages":[{"role":"user","content":"x"}]}', "model"),
    ("no messages", b'{"model":"m"}', "messages"),
    ("null messages", b'{"model":"m","messages":null}', "messages"),
    ("empty messages", b'{"model":"m","messages":[]}', "messages"),
    ("messages a string", b'{"model":"m","messages":"x"}', "messages"),
]
FIELD_CASES = [
    ("stream", "true"), ("stream", 1), ("temperature", "hot"), ("temperature", True),
    ("top_p", []), ("seed", 1.5), ("seed", "1"), ("max_tokens", "7"), ("max_tokens", 1.5),
    ("max_tokens", 10**30), ("max_completion_tokens", {}), ("frequency_penalty", "x"),
    ("presence_penalty", []), ("stop", 5), ("stop", [5]), ("stop", {}), ("options", []),
    ("options", "x"), ("num_ctx", "big"), ("top_k", "x"), ("stream_options", "x"),
]


@pytest.mark.parametrize("why, body, param", BAD_BODIES, ids=[row[0] for row in BAD_BODIES])
def test_bad_bodies(server, upstream, why, body, param):
    """Malformed JSON and missing parts: 400 invalid_request_error, param set where one is meant."""
    response = exchange(server, build("POST", CHAT, body))
    assert response.status == 400, response
    assert response.error["type"] == "invalid_request_error"
    if param is not ...:
        assert response.error["param"] == param
    assert upstream.chats() == []


@pytest.mark.parametrize("name, value", FIELD_CASES)
def test_wrong_types_name_the_field(server, upstream, name, value):
    """400 with param, and the upstream is not asked."""
    response = exchange(server, build("POST", CHAT, chat_body(**{name: value})
                                      if name != "stream" else {**chat_body(), name: value}))
    assert response.status == 400, response
    assert response.error["type"] == "invalid_request_error"
    assert response.error["param"] is not None and response.error["param"].startswith(name)
    assert upstream.chats() == []


BAD_MESSAGES = [
    ("content a number", {"role": "user", "content": 2}),
    ("content an object", {"role": "user", "content": {"type": "text", "text": "x"}}),
    ("content a bool", {"role": "user", "content": True}),
    ("part without type", {"role": "user", "content": [{"text": "x"}]}),
    ("text part without text", {"role": "user", "content": [{"type": "text"}]}),
    ("part a number", {"role": "user", "content": [1]}),
    ("message a string", "hello"),
    ("message null", None),
    ("role a number", {"role": 1, "content": "x"}),
]


@pytest.mark.parametrize("why, message", BAD_MESSAGES, ids=[row[0] for row in BAD_MESSAGES])
def test_bad_messages_name_the_field(server, upstream, why, message):
    """400 with a param that begins with messages."""
    response = exchange(server, build("POST", CHAT, {**chat_body(), "messages": [message]}))
    assert response.status == 400, response
    assert (response.error["param"] or "").startswith("messages")
    assert upstream.chats() == []


def test_json_depth_is_64(server, upstream):
    """Depth 64 is taken, 65 is not."""
    for depth, status in ((63, 200), (64, 200), (65, 400)):
        inner = b"[" * (depth - 1) + b"]" * (depth - 1)
        body = (b'{"model":"m","messages":[{"role":"user","content":"x"}],"metadata":' + inner
                + b"}")
        assert exchange(server, build("POST", CHAT, body)).status == status, depth


def test_content_type_of_the_request_does_not_matter(server, upstream):
    """Clients that forget it, or send another, are served."""
    body = json.dumps(chat_body()).encode()
    for field in (b"", b"Content-Type: text/plain\r\n", b"Content-Type: application/json\r\n"):
        data = (b"POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s"
                % (CHAT.encode(), field, len(body), body))
        assert exchange(server, data).status == 200
