"""Callers who leave, dawdle or send too much; the upstream must not pay for it."""

import json
import pathlib
import time

import pytest

import answers
import raw
from answers import HANG, chunk, line, steps
from raw import CHAT, build

FOREVER = answers.endless_stream(lambda n: line(f"w{n} "), delay=0.02)
# What the kernel may hold between the fake, the program and the caller.
KERNEL_BYTES = sum(int(pathlib.Path(f"/proc/sys/net/ipv4/tcp_{name}").read_text().split()[2])
                   for name in ("rmem", "wmem", "wmem"))
LEAVE = ["close", "reset", "half_close"]


def upstream_closed_within(upstream, left_at, seconds=1.0):
    conn = upstream.wait_for_chat().conn
    upstream.wait_for(lambda: conn.closed_at, what="the upstream to be closed")
    assert conn.closed_by.startswith("peer"), conn.closed_by
    assert conn.closed_at - left_at < seconds


@pytest.mark.parametrize("how", LEAVE)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_c1_gone_before_the_first_byte(server, upstream, how, stream):
    """While the upstream says nothing (a model loads): it is closed within a second."""
    upstream.script(steps(HANG))
    with raw.Client(server.port) as client:
        client.send(raw.chat_request(stream))
        upstream.wait_for_chat()
        left_at = time.monotonic()
        getattr(client, how)()
        upstream_closed_within(upstream, left_at)
    assert len(upstream.chats()) == 1, "no second attempt for somebody who left"


@pytest.mark.parametrize("how", LEAVE)
def test_c1_gone_after_the_upstreams_headers(server, upstream, how):
    """Headers came, no line yet."""
    upstream.script(steps(answers.NDJSON_HEAD, HANG))
    with raw.Client(server.port) as client:
        client.send(raw.chat_request(True))
        upstream.wait_for_chat()
        left_at = time.monotonic()
        getattr(client, how)()
        upstream_closed_within(upstream, left_at)


@pytest.mark.parametrize("how", LEAVE)
def test_c2_gone_in_mid_stream(server, upstream, how):
    """While lines come: closed within a second."""
    upstream.script(FOREVER)
    with raw.Client(server.port) as client:
        client.send(raw.chat_request(True))
        client.read_chunk(client.read_head())
        left_at = time.monotonic()
        getattr(client, how)()
        upstream_closed_within(upstream, left_at)


@pytest.mark.parametrize("how", LEAVE)
def test_c2_gone_in_a_silent_stream(server, upstream, how):
    """Some lines came and then silence: there is nothing to write, it is noticed by reading."""
    upstream.script(steps(answers.NDJSON_HEAD, chunk(line("a")), HANG))
    with raw.Client(server.port) as client:
        client.send(raw.chat_request(True))
        client.read_chunk(client.read_head())
        left_at = time.monotonic()
        getattr(client, how)()
        upstream_closed_within(upstream, left_at)


def test_c2_gone_after_an_early_commit(start_server, upstream):
    """Between keep-alives, before the first token."""
    server = start_server(upstream, STREAM_START_TIMEOUT=200)
    upstream.script(steps(HANG))
    client = raw.Client(server.port)
    client.send(raw.chat_request(True))
    client.read_chunk(client.read_head())
    left_at = time.monotonic()
    client.close()
    upstream_closed_within(upstream, left_at)


def test_c2_gone_with_a_pipelined_request_waiting(server, upstream):
    """The waiting request is not started for somebody who left."""
    upstream.script(FOREVER)
    client = raw.Client(server.port)
    client.send(raw.chat_request(True))
    client.read_chunk(client.read_head())
    client.send(raw.chat_request())
    left_at = time.monotonic()
    client.close()
    upstream_closed_within(upstream, left_at)
    assert raw.get(server, "/health").status == 200
    assert len(upstream.chats()) == 1


def test_c1_gone_is_logged_as_such(server, upstream):
    """The access line says that the caller left."""
    name = "gone-%d" % time.monotonic_ns()
    upstream.script(steps(HANG))
    client = raw.Client(server.port)
    client.send(raw.chat_request(headers={"x-request-id": name}))
    upstream.wait_for_chat()
    client.close()
    assert "499" in server.wait_log(name)[-1]


def test_c1_callers_who_leave_in_the_middle_of_a_request(server, upstream):
    """Half a head, half a body: nothing reaches the upstream, and nothing is left behind."""
    data = raw.chat_request()
    for cut in (1, 10, data.index(b"\r\n\r\n") + 2, len(data) - 1):
        for how in ("close", "reset"):
            client = raw.Client(server.port)
            client.send(data[:cut])
            getattr(client, how)()
    assert raw.chat(server).status == 200
    assert len(upstream.chats()) == 1


def test_u26_many_callers_leave_at_random_phases(server, upstream):
    """Forty aborts: each closes its upstream within a second."""
    left = []
    upstream.script(*[FOREVER] * 40)
    for i in range(40):
        client = raw.Client(server.port)
        client.send(raw.chat_request(True))
        request = upstream.wait_for_chat(i + 1)
        for _ in range(i % 4):
            client.read_through(b"\n\n")
        left.append((request.conn, time.monotonic()))
        client.reset() if i % 2 else client.close()
    for conn, at in left:
        upstream.wait_for(lambda c=conn: c.closed_at, what="the upstream to be closed")
        assert conn.closed_at - at < 1.0


