"""The log of the last requests: what it tells, by which filters, and what never stands in it."""

import json
import time

import pytest

import answers
import raw
import admin as client
from admin import PASSWORD, call, error
from raw import build, exchange

CANARY = "the-prompt-that-nobody-may-see"
KEY = "sk-canary-0123456789-abcdefghijklmnop"


class Script(client.Script):
    sent = 0  # requests of the OpenAI side


@pytest.fixture
def admin(start_server, new_upstream):
    upstream = new_upstream()
    script = Script(start_server(upstream, ADMIN_PASSWORD=PASSWORD, HEALTH_CHECK_INTERVAL=0))
    script.upstream = upstream
    return script


def chat(admin, model="m", stream=False, text=CANARY, path="/v1/chat/completions"):
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}
    admin.sent += 1
    return exchange(admin.server, build("POST", path, body))


def add(admin, key=KEY, **more):
    return admin.ok("POST", "/keys", {"key": key, "baseUrl": admin.upstream.url, **more})["key"]


def log(admin, query=""):
    """A request is in the log once it is over, which is a little after its answer."""
    deadline = time.monotonic() + 10
    while admin.ok("GET", "/log?limit=1")["kept"] < admin.sent:
        assert time.monotonic() < deadline
    return admin.ok("GET", f"/log{query}")


def test_an_answered_request(admin):
    key = add(admin, name="first")
    assert chat(admin, stream=True).status == 200
    answer = log(admin)
    assert (answer["more"], answer["kept"]) == (False, 1) and answer["capacity"] <= 2000
    entry = answer["entries"][0]
    assert {"route": "chat", "model": "m", "keyId": key["id"], "keyName": "first",
            "keyMask": key["key"], "host": admin.upstream.url, "status": 200, "stream": True,
            "end": "done", "attempts": 1, "caller": "127.0.0.1"}.items() <= entry.items()
    assert entry["firstMs"] is not None and entry["firstMs"] <= entry["ms"]
    assert entry["tokensIn"] > 0 and entry["tokensOut"] > 0
    one = admin.ok("GET", f"/log/{entry['id']}")
    assert one["entry"] == entry
    assert [a["verdict"] for a in one["attempts"]] == ["ok"]
    assert one["attempts"][0]["status"] == 200 and one["attempts"][0]["keyId"] == key["id"]


def test_attempts_are_told_in_order(admin):
    limited, good = add(admin, "sk-limited"), add(admin, "sk-good", name="good one")
    admin.upstream.by_key("sk-limited", *[answers.error(429, "slow down")] * 2)
    for _ in range(2):
        assert chat(admin).status == 200
    entries = log(admin)["entries"]
    tried = next(e for e in entries if e["attempts"] == 2)
    assert tried["keyName"] == "good one" and tried["end"] == "done"
    first, second = admin.ok("GET", f"/log/{tried['id']}")["attempts"]
    assert (first["keyId"], first["status"], first["keyName"]) == (limited["id"], 429, None)
    assert first["verdict"] != "ok" and "limit" in first["text"]
    assert (second["keyId"], second["verdict"], second["text"]) == (good["id"], "ok", None)


def test_at_most_sixteen_attempts_are_listed(admin):
    for i in range(20):
        add(admin, f"sk-dead-{i:03d}")
        admin.upstream.by_key(f"sk-dead-{i:03d}", answers.error(401, "unauthorized"))
    assert chat(admin).status == 502
    entry = log(admin)["entries"][0]
    assert entry["attempts"] == 20 and entry["status"] == 502 and entry["end"] not in ("done", "gone")
    listed = admin.ok("GET", f"/log/{entry['id']}")["attempts"]
    assert len(listed) == 16 and all(a["status"] == 401 for a in listed)


def test_a_caller_that_leaves(admin):
    add(admin)
    admin.upstream.script(answers.endless_stream(lambda i: answers.line("word "), delay=0.02))
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    with raw.Client(admin.server.port) as client:
        client.send(build("POST", "/v1/chat/completions", body))
        assert client.sock.recv(1000).startswith(b"HTTP/1.1 200")
    admin.server.wait_log("caller_gone")
    admin.sent += 1
    entry = log(admin)["entries"][0]
    assert entry["end"] == "gone" and entry["tokensOut"] is None
    assert admin.ok("GET", f"/log/{entry['id']}")["attempts"][0]["verdict"] == "gone"


