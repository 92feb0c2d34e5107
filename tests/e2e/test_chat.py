"""Streams of chats. What check_stream() checks holds in all of them."""

import json
import time

import pytest

import answers
import raw
from answers import HANG, RESET, CLOSE, chat_stream, chunk, done_line, line, steps, words
from stream_rules import check_stream


def stream(server, **more):
    return raw.chat(server, stream=True, **more)


def streamed(server, upstream, lines, **more):
    upstream.script(chat_stream(lines))
    return check_stream(stream(server, **more), usage="stream_options" in more)


def test_stream_is_an_event_stream(server, upstream):
    """Status 200, text/event-stream, one data line and a blank line for each event."""
    upstream.script(answers.replay("chat-stream"))
    response = stream(server)
    assert (response.status, response.version) == (200, "HTTP/1.1")
    assert response.header("Content-Type").split(";")[0] == "text/event-stream"
    assert response.body.endswith(b"\n\ndata: [DONE]\n\n")
    sse = check_stream(response)
    native = answers.recorded_lines("chat-stream")
    assert sse.text == "".join(obj["message"]["content"] for obj in native)


def test_error_event_has_its_blank_line(server, upstream):
    """The error event is a data line and a blank line like any other."""
    upstream.script(answers.replay("chat-stream-runner-killed"))
    body = stream(server).body.decode()
    events = body.split("\n\n")
    assert events[-1] == "" and events[-2] == "data: [DONE]"
    assert events[-3].startswith('data: {"error":') and "\n" not in events[-3]


def test_chunks_share_id_created_and_model(server, upstream):
    """One id, one integer created, one model in a stream; created is now."""
    before = int(time.time())
    sse = streamed(server, upstream, words("a", "b", "c"))
    chunks = sse.chunks
    assert len(chunks) >= 4
    assert {chunk["model"] for chunk in chunks} == {"plain"}
    assert before <= chunks[0]["created"] <= int(time.time())
    assert chunks[0]["id"].startswith("chatcmpl-")


def test_ids_are_unique_across_requests(server, upstream):
    """Sixty answers have sixty ids; Ollama's own has 999 in all."""
    found = set()
    for i in range(60):
        response = raw.chat(server, stream=bool(i % 2))
        found.add(response.sse.chunks[0]["id"] if i % 2 else response.json()["id"])
    assert len(found) == 60
    assert all(len(name) >= 24 for name in found)


def test_every_chunk_has_choices(server, upstream):
    """Arrays of choices with index, delta and finish_reason; empty beside usage."""
    sse = streamed(server, upstream, words("a", "b"), stream_options={"include_usage": True})
    for obj in sse.chunks[:-1]:
        assert len(obj["choices"]) == 1
        assert set(obj["choices"][0]) >= {"index", "delta", "finish_reason"}
        assert obj["choices"][0]["index"] == 0
    assert sse.chunks[-1]["choices"] == []


ROLE_CASES = {
    "text first": words("a", "b"),
    "empty line first": [line(""), line("a"), done_line()],
    "only an empty done line": [done_line()],
    "text on the done line": [done_line(content="all of it")],
    "thinking first": [line("", message={"role": "assistant", "content": "", "thinking": "hm"}),
                       line("a"), done_line()],
}


@pytest.mark.parametrize("why", ROLE_CASES)
def test_role_is_in_the_first_delta_alone(server, upstream, why):
    """delta.role once, in the first chunk, with content "" (checked by check_stream too)."""
    sse = streamed(server, upstream, ROLE_CASES[why])
    assert sse.deltas[0]["role"] == "assistant"
    assert sum("role" in delta for delta in sse.deltas) == 1


def test_role_follows_the_keep_alive_of_a_late_stream(start_server, upstream):
    """Where keep-alives came first, the first chunk still carries the role."""
    server = start_server(upstream, STREAM_START_TIMEOUT=200)
    upstream.script(steps(answers.NDJSON_HEAD, 0.6, *map(chunk, words("a")), b"0\r\n\r\n"))
    sse = check_stream(stream(server))
    assert sse.order[0] == "comment" and sse.deltas[0]["role"] == "assistant"


