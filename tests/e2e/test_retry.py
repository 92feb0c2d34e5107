"""One request, several keys: what moves it on, what ends it, and what is seen of that.

Every row of the table of failures is played by a key (or by a host) that a good one stands beside.
Keys take turns, so of as many requests as there are keys the bad one is met at least once.
"""

import json
import re
import socket
import time

import pytest

import answers
import conftest
import raw
from answers import CLOSE, HANG, RESET, chat_stream, chunk, line, steps, whole
from stream_rules import check_stream

HTML = b"<html><body><h1>Welcome to the hotel</h1></body></html>"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
READY = None  # no move at all


def keyed(upstream, *names):
    """Lines to import: keys of these names at this upstream."""
    return [f"{upstream.url}|sk-{name}" for name in names]


def answer_text(server, stream, **more):
    response = raw.chat(server, stream=stream, **more)
    assert response.status == 200, response
    if stream:
        return check_stream(response).text
    return response.json()["choices"][0]["message"]["content"]


def outcome(response):
    error = response.error
    return response.status, error["code"]


def seen_keys(upstream):
    return [request.key for request in upstream.chats()]


FAULTS_OF_KEYS = [
    # why, what the key's upstream says, where the key goes at once
    ("401", answers.error(401, "unauthorized"), "dead"),
    ("401 as plain text", whole(401, b"unauthorized\n", "text/plain"), "dead"),
    ("403 about the key", answers.error(403, "invalid API key"), "dead"),
    ("402", answers.error(402, "this model uses extra usage only"), READY),
    ("403, subscription", answers.error(403, "this model requires a subscription"), READY),
    ("429", answers.error(429, "too many", [("Retry-After", "30")]), "cooling"),
    ("429, session", answers.error(
        429, "you (bob) have reached your session usage limit, please wait"), "cooling"),
    ("429, slots", answers.error(429, "timed out waiting for a concurrent request slot"),
     "cooling"),
    ("429 as a line", chat_stream([b'{"error":"you (bob) have reached your weekly usage limit"}\n']),
     "cooling"),
    ("408", whole(408, b"", None), READY),
    ("500", answers.error(500, "it broke"), READY),
    ("502", whole(502, HTML, "text/html"), READY),
    ("503", answers.error(503, "Server overloaded, please retry shortly (ref: 1)"), READY),
    ("504", whole(504, b"", None), READY),
    ("an error line first", chat_stream([b'{"error":"it broke"}\n']), READY),
    ("an error line after an empty one", chat_stream([line(""), b'{"error":"it broke"}\n']), READY),
    ("empty 200", whole(200, b""), READY),
    ("no lines", chat_stream([]), READY),
    ("an empty line, and the end", chat_stream([line("")]), READY),
    ("reset at once", steps(RESET), READY),
    ("end at once", steps(CLOSE), READY),
    ("reset after the head", steps(answers.NDJSON_HEAD, RESET), READY),
    ("HTML with 200", whole(200, HTML, "text/html"), READY),
    ("HTML called JSON", whole(200, HTML), READY),
    ("garbage", chat_stream([b"garbage\n"]), READY),
    ("no HTTP", steps(b"SSH-2.0-OpenSSH_9.2\r\n", CLOSE), READY),
    ("gzip", whole(200, b"\x1f\x8b\x08\0" + b"\0" * 40, fields=[("Content-Encoding", "gzip")]),
     READY),
]


# A whole answer that is not done is final.
FAULTS_OF_BOTH = [(*row, stream) for row in FAULTS_OF_KEYS for stream in (False, True)
                  if stream or row[0] != "an empty line, and the end"]


@pytest.mark.parametrize("why, fault, state, stream", FAULTS_OF_BOTH, ids=[
    f"{row[0]}-{'stream' if row[3] else 'whole'}" for row in FAULTS_OF_BOTH])
