"""Which key a request gets, and what keys and hosts have been through shows in the next choice."""

import collections
import datetime
import json
import os
import signal
import threading
import time

import pytest

import admin
import answers
import conftest
import raw
from admin import PASSWORD, Script
from answers import RESET, chat_stream, steps, whole
from stream_rules import check_stream
from test_retry import keyed, outcome, seen_keys

LONG = bool(os.environ.get("O2O_LONG"))


def tags(*names):
    return whole(200, {"models": [{"name": name, "model": name} for name in names]})


def test_keys_take_turns(start_pool, new_upstream):
    """Even to within two requests, over all hosts and workers: each key has one share."""
    one, two = new_upstream(), new_upstream()
    server = start_pool(keyed(one, "a", "b", "c") + keyed(two, "d"), HEALTH_CHECK_INTERVAL=0,
                        WORKERS=2)
    one.wait_for(lambda: any(r.target == "/api/tags" for r in one.requests))
    two.wait_for(lambda: any(r.target == "/api/tags" for r in two.requests))
    time.sleep(0.1)  # the answers are on their way
    threads = [threading.Thread(target=lambda: [raw.chat(server) for _ in range(20)])
               for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = collections.Counter(seen_keys(one) + seen_keys(two))
    assert sum(counts.values()) == 80
    assert len(counts) == 4 and max(counts.values()) - min(counts.values()) <= 2, counts


def test_hosts_that_have_the_model_are_taken(start_pool, new_upstream):
    """By the lists; a model that is in none is asked of every host. The list shows all models."""
    one, two = new_upstream(), new_upstream()
    one.route("/api/tags", tags("a", "both"))
    two.route("/api/tags", tags("b:latest", "BOTH"))
    server = start_pool(keyed(one, "a") + [two.url], HEALTH_CHECK_INTERVAL=0)

    def all_are_listed():
        listed = raw.get(server, "/v1/models").json()["data"]
        return sorted(model["id"].lower() for model in listed) == ["a", "b:latest", "both"]
    one.wait_for(all_are_listed, what="both lists, as one")
    for model, places in [("a", [one]), ("A:latest", [one]), ("b", [two]), ("both", [one, two]),
                          ("neither", [one, two])]:
        before = {place: len(place.chats()) for place in (one, two)}
        for _ in range(4):
            assert raw.chat(server, model=model).status == 200
        asked = [place for place in (one, two) if len(place.chats()) > before[place]]
        assert asked == places, model


def test_the_list_is_one_list_of_all_hosts(start_pool, new_upstream):
    """Nothing twice, under whatever name; what two hosts have is told as one of them has it."""
    one, two = new_upstream(), new_upstream()
    days = {one: "2026-01-02T00:00:00Z", two: "2026-01-03T00:00:00Z"}
    for place, names in ((one, ["m", "u/only-one:1b"]), (two, ["M:latest", "only-two:1b"])):
        place.route("/api/tags", whole(200, {"models": [
            {"name": name, "model": name, "modified_at": days[place]} for name in names]}))
    server = start_pool(keyed(one, "a", "b") + keyed(two, "c"), HEALTH_CHECK_INTERVAL=0)
    found = []

    def all_are_listed():
        found[:] = raw.get(server, "/v1/models").json()["data"]
        return len(found) >= 3
    one.wait_for(all_are_listed, what="both lists")
    models = {model["id"]: model for model in found}
    assert len(found) == len(models) == 3
    assert set(models) - {"m", "M:latest"} == {"u/only-one:1b", "only-two:1b"}
    assert models["u/only-one:1b"] == {"id": "u/only-one:1b", "object": "model",
                                       "created": 1767312000, "owned_by": "u"}
    assert models["only-two:1b"]["created"] == 1767398400
    [shared] = set(models) & {"m", "M:latest"}
    assert models[shared]["created"] == {"m": 1767312000, "M:latest": 1767398400}[shared]
    for name in ("m", "M", "m:latest"):
        got = raw.get(server, f"/v1/models/{name}").json()
        assert got == {**models[shared], "id": name}


def test_a_model_that_is_in_no_list_is_asked_of_every_host(start_pool, new_upstream):
    """One that some host can show is there, wherever the question begins; 404 only if none can."""
    places = [new_upstream() for _ in range(3)]
    shown = whole(200, {"details": {}, "capabilities": ["completion"]})

    def show(conn, request):
        name = json.loads(request.body)["model"]
        here = conn.upstream is places[2] and name.startswith("cloud")
        (shown if here else answers.error(404, f"model '{name}' not found"))(conn, request)
    for place in places:
        place.route("/api/tags", tags("m"))
        place.route("/api/show", show)
    server = start_pool([line for place in places for line in keyed(place, "a", "b")],
                        HEALTH_CHECK_INTERVAL=0, WORKERS=1)
    for n in range(6):
        response = raw.get(server, f"/v1/models/cloud-{n}")
        assert response.status == 200 and response.json()["id"] == f"cloud-{n}"
    assert outcome(raw.get(server, "/v1/models/nowhere")) == (404, "model_not_found")
    asked = collections.Counter(
        r.conn.upstream.port for place in places for r in place.requests
        if r.target == "/api/show" and json.loads(r.body)["model"] == "nowhere")
    assert asked == {place.port: 1 for place in places}


@pytest.mark.parametrize("fault, expected", [
    (answers.error(500, "boom"), (500, None)),
    (whole(200, b"<html>", "text/html"), (502, "bad_upstream_response")),
    (steps(RESET), (502, "bad_upstream_response")),
    (answers.error(404, "model not found"), (404, "model_not_found")),
], ids=["500", "html", "reset", "404"])
def test_a_host_that_cannot_say_is_no_host_that_says_no(start_pool, new_upstream, fault, expected):
    """Whichever is asked first, a model is missing only if each host said that it is."""
    one, two = new_upstream(), new_upstream()
    one.route("/api/show", answers.error(404, "model not found"))
    two.route("/api/show", fault)
    server = start_pool(keyed(one, "a") + keyed(two, "b"), HEALTH_CHECK_INTERVAL=0, WORKERS=1)
    for n in range(4):
        assert outcome(raw.get(server, f"/v1/models/nope-{n}")) == expected
        for place in (one, two):
            assert len([r for r in place.requests if r.target == "/api/show"]) >= n + 1


def test_what_a_model_can_do_is_asked_of_every_host(start_pool, new_upstream):
    """The first answer counts, and `think` is left out by it."""
    one, two = new_upstream(), new_upstream()
    one.route("/api/show", answers.error(404, "model not found"))
    two.route("/api/show", whole(200, {"details": {}, "capabilities": ["completion"]}))
    server = start_pool(keyed(one, "a") + keyed(two, "b"), HEALTH_CHECK_INTERVAL=0, WORKERS=1)
    for n in range(4):
        assert raw.chat(server, model=f"cloud-{n}", think=True).status == 200
    for request in one.chats() + two.chats():
        assert "think" not in json.loads(request.body)


def test_lists_are_asked_with_a_key(start_pool, new_upstream):
    """Of keyed hosts with one of their keys, of others without."""
    one, two = new_upstream(), new_upstream()
    server = start_pool([*keyed(one, "a"), two.url], HEALTH_CHECK_INTERVAL=0)
    assert raw.get(server, "/v1/models").status == 200
    for place, key in ((one, "sk-a"), (two, "")):
        asked = [r for r in place.requests if r.target == "/api/tags"]
        assert asked and {r.key for r in asked} == {key}


def test_a_404_makes_the_list_new(start_pool, new_upstream):
    """The host that lacks a model which it lists is asked again; others get its requests."""
    one, two = new_upstream(), new_upstream()
    for place in (one, two):
        place.route("/api/tags", tags("m"))
    server = start_pool(keyed(one, "a") + keyed(two, "b"), HEALTH_CHECK_INTERVAL=0)
    assert raw.get(server, "/v1/models").status == 200
    for place in (one, two):  # a list that comes later would not have the model
        place.wait_for(lambda: any(r.target == "/api/tags" for r in place.requests))
    one.by_key("sk-a", answers.error(404, "model 'm' not found"))
    one.route("/api/tags", tags("other"))
    n = len([r for r in one.requests if r.target == "/api/tags"])
    deadline = time.monotonic() + 5
    while not one.chats():
        assert time.monotonic() < deadline
        assert raw.chat(server, model="m").status == 200
    one.wait_for(lambda: len([r for r in one.requests if r.target == "/api/tags"]) > n)

    def is_new():
        data = raw.get(server, "/v1/models").json()["data"]
        return sorted(model["id"] for model in data) == ["m", "other"]
    one.wait_for(is_new, what="the new list")
    n = len(one.chats())
    for _ in range(4):
        assert raw.chat(server, model="m").status == 200
    assert len(one.chats()) == n


def test_a_host_that_hangs_holds_no_list_up(start_pool, new_upstream):
    """What the others have is told at once."""
    slow, good = new_upstream(), new_upstream()
    slow.route("/api/tags", steps(answers.HANG))
    good.route("/api/tags", tags("m"))
    server = start_pool([slow.url, good.url], HEALTH_CHECK_INTERVAL=0)
    began = time.monotonic()
    assert [m["id"] for m in raw.get(server, "/v1/models").json()["data"]] == ["m"]
    assert time.monotonic() - began < 1.5, "not the wait for a first list"
    began = time.monotonic()
    assert raw.get(server, "/v1/models/m").status == 200
    assert time.monotonic() - began < 1.5


def test_a_key_that_a_model_refuses_serves_others(start_pool, new_upstream):
    """402 is about (key, model): the key is not tried with that model again, and is with others."""
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "a", "b"), HEALTH_CHECK_INTERVAL=0)

    def by_model(conn, request):
        if b'"dear"' in request.body:
            return answers.error(402, "this model uses extra usage only")(conn, request)
        return answers.chat_json()(conn, request)
    upstream.by_key("sk-a", by_model)
    for _ in range(4):
        assert raw.chat(server, model="dear").status == 200
    assert seen_keys(upstream).count("sk-a") == 1
    for _ in range(4):
        assert raw.chat(server, model="cheap").status == 200
    assert seen_keys(upstream).count("sk-a") == 3