def test_filters_and_pages(admin):
    key = add(admin, name="Wanted")
    other = add(admin, "sk-other")
    admin.ok("POST", f"/keys/{other['id']}/toggle")
    for model in ("a", "b", "a"):
        assert chat(admin, model).status == 200
        log(admin)
    assert exchange(admin.server, build("POST", "/v1/chat/completions", {"no": 1})).status == 400
    admin.sent += 1
    log(admin)  # it is there before the next one ends, which another worker may answer
    assert exchange(admin.server, build("GET", "/v1/models")).status == 200
    admin.sent += 1
    ids = [e["id"] for e in log(admin)["entries"]]
    assert len(ids) == 5 and ids == sorted(ids, reverse=True)
    models, bad, third, second, first = ids

    def found(query):
        return [e["id"] for e in log(admin, "?" + query)["entries"]]

    assert found("model=a") == [third, first]
    assert found("status=error") == [bad] == found("status=400")
    assert found("status=ok") == [models, third, second, first]
    assert found("route=models") == [models] and found("route=none") == []
    assert found(f"key={key['id']}") == [third, second, first]
    assert found(f"key={other['id']}") == [] == found("key=nothing")
    assert found("host=" + admin.upstream.url) == [third, second, first]
    assert found("host=http://elsewhere") == []
    assert found("q=WANT&model=b") == [second] and found("q=done")[0] == models
    assert found(f"before={third}") == [second, first]
    page = log(admin, "?limit=2")
    assert page["more"] and [e["id"] for e in page["entries"]] == [models, bad]
    page = log(admin, f"?limit=3&before={bad}")
    assert not page["more"] and len(page["entries"]) == 3
    # A key that was deleted is a number, and still found by it.
    admin.ok("DELETE", f"/keys/{key['id']}")
    entry = log(admin, f"?key={key['id']}")["entries"][0]
    assert (entry["keyId"], entry["keyName"], entry["keyMask"]) == (key["id"], None, None)
    assert entry["host"] == admin.upstream.url


@pytest.mark.parametrize("query", ["status=fine", "status=99", "status=600", "limit=0", "limit=501",
                                   "before=0", "before=x", "since=1", "q=" + "x" * 257])
def test_what_is_no_query(admin, query):
    assert query.split("=")[0] in error(admin("GET", f"/log?{query}"))


@pytest.mark.parametrize("limit", [1, 500])
def test_limits_that_are_taken(admin, limit):
    assert log(admin, f"?limit={limit}")["entries"] == []


@pytest.mark.parametrize("number", ["0", "1", "x", "-1", "99999999999999999999"])
def test_requests_that_are_not_there(admin, number):
    assert "log" in error(admin("GET", f"/log/{number}"))


def test_only_the_openai_side_is_logged(admin):
    for path in ("/", "/health", "/v1", "/nothing"):
        exchange(admin.server, build("GET", path))
    assert log(admin)["kept"] == 0


def test_refused_callers_are_logged(start_server, new_upstream):
    admin = Script(start_server(new_upstream(), ADMIN_PASSWORD=PASSWORD, API_TOKEN="caller-token"))
    assert chat(admin).status == 401
    entry = log(admin)["entries"][0]
    assert (entry["status"], entry["keyId"], entry["host"], entry["attempts"]) == (401, None, None, 0)
    assert entry["model"] is None and entry["tokensIn"] is None and entry["firstMs"] is None
    assert admin.ok("GET", f"/log/{entry['id']}")["attempts"] == []


def test_nothing_of_a_prompt_or_a_secret_stands_in_it(admin):
    """Whatever an upstream says that quotes the request, or the key."""
    add(admin)
    quoting = [answers.error(status, f"{CANARY} {KEY}") for status in (500, 400, 404, 503, 500)]
    admin.upstream.script(*quoting)
    for stream in (False, True, False):
        chat(admin, stream=stream)
    admin.upstream.script(answers.chat_stream([answers.line("a"), json.dumps({"error": CANARY}).encode() + b"\n"]))
    chat(admin, stream=True)
    log(admin)
    entries = admin("GET", "/log?limit=500")
    whole = entries.body
    for entry in entries.json()["entries"]:
        whole += admin("GET", f"/log/{entry['id']}").body
    assert len(entries.json()["entries"]) == 4
    assert CANARY.encode() not in whole and KEY.encode() not in whole


def test_a_hostile_name_is_text(admin):
    add(admin)
    name = '</script><img src=x onerror=alert(1)>"\u2028\\'
    assert chat(admin, name).status in (200, 404)
    log(admin)
    answer = admin("GET", "/log")
    assert answer.json()["entries"][0]["model"] == name
    assert answer.header("Content-Type") == "application/json"


def test_it_asks_who_it_is(admin):
    for path in ("/log", "/log/1"):
        assert call(admin.server, "GET", "/admin/api" + path).status == 401


def test_the_ring_moves_on(start_server, new_upstream):
    """Each worker has a ring of its own: here there is one."""
    admin = Script(start_server(new_upstream(), ADMIN_PASSWORD=PASSWORD, WORKERS=1))
    capacity = log(admin)["capacity"]
    left = capacity + 5
    while left > 0:
        with raw.Client(admin.server.port) as client:
            for _ in range(min(left, 500)):
                client.send(build("POST", "/v1/chat/completions", {"no": 1}))
                assert client.read_response("POST").status == 400
        left -= 500
    admin.sent = capacity
    answer = log(admin, "?limit=500")
    assert answer["kept"] <= answer["capacity"] and answer["more"]
    assert len(answer["entries"]) == 500
    newest = answer["entries"][0]["id"]
    assert newest >= capacity
    assert admin("GET", "/log/1").status == 404 and admin("GET", f"/log/{newest}").status == 200
