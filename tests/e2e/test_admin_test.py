"""A test request through one key: its steps, what it does to the key, and how it fails."""

import json

import pytest

import answers
import raw
from admin import PASSWORD, Script, bearer, error
from raw import build
from tls_files import Certificates

SECRET = "sk-canary-0123456789-abcdefghijklmnop"
ORDER = ["choose", "connect", "sent", "first_byte", "first_token", "end"]


@pytest.fixture
def admin(start_server, new_upstream):
    upstream = new_upstream()
    script = Script(start_server(upstream, ADMIN_PASSWORD=PASSWORD, HEALTH_CHECK_INTERVAL=0,
                                 REQUEST_TIMEOUT=1500))
    script.upstream = upstream
    return script


def add(admin, key=SECRET, url=None, **more):
    return admin.ok("POST", "/keys", {"key": key, "baseUrl": url or admin.upstream.url, **more})["key"]


def run(admin, key, body=None):
    """(steps by name, the end): every event is checked for its form."""
    response = admin("POST", f"/keys/{key['id']}/test", body)
    assert response.status == 200, response
    assert response.header("Content-Type").startswith("text/event-stream")
    assert SECRET.encode() not in response.body
    events = []
    for block in response.body.decode().strip().split("\n\n"):
        name, data = block.split("\n")
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    assert [name for name, _ in events] == ["step"] * (len(events) - 1) + ["done"]
    end = events[-1][1]
    assert set(end) == {"ok", "status", "model", "text", "tokens", "ms", "error"}
    steps = {}
    last = 0
    for _, step in events[:-1]:
        assert set(step) == {"step", "ms", "ok", "detail"} and step["ms"] >= last
        last = step["ms"]
        steps[step["step"]] = step
    assert end["ms"] >= last and end["ok"] == (end["error"] is None)
    assert end["ok"] == all(step["ok"] for step in steps.values())
    return steps, end


def models(*rows):
    return answers.whole(200, json.dumps({"models": [
        {"name": name, "model": name, "size": size, **more} for name, size, more in rows]}).encode())


def test_a_named_model(admin):
    key, other = add(admin), add(admin, "sk-other")
    steps, end = run(admin, key, {"model": "m"})
    assert list(steps) == ORDER and steps["choose"]["detail"] == "m"
    assert end["ok"] and end["status"] == 200 and end["model"] == "m"
    assert end["text"] and end["tokens"] > 0
    sent = admin.upstream.chats()
    assert [request.key for request in sent] == [SECRET]
    assert json.loads(sent[0].body)["stream"] is True
    listed = {k["id"]: k for k in admin.ok("GET", "/keys")["keys"]}
    assert listed[key["id"]]["totalRequests"] == 1 and listed[key["id"]]["totalTokens"] > 0
    assert listed[other["id"]]["totalRequests"] == 0


@pytest.mark.parametrize("rows, chosen", [
    ([("large", 900, {}), ("small", 10, {}), ("middle", 50, {})], "small"),
    ([("unknown", 0, {}), ("known", 10, {})], "known"),
    ([("embeds", 1, {"capabilities": ["embedding"]}), ("chats", 9, {"capabilities": ["completion"]})],
     "chats"),
    ([("first", 0, {}), ("second", 0, {})], "first"),
])
def test_the_smallest_model_is_chosen(admin, rows, chosen):
    admin.upstream.route("/api/tags", models(*rows))
    steps, end = run(admin, add(admin))
    assert end["ok"] and end["model"] == chosen == steps["choose"]["detail"]
    assert "connect" in steps  # though a connection was open


@pytest.mark.parametrize("rows", [[], [("embeds", 1, {"capabilities": ["embedding"]})]])
def test_a_host_without_a_model_that_chats(admin, rows):
    admin.upstream.route("/api/tags", models(*rows))
    steps, end = run(admin, add(admin))
    assert list(steps) == ["choose"] and not steps["choose"]["ok"]
    assert "model" in end["error"] and end["model"] is None and not admin.upstream.chats()


def test_a_list_of_models_that_fails(admin):
    admin.upstream.route("/api/tags", answers.error(500, "broken"))
    steps, end = run(admin, add(admin))
    assert list(steps) == ["choose"] and end["status"] == 500 and end["tokens"] is None


def test_a_refused_key_is_dead(admin):
    key = add(admin)
    admin.upstream.script(answers.error(401, f"unauthorized {SECRET}"))
    steps, end = run(admin, key, {"model": "m"})
    assert not steps["first_byte"]["ok"] and end["status"] == 401 and end["text"] is None
    assert admin.ok("GET", f"/keys/{key['id']}")["key"]["status"] == "dead"
    # A key that works again is ready again.
    _, end = run(admin, key, {"model": "m"})
    assert end["ok"]
    assert admin.ok("GET", f"/keys/{key['id']}")["key"]["status"] == "ready"