def test_three_failures_in_a_row_cool_a_key(start_pool, new_upstream):
    """Two do not; a success between begins anew."""
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "bad", "good"), HEALTH_CHECK_INTERVAL=0)
    broken, fine = answers.error(500, "it broke"), answers.chat_json()
    upstream.by_key("sk-bad", broken, broken, fine, broken, broken, broken, fine)
    while seen_keys(upstream).count("sk-bad") < 5:
        assert raw.chat(server).status == 200
    assert raw.get(server, "/health").json()["keys"]["healthy"] == 2
    while seen_keys(upstream).count("sk-bad") < 6:
        assert raw.chat(server).status == 200
    assert raw.get(server, "/health").json()["keys"]["healthy"] == 1
    server.wait_log("key_moved.*to=cooling")
    time.sleep(1.2)  # trouble cools for 1 s at first
    while seen_keys(upstream).count("sk-bad") < 7:
        assert raw.chat(server).status == 200
    assert raw.get(server, "/health").json()["keys"]["healthy"] == 2


def test_the_only_key_is_not_cooled_by_failures(start_pool, new_upstream):
    """They go to the caller, each with one attempt."""
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "a"), HEALTH_CHECK_INTERVAL=0)
    upstream.by_key("sk-a", answers.error(500, "it broke"))
    for n in range(1, 6):
        assert outcome(raw.chat(server)) == (500, None)
        assert len(upstream.chats()) == n
    assert raw.get(server, "/health").json()["status"] == "ok"


