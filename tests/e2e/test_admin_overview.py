"""How things are, what traffic there was and what moves by itself, as the admin page shows it; each
answer is held against its OpenAPI description on the way (see admin.call)."""

import json
import resource
import sqlite3
import time

import pytest

import answers
import openapi
import raw
from admin import PASSWORD, Script, bearer, call, login

HOSTILE = "<img src=x onerror=alert(1)>\"'\u2028\u202e"
LIVE_MAX = 32
EVENTS = openapi.operation("GET", "/admin/api/live")["responses"]["200"]["content"][
    "text/event-stream"]["x-events"]


@pytest.fixture
def admin(start_server, new_upstream):
    """A script with the password, on a program of its own; admin.upstream is its upstream."""
    upstream = new_upstream()
    script = Script(start_server(upstream, ADMIN_PASSWORD=PASSWORD, HEALTH_CHECK_INTERVAL=0,
                                 WORKERS=2))
    script.upstream = upstream
    return script


def add(admin, keys, upstream=None):
    url = (upstream or admin.upstream).url
    done = admin.ok("POST", "/keys/batch", {"keys": "\n".join(keys), "baseUrl": url})
    return [key["id"] for key in done["added"]]


def overview(admin):
    return admin.ok("GET", "/overview")


def problems(admin):
    return {problem["kind"]: problem for problem in overview(admin)["problems"]}


def series(admin, name="1h"):
    return admin.ok("GET", f"/series?range={name}")


def wait_for(look, timeout=10):
    deadline = time.monotonic() + timeout
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline
        time.sleep(0.05)


# ---- overview ----


def test_overview_without_keys(admin):
    o = overview(admin)
    assert o["states"] == {"ready": 0, "cooling": 0, "dead": 0, "disabled": 0}
    assert o["upstream"] == {"kind": "setting", "url": admin.upstream.url, "up": True}
    assert o["problems"] == [] and o["startedAt"] <= o["wellSince"] <= o["now"]
    assert o["security"] == {"encrypted": False, "defaultPassword": False,
                             "callersNeedToken": False, "loopback": True}
    assert o["lastImport"] is None


def test_overview_says_what_the_settings_mean(start_server, new_upstream):
    server = start_server(new_upstream(), ADMIN_PASSWORD=PASSWORD, API_TOKEN="t",
                          TRUST_PROXY="true", HOST="0.0.0.0")
    o = call(server, "GET", "/admin/api/overview",
             headers={**bearer(PASSWORD), "X-Forwarded-Proto": "https"}).json()
    assert o["security"] == {"encrypted": True, "defaultPassword": False,
                             "callersNeedToken": True, "loopback": False}


def test_no_upstream(start_server):
    server = start_server(None, ADMIN_PASSWORD=PASSWORD, OLLAMA_BASE_URL="http://127.0.0.1:1")
    admin = Script(server)
    assert raw.chat(server).status >= 500
    o = wait_for(lambda: overview(admin)["problems"] and overview(admin))
    assert [p["kind"] for p in o["problems"]] == ["no_upstream"]
    assert o["upstream"]["up"] is False and o["wellSince"] is None


def test_hosts_those_that_cool_first_then_by_keys(admin, new_upstream):
    one, two = new_upstream(), new_upstream()
    add(admin, ["a", "b", "c"], two)
    dead = "http://127.0.0.1:1"
    admin.ok("POST", "/keys/batch", {"keys": "x", "baseUrl": dead})
    add(admin, ["d", "e", "f", "g"], one)
    found = overview(admin)
    assert [h["host"] for h in found["hosts"]] == [one.url, two.url, dead]
    assert found["hosts"][0]["states"]["ready"] == 4 and found["hosts"][0]["keyed"]
    assert found["hostsTotal"] == 3 and found["upstream"]["kind"] == "keys"
    for _ in range(2):  # nobody answers there: two in a row cool a host
        admin("POST", "/keys/reset-health")
    wait_for(lambda: raw.chat(admin.server) and overview(admin)["hosts"][0]["cooling"])
    found = overview(admin)
    host = found["hosts"][0]
    assert host["host"] == dead and host["cause"] == "connect" and host["reason"]
    assert host["since"] <= found["now"] < host["until"]
    assert host["states"] == {"ready": 0, "cooling": 1, "dead": 0, "disabled": 0}
    problem = found["problems"][0]
    assert (problem["kind"], problem["host"], problem["count"]) == ("host", dead, 1)
    assert problem["text"] == host["reason"]