def test_c3_slow_reader_stops_the_upstream(pair):
    """A caller who does not read: the upstream is not read beyond a bound, memory stays flat."""
    server, upstream = pair
    raw.chat(server)
    memory = server.settled_memory_kib()
    upstream.script(answers.endless_stream(lambda n: line("x" * 4000)))
    with raw.Client(server.port, rcvbuf=4096) as client:
        client.send(raw.chat_request(True))
        conn = upstream.wait_for_chat(2).conn
        sent = settled(conn)
        assert sent < KERNEL_BYTES + 2 * 1024 * 1024, f"{sent} bytes were taken for nobody"
        assert server.sanitized or server.memory_kib() - memory < 4096, "the program holds them"
        time.sleep(1)
        assert conn.sent == sent, "it is still being read"
        assert raw.get(server, "/health").status == 200
        # The caller wakes up: reading goes on, and so does the upstream.
        received = 0
        while received < sent + 1_000_000:
            received += len(client.sock.recv(65536))
        assert conn.sent > sent
        assert server.sanitized or server.memory_kib() - memory < 4096


def settled(conn):
    """Bytes sent once they stop growing."""
    deadline, before, same = time.monotonic() + 15, -1, 0
    while same < 5:
        assert time.monotonic() < deadline, f"still growing at {conn.sent} bytes"
        same = same + 1 if conn.sent == before else 0
        before = conn.sent
        time.sleep(0.1)
    return conn.sent


def test_c3_slow_reader_does_not_slow_others(server, upstream):
    """Another caller's stream runs at its own pace."""
    upstream.script(answers.endless_stream(lambda n: line("x" * 4000)),
                    answers.chat_stream(answers.words(*"abcdefghij"), delay=0.02))
    with raw.Client(server.port, rcvbuf=4096) as client:
        client.send(raw.chat_request(True))
        settled(upstream.wait_for_chat().conn)
        started = time.monotonic()
        assert raw.chat(server, stream=True).sse.text == "abcdefghij"
        assert time.monotonic() - started < 3


def test_c3_slow_reader_of_a_stream_gets_it_whole(server, upstream):
    """Pausing and resuming loses nothing."""
    texts = [f"{n} " + "y" * 2000 for n in range(3000)]
    upstream.script(answers.chat_stream(answers.words(*texts)))
    with raw.Client(server.port, rcvbuf=4096, timeout=60) as client:
        client.send(raw.chat_request(True))
        settled(upstream.wait_for_chat().conn)
        response = client.read_response()
    assert response.sse.text == "".join(texts) and response.sse.done


def test_c8_answer_is_readable_although_the_caller_still_sends(start_server, upstream):
    """413 while 5 MB are on the way: the caller can send on and then read its answer."""
    server = start_server(upstream, BODY_LIMIT=4096)
    with raw.Client(server.port) as client:
        client.send(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n"
                    % CHAT.encode())
        sent = all(client.try_send(b"x" * 50_000) for _ in range(100))
        response = client.read_response()
        assert response.status == 413 and response.error["code"] == "request_too_large"
        assert sent, "the connection was reset under the caller"
        assert client.ends_within(5) and client.eof == "fin"


def test_c8_unauthorized_is_readable_too(start_server, upstream):
    """The same for 401."""
    server = start_server(upstream, API_TOKEN="tok")
    with raw.Client(server.port) as client:
        sent = client.try_send(build("POST", CHAT, b"x" * 5_000_000))
        assert client.read_response().status == 401
        assert sent


def test_c8_dropping_has_an_end(start_server, upstream):
    """Somebody who goes on sending is cut after 8 MiB or 2 s."""
    server = start_server(upstream, BODY_LIMIT=4096)
    with raw.Client(server.port) as client:
        client.send(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
                    % CHAT.encode())
        started, total = time.monotonic(), 0
        while client.try_send(b"x" * 65536) and time.monotonic() - started < 10:
            total += 65536
        assert time.monotonic() - started < 5
        assert total < 64 * 1024 * 1024


def test_c24_bytes_after_the_end_are_a_bad_request(server, upstream):
    """What follows an answered request is parsed as the next one, strictly."""
    with raw.Client(server.port) as client:
        client.send(raw.chat_request() + b"left-over rubbish\r\n\r\n")
        assert client.read_response().status == 200
        assert client.read_response().status in (400, 501)
        assert client.ends_within(5)
    assert len(upstream.chats()) == 1


def test_c23_tls_on_the_plain_port(server):
    """A TLS hello is answered quickly with an end."""
    with raw.Client(server.port) as client:
        client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x7f" * 505)
        started = time.monotonic()
        client.read_to_end()
        assert time.monotonic() - started < 3


def test_prompt_bytes_are_not_kept_by_a_stream(pair):
    """While streams run their requests, 16 of 8 MiB, are not held in memory."""
    server, upstream = pair
    upstream.script(*[FOREVER] * 16)
    body = json.dumps({**raw.chat_body(True), "messages": [
        {"role": "user", "content": "x" * (8 * 1024 * 1024)}]}).encode()
    before = server.memory_kib()
    clients = []
    for _ in range(16):
        client = raw.Client(server.port, timeout=30)
        client.send(build("POST", CHAT, body))
        client.read_chunk(client.read_head())
        clients.append(client)
    # What the allocator keeps for later is a few of them, whatever their number.
    assert server.sanitized or server.memory_kib() - before < 100 * 1024
    for client in clients:
        client.close()