FAULTS_OF_REQUESTS = [
    # what a sound Ollama says of a request that is at fault, and the field that is
    (answers.replay("chat-images-unsupported"), "messages"),
    (answers.replay("chat-options-bad"), "temperature"),
    (answers.replay("chat-format-schema-bad"), "response_format"),
    (answers.replay("chat-prompt-too-long"), "messages"),
    (answers.replay("chat-embedding-model"), "model"),
    (answers.error(501, "this model does not support embeddings"), "model"),
    (answers.error(500, "image input is not supported - hint: you may need the mmproj"), "messages"),
    (answers.error(500, '{"error":{"code":500,"message":"JSON schema conversion failed:\\nx"}}'),
     "response_format"),
    (chat_stream([b'{"error":"option \\"top_k\\" must be of type integer"}\n']), "top_k"),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_faults_of_requests_are_never_those_of_a_key(start_pool, new_upstream, stream):
    """Whatever their status: a 400 that names the field, one attempt, and no failure of a key."""
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "a", "b"), HEALTH_CHECK_INTERVAL=0,
                        ADMIN_PASSWORD=PASSWORD)
    for fault, param in FAULTS_OF_REQUESTS:
        for name in "ab":
            upstream.by_key(f"sk-{name}", fault)
        for _ in range(8):  # four for each key: one more than the failures that cool it
            before = len(upstream.chats())
            response = raw.chat(server, stream=stream, response_format={"type": "json_object"})
            assert (response.status, response.error["param"]) == (400, param)
            assert response.error["type"] == "invalid_request_error"
            assert len(upstream.chats()) == before + 1, "no other key is asked"
    keys = Script(server).ok("GET", "/keys")["keys"]
    assert [(key["status"], key["totalRequests"], key["failedRequests"]) for key in keys] == \
        [("ready", 4 * len(FAULTS_OF_REQUESTS), 0)] * 2