def test_fault_of_one_key_is_not_seen(start_pool, new_upstream, why, fault, state, stream):
    """The caller gets the good key's answer; the bad key's state is what its answer says."""
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "bad", "good"), HEALTH_CHECK_INTERVAL=0)
    upstream.by_key("sk-bad", fault)
    for _ in range(2):
        assert answer_text(server, stream) == "Hello."
    keys = seen_keys(upstream)
    # A reused connection that dies unanswered is replaced once, unseen, with the same key.
    assert 1 <= keys.count("sk-bad") <= 3 and keys.count("sk-good") == 2, keys
    after = [b for a, b in zip(keys, keys[1:]) if a == "sk-bad" and b != "sk-bad"]
    assert after and set(after) == {"sk-good"}, "the same request goes on with the other key"
    assert len({json.dumps(json.loads(r.body)) for r in upstream.chats()}) == 1
    if state is not READY:
        server.wait_log(f"event=key_moved .*id=.*from=ready to={state}|key_moved.*to={state}")
        health = raw.get(server, "/health").json()
        assert (health["status"], health["keys"]["healthy"], health["keys"]["unhealthy"]) == \
            ("ok", 1, 1)
    else:
        assert raw.get(server, "/health").json()["keys"]["healthy"] == 2
    assert "sk-bad" not in server.output and "sk-good" not in server.output


def closed_port():
    return f"http://127.0.0.1:{conftest.free_port()}|sk-bad"


