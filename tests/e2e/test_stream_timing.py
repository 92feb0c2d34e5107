"""When and in what pieces streams go out, however the upstream slices them."""

import json
import time

import pytest

import answers
import raw
from answers import chat_stream, chunk, done_line, line, steps, words
from stream_rules import check_stream

EARLY = {"STREAM_START_TIMEOUT": 300}


def test_headers_come_although_the_upstream_stalls(start_server, upstream):
    """Headers and a keep-alive after STREAM_START_TIMEOUT, the answer when it is there."""
    server = start_server(upstream, **EARLY)
    upstream.script(steps(3.5, answers.NDJSON_HEAD, *map(chunk, words("a", "b")), b"0\r\n\r\n"))
    with raw.Client(server.port) as client:
        started = time.monotonic()
        client.send(raw.chat_request(True))
        response = client.read_head()
        assert 0.2 < response.head_at - started < 3
        assert response.status == 200
        assert client.read_chunk(response) == b": keep-alive\n"
        assert time.monotonic() - started < 3
        sse = check_stream(client.read_body(response))
        assert sse.text == "ab"
        assert sse.deltas[0]["role"] == "assistant"


@pytest.mark.parametrize("answer, status, code", [
    (answers.error(404, "model 'x' not found"), 404, "model_not_found"),
    (answers.error(400, "bad thing"), 400, None),
    (answers.error(500, "it broke"), 500, None),
])
def test_failure_before_that_is_an_http_status(start_server, upstream, answer, status, code):
    """Before the commit a failure still has its status."""
    server = start_server(upstream, STREAM_START_TIMEOUT=5000)
    upstream.script(answer)
    response = raw.chat(server, stream=True)
    assert response.status == status
    assert code is None or response.error["code"] == code


@pytest.mark.parametrize("answer, code", [
    (answers.error(404, "model 'x' not found"), "model_not_found"),
    (answers.error(429, "slow down"), "rate_limit_exceeded"),
    (answers.whole(200, b"<html>", "text/html"), "bad_upstream_response"),
    (answers.steps(answers.RESET), "bad_upstream_response"),
])
def test_failure_after_that_is_an_error_event(start_server, new_upstream, answer, code):
    """After the early commit it is an error event with the code its status would have had."""
    upstream = new_upstream()
    server = start_server(upstream, **EARLY)

    def late(conn, request):
        conn.pause(0.7)
        answer(conn, request)
    upstream.script(late)
    sse = check_stream(raw.chat(server, stream=True), expect_error=True)
    assert sse.errors[0]["code"] == code
    assert sse.comments == [": keep-alive"]


def test_zero_never_commits_early(start_server, upstream):
    """STREAM_START_TIMEOUT=0: the status waits for the upstream."""
    server = start_server(upstream, STREAM_START_TIMEOUT=0)
    upstream.script(late_missing)
    assert raw.chat(server, stream=True).status == 404


def late_missing(conn, request):
    conn.pause(0.8)
    answers.error(404, "model 'x' not found")(conn, request)


def test_each_event_is_flushed(server, upstream):
    """Text goes out when it comes in, one event at a time, neither held nor compressed."""
    upstream.script(steps(answers.NDJSON_HEAD, chunk(line("a")), 0.3, chunk(line("b")), 0.3,
                          chunk(line("c")), 0.3, chunk(done_line()), b"0\r\n\r\n"))
    with raw.Client(server.port) as client:
        client.send(raw.chat_request(True, headers={"Accept-Encoding": "gzip, br, zstd"}))
        response = client.read_response()
    sse = check_stream(response)
    assert response.header("Content-Encoding") is None
    assert response.header("Cache-Control") == "no-cache"
    assert response.header("X-Accel-Buffering") == "no"
    seen = {text: at for at, data in response.chunks for text in "abc"
            if f'"content":"{text}"'.encode() in data}
    assert sse.text == "abc"
    assert seen["b"] - seen["a"] > 0.15 and seen["c"] - seen["b"] > 0.15


def test_headers_are_flushed_with_the_first_event(server, upstream):
    """The first token is not held back until the second comes."""
    upstream.script(steps(answers.NDJSON_HEAD, chunk(line("first")), 3, chunk(done_line()),
                          b"0\r\n\r\n"))
    with raw.Client(server.port) as client:
        started = time.monotonic()
        client.send(raw.chat_request(True))
        response = client.read_head()
        while b"first" not in response.body:
            client.read_chunk(response)
        assert time.monotonic() - started < 2


@pytest.mark.parametrize("text", ["x" * 200_000, "é" * 100_000, "€" * 70_000, "😀" * 60_000,
                                  '"\\\n' * 50_000, "\u2028" * 30_000],
                         ids=["ascii", "two bytes", "three bytes", "four bytes", "escapes", "2028"])
