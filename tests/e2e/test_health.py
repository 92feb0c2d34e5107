"""Probes: who is asked, how, when; what it costs, and what it changes."""

import time

import pytest

import answers
import conftest
import raw
from answers import HANG, RESET, steps, whole
from test_proxy import new_proxy  # noqa: F401, a fixture
from test_retry import keyed

EMPTY = answers.error(400, "missing request body")


def probes_of(upstream, key):
    return [r for r in upstream.probes() if r.key == key]


def test_new_keys_are_asked_once(start_pool, new_upstream):
    """An empty POST to /api/chat with the key, no more than two a second at a host."""
    upstream = new_upstream()
    names = ["a", "b", "c", "d"]
    began = time.monotonic()
    start_pool(keyed(upstream, *names), HEALTH_CHECK_INTERVAL=1)
    upstream.wait_for(lambda: len(upstream.probes()) == 4, what="four probes")
    assert time.monotonic() - began >= 1.4
    time.sleep(1.5)
    probes = upstream.probes()
    assert sorted(probe.key for probe in probes) == [f"sk-{name}" for name in names]
    for probe in probes:
        assert (probe.method, probe.target, probe.body) == ("POST", "/api/chat", b"")
        assert probe.header("Content-Length") == "0"
        assert probe.header("Content-Type") is None
    gaps = [b.at - a.at for a, b in zip(probes, probes[1:])]
    assert min(gaps) > 0.35, gaps


def test_the_path_of_the_base_url_is_kept(start_pool, new_upstream):
    upstream = new_upstream()
    upstream.route("/deep/api/chat", EMPTY)
    start_pool([f"{upstream.url}/deep|sk-a"], HEALTH_CHECK_INTERVAL=1)
    upstream.wait_for(upstream.probes)
    assert upstream.probes()[0].target == "/deep/api/chat"


def test_ollama_com_is_asked_where_it_looks_at_the_key(start_pool, new_upstream, new_proxy):
    """An empty POST to /v1/chat/completions; a name that only resembles it is an ordinary host."""
    upstream = new_upstream()
    upstream.route("/v1/chat/completions", answers.error(401, "unauthorized"))
    proxy = new_proxy(upstream.port)
    server = start_pool(["http://ollama.com|sk-a", "http://not-ollama.com|sk-b"],
                        HEALTH_CHECK_INTERVAL=1, HTTP_PROXY=proxy.url)
    upstream.wait_for(lambda: len(upstream.probes()) == 2)
    asked = {r.key: (r.header("Host"), r.target, r.body) for r in upstream.probes()}
    assert asked == {"sk-a": ("ollama.com", "/v1/chat/completions", b""),
                     "sk-b": ("not-ollama.com", "/api/chat", b"")}
    server.wait_log("event=key_moved .*to=dead ")
    assert raw.get(server, "/health").json()["keys"]["unhealthy"] == 1


def test_hosts_without_keys_are_asked_for_their_version(start_pool, new_upstream):
    """GET /api/version, without Authorization."""
    upstream = new_upstream()
    start_pool([upstream.url], HEALTH_CHECK_INTERVAL=1)
    upstream.wait_for(lambda: any(r.target == "/api/version" for r in upstream.requests))
    assert not upstream.probes()
    assert all(r.header("Authorization") is None for r in upstream.requests)


@pytest.mark.parametrize("why, answer, healthy", [
    ("known: 400", EMPTY, 2), ("known: 422", whole(422, b"", None), 2),
    ("refused: 401", answers.error(401, "unauthorized"), 1),
    ("nothing: 403", answers.error(403, "nope"), 2),
    ("nothing: 429", answers.error(429, "too many"), 2),
    ("nothing: 200", whole(200, {}), 2),
    ("nothing: 500", answers.error(500, "x"), 2),
])
def test_what_a_probe_says(start_pool, new_upstream, why, answer, healthy):
    """401 is the end of a key; nothing else is."""
    upstream = new_upstream()

    def by_key(conn, request):
        if not request.body and request.key == "sk-a" and request.target == "/api/chat":
            return answer(conn, request)
        return answers.by_model(conn, request)
    upstream.fallback = by_key
    server = start_pool(keyed(upstream, "a", "b"), HEALTH_CHECK_INTERVAL=1)
    upstream.wait_for(lambda: probes_of(upstream, "sk-a") and probes_of(upstream, "sk-b"))
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline and \
            raw.get(server, "/health").json()["keys"]["healthy"] != healthy:
        time.sleep(0.05)
    assert raw.get(server, "/health").json()["keys"]["healthy"] == healthy
    if healthy == 1:
        server.wait_log("key_moved.*to=dead")
        assert raw.chat(server).status == 200


