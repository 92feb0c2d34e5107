"""Connections of callers and to the upstream: bodies, pipelining, Expect, keep-alive."""

import json
import threading
import time

import pytest

import answers
import raw
from raw import CHAT, build, chat_body
from stream_rules import check_stream


def test_sequential_requests_share_a_connection(server, upstream):
    """Chats, streams and errors one after the other over one connection."""
    with raw.Client(server.port) as client:
        for i in range(12):
            kind = i % 4
            client.send([raw.chat_request(), raw.chat_request(True), build("GET", "/nope"),
                         build("POST", CHAT, b"{")][kind])
            response = client.read_response()
            assert response.status == (200, 200, 404, 400)[kind]
            assert (response.header("Connection") or "keep-alive").lower() != "close"
        assert client.is_open()
    assert len(upstream.chats()) == 6


def test_parallel_connections(server, upstream):
    """Forty callers at once, each with its own answer."""
    def echo(conn, request):
        model = json.loads(request.body)["model"]
        answers.chat_json(model, model=model)(conn, request)
    upstream.route("/api/chat", echo)
    got = {}

    def one(name):
        got[name] = raw.chat(server, model=name).json()["choices"][0]["message"]["content"]
    threads = [threading.Thread(target=one, args=(f"m{i}",)) for i in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert got == {f"m{i}": f"m{i}" for i in range(40)}


def test_no_reset_after_an_error_body(server):
    """The connection of an answered error goes on, or ends by FIN after the whole body."""
    with raw.Client(server.port) as client:
        client.send(build("POST", CHAT, b"x" * 100_000))
        assert client.read_response().status == 400
        assert client.is_open() or client.eof == "fin"


def test_connection_close_is_honoured(server):
    """Connection: close is answered with the same and an end."""
    with raw.Client(server.port) as client:
        client.send(build("GET", "/health", headers={"Connection": "close"}))
        response = client.read_response("GET")
        assert response.status == 200 and response.header("Connection").lower() == "close"
        assert client.ends_within(5) and client.eof == "fin"


def test_http10_callers_are_served(server, upstream):
    """HTTP/1.0: no chunks, an end at the end; keep-alive only if asked for."""
    with raw.Client(server.port) as client:
        client.send(build("POST", CHAT, chat_body(True), version="HTTP/1.0"))
        response = client.read_head()
        assert response.header("Transfer-Encoding") is None
        response.body = client.read_to_end()
        response.complete = client.eof == "fin"
        check_stream(response)


def test_upstream_connections_are_reused(pair):
    """Requests one after the other go over one upstream connection."""
    server, upstream = pair
    with raw.Client(server.port) as client:
        for stream in (False, True, False, True):
            client.send(raw.chat_request(stream))
            assert client.read_response().status == 200
    assert len({request.conn for request in upstream.chats()}) == 1


def chunked(body, sizes):
    out, at, i = [], 0, 0
    while at < len(body):
        piece = body[at:at + sizes[i % len(sizes)]]
        out.append(b"%x\r\n%s\r\n" % (len(piece), piece))
        at += len(piece)
        i += 1
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % CHAT.encode()
    return head + b"".join(out) + b"0\r\n\r\n"


@pytest.mark.parametrize("how", ["content-length", "chunked"])
def test_bodies_of_many_mebibytes(server, upstream, how):
    """24 MiB of text arrive at the upstream whole."""
    text = "0123456789abcdef" * (24 * 65536)
    body = json.dumps({**chat_body(), "messages": [{"role": "user", "content": text}]}).encode()
    data = build("POST", CHAT, body) if how == "content-length" else chunked(body, [65536, 7])
    with raw.Client(server.port, timeout=60) as client:
        client.send(data)
        assert client.read_response().status == 200
    assert json.loads(upstream.chats()[0].body)["messages"][0]["content"] == text


@pytest.mark.parametrize("sizes", [[1], [2, 3, 5], [1000], [10**6]])
def test_chunked_bodies(server, upstream, sizes):
    """Chunks of any size, also byte by byte."""
    with raw.Client(server.port) as client:
        client.send(chunked(json.dumps(chat_body()).encode(), sizes))
        assert client.read_response().status == 200
    assert json.loads(upstream.chats()[0].body)["messages"][0]["content"] == "Hi"


def test_requests_in_single_bytes(server, upstream):
    """However the bytes of a request are cut into writes."""
    with raw.Client(server.port) as client:
        for byte in raw.chat_request():
            client.send(bytes([byte]))
        assert client.read_response().status == 200


EXPECT = {"Expect": "100-continue"}


def head_of(data):
    return data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def test_expect_continue(server, upstream):
    """100 comes before the body, the answer after it; the body alone is enough too."""
    data = raw.chat_request(headers=EXPECT)
    with raw.Client(server.port) as client:
        client.send(head_of(data))
        assert client.read_through(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        client.send(data[len(head_of(data)):])
        response = client.read_response()
        assert (response.status, response.interim) == (200, [])
        client.send(data)
        assert client.read_response().status == 200
        assert client.is_open()


def test_expect_is_refused_before_the_body(start_server, upstream):
    """401 and 413 come instead of 100: token and size are checked first."""
    server = start_server(upstream, API_TOKEN="tok", BODY_LIMIT=4096)
    ok = {"Authorization": "Bearer tok"}
    for headers, size, status in ((EXPECT, 100, 401), ({**EXPECT, **ok}, 5000, 413)):
        with raw.Client(server.port) as client:
            client.send(head_of(build("POST", CHAT, b"x" * size, headers)))
            response = client.read_response()
            assert (response.status, response.interim) == (status, [])


def test_other_expectations_fail(server):
    """417 for what we do not know."""
    response = raw.exchange(server, raw.chat_request(headers={"Expect": "200-maybe"}))
    assert response.status == 417
    assert response.error["type"] == "invalid_request_error"


def test_accept_encoding_is_ignored_for_streams(server):
    """No compression, whatever the caller would take."""
    response = raw.chat(server, stream=True, headers={"Accept-Encoding": "gzip, deflate, br, zstd"})
    assert response.header("Content-Encoding") is None
    check_stream(response)


def test_pipelined_requests_are_answered_in_order(server, upstream):
    """Three requests in one write: three answers, in order, the slow one first."""
    upstream.script(answers.steps(0.5, answers.head(200, fields=[("Content-Length", len(
        answers.line("slow", done=True)))]) + answers.line("slow", done=True)),
        answers.chat_json("two"), answers.chat_json("three"))
    with raw.Client(server.port) as client:
        client.send(raw.chat_request() * 3)
        texts = [client.read_response().json()["choices"][0]["message"]["content"]
                 for _ in range(3)]
        assert texts == ["slow", "two", "three"]
        assert client.is_open()


def test_pipelined_behind_a_stream(server, upstream):
    """A request sent while a stream runs is answered after it, on the same connection."""
    upstream.script(answers.chat_stream(answers.words("a", "b", "c"), delay=0.1),
                    answers.chat_json("next"))
    with raw.Client(server.port) as client:
        client.send(raw.chat_request(True))
        response = client.read_head()
        client.send(raw.chat_request() + build("GET", "/health"))
        assert check_stream(client.read_body(response)).text == "abc"
        assert client.read_response().json()["choices"][0]["message"]["content"] == "next"
        assert client.read_response("GET").json()["status"] == "ok"


def test_pipelined_request_starts_after_the_one_before(server, upstream):
    """The second is not sent upstream before the first is answered."""
    upstream.script(answers.chat_stream(answers.words("a"), delay=0.4), answers.chat_json("next"))
    with raw.Client(server.port) as client:
        client.send(raw.chat_request(True) + raw.chat_request())
        ended = time.monotonic() if check_stream(client.read_response()) else 0
        client.read_response()
        assert upstream.chats()[1].at >= ended - 0.1


def test_u27_stale_kept_connection_is_replaced(pair):
    """An upstream that closes kept connections: the next request is served all the same."""
    server, upstream = pair

    def answer_then_close(conn, request):
        answers.chat_json()(conn, request)
        conn.close()
    upstream.script(*[answer_then_close] * 5)
    for _ in range(5):
        assert raw.chat(server).status == 200
    assert len(upstream.chats()) == 5


def test_u27_one_replay_on_a_reused_connection_that_dies(start_server, upstream):
    """Dead before a byte of answer on a reused connection: one replay, unseen by the caller."""
    server = start_server(upstream, WORKERS=1)
    assert raw.chat(server).status == 200
    upstream.script(answers.steps(answers.RESET), answers.chat_json("replayed"))
    response = raw.chat(server)
    assert response.status == 200
    assert response.json()["choices"][0]["message"]["content"] == "replayed"
    first, second = upstream.chats()[1:3]
    assert first.body == second.body and first.conn is not second.conn
    assert first.conn is upstream.chats()[0].conn, "it was the reused connection that died"


def test_u27_no_replay_on_a_fresh_connection(pair):
    """A fresh connection that dies is an error, not a replay."""
    server, upstream = pair
    upstream.script(answers.steps(answers.RESET))
    assert raw.chat(server).status == 502
    assert len(upstream.chats()) == 1


def test_u27_at_most_one_replay(start_server, upstream):
    """The replay dies too: an error, and no third try."""
    server = start_server(upstream, WORKERS=1)
    assert raw.chat(server).status == 200
    upstream.script(answers.steps(answers.RESET), answers.steps(answers.RESET))
    assert raw.chat(server).status == 502
    assert len(upstream.chats()) == 3