def test_problems_worst_first_with_their_numbers(admin):
    add(admin, ["dead-1", "dead-2", "limited", "fine"])
    for key in ("dead-1", "dead-2"):
        admin.upstream.by_key(key, answers.error(401, "unauthorized"))
    admin.upstream.by_key("limited", answers.error(429, "slow down", [("Retry-After", "600")]))
    well = overview(admin)["wellSince"]
    assert well
    for _ in range(4):
        assert raw.chat(admin.server).status == 200
    found = overview(admin)
    assert [(p["kind"], p["count"]) for p in found["problems"]] == [("dead", 2), ("limit", 1)]
    limit = found["problems"][1]
    assert limit["source"] == "stated" and limit["until"] > found["now"]
    assert limit["host"] == admin.upstream.url and limit["until"] in limit["text"]
    assert found["states"] == {"ready": 1, "cooling": 1, "dead": 2, "disabled": 0}
    assert found["wellSince"] is None
    admin.ok("POST", "/keys/reset-health")
    again = wait_for(lambda: overview(admin)["wellSince"])
    assert again > well


def test_limits_are_named_and_told_apart(admin):
    add(admin, ["one", "two", "three", "four", "fine"])
    for i, (key, window) in enumerate([("one", "weekly"), ("two", "weekly"), ("three", "hourly")]):
        admin.upstream.by_key(key, answers.error(
            429, f"you (ann{i}) have reached your {window} usage limit, upgrade for more"))
    admin.upstream.by_key("four", answers.error(429, "slow down", [("Retry-After", "600")]))
    for _ in range(5):
        assert raw.chat(admin.server).status == 200
    found = {p["limit"]: p for p in overview(admin)["problems"]}
    assert {name: p["count"] for name, p in found.items()} == {"weekly": 2, "hourly": 1, None: 1}
    assert all(p["kind"] == "limit" for p in found.values())
    assert "are over the weekly limit until" in found["weekly"]["text"]
    assert "is over a limit until" in found[None]["text"]


def test_none_ready_and_all_disabled(admin):
    ids = add(admin, ["one", "two"])
    admin.upstream.by_key("one", answers.error(429, "wait", [("Retry-After", "900")]))
    admin.upstream.by_key("two", answers.error(429, "wait", [("Retry-After", "300")]))
    assert raw.chat(admin.server).status == 429
    found = problems(admin)
    assert list(found) == ["none_ready", "limit"]
    assert found["none_ready"]["count"] == 2
    assert found["none_ready"]["until"] < found["limit"]["until"]
    admin.ok("POST", "/keys/bulk", {"ids": ids, "action": "disable"})
    found = problems(admin)
    assert list(found) == ["all_disabled"] and found["all_disabled"]["count"] == 2


@pytest.mark.parametrize("requests, failed, shown", [(19, 19, None), (20, 1, None), (20, 2, 10)])
def test_errors_are_a_problem_from_a_tenth_of_twenty(admin, requests, failed, shown):
    admin.upstream.script(*[answers.error(500, "no")] * failed)
    for _ in range(requests):
        raw.chat(admin.server)
    found = [p["count"] for p in overview(admin)["problems"] if p["kind"] == "errors"]
    assert found == ([shown] if shown else [])


def test_problems_are_bounded(admin):
    """25 hosts with a dead key each: the twenty worst are told."""
    lines = [f"http://127.0.0.1:{port}|key-{port}" for port in range(2, 27)]
    admin.ok("POST", "/keys/batch", {"keys": "\n".join(lines)})
    admin.ok("POST", "/keys/check")
    for _ in range(8):
        raw.chat(admin.server)
    found = overview(admin)
    assert found["hostsTotal"] == 25 and len(found["hosts"]) == 25
    assert len(found["problems"]) <= 20


# ---- series ----