def test_a_limited_key_cools(admin):
    key = add(admin)
    admin.upstream.script(answers.error(429, "slow down", fields=[("Retry-After", "60")]))
    _, end = run(admin, key, {"model": "m"})
    assert end["status"] == 429
    shown = admin.ok("GET", f"/keys/{key['id']}")["key"]
    assert (shown["status"], shown["cause"], shown["source"]) == ("cooling", "limit", "stated")


def test_a_disabled_key_can_be_tried(admin):
    key = add(admin)
    admin.ok("POST", f"/keys/{key['id']}/toggle")
    assert run(admin, key, {"model": "m"})[1]["ok"]
    assert admin.ok("GET", f"/keys/{key['id']}")["key"]["status"] == "disabled"


def test_nobody_is_there(admin):
    key = add(admin, url="http://127.0.0.1:1")
    steps, end = run(admin, key, {"model": "m"})
    assert list(steps) == ["choose", "connect"] and not steps["connect"]["ok"]
    assert end["status"] is None and end["error"]
    steps, end = run(admin, key)
    assert list(steps) == ["choose"] and not end["ok"]


@pytest.mark.parametrize("answer, at", [
    (answers.chat_stream([answers.line("a")]), "end"),
    (answers.chat_stream([]), "first_token"),
    (answers.chat_stream([b"no json\n"]), "first_token"),
    (answers.chat_stream([answers.line("a"), b'{"error":"out of memory"}\n']), "end"),
    (lambda conn, request: conn.reset(), "first_byte"),
    (lambda conn, request: conn.hang(), "first_byte"),
    (answers.error(404, "model 'm' not found"), "first_byte"),
], ids=["cut", "empty", "malformed", "error line", "reset", "silent", "no model"])
def test_what_can_go_wrong(admin, answer, at):
    admin.upstream.script(answer)
    steps, end = run(admin, add(admin), {"model": "m"})
    assert list(steps)[-1] == at and not steps[at]["ok"] and steps[at]["detail"] == end["error"]
    assert all(step["ok"] for name, step in steps.items() if name != at)


@pytest.mark.parametrize("n", [199, 200, 201])
def test_two_hundred_characters_are_shown(admin, n):
    admin.upstream.script(answers.chat_stream([answers.line("你" * (n - 1)), answers.line("好"),
                                               answers.done_line()]))
    assert len(run(admin, add(admin), {"model": "m"})[1]["text"]) == min(n, 200)


def test_an_endless_answer_ends(admin):
    admin.upstream.script(answers.endless_stream(lambda i: answers.line("x" * 1000)))
    _, end = run(admin, add(admin), {"model": "m"})
    assert not end["ok"] and len(end["text"]) == 200


def test_the_caller_goes_away(admin):
    key = add(admin)
    admin.upstream.script(answers.endless_stream(lambda i: answers.line("w"), delay=0.02))
    with raw.Client(admin.server.port) as client:
        client.send(build("POST", f"/admin/api/keys/{key['id']}/test", {"model": "m"},
                          bearer(PASSWORD)))
        admin.upstream.wait_for_chat()
    admin.upstream.wait_for(lambda: admin.upstream.chats()[0].conn.closed_by, what="its end")


def test_what_is_refused(admin):
    key = add(admin)
    assert "no key" in error(admin("POST", "/keys/999/test"))
    for body in ({"model": 1}, {"model": "x" * 513}, {"other": "x"}, [1]):
        assert admin("POST", f"/keys/{key['id']}/test", body).status == 400
    assert run(admin, key, {"model": "x" * 512})[1]["model"] == "x" * 512
    assert run(admin, key, {"model": None})
    assert not [r for r in admin.upstream.chats() if b"other" in r.body]




def test_over_tls(start_server, new_upstream, tmp_path):
    """TLS is a step of its own; one that fails says why."""
    certs = Certificates(tmp_path)
    good = new_upstream(tls=certs.server_context(certs.make("good")))
    admin = Script(start_server(good, ADMIN_PASSWORD=PASSWORD, CA_FILE=certs.ca,
                                HEALTH_CHECK_INTERVAL=0))
    admin.upstream = good
    steps, end = run(admin, add(admin), {"model": "m"})
    assert list(steps) == ["choose", "connect", "tls", *ORDER[2:]] and end["ok"]
    admin = Script(start_server(good, ADMIN_PASSWORD=PASSWORD, HEALTH_CHECK_INTERVAL=0))
    admin.upstream = good
    steps, end = run(admin, add(admin), {"model": "m"})
    assert list(steps) == ["choose", "connect", "tls"] and not steps["tls"]["ok"]
    assert "certificate" in end["error"]