def test_while_nothing_is_ready_one_request_tries(start_pool, new_upstream):
    """The key that is due first; others hear at once that it is busy, with Retry-After: 1."""
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "a", "b"), HEALTH_CHECK_INTERVAL=0, MAX_RETRIES=0)
    for name in "ab":
        upstream.by_key(f"sk-{name}", steps(RESET))
    while raw.get(server, "/health").json()["status"] == "ok":
        raw.chat(server)
    upstream.reset()
    for name in "ab":
        upstream.by_key(f"sk-{name}", steps(3.0, answers.Step(
            "answer", lambda conn: answers.chat_json()(conn, None))))
    with raw.Client(server.port) as first:
        first.send(raw.chat_request())
        upstream.wait_for_chat()
        began = time.monotonic()
        response = raw.chat(server)
        assert outcome(response) == (503, "overloaded")
        assert response.header("Retry-After") == "1"
        assert time.monotonic() - began < 2.5
        assert len(upstream.chats()) == 1
        assert first.read_response().status == 200
    assert raw.get(server, "/health").json()["keys"]["healthy"] == 1


def test_two_failed_connects_cool_a_host(start_pool, new_upstream):
    """Its keys show as cooling; a request finds out that it is back."""
    good = new_upstream()
    down = conftest.free_port()
    server = start_pool([f"http://127.0.0.1:{down}|sk-down", *keyed(good, "good")],
                        HEALTH_CHECK_INTERVAL=0)
    deadline = time.monotonic() + 5
    while raw.get(server, "/health").json()["keys"]["unhealthy"] == 0:
        assert time.monotonic() < deadline
        assert raw.chat(server, model="in-no-list").status == 200
    server.wait_log("host_moved.*to=cooling")


def test_the_brake_marks_the_host_and_no_key(start_pool, new_upstream):
    """Ten keys of a host that all fail at once: the host cools, the keys are left alone."""
    bad, good = new_upstream(), new_upstream()
    names = [f"k{i}" for i in range(10)]
    server = start_pool(keyed(bad, *names) + keyed(good, "good"), HEALTH_CHECK_INTERVAL=0,
                        MAX_RETRIES=20)
    for name in names:
        bad.by_key(f"sk-{name}", steps(RESET))
    for _ in range(3):
        assert raw.chat(server).status == 200
    server.wait_log("host_moved.*to=cooling")
    assert not [text for text in server.output.splitlines()
                if "key_moved" in text and "to=cooling" in text]
    assert len(bad.chats()) < 20


def test_health_summary(start_pool, new_upstream):
    """status and keys of /health, as the admin side sums them up."""
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "a", "b"), HEALTH_CHECK_INTERVAL=0)
    assert raw.get(server, "/health").json()["keys"] == {
        "total": 2, "enabled": 2, "healthy": 2, "disabled": 0, "unhealthy": 0,
        "totalRequests": 0, "totalTokens": 0}
    for name in "ab":
        upstream.by_key(f"sk-{name}", answers.error(401, "unauthorized"))
    raw.chat(server)
    health = raw.get(server, "/health").json()
    assert health["status"] == "degraded"
    assert (health["keys"]["healthy"], health["keys"]["unhealthy"]) == (0, 2)


def test_states_survive_a_restart(start_pool, start_server, new_upstream):
    """A limited and a dead key are not tried again by the next program."""
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "dead", "limited"), HEALTH_CHECK_INTERVAL=0)
    upstream.by_key("sk-dead", answers.error(401, "unauthorized"))
    upstream.by_key("sk-limited", answers.error(429, "x", [("Retry-After", "100")]))
    assert outcome(raw.chat(server))[0] == 429
    server.stop()
    upstream.reset()
    server = start_server(None, folder=server.folder, HEALTH_CHECK_INTERVAL=0)
    response = raw.chat(server)
    assert outcome(response) == (429, "rate_limit_exceeded")
    assert 80 <= int(response.header("Retry-After")) <= 100
    assert not upstream.chats()


