"""Limits at one below, at, and one above."""

import json
import os
import time

import pytest

import answers
import raw
from raw import CHAT, build, chat_body, exchange

LINE, FIELD, HEAD, COUNT = 8192, 8192, 16384, 100


def request_line_of(size):
    """A request whose first line, without its CRLF, has `size` bytes."""
    fixed = len("GET /health?q= HTTP/1.1")
    return b"GET /health?q=%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * (size - fixed))


def field_of(size):
    """A request with one field whose line, without its CRLF, has `size` bytes."""
    return b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: %s\r\n\r\n" % (b"a" * (size - 5))


def head_of(size):
    """A request whose field lines, each with its CRLF, have `size` bytes in all."""
    start = b"GET /health HTTP/1.1\r\n"
    room = size - len("Host: x\r\nX-A: \r\nX-B: \r\n")
    fields = b"Host: x\r\nX-A: %s\r\nX-B: %s\r\n" % (b"a" * (room // 2), b"b" * (room - room // 2))
    assert len(fields) == size
    return start + fields + b"\r\n"


def count_of(n):
    return b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * (n - 1) + b"\r\n"


NEAR = [
    ("request line", request_line_of, LINE, {414}),
    ("one field", field_of, FIELD, {431}),
    ("all fields", head_of, HEAD, {431}),
    ("count of fields", count_of, COUNT, {431}),
]


@pytest.mark.parametrize("why, make, limit, statuses", NEAR, ids=[row[0] for row in NEAR])
def test_head_limits(server, why, make, limit, statuses):
    """Up to the limit served, above it refused with its status and the end of the connection."""
    for size in (limit - 1, limit):
        assert exchange(server, make(size), "GET").status == 200, size
    for size in (limit + 1, limit + 2, limit * 3):
        with raw.Client(server.port) as client:
            client.try_send(make(size))
            response = client.read_response()
            assert response.status in statuses, (size, response)
            assert response.error["type"] == "invalid_request_error"
            assert client.ends_within(5)


LIMIT = 4096


@pytest.fixture(scope="module")
def small(module_server):
    return module_server(BODY_LIMIT=LIMIT)


def body_of(size):
    body = json.dumps(chat_body(padding="")).encode()
    return json.dumps(chat_body(padding="x" * (size - len(body)))).encode()


def as_chunks(body, piece):
    pieces = [body[i:i + piece] for i in range(0, len(body), piece)]
    return (b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % CHAT.encode()
            + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in pieces) + b"0\r\n\r\n")


@pytest.mark.parametrize("size, status", [(LIMIT - 1, 200), (LIMIT, 200), (LIMIT + 1, 413)])
@pytest.mark.parametrize("how", ["sized", "one chunk", "small chunks"])
def test_body_limit(small, upstream, how, size, status):
    """BODY_LIMIT holds for sized and chunked bodies alike."""
    body = body_of(size)
    data = build("POST", CHAT, body) if how == "sized" else \
        as_chunks(body, size if how == "one chunk" else 100)
    with raw.Client(small.port) as client:
        client.try_send(data)
        response = client.read_response()
        assert response.status == status
        if status == 413:
            assert response.error["code"] == "request_too_large"
            assert client.ends_within(5)
    assert len(upstream.chats()) == (status == 200)


def test_body_limit_is_told_before_the_body(small):
    """413 for a Content-Length over the limit, although no byte of the body came."""
    with raw.Client(small.port) as client:
        client.send(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" % CHAT.encode())
        assert client.read_response().status == 413


def test_routes_without_a_body_take_little(server):
    """A GET's body is read over; one of many MiB is not waited for."""
    with raw.Client(server.port) as client:
        client.send(b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        response = client.read_response("GET")
        assert response.status in (200, 413)
        assert client.ends_within(6)


def test_pipelined_bytes_behind_a_stream_are_bounded(server, upstream):
    """Over 64 KiB of pipelined bytes while a stream runs: the connection closes."""
    upstream.script(answers.endless_stream(lambda n: answers.line(f"w{n} "), delay=0.02))
    with raw.Client(server.port) as client:
        client.send(raw.chat_request(True))
        client.read_head()
        conn = upstream.wait_for_chat().conn
        client.try_send(build("POST", CHAT, body_of(200_000)))
        deadline = time.monotonic() + 10
        with pytest.raises(raw.Closed):
            while time.monotonic() < deadline:
                client.read_through(b"\n")
        upstream.wait_for(lambda: conn.closed_at, what="the upstream to be closed")


def test_pipelined_bytes_under_the_bound_are_served(server, upstream):
    """A pipelined request of 50 KiB behind a stream is kept and served."""
    upstream.script(answers.chat_stream(answers.words("a", "b"), delay=0.2),
                    answers.chat_json("next"))
    with raw.Client(server.port) as client:
        client.send(raw.chat_request(True))
        response = client.read_head()
        client.send(build("POST", CHAT, body_of(50_000)))
        client.read_body(response)
        assert client.read_response().status == 200


def test_thousand_requests_per_connection(server):
    """The 1000th answer of a connection says close; a new connection goes on."""
    request = build("GET", "/health")
    with raw.Client(server.port, timeout=60) as client:
        for i in range(1, 1001):
            if i % 50 == 1:
                client.send(request * min(50, 1001 - i))
            response = client.read_response("GET")
            assert response.status == 200
            closing = (response.header("Connection") or "").lower() == "close"
            assert closing == (i == 1000), i
        assert client.ends_within(5)


def test_connection_cap_pauses_accepting(binary, tmp_path_factory, new_upstream):
    """At the cap newcomers wait, unharmed, and are served when others leave; no CPU is burnt."""
    import conftest
    folder = tmp_path_factory.mktemp("server")
    upstream = new_upstream()
    settings = conftest.settings_for(folder, upstream, WORKERS=1)
    server = start_limited(binary, folder, settings, 200)
    try:
        server.wait_ready()
        crowd = [raw.Client(server.port) for _ in range(100)]
        served = []
        for client in crowd:
            client.send(build("GET", "/health"))
        time.sleep(0.5)
        before = cpu_seconds(server.pid)
        time.sleep(1)
        assert cpu_seconds(server.pid) - before < 0.3, "it spins"
        while crowd:
            client = crowd.pop(0)
            served.append(client.read_response("GET").status)
            client.close()
        assert served == [200] * 100
    finally:
        server.stop()


def start_limited(binary, folder, settings, descriptors):
    """With a low hard limit: the program raises its soft one to that."""
    import conftest
    script = folder / "limited"
    script.write_text(f"#!/bin/sh\nulimit -n {descriptors}\nexec {binary}\n")
    script.chmod(0o755)
    return conftest.Server(str(script), folder, settings)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_connections_per_address(start_server, upstream):
    """MAX_CONN_PER_IP never holds for loopback."""
    server = start_server(upstream, MAX_CONN_PER_IP=2)
    clients = [raw.Client(server.port) for _ in range(6)]
    for client in clients:
        client.send(build("GET", "/health"))
    assert [client.read_response("GET").status for client in clients] == [200] * 6
    for client in clients:
        client.close()