def test_series_counts_this_minute(admin):
    admin.upstream.script(answers.chat_json(), answers.error(500, "no"))
    assert raw.chat(admin.server, model="m1").status == 200
    assert raw.chat(admin.server, model=HOSTILE).status >= 500
    assert raw.get(admin.server, "/v1/models").status == 200
    assert raw.chat(admin.server, messages="wrong").status == 400
    found = wait_for(lambda: sum(series(admin)["requests"]) == 4 and series(admin))
    assert sum(found["errors"]) == 1
    assert (sum(found["tokensIn"]), sum(found["tokensOut"])) == (12, 6)
    at = next(i for i, p50 in enumerate(found["p50"]) if p50 is not None)
    assert at >= 58 and 0 <= found["p50"][at] <= found["p95"][at]
    models = {m["model"]: m for m in found["top"]["models"]}
    assert models["m1"] == {"model": "m1", "requests": 1, "errors": 0, "tokens": 18}
    assert models[HOSTILE]["errors"] == 1
    (error,) = found["top"]["errors"]
    assert error["status"] >= 500 and error["count"] == 1 and error["end"]
    (host,) = found["top"]["hosts"]
    assert host == {"host": admin.upstream.url, "requests": 2, "errors": 1}


def test_a_stream_that_ends_with_an_error_is_one(admin):
    admin.upstream.script(answers.chat_stream([answers.line("a"), b'{"error":"broken"}\n']))
    raw.chat(admin.server, stream=True)
    found = wait_for(lambda: sum(series(admin)["errors"]) and series(admin))
    assert found["top"]["errors"][0]["status"] == 200


@pytest.mark.parametrize("name, steps, seconds", [("1h", 60, 60), ("24h", 144, 600),
                                                 ("30d", 720, 3600)])
def test_series_of_each_range(admin, name, steps, seconds):
    raw.chat(admin.server)
    found = wait_for(lambda: sum(series(admin, name)["requests"]) and series(admin, name))
    assert found["range"] == name and found["stepSeconds"] == seconds
    lists = [found[k] for k in ("requests", "errors", "p50", "p95", "tokensIn", "tokensOut")]
    assert {len(values) for values in lists} == {steps}
    assert found["start"] % seconds == 0
    assert 0 <= time.time() - found["start"] - (steps - 1) * seconds < seconds + 60
    assert found["requests"][-1] + found["requests"][-2] == 1


def test_series_refuses_other_ranges(admin):
    for query in ("", "?range=", "?range=2h", "?range=1h&x=1"):
        assert admin("GET", "/series" + query).status == 400


def test_series_survive_a_restart(start_server, new_upstream, tmp_path):
    upstream = new_upstream()
    settings = {"ADMIN_PASSWORD": PASSWORD, "DATA_DIR": tmp_path / "data"}
    server = start_server(upstream, **settings)
    assert raw.chat(server, model=HOSTILE).status == 200
    server.stop()
    admin = Script(start_server(upstream, **settings))
    for name in ("1h", "24h", "30d"):
        found = series(admin, name)
        assert sum(found["requests"]) == 1 and sum(found["tokensOut"]) == 6, name
        assert found["top"]["models"][0]["model"] == HOSTILE
        assert found["top"]["hosts"][0]["host"] == upstream.url
    admin.server.stop()
    db = sqlite3.connect(tmp_path / "data/ollama2openai.db")
    assert db.execute("SELECT grain, requests FROM series ORDER BY grain").fetchall() == [
        (0, 1), (1, 1), (2, 1)]


def test_a_full_disk_is_a_problem_and_loses_no_count(start_server, new_upstream, tmp_path):
    upstream = new_upstream()
    settings = {"ADMIN_PASSWORD": PASSWORD, "DATA_DIR": tmp_path / "data"}
    admin = Script(start_server(upstream, **settings))
    add(Script(admin.server), ["a-key"], upstream)
    pid = admin.server.pid
    hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, hard))
    assert raw.chat(admin.server).status == 200  # what it changed of the key cannot be written
    found = wait_for(lambda: problems(admin))
    assert list(found) == ["store"] and found["store"]["text"]
    assert sum(series(admin)["requests"]) == 1
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    wait_for(lambda: not problems(admin))
    admin.server.stop()
    assert sum(series(Script(start_server(upstream, **settings)))["requests"]) == 1


def test_names_without_end_are_bounded(admin):
    """Most frequent ones first; what has no row of its own is in one named other."""
    for i in range(120):
        raw.chat(admin.server, model=f"model-{i}")
    for _ in range(3):
        raw.chat(admin.server, model="often")
    found = wait_for(lambda: sum(series(admin)["requests"]) == 123 and series(admin))
    models = found["top"]["models"]
    assert len(models) == 10 and models[-1]["model"] == "other"
    assert sum(m["requests"] for m in models) == 123


# ---- live ----