FAULTS_OF_HOSTS = [
    ("403 without a body", whole(403, b"", None)),
    ("403 as HTML", whole(403, HTML, "text/html")),
    ("404 page not found", whole(404, b"404 page not found", "text/plain")),
    ("418", whole(418, b"short and stout", "text/plain")),
    ("a redirect", whole(307, b"", None, [("Location", "http://evil.example/")])),
    ("204", steps(answers.head(204, None))),
    ("404, model", answers.error(404, "model 'plain' not found")),
    ("403, cloud off", answers.error(403, "ollama cloud is disabled: remote model is unavailable")),
    ("401 with signin_url", answers.error(401, "unauthorized", signin_url="https://x")),
    ("nobody there", None),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("why, fault", FAULTS_OF_HOSTS, ids=[r[0] for r in FAULTS_OF_HOSTS])
def test_fault_of_one_host_is_not_seen(start_pool, new_upstream, why, fault, stream):
    """Another host is asked; of the bad one a second key is not tried."""
    bad, good = new_upstream(), new_upstream()
    lines = keyed(bad, "bad", "bad2") if fault else [closed_port()]
    server = start_pool(lines + keyed(good, "good"), HEALTH_CHECK_INTERVAL=0)
    bad.by_key("sk-bad", fault)
    bad.by_key("sk-bad2", fault)
    deadline = time.monotonic() + 5  # until the lists of both hosts are there one may be preferred
    while time.monotonic() < deadline:
        before = len(bad.chats())
        assert answer_text(server, stream) == "Hello."
        assert len(bad.chats()) - before <= 1, "one attempt at a host that is at fault"
        if bad.chats() and len(good.chats()) > 3:
            break
    assert bad.chats() or fault is None


def test_keyless_hosts_get_no_authorization(start_pool, new_upstream):
    """A key goes to its own host and to no other."""
    with_key, without = new_upstream(), new_upstream()
    server = start_pool([*keyed(with_key, "one"), without.url], HEALTH_CHECK_INTERVAL=0)
    for _ in range(4):
        assert raw.chat(server, model="in-no-list").status == 200
    assert {r.header("Authorization") for r in with_key.chats()} == {"Bearer sk-one"}
    assert len(without.chats()) == 2
    assert all(r.header("Authorization") is None for r in without.requests)


ENDS = [
    # why, keys, what each says, settings, status, code, attempts, Retry-After, no retry
    ("all refuse the key", 3, answers.error(401, "unauthorized"), {}, 502, "upstream_auth_error",
     3, None, True),
    ("all are limited", 3, answers.error(429, "x", [("Retry-After", "30")]), {}, 429,
     "rate_limit_exceeded", 3, (28, 30), False),
    ("all are limited for long", 3, answers.error(429, "x", [("Retry-After", "1000")]), {}, 429,
     "rate_limit_exceeded", 3, None, True),
    ("no plan has the model", 3, answers.error(402, "x"), {}, 403,
     "upstream_subscription_required", 3, None, True),
    ("none has the model", 3, answers.error(404, "model 'plain' not found"), {}, 404,
     "model_not_found", 1, None, True),
    ("broken", 5, answers.error(500, "it broke"), {}, 500, None, 3, None, True),
    ("broken, no retries", 5, answers.error(500, "it broke"), {"MAX_RETRIES": 0}, 500, None, 1,
     None, True),
    ("broken, four retries", 6, answers.error(500, "it broke"), {"MAX_RETRIES": 4}, 500, None, 5,
     None, True),
    ("busy", 5, answers.error(503, "server busy"), {}, 503, "overloaded", 3, (1, 1), False),
    ("bad gateway", 5, whole(502, b"", None), {}, 502, "bad_upstream_response", 3, None, True),
    ("too late", 5, whole(504, b"", None), {}, 504, "upstream_timeout", 3, None, True),
    ("stalls", 5, steps(HANG), {"REQUEST_TIMEOUT": 400}, 504, "upstream_timeout", 2, None, True),
    ("stalls after the head", 5, steps(answers.NDJSON_HEAD, HANG),
     {"REQUEST_TIMEOUT": 400, "STREAM_IDLE_TIMEOUT": 400}, 504, "upstream_timeout", 2, None, True),
    ("cut", 5, steps(RESET), {}, 502, "bad_upstream_response", 3, None, True),
    ("the request's fault", 5, answers.error(400, "bad thing"), {}, 400, None, 1, None, True),
    ("the request's fault as 500", 5, answers.error(500, 'option "x" must be of type int'), {},
     400, None, 1, None, True),
    ("too many refusals", 70, answers.error(401, "unauthorized"), {}, 502, "upstream_auth_error",
     64, (1, 1), False),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("row", ENDS, ids=[row[0] for row in ENDS])
def test_how_a_search_ends(start_pool, new_upstream, row, stream):
    """Status, code, number of attempts, never one key twice, and what the caller shall do."""
    _, n, fault, settings, status, code, attempts, wait, no_retry = row
    upstream = new_upstream()
    names = [f"k{i}" for i in range(n)]
    server = start_pool(keyed(upstream, *names), HEALTH_CHECK_INTERVAL=0, **settings)
    for name in names:
        upstream.by_key(f"sk-{name}", fault)
    response = raw.chat(server, stream=stream)
    assert outcome(response) == (status, code)
    keys = seen_keys(upstream)
    assert len(keys) == len(set(keys)) == attempts
    told = response.header("Retry-After")
    assert told is None if wait is None else wait[0] <= int(told) <= wait[1], told
    assert response.header("X-Should-Retry") == ("false" if no_retry else None)


def test_what_is_known_to_be_refused_is_not_asked_again(start_pool, new_upstream):
    """Dead and limited keys, and plans without the model, answer the next request by themselves."""
    for fault, expected in [
            (answers.error(401, "unauthorized"), (502, "upstream_auth_error")),
            (answers.error(429, "x", [("Retry-After", "30")]), (429, "rate_limit_exceeded")),
            (answers.error(402, "x"), (403, "upstream_subscription_required"))]:
        upstream = new_upstream()
        server = start_pool(keyed(upstream, "a", "b"), HEALTH_CHECK_INTERVAL=0)
        for name in "ab":
            upstream.by_key(f"sk-{name}", fault)
        assert outcome(raw.chat(server)) == expected
        assert len(upstream.chats()) == 2
        assert outcome(raw.chat(server)) == expected
        assert len(upstream.chats()) == 2
        assert raw.get(server, "/health").json()["status"] == \
            ("ok" if expected[0] == 403 else "degraded")


def test_limits_come_before_other_refusals(start_pool, new_upstream):
    """One key is dead, one is limited: 429 with the limit's time."""
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "dead", "limited"), HEALTH_CHECK_INTERVAL=0)
    upstream.by_key("sk-dead", answers.error(401, "unauthorized"))
    upstream.by_key("sk-limited", answers.error(429, "x", [("Retry-After", "20")]))
    for _ in range(2):
        response = raw.chat(server)
        assert outcome(response) == (429, "rate_limit_exceeded")
        assert 17 <= int(response.header("Retry-After")) <= 20


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_model_behind_a_limit_is_not_missing(start_pool, new_upstream, stream):
    """One host lacks the model, the other may have it and is limited: 429 with that one's time,
    in the request that meets the limit and in those after it; 404 once its list lacks the model."""
    lacks, limited = new_upstream(), new_upstream()
    limited.route("/api/tags", answers.error(500, "no list"))
    server = start_pool(keyed(lacks, "a") + keyed(limited, "b"), HEALTH_CHECK_INTERVAL=0)
    lacks.by_key("sk-a", answers.error(404, "model 'm' not found"))
    limited.by_key("sk-b", answers.error(429, "x", [("Retry-After", "40")]))
    for _ in range(4):
        response = raw.chat(server, model="m", stream=stream)
        assert outcome(response) == (429, "rate_limit_exceeded"), response
        assert 30 <= int(response.header("Retry-After")) <= 40
        assert response.header("X-Should-Retry") is None
    assert seen_keys(limited) == ["sk-b"]
    assert len(lacks.chats()) >= 3
    lacks.route("/api/show", answers.error(404, "model 'm' not found"))
    response = raw.get(server, "/v1/models/m")
    assert outcome(response) == (429, "rate_limit_exceeded"), response
    assert 20 <= int(response.header("Retry-After")) <= 40


