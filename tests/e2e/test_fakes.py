"""The scripted upstream and the raw client themselves: a test is worth what its tools are."""

import json
import socket
import time

import pytest

import answers
import raw
from stream_rules import check_stream
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


def sse_response(body):
    response = raw.Response()
    response.status, response.complete, response.body = 200, True, body
    response.fields = [("Content-Type", "text/event-stream")]
    return response


def good_chunks():
    base = {"id": "a", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    deltas = [({"role": "assistant", "content": ""}, None), ({"content": "x"}, None), ({}, "stop")]
    return [{**base, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
            for delta, reason in deltas]


def sse_bytes(objects, tail="data: [DONE]\n\n"):
    return ("".join(f"data: {json.dumps(obj)}\n\n" for obj in objects) + tail).encode()


def test_stream_rules_accept_a_good_stream():
    """The rules are not so strict that nothing passes."""
    sse = check_stream(sse_response(sse_bytes(good_chunks())))
    assert sse.text == "x" and sse.finish_reasons == ["stop"]


def broken(change):
    objects = good_chunks()
    change(objects)
    return sse_bytes(objects)


BROKEN_STREAMS = {
    "no DONE": sse_bytes(good_chunks(), tail=""),
    "last event without a blank line": sse_bytes(good_chunks(), tail="data: [DONE]\n"),
    "event line": b"event: x\n" + sse_bytes(good_chunks()),
    "no space after the colon": sse_bytes(good_chunks()).replace(b"data: {", b"data:{"),
    "blank line after a comment": b": keep-alive\n\n" + sse_bytes(good_chunks()),
    "ping comment": b": ping\n" + sse_bytes(good_chunks()),
    "CRLF": sse_bytes(good_chunks()).replace(b"\n", b"\r\n"),
    "id changes": broken(lambda o: o[1].update(id="b")),
    "created changes": broken(lambda o: o[1].update(created=2)),
    "role twice": broken(lambda o: o[1]["choices"][0]["delta"].update(role="assistant")),
    "no role": broken(lambda o: o[0]["choices"][0]["delta"].pop("role")),
    "null content": broken(lambda o: o[1]["choices"][0]["delta"].update(content=None)),
    "error key": broken(lambda o: o[1].update(error=None)),
    "no finish reason": broken(lambda o: o.pop()),
    "two finish reasons": broken(lambda o: o.append(o[-1])),
    "unknown finish reason": broken(lambda o: o[2]["choices"][0].update(finish_reason="load")),
    "usage unasked": broken(lambda o: o[2].update(usage={"prompt_tokens": 1})),
    "choices missing": broken(lambda o: o[1].pop("choices")),
    "index missing": broken(lambda o: o[1]["choices"][0].pop("index")),
    "error and finish": sse_bytes(good_chunks() + [{"error": {"message": "x"}}]),
    "invalid UTF-8": b": \xff\n" + sse_bytes(good_chunks()),
}


@pytest.mark.parametrize("why", BROKEN_STREAMS)
def test_stream_rules_refuse(why):
    """Each broken rule is noticed."""
    with pytest.raises((AssertionError, KeyError, UnicodeDecodeError)):
        check_stream(sse_response(BROKEN_STREAMS[why]))


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