class Events:
    """A connection that listens."""

    def __init__(self, admin, query="", headers=None):
        self.client = raw.Client(admin.server.port)
        self.client.send(raw.build("GET", "/admin/api/live" + query,
                                   headers=headers or admin.headers))
        self.response = self.client.read_head()
        self.waiting = []

    def next(self):
        """(event, data, when it came); None at the end."""
        if not self.waiting:
            data = self.client.read_chunk(self.response)
            if not data:
                return None
            assert data.endswith(b"\n\n")
            self.waiting = data.decode()[:-2].split("\n\n")
        lines = self.waiting.pop(0).split("\n")
        assert lines[0].startswith("event: ") and lines[1].startswith("data: "), lines
        assert len(lines) == 2
        value = json.loads(lines[1][6:])
        kind = lines[0][7:]
        openapi.check_schema(EVENTS[kind], value, kind)
        return kind, value, time.monotonic()

    def close(self):
        self.client.close()


def test_live_tells_what_changes(admin):
    events = Events(admin)
    assert events.response.status == 200
    assert events.response.header("Content-Type") == "text/event-stream; charset=utf-8"
    assert events.response.header("Cache-Control") == "no-store"
    assert events.response.header("X-Accel-Buffering") == "no"
    _, first, _ = events.next()
    assert first["requests"] == 0 and first["connections"] >= 1 and first["streams"] == 0
    raw.chat(admin.server)
    admin.upstream.script(answers.error(500, "no"))
    raw.chat(admin.server)
    tick = first
    while tick["errors"] < 1:
        _, tick, _ = events.next()
    assert tick["requests"] == 2 and tick["perSecond"] > 0
    add(admin, ["a", "b"])
    while tick["states"]["ready"] < 2:
        _, tick, _ = events.next()
    assert tick["version"] > first["version"]
    events.close()


def test_live_tells_the_log_to_who_asks(admin):
    """Requests that ended since, newest first, at most 50 in an event; others are counted."""
    raw.chat(admin.server, model="before")
    with_log, without = Events(admin, "?log=1"), Events(admin)
    assert with_log.next()[0] == "tick"
    for i in range(70):
        raw.chat(admin.server, model=f"{i}{HOSTILE}")
    seen, skipped = [], 0
    while len(seen) + skipped < 70:
        kind, value, _ = with_log.next()
        if kind == "log":
            seen = value["entries"] + seen
            skipped += value["skipped"]
    assert [entry["id"] for entry in seen] == sorted((e["id"] for e in seen), reverse=True)
    assert seen[0]["model"].startswith(f"69{HOSTILE}") and len(seen) + skipped == 70
    assert all(without.next()[0] == "tick" for _ in range(2))
    for events in (with_log, without):
        events.close()


def test_live_has_a_pace(admin):
    """At most four a second while something happens all the time, at least one in 5 s."""
    events = Events(admin)
    times = []
    while len(times) < 5:
        raw.chat(admin.server)
        times.append(events.next()[2])
    assert times[-1] - times[0] > 0.9
    end = time.monotonic() + 12
    while time.monotonic() < end:
        times.append(events.next()[2])
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert max(gaps) < 5.6
    events.close()


def test_live_ends_with_its_session(admin):
    token = login(admin.server).json()["token"]
    events = Events(admin, headers=bearer(token))
    assert events.next()
    assert call(admin.server, "POST", "/admin/logout", headers=bearer(token)).status == 200
    while events.next() is not None:
        pass
    assert admin("GET", "/live?log=2").status == 400
    assert call(admin.server, "GET", "/admin/api/live", headers=bearer(token)).status == 401


def test_live_has_so_many_listeners(admin):
    listeners = [Events(admin) for _ in range(LIVE_MAX)]
    assert all(events.next() for events in listeners)
    refused = admin("GET", "/live")
    assert refused.status == 503 and refused.header("Retry-After")
    listeners.pop().close()
    wait_for(lambda: Events(admin).response.status == 200)
    for events in listeners:
        events.close()


def test_live_ends_when_the_program_does(admin):
    events = Events(admin, "?log=1")
    assert events.next()
    started = time.monotonic()
    admin.server.stop()
    while events.next() is not None:
        pass
    assert time.monotonic() - started < 3


def test_live_answers_head(admin):
    response = admin("HEAD", "/live")
    assert response.status == 200 and response.body == b""


def test_nothing_without_a_session(admin):
    for path in ("/overview", "/series?range=1h", "/live"):
        assert call(admin.server, "GET", "/admin/api" + path).status == 401