def in_order(server):
    """All keys as the admin API shows them, oldest first."""
    script = admin.Script(server, admin.login(server).json()["token"])
    keys = []
    while True:
        page = script.ok("GET", f"/keys?offset={len(keys)}&limit=1000")
        keys += page["keys"]
        if len(keys) >= page["total"]:
            return sorted(keys, key=lambda key: int(key["id"]))


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def check_shown(key, kind, tries):
    """A key's state, reason and time in the admin API are what the upstream did to it."""
    shown = (key["status"], key["lastError"], key["totalRequests"], key["failedRequests"])
    if kind == "down":
        assert key["status"] == "cooling" and key["cause"] == "connect", key
        assert "connect" in key["reason"] and key["coolingUntil"], key
    elif tries == 0:
        assert shown == ("ready", None, 0, 0) and key["coolingUntil"] is None, key
        assert key["lastUsed"] is None, key
    elif kind == "dead":
        error = "the upstream refused our credentials: unauthorized"
        assert shown == ("dead", error, 1, 1), key
        assert (key["cause"], key["reason"], key["coolingUntil"]) == (
            "refused", f"refused: {error}", None), key
    elif kind == "limited":
        error = "the upstream's rate limit is reached (status 429)"
        assert shown == ("cooling", error, 1, 1), key
        assert (key["cause"], key["source"], key["reason"]) == (
            "limit", "stated", f"limited (the upstream named the time): {error}"), key
        assert abs(instant(key["coolingUntil"]) - instant(key["lastUsed"]) - 600) < 2, key
    else:
        assert shown == ("ready", None, tries, 0) and key["coolingUntil"] is None, key
    if kind in ("dead", "limited") and tries > 0:
        assert abs(instant(key["since"]) - instant(key["lastUsed"])) < 2, key
    assert tries == 0 or kind == "down" or key["lastUsed"], key


def check_same(before, after):
    """Nothing of what is shown of keys has changed but what a clock moves by."""
    times = {"coolingUntil", "lastUsed", "lastCheck", "since"}
    asked = {"coolingUntil", "reason", "lastCheck", "lastError", "since"}  # a host that is down may have been
    assert len(before) == len(after)
    for was, now in zip(before, after):
        down = was["cause"] == "connect"
        for field in was | now:
            if down and field in asked:
                continue
            if field in times and was[field] and now[field]:
                assert abs(instant(was[field]) - instant(now[field])) < 1, (field, was, now)
            else:
                assert was[field] == now[field], (field, was, now)
        if down:
            assert instant(now["coolingUntil"]) > instant(was["coolingUntil"]) - 1, (was, now)
            assert "connection refused" in now["reason"], (was, now)


@pytest.mark.slow
def test_thousands_of_keys_half_of_them_bad(start_pool, start_server, new_upstream):
    """30 % dead, 30 % limited, 10 % on a host that is down: every stream succeeds, and every key
    shows what became of it, also after kill -9."""
    n, requests, callers = (100_000, 10_000, 16) if LONG else (2_000, 500, 8)
    upstream = new_upstream()
    down = f"http://127.0.0.1:{conftest.free_port()}"
    lines, kinds = [], {}
    for i in range(n):
        kind = ("dead", "dead", "dead", "limited", "limited", "limited", "down", "good", "good",
                "good")[i % 10]
        kinds[f"sk-{kind}-{i}"] = kind
        lines.append(f"{down if kind == 'down' else upstream.url}|sk-{kind}-{i}")
    says = {"dead": answers.error(401, "unauthorized"),
            "limited": answers.error(429, "x", [("Retry-After", "600")]),
            "good": chat_stream(answers.words("Hel", "lo."))}

    def by_kind(conn, request):
        if request.target == "/api/chat" and request.body:
            return says[kinds[request.key]](conn, request)
        return answers.by_model(conn, request)
    upstream.fallback = by_kind
    settings = {"HEALTH_CHECK_INTERVAL": 0, "ADMIN_PASSWORD": admin.PASSWORD}
    server = start_pool(lines, **settings)
    server.expect_exit = -signal.SIGKILL
    failures = []

    def call():
        for _ in range(requests // callers + 1):
            response = raw.chat(server, stream=True, model="in-no-list")
            if response.status != 200 or check_stream(response).text != "Hello.":
                failures.append(response)
    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]
    by_key = collections.Counter(seen_keys(upstream))
    tried = collections.Counter(kinds[key] for key in by_key)
    assert all(by_key[key] == 1 for key in by_key if kinds[key] in ("dead", "limited"))
    assert min(tried[kind] for kind in ("dead", "limited", "good")) > 0
    summary = raw.get(server, "/health").json()["keys"]
    assert summary["total"] == n
    assert summary["unhealthy"] == tried["dead"] + tried["limited"] + n // 10

    admin.Script(server).ok("GET", "/stats")  # has what changed written, as the next second would
    before = in_order(server)
    assert len(before) == n
    for i, secret in enumerate(kinds):
        check_shown(before[i], kinds[secret], by_key[secret])
    server.process.kill()
    server.process.wait()
    server = start_server(None, folder=server.folder, **settings)
    check_same(before, in_order(server))