def test_a_model_that_no_plan_has_is_not_missing(start_pool, new_upstream):
    """One host lacks it, the other has it and no plan for it: 403, and so it stays."""
    lacks, paid = new_upstream(), new_upstream()
    server = start_pool(keyed(lacks, "a") + keyed(paid, "b"), HEALTH_CHECK_INTERVAL=0)
    lacks.by_key("sk-a", answers.error(404, "model 'm' not found"))
    paid.by_key("sk-b", answers.error(402, "this model uses extra usage only"))
    for _ in range(4):
        assert outcome(raw.chat(server, model="m")) == (403, "upstream_subscription_required")
    assert seen_keys(paid) == ["sk-b"]


def test_a_model_that_no_list_has_is_missing_whatever_is_limited(start_pool, new_upstream):
    """A mistyped name does not wait for a limit of a host that is known to lack it."""
    lacks, limited = new_upstream(), new_upstream()
    for place, name in ((lacks, "one"), (limited, "two")):
        place.route("/api/tags", whole(200, {"models": [{"name": name, "model": name}]}))
    server = start_pool(keyed(lacks, "a") + keyed(limited, "b"), HEALTH_CHECK_INTERVAL=0)
    limited.wait_for(lambda: len(raw.get(server, "/v1/models").json()["data"]) == 2)
    lacks.by_key("sk-a", answers.error(404, "model 'm' not found"))
    limited.by_key("sk-b", answers.error(429, "x", [("Retry-After", "40")]))
    while not limited.chats():
        assert outcome(raw.chat(server, model="m"))[0] in (404, 429)
    lacks.route("/api/show", answers.error(404, "model 'm' not found"))
    for _ in range(2):
        assert outcome(raw.chat(server, model="m")) == (404, "model_not_found")
        assert outcome(raw.get(server, "/v1/models/m")) == (404, "model_not_found")


