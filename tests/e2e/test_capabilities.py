"""Models that cannot think get the request without `think`; what they can do is learned once."""

import json
import re
import threading
import time

import pytest

import answers
import raw
from test_proxy import new_proxy  # noqa: F401, a fixture

THINKS = ["completion", "thinking"]
CHATS = ["completion", "tools"]


def shows(capabilities):
    return answers.whole(200, {"details": {"family": "gemma3"}, "capabilities": capabilities,
                               "modified_at": "2026-11-22T23:08:54.5Z"})


def asked(upstream):
    return [json.loads(r.body) for r in upstream.requests if r.target == "/api/show"]


def sent(upstream):
    """The native requests, in order."""
    return [json.loads(r.body) for r in upstream.chats()]


@pytest.fixture
def start(start_server, new_upstream):
    def run(show, listing=None, **settings):
        upstream = new_upstream()
        upstream.route("/api/show", show)
        if listing is not None:
            upstream.route("/api/tags", answers.whole(200, {"models": listing}))
        settings.setdefault("WORKERS", 1)
        server = start_server(upstream, **settings)
        upstream.wait_for(lambda: any(r.target == "/api/tags" for r in upstream.requests))
        return server, upstream
    return run


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("think", [True, "high"])
def test_think_is_dropped_where_it_cannot_be(start, think, stream):
    """The rest of the request is what it would have been."""
    server, upstream = start(shows(CHATS))
    assert raw.chat(server, stream, think=think, keep_alive="5m").status == 200
    assert raw.chat(server, stream, think=False, keep_alive="5m").status == 200
    first, second = sent(upstream)
    assert "think" not in first
    assert second.pop("think") is False
    assert first == second
    assert asked(upstream) == [{"model": "plain"}]


def test_completions_too(start):
    """The old route asks the same question."""
    server, upstream = start(shows(CHATS))
    upstream.route("/api/generate", answers.replay("generate"))
    body = {"model": "plain", "prompt": "Hi", "think": True}
    assert raw.exchange(server, raw.build("POST", "/v1/completions", body)).status == 200
    request = [r for r in upstream.requests if r.target == "/api/generate"][0]
    assert "think" not in json.loads(request.body)
    assert asked(upstream) == [{"model": "plain"}]


@pytest.mark.parametrize("think", [True, "low"])
def test_think_is_sent_where_it_can_be(start, think):
    """And the question is asked once."""
    server, upstream = start(shows(THINKS))
    for _ in range(3):
        assert raw.chat(server, think=think).status == 200
    assert [request["think"] for request in sent(upstream)] == [think] * 3
    assert len(asked(upstream)) == 1


@pytest.mark.parametrize("more", [{}, {"think": False}, {"think": None}])
def test_nothing_is_asked_for_other_requests(start, more):
    """Only a request that asks a model to think is looked at."""
    server, upstream = start(shows(CHATS))
    assert raw.chat(server, **more).status == 200
    assert asked(upstream) == []


def test_the_list_says_it(start):
    """Newer servers list what a model can do: no question then."""
    server, upstream = start(answers.steps(answers.HANG), [
        {"name": "plain:latest", "capabilities": CHATS},
        {"name": "think:latest", "capabilities": THINKS}])
    assert raw.get(server, "/v1/models").status == 200
    for model in ("plain", "think"):
        assert raw.chat(server, model=model, think=True).status == 200
    assert ["think" in request for request in sent(upstream)] == [False, True]
    assert asked(upstream) == []


@pytest.mark.parametrize("show", [
    answers.error(404, "model 'plain' not found"), answers.error(500, "boom"),
    answers.whole(200, b"<html>", "text/html"), answers.whole(200, {}),
    answers.whole(200, {"details": {}}), answers.steps(answers.RESET),
    answers.whole(200, b'{"details":"' + b"x" * (9 << 20) + b'"}'),
], ids=["404", "500", "html", "empty", "says nothing", "reset", "over 8 MiB"])
def test_no_answer_sends_it_as_it_is(start, show):
    """And the question is not asked with every request."""
    server, upstream = start(show)
    for _ in range(3):
        assert raw.chat(server, think=True).status == 200
    assert [request["think"] for request in sent(upstream)] == [True] * 3
    assert len(asked(upstream)) <= 2, "a reset may be replayed"


def test_a_hanging_answer_is_waited_for_once(start):
    """2 s for the first request, none for the next."""
    server, upstream = start(answers.steps(answers.HANG))
    took = []
    for _ in range(3):
        began = time.monotonic()
        assert raw.chat(server, think=True).status == 200
        took.append(time.monotonic() - began)
    assert 1.8 < took[0] < 3 and max(took[1:]) < 0.5, took
    assert [request["think"] for request in sent(upstream)] == [True] * 3
    assert len(asked(upstream)) == 1