FINISH_CASES = [
    # native done_reason, finish_reason
    ("stop", "stop"), ("length", "length"), ("load", "stop"), ("unload", "stop"),
    ("something-new", "stop"), ("", "stop"), (None, "stop"),
]


@pytest.mark.parametrize("native, expected", FINISH_CASES)
def test_one_finish_reason_at_the_end(server, upstream, native, expected):
    """Exactly one finish_reason of the known four, whatever Ollama calls it."""
    last = done_line(reason=native) if native is not None else line("", done=True)
    sse = streamed(server, upstream, [line("a"), last])
    assert sse.finish_reasons == [expected]


@pytest.mark.parametrize("native, expected", FINISH_CASES)
def test_whole_answers_have_the_same_finish_reasons(server, upstream, native, expected):
    """The same mapping without streaming; never null."""
    obj = answers.chat_object("a")
    obj.pop("done_reason")
    if native is not None:
        obj["done_reason"] = native
    upstream.script(answers.whole(200, obj))
    assert raw.chat(server).json()["choices"][0]["finish_reason"] == expected


BROKEN_ENDS = {
    "clean end of chunks without done": chat_stream([line("a"), line("b")]),
    "end of file": chat_stream([line("a"), line("b")], end=CLOSE),
    "reset": chat_stream([line("a"), line("b")], end=RESET),
    "end in the middle of a line": steps(
        answers.NDJSON_HEAD, chunk(line("a")), chunk(line("b")[:40]), CLOSE),
    "clean end in the middle of a line": steps(
        answers.NDJSON_HEAD, chunk(line("a")), chunk(line("b")[:40]), b"0\r\n\r\n"),
    "error line": chat_stream([line("a"), b'{"error":"it broke"}\n']),
    "error line without newline": chat_stream([line("a"), b'{"error":"it broke"}']),
    "error as an object": chat_stream([line("a"), b'{"error":{"message":"it broke"}}\n']),
    "malformed line": chat_stream([line("a"), b'{"model": oops}\n', done_line()]),
    "recording: runner killed": answers.replay("chat-stream-runner-killed"),
    "recording: server stopped": answers.replay("chat-stream-server-stopped"),
    "recording: repetition guard": answers.replay("chat-repeat-stream"),
}


@pytest.mark.parametrize("why", BROKEN_ENDS)
def test_broken_stream_ends_with_an_error_event(server, upstream, why):
    """Error event, [DONE], clean end of the body, and no finish reason."""
    upstream.script(BROKEN_ENDS[why])
    with raw.Client(server.port) as client:
        client.send(raw.chat_request(True))
        sse = check_stream(client.read_response(), expect_error=True)
        assert sse.text, "what came before stands"
        client.send(raw.chat_request(True))
        check_stream(client.read_response())


def test_stall_in_mid_stream_ends_with_a_timeout_error(start_server, upstream):
    """Silence for STREAM_IDLE_TIMEOUT is a broken stream: upstream_timeout."""
    server = start_server(upstream, STREAM_IDLE_TIMEOUT=300)
    upstream.script(steps(answers.NDJSON_HEAD, chunk(line("a")), HANG))
    started = time.monotonic()
    sse = check_stream(stream(server), expect_error=True)
    assert 0.25 < time.monotonic() - started < 5
    assert (sse.errors[0]["type"], sse.errors[0]["code"]) == ("upstream_error", "upstream_timeout")
    conn = upstream.chats()[0].conn
    upstream.wait_for(lambda: conn.closed_at, what="the stalled connection to be closed")


def test_error_event_shape(server, upstream):
    """{"error":{message,type,param,code}} alone in its event, with the text of the upstream."""
    upstream.script(chat_stream([line("a"), b'{"error":"the sky fell"}\n']))
    sse = check_stream(stream(server), expect_error=True)
    assert list(sse.objects[-1]) == ["error"]
    assert set(sse.errors[0]) == {"message", "type", "param", "code"}
    assert "the sky fell" in sse.errors[0]["message"]
    assert sse.errors[0]["param"] is None


