"""The scripted upstream and the raw client themselves: a test is worth what its tools are."""

import json
import socket
import time

import pytest

import answers
import raw
from upstream import Upstream


@pytest.fixture
def fake():
    upstream = Upstream(fallback=answers.by_model)
    yield upstream
    upstream.stop()


NATIVE_CHAT = raw.build("POST", "/api/chat", {"model": "plain", "stream": False})


def test_replay_is_byte_for_byte_in_slices_of_any_size(fake):
    """What comes off the socket is the recording."""
    for size in (None, 1, 7, 4096):
        fake.script(answers.replay("chat-unicode", slice_bytes=size))
        with raw.Client(fake.port) as client:
            client.send(NATIVE_CHAT)
            assert client.read_to_end() == answers.recording("chat-unicode")


def test_recording_is_picked_by_the_models_name(fake):
    """A model named like a recording gets that recording."""
    body = {"model": "chat"}
    got = raw.exchange(fake, raw.build("POST", "/api/chat", body))
    assert got.json() == answers.recorded_lines("chat")[0]


def test_requests_are_recorded_whole(fake):
    """Head and body are kept as they came, chunked or sized."""
    chunked = (b"POST /api/chat HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"5\r\n{\"mod\r\nc\r\nel\":\"plain\"}\r\n0\r\n\r\n")
    with raw.Client(fake.port) as client:
        for data in (NATIVE_CHAT, chunked):
            client.send(data)
            assert client.read_response().status == 200
    first, second = fake.chats()
    assert first.head + first.body == NATIVE_CHAT
    assert json.loads(second.body) == {"model": "plain"}
    assert first.conn is second.conn and first.header("host") == "127.0.0.1"


@pytest.mark.parametrize("how, name", [("close", "peer-fin"), ("reset", "peer-reset")])
def test_peer_that_leaves_is_timed(fake, how, name):
    """A hanging answer notices FIN and RST of its caller within a moment."""
    fake.script(answers.steps(answers.NDJSON_HEAD, answers.HANG))
    client = raw.Client(fake.port)
    client.send(NATIVE_CHAT)
    client.read_head()
    left_at = time.monotonic()
    getattr(client, how)()
    conn = fake.chats()[0].conn
    fake.wait_for(lambda: conn.closed_at)
    assert conn.closed_by == name
    assert conn.closed_at - left_at < 0.5


def test_reset_and_close_look_different(fake):
    """RESET is a reset to the peer, CLOSE an orderly end."""
    fake.script(answers.steps(answers.NDJSON_HEAD, answers.RESET),
                answers.steps(answers.NDJSON_HEAD, answers.CLOSE))
    for expected in ("reset", "fin"):
        with raw.Client(fake.port) as client:
            client.send(NATIVE_CHAT)
            client.read_to_end()
            assert client.eof == expected


def test_sent_bytes_stay_bounded_while_the_peer_reads_nothing(fake):
    """conn.sent tells how much the other side took."""
    fake.script(answers.endless_stream(lambda n: answers.line("x" * 1000)))
    with raw.Client(fake.port, rcvbuf=4096) as client:
        client.send(NATIVE_CHAT)
        conn = fake.wait_for_chat().conn
        before = -1
        while conn.sent != before:
            before = conn.sent
            time.sleep(0.1)
        assert 0 < conn.sent < 16 * 1024 * 1024


def test_raw_client_tells_how_a_connection_ended(fake):
    """Interim answers are noted, ends are told apart from silence."""
    fake.script(answers.steps(b"HTTP/1.1 100 Continue\r\n\r\n", answers.head(
        200, fields=[("Content-Length", 0)])))
    with raw.Client(fake.port) as client:
        client.send(NATIVE_CHAT)
        response = client.read_response()
        assert (response.interim, response.status) == ([100], 200)
        assert client.is_open()
        client.sock.shutdown(socket.SHUT_WR)
        assert client.ends_within(5)