def test_no_interval_no_probes(start_pool, new_upstream):
    """HEALTH_CHECK_INTERVAL=0 turns rounds off."""
    upstream = new_upstream()
    start_pool(keyed(upstream, "a", "b"), HEALTH_CHECK_INTERVAL=0)
    time.sleep(2.5)
    assert not upstream.probes()


def test_limited_keys_are_not_probed(start_pool, new_upstream):
    """They end by their time alone."""
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "a", "b"), HEALTH_CHECK_INTERVAL=1)
    upstream.wait_for(lambda: len(upstream.probes()) == 2)
    upstream.by_key("sk-a", answers.error(429, "x", [("Retry-After", "4")]))
    upstream.by_key("sk-b", answers.error(429, "x", [("Retry-After", "4")]))
    assert raw.chat(server).status == 429
    began = time.monotonic()
    n = len(upstream.probes())
    while raw.get(server, "/health").json()["keys"]["healthy"] == 0:
        assert time.monotonic() - began < 10
        time.sleep(0.05)
    assert time.monotonic() - began > 3
    assert len(upstream.probes()) == n


def test_a_cooling_key_is_probed_and_comes_back(start_pool, new_upstream):
    """After failures: when half of the time is over. A good probe makes it ready."""
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "bad", "good"), HEALTH_CHECK_INTERVAL=1)
    upstream.wait_for(lambda: len(upstream.probes()) == 2)
    upstream.by_key("sk-bad", steps(RESET))
    deadline = time.monotonic() + 10
    while raw.get(server, "/health").json()["keys"]["healthy"] == 2:
        assert time.monotonic() < deadline
        assert raw.chat(server).status == 200
    began = time.monotonic()
    before = len(probes_of(upstream, "sk-bad"))
    while raw.get(server, "/health").json()["keys"]["healthy"] == 1:
        assert time.monotonic() - began < 8
        time.sleep(0.05)
    assert len(probes_of(upstream, "sk-bad")) == before + 1
    assert 2 < time.monotonic() - began < 5
    server.wait_log("key_moved.*to=ready")


@pytest.mark.slow
def test_a_host_that_was_down_is_brought_back_by_a_probe(start_pool, new_upstream):
    """No request has to find that out."""
    good = new_upstream()
    port = conftest.free_port()
    server = start_pool([f"http://127.0.0.1:{port}|sk-late", *keyed(good, "good")],
                        HEALTH_CHECK_INTERVAL=1)
    server.wait_log("host_moved.*to=cooling")
    assert raw.get(server, "/health").json()["keys"]["unhealthy"] == 1
    late = conftest.Upstream(fallback=answers.by_model, port=port)
    try:
        server.wait_log("host_moved.*to=ready", timeout=25)
        assert raw.get(server, "/health").json()["keys"]["unhealthy"] == 0
        assert not late.chats()
    finally:
        late.stop()


def test_a_probe_that_hangs_holds_nothing_up(start_pool, new_upstream):
    """Requests and the end of the program do not wait for it."""
    upstream = new_upstream()

    def by_key(conn, request):
        if request.target == "/api/chat" and not request.body:
            return steps(HANG)(conn, request)
        return answers.by_model(conn, request)
    upstream.fallback = by_key
    server = start_pool(keyed(upstream, "a"), HEALTH_CHECK_INTERVAL=1)
    upstream.wait_for(upstream.probes)
    assert raw.chat(server).status == 200
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 3


def test_health_never_waits(start_pool, new_upstream):
    """/health answers at once while every upstream hangs."""
    upstream = new_upstream(fallback=steps(HANG))
    server = start_pool(keyed(upstream, "a"), HEALTH_CHECK_INTERVAL=1)
    upstream.wait_for(lambda: upstream.requests)
    began = time.monotonic()
    assert raw.get(server, "/health").json()["status"] == "ok"
    assert time.monotonic() - began < 5