def test_requests_join_one_question(start):
    """Many at once ask once."""
    slow = answers.steps(0.5, answers.Step("show", lambda conn: shows(CHATS)(conn, None)))
    server, upstream = start(slow)
    got = []
    threads = [threading.Thread(target=lambda: got.append(raw.chat(server, think=True).status))
               for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [200] * 10
    assert len(asked(upstream)) == 1
    assert all("think" not in request for request in sent(upstream))


def test_early_commit_while_it_is_asked(start):
    """STREAM_START_TIMEOUT holds; the question is given up then."""
    server, upstream = start(answers.steps(answers.HANG), STREAM_START_TIMEOUT=300)
    response = raw.chat(server, True, think=True,
                        headers={"Via": "1.1 other", "traceparent":
                                 "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    assert response.sse.done and response.sse.text == "Hello."
    request = upstream.chats()[0]
    assert json.loads(request.body)["think"] is True
    assert request.header("Via").startswith("1.1 other, ")
    assert request.header("traceparent").startswith("00-0af7651916cd43dd8448eb211c80319c-")


REFUSAL = answers.replay("chat-think-unsupported")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_refusal_teaches_and_the_request_goes_out_again(start, stream):
    """The upstream knows best: the same request without think, headers and all."""
    server, upstream = start(shows(THINKS))
    upstream.script(REFUSAL)
    response = raw.chat(server, stream, think=True, headers={"Via": "1.1 other"})
    assert response.status == 200
    text = response.sse.text if stream else response.json()["choices"][0]["message"]["content"]
    assert text == "Hello."
    first, second = sent(upstream)
    assert first.pop("think") is True and first == second
    assert len({request.header("Via") for request in upstream.chats()}) == 1
    assert '"think":' not in upstream.chats()[1].body.decode()
    assert raw.chat(server, think=True).status == 200
    assert "think" not in sent(upstream)[2]


def test_a_refusal_after_an_early_commit(start):
    """The stream goes on as if nothing had been."""
    server, upstream = start(shows(THINKS), STREAM_START_TIMEOUT=200)
    upstream.script(answers.steps(0.6, answers.Step("no", lambda conn: REFUSAL(conn, None))))
    sse = raw.chat(server, True, think=True).sse
    assert sse.done and sse.text == "Hello." and not sse.errors


def test_a_second_refusal_is_an_error(start):
    """Once is enough."""
    server, upstream = start(shows(THINKS))
    upstream.script(REFUSAL, REFUSAL)
    assert raw.chat(server, think=True).status == 400
    assert len(sent(upstream)) == 2


def test_other_refusals_are_not_repeated(start):
    """A 400 about something else goes to the caller."""
    server, upstream = start(shows(THINKS))
    upstream.script(answers.error(400, '"plain" does not support tools'))
    response = raw.chat(server, think=True)
    assert (response.status, response.error["param"]) == (400, "tools")
    assert len(sent(upstream)) == 1


def test_a_caller_who_leaves_while_it_is_asked(start):
    """Nothing is sent for them."""
    server, upstream = start(answers.steps(answers.HANG))
    with raw.Client(server.port) as client:
        client.send(raw.chat_request(think=True))
        upstream.wait_for(lambda: asked(upstream))
    server.wait_log("caller_gone")
    time.sleep(0.2)
    assert sent(upstream) == []


def test_shutdown_while_it_is_asked(start):
    """The drain's deadline answers them."""
    server, upstream = start(answers.steps(answers.HANG), SHUTDOWN_TIMEOUT=100)
    with raw.Client(server.port) as client:
        client.send(raw.chat_request(think=True))
        upstream.wait_for(lambda: asked(upstream))
        server.signal(15)
        assert client.read_response().status == 503
    server.wait_exit()


def test_a_model_that_is_gone_is_looked_for(start):
    """A 404 for a listed model: the list is read again."""
    server, upstream = start(shows(CHATS), [{"name": "plain:latest"}])
    assert raw.get(server, "/v1/models/plain").status == 200
    upstream.route("/api/tags", answers.whole(200, {"models": []}))
    time.sleep(5.2)
    upstream.script(answers.error(404, "model 'plain' not found"))
    assert raw.chat(server).status == 404
    upstream.wait_for(lambda: sum(r.target == "/api/tags" for r in upstream.requests) == 2)
    deadline = time.monotonic() + 5
    while raw.get(server, "/v1/models").json()["data"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert raw.get(server, "/v1/models").json()["data"] == []


FORMATS = [
    {"type": "json_object"},
    {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_format_for_a_model_of_the_cloud_is_warned_of_once(start_pool, new_upstream, new_proxy,
                                                             stream):
    """By the model's name, or since ollama.com itself is asked; the format goes out all the same."""
    upstream = new_upstream()
    proxy = new_proxy(upstream.port)
    server = start_pool(["http://ollama.com|sk-cloud", f"{upstream.url}|sk-own"],
                        HEALTH_CHECK_INTERVAL=0, HTTP_PROXY=proxy.url)
    answer = answers.chat_stream(answers.words("{}")) if stream else answers.chat_json()
    for key in ("sk-cloud", "sk-own"):
        upstream.by_key(key, answer)

    def ask(model, key, **more):
        before = len(upstream.chats())
        while not any(r.key == key for r in upstream.chats()[before:]):
            assert raw.chat(server, stream=stream, model=model, **more).status == 200

    def warned():
        return re.findall(r"format_not_enforced model=(\S+)", server.output)
    ask("far:cloud", "sk-own")
    ask("near", "sk-own")
    assert warned() == []
    for response_format in FORMATS * 2:
        ask("far:8b-cloud", "sk-own", response_format=response_format)
    server.wait_log("format_not_enforced model=far:8b-cloud")
    ask("base", "sk-cloud", response_format=FORMATS[1])
    server.wait_log("format_not_enforced model=base .*host=ollama.com")
    assert warned() == ["far:8b-cloud", "base"]
    assert all("format" in json.loads(r.body) for r in upstream.chats()[-3:])
