"""Deadlines of many seconds. All of them wait at the same time, in threads: the first test of the
session starts them, those at its end pick the results up."""

import threading
import time

import pytest

import answers
import raw
from raw import CHAT, build


class Waiting:
    """Runs scenarios in threads; a test picks up the result of its own."""

    def __init__(self):
        self.threads = {}
        self.results = {}

    def start(self, name, run, *args):
        def body():
            try:
                self.results[name] = (run(*args), None)
            except BaseException as err:
                self.results[name] = (None, err)
        self.threads[name] = threading.Thread(target=body, daemon=True)
        self.threads[name].start()

    def result(self, name):
        self.threads[name].join(120)
        value, err = self.results[name]
        if err:
            raise err
        return value


def slow_headers(server):
    """Drips a header every half second; (status, seconds until the answer, how it ended)."""
    started = time.monotonic()
    with raw.Client(server.port, timeout=0.5) as client:
        client.send(b"GET /health HTTP/1.1\r\nHost: x\r\n")
        while time.monotonic() - started < 30:
            if not client.try_send(b"X-A: b\r\n"):
                break
            try:
                client._fill()
                break
            except TimeoutError:
                continue
            except raw.Closed:
                break
        seconds = time.monotonic() - started
        client.sock.settimeout(10)
        status = client.read_response().status if client.buffer else None
        return status, seconds, client.ends_within(5)


def silent(server):
    """Connects and says nothing: seconds until the end."""
    started = time.monotonic()
    with raw.Client(server.port, timeout=100) as client:
        client.read_to_end()
        return time.monotonic() - started


def slow_body(server, rate):
    """Sends a body with so many bytes a second; (status, seconds)."""
    started = time.monotonic()
    with raw.Client(server.port, timeout=0.25) as client:
        client.send(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
                    % CHAT.encode())
        while time.monotonic() - started < 25:
            if not client.try_send(b"x" * (rate // 4)):
                break
            try:
                client._fill()
                break
            except TimeoutError:
                continue
            except raw.Closed:
                break
        seconds = time.monotonic() - started
        client.sock.settimeout(10)
        return (client.read_response().status if client.buffer else None), seconds


def idle(server, seconds):
    """An idle kept connection after that time: still served, or how long it lasted."""
    with raw.Client(server.port, timeout=seconds) as client:
        client.send(build("GET", "/health"))
        client.read_response("GET")
        started = time.monotonic()
        try:
            client._fill()
        except TimeoutError:
            client.sock.settimeout(10)
            client.send(build("GET", "/health"))
            return client.read_response("GET").status
        except raw.Closed:
            return time.monotonic() - started
        return None


def stalled_writer(server, upstream, gone):
    """A caller who reads nothing of a stream: seconds until its upstream is closed."""
    with raw.Client(server.port, rcvbuf=4096) as client:
        started = time.monotonic()
        client.send(raw.chat_request(True, model="endless"))
        upstream.wait_for(lambda: gone and gone[0].closed_at, 60, "the reader to be dropped")
        return gone[0].closed_at - started


def keep_alives(server):
    """The comments of a stream whose upstream is silent for 34 s: seconds since the start."""
    with raw.Client(server.port, timeout=40) as client:
        started = time.monotonic()
        client.send(raw.chat_request(True, model="silent"))
        response = client.read_head()
        seen = []
        while True:
            data = client.read_chunk(response)
            if data.startswith(b": keep-alive\n"):
                seen.append(time.monotonic() - started)
            if not data:
                return seen, response


@pytest.fixture(scope="session")
def waiting(binary, tmp_path_factory):
    import json

    import conftest
    from upstream import Upstream

    endless = []

    def answer(conn, got):
        model = json.loads(got.body)["model"] if got.body else ""
        if model == "endless":
            endless.append(conn)
            answers.endless_stream(lambda n: answers.line("x" * 4000))(conn, got)
        elif model == "silent":
            answers.steps(answers.NDJSON_HEAD, 34, *map(answers.chunk, answers.words("a")),
                          answers.END_OF_CHUNKS)(conn, got)
        else:
            answers.by_model(conn, got)

    upstream = Upstream(fallback=answer)
    folder = tmp_path_factory.mktemp("server")
    server = conftest.Server(binary, folder, conftest.settings_for(
        folder, upstream, STREAM_START_TIMEOUT=1000))
    server.wait_ready()
    runs = Waiting()
    runs.start("headers", slow_headers, server)
    runs.start("silent", silent, server)
    runs.start("slow body", slow_body, server, 400)
    runs.start("body fast enough", slow_body, server, 4000)
    runs.start("idle", idle, server, 62)
    runs.start("stalled writer", stalled_writer, server, upstream, endless)
    runs.start("keep-alives", keep_alives, server)
    runs.server = server
    yield runs
    server.stop()
    upstream.stop()


@pytest.mark.first
def test_the_waiting_begins(waiting):
    """Starts what the slow tests wait for, while the others run."""
    assert all(thread.is_alive() for thread in waiting.threads.values())


@pytest.mark.slow
def test_c5_header_deadline(waiting):
    """408 and the end after 10 s in all, however busily the headers drip."""
    status, seconds, ended = waiting.result("headers")
    assert status == 408 and ended
    assert 9 < seconds < 14


@pytest.mark.slow
def test_c5_silent_connection(waiting):
    """A connection that never says anything ends too."""
    assert 9 < waiting.result("silent") < 90


@pytest.mark.slow
def test_c6_slow_body(waiting):
    """Under 1 KiB a second after 10 s of grace: 408."""
    status, seconds = waiting.result("slow body")
    assert status == 408
    assert 9 < seconds < 20


@pytest.mark.slow
def test_c6_body_at_a_sound_rate(waiting):
    """4 KB a second go on past the grace."""
    status, seconds = waiting.result("body fast enough")
    assert status in (None, 400) and seconds > 20


@pytest.mark.slow
def test_c3_writer_that_stalls_for_30_s_is_dropped(waiting):
    """The stalled caller is let go, and its upstream closed."""
    assert 28 < waiting.result("stalled writer") < 45


@pytest.mark.slow
def test_keep_alives_every_15_s(waiting):
    """At most 15 s between two of them until the first token."""
    from stream_rules import check_stream
    seen, response = waiting.result("keep-alives")
    assert 0.8 < seen[0] < 3
    gaps = [b - a for a, b in zip(seen, seen[1:])]
    assert len(seen) >= 3 and all(10 < gap < 17 for gap in gaps), seen
    assert check_stream(response).text == "a"


@pytest.mark.slow
def test_idle_connections_live_a_minute(waiting):
    """A kept connection is served after 62 s of silence."""
    assert waiting.result("idle") == 200
