"""What upstreams answer that is no answer: statuses, errors and refusals, streamed and not.

One upstream without a key: its errors go straight to the caller, and there is no second attempt.
Rows that may leave a mark on the upstream's state get a program of their own.
"""

import json
import socket
import time

import pytest

import answers
import raw
from answers import CLOSE, HANG, RESET, chat_stream, chunk, done_line, line, steps, whole
from stream_rules import check_stream
from upstream import PeerGone

BAD = (502, "upstream_error", "bad_upstream_response")
BUSY = (503, "upstream_error", "overloaded")
LATE = (504, "upstream_error", "upstream_timeout")
AUTH = (502, "upstream_error", "upstream_auth_error")
GONE = (502, "upstream_error", "upstream_unavailable")
MISSING = (404, "invalid_request_error", "model_not_found")
CALLER = (400, "invalid_request_error", None)
LACKS = (400, "invalid_request_error", "unsupported_parameter")
CONTEXT = (400, "invalid_request_error", "context_length_exceeded")
BROKEN = (500, "server_error", None)
LIMITED = (429, "rate_limit_error", "rate_limit_exceeded")
PAID = (403, "invalid_request_error", "upstream_subscription_required")
HTML = b"<html><body><h1>Welcome to the hotel</h1></body></html>"


def outcome(response):
    error = response.error
    return response.status, error["type"], error["code"]


STATUSES = [
    # why, answer, what the caller gets
    ("400", answers.error(400, "bad thing"), CALLER),
    ("413", answers.error(413, "too large"), ...),
    ("422", answers.error(422, "not processable"), ...),
    ("400, context", answers.replay("chat-prompt-too-long"), CONTEXT),
    ("400 with the runner's JSON inside", answers.error(
        400, '{"error":{"code":400,"message":"the request exceeds the available context size",'
             '"type":"exceed_context_size_error"}}'), CONTEXT),
    ("404, model", answers.replay("chat-missing-model"), MISSING),
    ("404, the other wording", answers.error(
        404, 'model "x" not found, try pulling it first'), MISSING),
    ("408", answers.error(408, "late"), LATE),
    ("500", answers.error(500, "it broke"), BROKEN),
    ("500, recorded", answers.replay("chat-runner-killed"), BROKEN),
    ("500 without a body", whole(500, b"", None), BROKEN),
    ("500 as HTML", whole(500, HTML, "text/html"), BROKEN),
    ("500, image without vision", answers.replay("chat-images-unsupported"), CALLER),
    ("500, bad options", answers.replay("chat-options-bad"), CALLER),
    ("500, bad stop", answers.replay("chat-options-stop-string"), CALLER),
    ("500, bad format", answers.replay("chat-format-bad"), CALLER),
    ("500, bad schema", answers.replay("chat-format-schema-bad"), CALLER),
    ("400, no tools", answers.replay("chat-tools-unsupported"), LACKS),
    ("400, no thinking", answers.replay("chat-think-unsupported"), LACKS),
    ("501, embeddings", answers.error(501, "this model does not support embeddings"), CALLER),
    ("502", whole(502, HTML, "text/html"), BAD),
    ("503", answers.replay("chat-busy"), BUSY),
    ("504", whole(504, b"", None), LATE),
    ("error first under 200", chat_stream([b'{"error":"it broke"}\n']), BROKEN),
    ("model missing under 200", chat_stream([b"{\"error\":\"model 'x' not found\"}\n"]), MISSING),
    ("busy under 200", chat_stream([b'{"error":"server busy, please try again.  maximum pending '
                                    b'requests exceeded"}\n']), BUSY),
    ("error object under 200", whole(200, {"error": {"message": "it broke"}}), BROKEN),
    ("403, cloud off", answers.replay("chat-cloud-off"), MISSING),
    # ---- what leaves a mark on the host or the key
    ("401", answers.error(401, "unauthorized"), AUTH),
    ("401 with signin_url", answers.error(401, "unauthorized", signin_url="https://x"), AUTH),
    ("402", answers.error(402, "payment required"), PAID),
    ("403, subscription", answers.error(
        403, "this model requires a subscription, upgrade for access"), PAID),
    ("403 without a body", answers.replay("chat-host-refused"), BAD),
    ("403 as HTML", whole(403, HTML, "text/html"), BAD),
    ("403 as plain text", whole(403, b"Forbidden", "text/plain"), BAD),
    ("404 that is not Ollama's", answers.replay("not-found"), BAD),
    ("404 as HTML", whole(404, HTML, "text/html"), BAD),
    ("405", answers.replay("method-not-allowed"), BAD),
    ("418", whole(418, b"short and stout", "text/plain"), BAD),
    ("429", answers.error(429, "too many", [("Retry-After", "7")]), LIMITED),
    ("429 without Retry-After", answers.error(429, "too many"), LIMITED),
    ("redirect 307", answers.replay("chat-redirect"), BAD),
    ("redirect 301 to another host", whole(
        301, b"", None, [("Location", "http://evil.example/steal")]), BAD),
    ("redirect 302 to a file", whole(302, b"", None, [("Location", "file:///etc/passwd")]), BAD),
    ("204", steps(answers.head(204, None)), BAD),
]