def test_no_error_key_without_an_error(server, upstream):
    """Chunks and whole answers do not have the key "error", not even null."""
    upstream.script(chat_stream(words("a")), answers.chat_json(error=None),
                    chat_stream([line("a", error=None), done_line(error="")]))
    assert b'"error"' not in stream(server).body
    assert b'"error"' not in raw.chat(server).body
    assert b'"error"' not in stream(server).body


def test_keep_alives_are_comments_with_a_single_newline(start_server, upstream):
    """": keep-alive" and one newline; then the stream goes on as usual."""
    server = start_server(upstream, STREAM_START_TIMEOUT=200)
    upstream.script(steps(0.7, answers.NDJSON_HEAD, *map(chunk, words("a")), b"0\r\n\r\n"))
    response = stream(server)
    sse = check_stream(response)
    assert sse.comments and set(sse.comments) == {": keep-alive"}
    assert response.body.startswith(b": keep-alive\ndata: {")


def test_no_event_lines(server, upstream):
    """Neither a good nor a broken stream has event:, id: or retry: lines."""
    upstream.script(chat_stream(words("a")), chat_stream([line("a"), b'{"error":"x"}\n']))
    for _ in range(2):
        for text in stream(server).sse.lines:
            assert text == "" or text.startswith("data: "), text


def test_body_ends_at_once_after_done(server, upstream):
    """The last chunk follows [DONE] immediately, and the connection serves the next request."""
    upstream.script(chat_stream(words("a")), chat_stream([line("a"), b'{"error":"x"}\n']),
                    chat_stream(words("b")))
    with raw.Client(server.port) as client:
        for _ in range(3):
            client.send(raw.chat_request(True))
            response = client.read_response()
            assert response.body.endswith(b"data: [DONE]\n\n")
            ends = [at for at, data in response.chunks if b"[DONE]" in data or not data]
            assert ends[-1] - ends[0] < 0.5
            assert client.is_open()


def test_body_ends_although_the_upstream_keeps_its_side_open(server, upstream):
    """A done line ends our stream even if the upstream never ends its chunks."""
    upstream.script(chat_stream(words("a"), end=HANG))
    started = time.monotonic()
    check_stream(stream(server))
    assert time.monotonic() - started < 5


def test_usage_only_if_asked(server, upstream):
    """Once, after finish_reason, with choices []; or not at all."""
    sse = streamed(server, upstream, words("a"), stream_options={"include_usage": True})
    assert sse.chunks[-2]["choices"][0]["finish_reason"] == "stop"
    usage = sse.chunks[-1]["usage"]
    counts = [usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    assert counts == [12, 6, 18] and all(type(n) is int for n in counts)


@pytest.mark.parametrize("options", [
    {}, {"stream_options": None}, {"stream_options": {}},
    {"stream_options": {"include_usage": False}}, {"stream_options": {"include_usage": None}}])
def test_no_usage_unasked(server, upstream, options):
    """No chunk without choices and no usage unless include_usage is true."""
    upstream.script(chat_stream(words("a")))
    sse = check_stream(stream(server, **options))
    assert sse.usage == []


def test_usage_is_zero_when_ollama_counts_nothing(server, upstream):
    """Absent counts are zeros, as integers."""
    upstream.script(chat_stream([line("a"), line("", done=True, done_reason="stop")]))
    sse = check_stream(stream(server, stream_options={"include_usage": True}), usage=True)
    assert [sse.usage[0][name] for name in
            ("prompt_tokens", "completion_tokens", "total_tokens")] == [0, 0, 0]


def test_stream_that_is_one_json_object(server, upstream):
    """Ollama answers a load with one object even when asked to stream."""
    upstream.script(answers.replay("chat-empty-messages-stream"))
    sse = check_stream(stream(server))
    assert sse.text == "" and sse.finish_reasons == ["stop"]


def test_upstream_stream_equals_the_callers(server, upstream):
    """stream is always said, and as the caller wants it."""
    for flag in (True, False):
        raw.chat(server, stream=flag)
        assert json.loads(upstream.chats()[-1].body)["stream"] is flag