def test_long_text_is_split_into_short_lines(server, upstream, text):
    """No SSE line reaches 64 KiB; the pieces add up to the text."""
    upstream.script(chat_stream([line(text), done_line()]))
    sse = check_stream(raw.chat(server, stream=True))
    assert sse.text == text
    assert max(len(item.encode()) for item in sse.lines) < 64 * 1024


def test_events_are_whole_writes_of_valid_utf8(server, upstream):
    """No chunk is cut inside an event; odd line ends of Unicode are escaped."""
    text = "a\u2028b\u2029c\u0085d é€😀"
    upstream.script(chat_stream([line(text), line("é" * 3000), done_line()]))
    response = raw.chat(server, stream=True)
    for _, data in response.chunks:
        data.decode("utf-8", "strict")
        assert data == b"" or data.endswith(b"\n")
    sse = check_stream(response)
    assert sse.text.startswith(text)
    for raw_form in ("\u2028", "\u2029", "\u0085"):
        assert raw_form.encode() not in response.body


BAD_TEXT = {"bad byte": b"\xff", "cut sequence": b"\xe2\x82", "lone surrogate": b"\\ud800",
            "surrogate as bytes": b"\xed\xa0\x80", "overlong": b"\xc0\xaf"}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("why", BAD_TEXT)
def test_output_is_valid_utf8_whatever_comes_in(server, upstream, why, stream):
    """Bad text of an upstream is replaced, or refused as malformed; it never goes out."""
    native = line("a@@b", done=not stream, done_reason="stop").replace(b"@@", BAD_TEXT[why])
    if stream:
        upstream.script(chat_stream([line("x"), native, done_line()]))
        response = raw.chat(server, stream=True)
        sse = check_stream(response, expect_error=bool(response.sse.errors))
        assert sse.errors or "\ufffd" in sse.text
    else:
        upstream.script(answers.whole(200, native))
        response = raw.chat(server)
        assert response.status == 502 or "\ufffd" in response.body.decode("utf-8", "strict")


SLICES = [1, 2, 3, 7, 64, 1000, 100_000]


@pytest.mark.parametrize("size", SLICES)
@pytest.mark.parametrize("name", ["chat-stream", "chat-unicode"])
def test_u10_slicing_of_the_upstream_changes_nothing(server, upstream, name, size):
    """Half lines and UTF-8 split over reads are put together again."""
    native = answers.recorded_lines(name)
    streams = "ndjson" in answers.recording(name).decode()
    upstream.script(answers.replay(name, slice_bytes=size))
    response = raw.chat(server, stream=streams)
    expected = "".join(obj["message"]["content"] for obj in native)
    if streams:
        assert check_stream(response).text == expected
    else:
        assert response.json()["choices"][0]["message"]["content"] == expected


LINE_FORMS = {
    "CRLF": [item[:-1] + b"\r\n" for item in words("a", "b")],
    "blank lines around": [b"\n", *words("a", "b"), b"\n"],
    "blank lines between": [line("a"), b"\n", b"\r\n", line("b"), b"\n", done_line()],
    "last line without newline": [line("a"), line("b"), done_line()[:-1]],
    "all in one chunk": [b"".join(words("a", "b"))],
    "images null, as old servers have it": [
        line("a", message={"role": "assistant", "content": "a", "images": None}), line("b"),
        done_line()],
    "nulls everywhere": [
        line("a", done_reason=None, logprobs=None, remote_model=None),
        line("b", message={"role": "assistant", "content": "b", "tool_calls": None,
                           "thinking": None}), done_line()],
}


@pytest.mark.parametrize("why", LINE_FORMS)
def test_u10_odd_lines_are_understood(server, upstream, why):
    """CRLF, blank lines and a missing last newline are all fine."""
    upstream.script(chat_stream(LINE_FORMS[why]))
    sse = check_stream(raw.chat(server, stream=True))
    assert sse.text == "ab"


@pytest.mark.parametrize("framing", ["until close", "content-length"])
def test_stream_in_other_framings(server, upstream, framing):
    """A stream without chunks counts as well, by its length or until the end."""
    body = b"".join(words("a", "b"))
    if framing == "until close":
        upstream.script(steps(answers.head(200, "application/x-ndjson", [("Connection", "close")]),
                              body, answers.CLOSE))
    else:
        upstream.script(answers.whole(200, body, "application/x-ndjson"))
    assert check_stream(raw.chat(server, stream=True)).text == "ab"


def test_created_is_when_the_request_was_accepted(server, upstream):
    """Our clock at the start, not the upstream's, and not the end."""
    upstream.script(steps(1.2, answers.head(200, fields=[("Content-Length", len(
        json.dumps(answers.chat_object())))]) + json.dumps(answers.chat_object()).encode()))
    started = time.time()
    created = raw.chat(server).json()["created"]
    assert int(started) <= created <= int(started) + 1