OVERFLOW = {"code": 400, "message": "request (9000 tokens) exceeds the available context size",
            "type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 4096}


@pytest.mark.parametrize("answer", [
    answers.error(400, json.dumps({"error": OVERFLOW})),
    answers.error(500, json.dumps(OVERFLOW)),
    whole(400, {"error": OVERFLOW}),
    chat_stream([json.dumps({"error": json.dumps({"error": OVERFLOW})}).encode() + b"\n"]),
], ids=["as text", "as text, 500", "as an object", "as a line"])
def test_an_overflow_says_how_many_tokens_there_may_be(pair, answer):
    """Agents read "maximum context length is N tokens", and shorten what they send."""
    server, upstream = pair
    upstream.script(answer)
    response = raw.chat(server, stream=True)
    assert outcome(response) == CONTEXT
    assert response.error["param"] == "messages"
    assert "maximum context length is 4096 tokens" in response.error["message"]
    assert "9000" in response.error["message"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("why, answer, expected", STATUSES, ids=[row[0] for row in STATUSES])
def test_u13_to_u20_statuses(pair, why, answer, expected, stream):
    """The caller's status, type and code; one attempt; an honest connection afterwards."""
    server, upstream = pair
    upstream.script(answer)
    with raw.Client(server.port) as client:
        client.send(raw.chat_request(stream))
        response = client.read_response()
        if expected is ...:
            assert 400 <= response.status < 500
            assert response.error["type"] == "invalid_request_error"
        else:
            assert outcome(response) == expected
        assert len(upstream.chats()) == 1, "one attempt"
        for leak in (b"<html", b"evil.example", b"/etc/passwd"):
            assert leak not in response.body
        assert response.header("Location") is None
        client.send(raw.build("GET", "/health"))
        assert client.read_response("GET").status == 200


def test_u14_message_of_a_bad_request_is_passed_on(server, upstream):
    """The upstream's sentence reaches the caller."""
    upstream.script(answers.replay("chat-tools-unsupported"))
    assert "does not support tools" in raw.chat(server).error["message"]


def test_messages_are_cut_and_cleaned(server, upstream):
    """At most 512 characters, no control characters, whatever the upstream wrote."""
    upstream.script(answers.error(400, "a\r\nb\x00\x1b[31m\x7f" + "x" * 5000))
    message = raw.chat(server).error["message"]
    assert len(message) <= 512
    assert not any(ord(char) < 32 or ord(char) == 127 for char in message)


RETRY_AFTER = [
    ("7", {"7"}), ("120", {"119", "120"}), ("121", {None}), ("3600", {None}),
    ("-1", ...), ("999999999", ...), ("soon", ...), ("", ...),
]


@pytest.mark.parametrize("given, expected", RETRY_AFTER)
def test_u18_retry_after(pair, given, expected):
    """A sane Retry-After up to 120 s is told; above it the header is left out, with no-retry."""
    server, upstream = pair
    upstream.script(answers.error(429, "too many", [("Retry-After", given)]))
    response = raw.chat(server)
    assert response.status == 429
    told = response.header("Retry-After")
    if expected is ...:
        assert told is None or 1 <= int(told) <= 60
        return
    if None in expected:
        assert told is None
        assert response.header("x-should-retry") == "false"
    else:
        assert told in expected | {str(int(value) - 1) for value in expected}
        assert response.header("x-should-retry") in (None, "true")


def test_u18_retry_after_as_a_date(pair):
    """A date counts from now."""
    server, upstream = pair
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    upstream.script(answers.error(429, "too many", [("Retry-After", date)]))
    assert 25 <= int(raw.chat(server).header("Retry-After")) <= 31


NO_RETRY = ["404, model", "400, context", "400", "500, bad options"]


@pytest.mark.parametrize("why", NO_RETRY)
def test_failures_that_repeat_are_not_retried(pair, why):
    """x-should-retry: false, or a status that no SDK retries."""
    server, upstream = pair
    upstream.script(dict((row[0], row[1]) for row in STATUSES)[why])
    response = raw.chat(server)
    assert response.status in (400, 404) or response.header("x-should-retry") == "false"
    assert response.status != 409


def test_no_retry_on_subscription(pair):
    """403 upstream_subscription_required says x-should-retry: false."""
    server, upstream = pair
    upstream.script(answers.error(403, "this model requires a subscription"))
    assert raw.chat(server).header("x-should-retry") == "false"


WORDS = ["insufficient credit", "your balance is 0", "permission denied", "api key expired"]


@pytest.mark.parametrize("text", WORDS)
def test_words_that_disable_channels_are_kept_out(server, upstream, text):
    """Gateways switch a channel off on such words: they are not passed on."""
    upstream.script(answers.error(500, text))
    message = raw.chat(server).error["message"].lower()
    assert not any(word in message for word in
                   ("credit", "balance", "permission denied", "api key expired"))


def test_u1_connection_refused(start_server):
    """502 upstream_unavailable, at once."""
    import conftest

    class Nobody:
        url = f"http://127.0.0.1:{conftest.free_port()}"
    server = start_server(Nobody)
    for stream in (False, True):
        started = time.monotonic()
        assert outcome(raw.chat(server, stream=stream)) == GONE
        assert time.monotonic() - started < 5


def test_u2_unknown_host(start_server):
    """A name that does not resolve: 502 upstream_unavailable; the server goes on meanwhile."""
    class Nobody:
        url = "http://no-such-host.invalid:11434"
    server = start_server(Nobody)
    with raw.Client(server.port, timeout=40) as client:
        client.send(raw.chat_request())
        assert raw.get(server, "/health").status == 200
        assert outcome(client.read_response()) == GONE


def test_u4_connect_timeout(start_server):
    """A black hole ends after CONNECT_TIMEOUT."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1)
    crowd = []
    for _ in range(4):  # fills the queue, so that further SYNs stay unanswered
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(listener.getsockname())
        crowd.append(sock)
    time.sleep(0.2)

    class BlackHole:
        url = "http://127.0.0.1:%d" % listener.getsockname()[1]
    server = start_server(BlackHole, CONNECT_TIMEOUT=700)
    started = time.monotonic()
    assert outcome(raw.chat(server)) == GONE
    assert 0.6 < time.monotonic() - started < 6
    for sock in [*crowd, listener]:
        sock.close()


@pytest.mark.parametrize("why, answer", [
    ("nothing at all", steps(HANG)),
    ("headers without a body", steps(answers.NDJSON_HEAD, HANG)),
    ("half a head", steps(answers.NDJSON_HEAD[:20], HANG)),
])
def test_u5_stall_before_the_answer(start_server, upstream, why, answer):
    """REQUEST_TIMEOUT ends the wait: 504 upstream_timeout, and the upstream is closed."""
    server = start_server(upstream, REQUEST_TIMEOUT=700, STREAM_IDLE_TIMEOUT=700)
    for stream in (False, True):
        upstream.reset()
        upstream.script(answer)
        started = time.monotonic()
        assert outcome(raw.chat(server, stream=stream)) == LATE
        assert 0.6 < time.monotonic() - started < 6
        conn = upstream.chats()[0].conn
        upstream.wait_for(lambda: conn.closed_at, what="the upstream to be closed")


def test_u5_which_timeout_holds_when(start_server, upstream):
    """REQUEST_TIMEOUT up to the answer's first byte; from then on a stream has the idle one."""
    server = start_server(upstream, REQUEST_TIMEOUT=60000, STREAM_IDLE_TIMEOUT=500)
    upstream.script(steps(answers.NDJSON_HEAD, HANG))
    assert outcome(raw.chat(server, stream=True)) == LATE
    patient = start_server(upstream, REQUEST_TIMEOUT=500, STREAM_IDLE_TIMEOUT=60000)
    upstream.script(steps(answers.NDJSON_HEAD, 1.0, chunk(line("a")), chunk(done_line()),
                          answers.END_OF_CHUNKS))
    assert check_stream(raw.chat(patient, stream=True)).text == "a"


def test_u5_whole_answers_are_cut_by_request_timeout(start_server, upstream):
    """A whole answer that drips is cut; a stream that goes on is not."""
    server = start_server(upstream, REQUEST_TIMEOUT=1000)
    body = answers.line("slow", done=True)
    drip = [item for i in range(len(body)) for item in (body[i:i + 1], 0.1)]
    upstream.script(
        steps(answers.head(200, fields=[("Content-Length", len(body))]), *drip),
        chat_stream(answers.words(*"abcdefghij"), delay=0.2))
    started = time.monotonic()
    assert outcome(raw.chat(server)) == LATE
    assert 0.9 < time.monotonic() - started < 6
    assert check_stream(raw.chat(server, stream=True)).text == "abcdefghij"


BEFORE_FIRST_EVENT = [
    # why, answer; 502 bad_upstream_response
    ("reset at once", steps(RESET)),
    ("end at once", steps(CLOSE)),
    ("reset after the head", steps(answers.NDJSON_HEAD, RESET)),
    ("end after the head", steps(answers.NDJSON_HEAD, CLOSE)),
    ("empty 200", whole(200, b"")),
    ("empty chunks", chat_stream([])),
    ("blank lines only", chat_stream([b"\n", b"\r\n"])),
    ("half a line", chat_stream([line("a")[:30]])),
    ("half a line and the end", chat_stream([line("a")[:30]], end=CLOSE)),
    ("garbage", chat_stream([b"garbage\n"])),
    ("a JSON string", chat_stream([b'"x"\n'])),
    ("a JSON array", chat_stream([b"[]\n"])),
    ("a number", whole(200, b"5")),
    ("an object of another kind", whole(200, {"hello": "world"})),
    ("HTML with 200", whole(200, HTML, "text/html")),
    ("HTML called JSON", whole(200, HTML)),
    ("garbage instead of HTTP", steps(b"SSH-2.0-OpenSSH_9.2\r\n", CLOSE)),
    ("no status line", steps(b"\r\n\r\n\r\n", CLOSE)),
    ("gzip", whole(200, b"\x1f\x8b\x08\0" + b"\0" * 40, fields=[("Content-Encoding", "gzip")])),
    ("br", whole(200, b"\x0b\x02\x80x\x03", fields=[("Content-Encoding", "br")])),
    ("Content-Length too long", steps(answers.head(200, fields=[("Content-Length", 5000)])
                                      + answers.line("a", done=True)[:-5], CLOSE)),
    ("two Content-Lengths", whole(200, answers.chat_object(), fields=[("Content-Length", 5)])),
    ("Content-Length and chunks", steps(
        answers.head(200, "application/x-ndjson",
                     [("Transfer-Encoding", "chunked"), ("Content-Length", 5)])
        + chunk(line("a")) + chunk(done_line()) + b"0\r\n\r\n")),
    ("bad chunk size", steps(answers.NDJSON_HEAD, b"0x5\r\nhello\r\n0\r\n\r\n", CLOSE)),
    ("head over 64 KiB", steps(answers.head(200, fields=[
        (f"X-{i}", "y" * 1000) for i in range(80)] + [("Content-Length", 2)]) + b"{}")),
    ("one endless header", steps(b"HTTP/1.1 200 OK\r\nX-A: ", b"y" * 10_000_000, CLOSE)),
    ("5000 headers", steps(answers.head(200, fields=[("X", "y")] * 20_000))),
    ("flood of 1xx", steps(b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000, HANG)),
    ("101", steps(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
                  HANG)),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("why, answer", BEFORE_FIRST_EVENT,
                         ids=[row[0] for row in BEFORE_FIRST_EVENT])
def test_u8_u9_u21_to_u25_before_the_first_event(pair, why, answer, stream):
    """502 bad_upstream_response while nothing useful was sent; nothing of it leaks."""
    server, upstream = pair  # its first connection is a fresh one: nothing is replayed
    upstream.script(answer)
    response = raw.chat(server, stream=stream)
    assert outcome(response) == BAD
    assert b"<html" not in response.body and b"Welcome" not in response.body
    assert len(upstream.chats()) == 1, "one attempt"
    assert raw.chat(server).status == 200, "the next request is served"


def test_few_interim_answers_are_passed_over(server, upstream):
    """100 and 103 before the answer do no harm."""
    upstream.script(steps(b"HTTP/1.1 100 Continue\r\n\r\n",
                          b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
                          answer_step(answers.chat_json("fine"))))
    assert raw.chat(server).json()["choices"][0]["message"]["content"] == "fine"


def answer_step(answer):
    return answers.Step("answer", lambda conn: answer(conn, None))


def test_whole_answer_with_done_false(pair):
    """502 bad_upstream_response that must not be retried: it would cost the same again."""
    server, upstream = pair
    upstream.script(answers.replay("chat-repeat"))
    response = raw.chat(server)
    assert outcome(response) == BAD
    assert response.header("x-should-retry") == "false"


def test_done_true_without_text_is_a_success(server, upstream):
    """The model may say nothing."""
    upstream.script(answers.chat_json(""), chat_stream([done_line()]))
    assert raw.chat(server).status == 200
    check_stream(raw.chat(server, stream=True))


def test_u11_line_of_some_mebibytes_is_taken(server, upstream):
    """A line below 8 MiB is a line."""
    text = "x" * (7 * 1024 * 1024)
    upstream.script(chat_stream([line(text), done_line()]), answers.chat_json(text))
    assert check_stream(raw.chat(server, stream=True)).text == text
    assert len(raw.chat(server).json()["choices"][0]["message"]["content"]) == len(text)


@pytest.mark.parametrize("began", [False, True])
def test_u11_endless_line(pair, began):
    """A line over 8 MiB is cut off; the program does not keep it all."""
    server, upstream = pair
    upstream.script(steps(answers.NDJSON_HEAD, *([chunk(line("a"))] if began else []),
                          *[chunk(b'{"message":{"content":"' if i == 0 else b"x" * 65536)
                            for i in range(1000)], HANG))
    before = server.memory_kib()
    response = raw.chat(server, stream=True)
    if began:
        sse = check_stream(response, expect_error=True)
        assert sse.errors[0]["code"] == "bad_upstream_response"
    else:
        assert outcome(response) == BAD
    conn = upstream.chats()[0].conn
    upstream.wait_for(lambda: conn.closed_at, what="the upstream to be closed")
    assert conn.sent < 30 * 1024 * 1024
    assert server.sanitized or server.memory_kib() - before < 40 * 1024


def test_u11_whole_answer_over_64_mib(pair):
    """A whole answer is read up to 64 MiB and no further."""
    server, upstream = pair
    upstream.script(steps(answers.head(200, fields=[("Content-Length", 200 * 1024 * 1024)]),
                          b'{"message":{"content":"', *[b"x" * 1024 * 1024] * 199, HANG))
    with raw.Client(server.port, timeout=60) as client:
        client.send(raw.chat_request())
        assert outcome(client.read_response()) == BAD
    assert upstream.chats()[0].conn.sent < 100 * 1024 * 1024


MID_STREAM = [
    # why, what follows the first event, code
    ("reset", [RESET], "bad_upstream_response"),
    ("end of file", [CLOSE], "bad_upstream_response"),
    ("clean end without done", [b"0\r\n\r\n"], "bad_upstream_response"),
    ("malformed line", [chunk(b"{oops}\n"), chunk(done_line()), b"0\r\n\r\n"],
     "bad_upstream_response"),
    ("bad chunk", [b"zz\r\n", CLOSE], "bad_upstream_response"),
    ("error line", [chunk(b'{"error":"it broke"}\n'), b"0\r\n\r\n"], None),
    ("error line, busy", [chunk(b'{"error":"server busy, please try again.  maximum pending '
                                b'requests exceeded"}\n'), b"0\r\n\r\n"], "overloaded"),
]


@pytest.mark.parametrize("why, rest, code", MID_STREAM, ids=[row[0] for row in MID_STREAM])
def test_u7_u12_mid_stream(server, upstream, why, rest, code):
    """An error event with its code; what was sent stands; a clean end of the body."""
    upstream.script(steps(answers.NDJSON_HEAD, chunk(line("some ")), chunk(line("text")), 0.1,
                          *rest))
    sse = check_stream(raw.chat(server, stream=True), expect_error=True)
    assert sse.text == "some text"
    assert sse.errors[0]["code"] == code
    assert len(upstream.chats()) == 1, "never another attempt after the first useful event"


def test_thinking_counts_as_useful(server, upstream):
    """After thinking was sent a failure is an error event too."""
    think = line("", message={"role": "assistant", "content": "", "thinking": "hm"})
    upstream.script(steps(answers.NDJSON_HEAD, chunk(think), 0.1, RESET))
    sse = check_stream(raw.chat(server, stream=True), expect_error=True)
    assert len(upstream.chats()) == 1 and len(sse.chunks) >= 1


def test_upstream_that_answers_before_it_read_the_request(server, upstream):
    """An early 400 with the body unread is the caller's answer."""
    def refuse(conn, request):
        conn.send(answers.head(400, fields=[("Content-Length", 16), ("Connection", "close")])
                  + b'{"error":"nope"}')
        conn.close()
        raise PeerGone
    upstream.before_body = refuse
    assert raw.chat(server, messages=[{"role": "user", "content": "x" * 100_000}]).status == 400