def test_a_slow_connect_leaves_room_for_one_other_host(start_pool, new_upstream):
    """After a connect that took all of the time for refusals another host is tried."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1)
    crowd = []
    for _ in range(4):  # fills the queue, so that further SYNs stay unanswered
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(listener.getsockname())
        crowd.append(sock)
    good = new_upstream()
    server = start_pool(["http://127.0.0.1:%d|sk-hole" % listener.getsockname()[1],
                         *keyed(good, "good")], HEALTH_CHECK_INTERVAL=0, CONNECT_TIMEOUT=1000)
    for _ in range(2):
        assert answer_text(server, True) == "Hello."
    for sock in [*crowd, listener]:
        sock.close()


def test_nothing_moves_on_after_a_useful_event(start_pool, new_upstream):
    """What was begun is ended with an error event; the other key is not asked."""
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "a", "b"), HEALTH_CHECK_INTERVAL=0)
    for name in "ab":
        upstream.by_key(f"sk-{name}", chat_stream([line("Hel")], end=RESET))
    stream = check_stream(raw.chat(server, stream=True), expect_error=True)
    assert stream.text == "Hel"
    assert stream.errors[0]["code"] == "bad_upstream_response"
    assert len(upstream.chats()) == 1


def test_a_whole_answer_that_is_not_done_is_not_retried(start_pool, new_upstream):
    """It was made, and would be made again."""
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "a", "b"), HEALTH_CHECK_INTERVAL=0)
    for name in "ab":
        upstream.by_key(f"sk-{name}", whole(200, answers.chat_object(done=False)))
    response = raw.chat(server)
    assert outcome(response) == (502, "bad_upstream_response")
    assert response.header("X-Should-Retry") == "false"
    assert len(upstream.chats()) == 1


def test_attempts_go_on_after_an_early_commit(start_pool, new_upstream):
    """Comments keep the caller; the next key gets the same request, traceparent and Via too."""
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "a", "b"), HEALTH_CHECK_INTERVAL=0,
                        STREAM_START_TIMEOUT=200)
    slow = steps(0.7, answers.Step("500", lambda conn: answers.error(500, "x")(conn, None)))
    for name in "ab":
        upstream.by_key(f"sk-{name}", slow, chat_stream(answers.words("Hel", "lo.")))
    upstream.by_key("sk-b", chat_stream(answers.words("Hel", "lo.")))
    upstream.by_key("sk-a", slow)
    headers = [("traceparent", PARENT), ("Via", "1.1 front")]
    for _ in range(2):
        stream = check_stream(raw.chat(server, stream=True, headers=headers))
        assert stream.text == "Hello."
    first, second = [request for request in upstream.chats()
                     if request.key == "sk-a" or request.at > upstream.chats()[0].at][:2]
    chats = upstream.chats()
    assert {r.key for r in chats} == {"sk-a", "sk-b"}
    for request in chats:
        assert request.header("traceparent") == PARENT
        assert re.fullmatch(r"1\.1 front, 1\.1 o2o-\w+", request.header("Via")), request.fields
        assert json.loads(request.body) == json.loads(first.body) == json.loads(second.body)


@pytest.mark.parametrize("fault, code", [
    (answers.error(401, "unauthorized"), "upstream_auth_error"),
    (answers.error(429, "too many"), "rate_limit_exceeded"),
    (answers.error(500, "it broke"), None),
    (whole(504, b"", None), "upstream_timeout"),
], ids=["401", "429", "500", "504"])
def test_failure_after_an_early_commit_is_an_event(start_pool, new_upstream, fault, code):
    """With the code that its status would have had."""
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "a", "b"), HEALTH_CHECK_INTERVAL=0,
                        STREAM_START_TIMEOUT=100)
    for name in "ab":
        upstream.by_key(f"sk-{name}", steps(0.3, answers.Step("x", lambda c: fault(c, None))))
    response = raw.chat(server, stream=True)
    assert response.status == 200
    stream = check_stream(response, expect_error=True)
    assert stream.text == "" and stream.errors[0]["code"] == code
    assert len(upstream.chats()) == 2


def test_a_caller_who_leaves_says_nothing_of_the_key(start_pool, new_upstream):
    """The upstream is closed at once, nothing is retried, and the key stays ready."""
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "a"), HEALTH_CHECK_INTERVAL=0)
    for _ in range(4):
        upstream.reset()
        upstream.by_key("sk-a", steps(HANG))
        with raw.Client(server.port) as client:
            client.send(raw.chat_request(True))
            conn = upstream.wait_for_chat().conn
        began = time.monotonic()
        upstream.wait_for(lambda: conn.closed_at, what="the upstream to be closed")
        assert time.monotonic() - began < 1
        assert len(upstream.chats()) == 1
    upstream.reset()
    assert answer_text(server, False) == "Hello."
    assert "key_moved" not in server.output
    assert raw.get(server, "/health").json()["keys"]["healthy"] == 1


def test_without_thinking_the_same_key_is_asked_again(start_pool, new_upstream):
    """A model that cannot think is no fault of the key."""
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "a", "b"), HEALTH_CHECK_INTERVAL=0)
    refusal = answers.error(400, '"plain" does not support thinking')
    for name in "ab":
        upstream.by_key(f"sk-{name}", refusal, answers.chat_json())
    upstream.route("/api/show", answers.error(500, "x"))
    assert answer_text(server, False, reasoning_effort="high") == "Hello."
    keys = seen_keys(upstream)
    assert len(keys) == 2 and keys[0] == keys[1]


def test_x_attempts(start_pool, new_upstream):
    """With DEBUG_HEADERS=1 an answer tells its path, without a secret."""
    upstream = new_upstream()
    lines = keyed(upstream, "bad", "good")
    server = start_pool(lines, HEALTH_CHECK_INTERVAL=0, DEBUG_HEADERS=1)
    upstream.by_key("sk-bad", answers.error(500, "it broke"))
    place = f"127.0.0.1:{upstream.port}"
    one = re.compile(rf"\d+@{place} ok \d+ms")
    two = re.compile(rf"\d+@{place} server_error \d+ms, \d+@{place} ok \d+ms")
    for stream in (False, True):
        paths = [raw.chat(server, stream=stream).header("X-Attempts") for _ in range(2)]
        assert any(two.fullmatch(path) for path in paths), paths
        assert all(one.fullmatch(path) or two.fullmatch(path) for path in paths), paths
    upstream.by_key("sk-good", answers.error(401, "unauthorized"))
    path = raw.chat(server).header("X-Attempts")
    assert "key_refused" in path and "sk-" not in path


def test_no_x_attempts_by_default(start_pool, new_upstream):
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "a"), HEALTH_CHECK_INTERVAL=0)
    assert raw.chat(server).header("X-Attempts") is None


def test_a_key_stays_out_of_messages(start_pool, new_upstream):
    """An upstream that repeats the key in its error does not reach caller or log with it."""
    upstream = new_upstream()
    secret = "sk-canary-0123456789abcdef"
    server = start_pool([f"{upstream.url}|{secret}"], HEALTH_CHECK_INTERVAL=0, LOG_LEVEL="debug")
    upstream.by_key(secret, answers.error(500, f"bad key {secret} and {secret}"))
    response = raw.chat(server)
    assert response.status == 500
    assert secret.encode() not in response.body
    assert secret not in server.output


def test_tokens_and_requests_are_counted(start_pool, new_upstream):
    """Tokens of prompt and answer, of whole answers and streams."""
    upstream = new_upstream()
    server = start_pool(keyed(upstream, "a"), HEALTH_CHECK_INTERVAL=0)
    for stream in (False, True):
        assert answer_text(server, stream) == "Hello."
    keys = raw.get(server, "/health").json()["keys"]
    assert (keys["totalRequests"], keys["totalTokens"]) == (2, 36)
