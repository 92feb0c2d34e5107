"""GET /v1/models and GET /v1/models/{id}."""

import json
import signal
import statistics
import threading
import time
from datetime import datetime

import openai
import pytest

import answers
import raw
from raw import build, get

LIST = "/v1/models"


def tags(*models):
    """A list of models as Ollama sends it; a text is a name."""
    entries = [{"name": m, "model": m} if isinstance(m, str) else m for m in models]
    return answers.whole(200, {"models": entries})


def ids(response):
    assert response.status == 200, response
    body = response.json()
    assert set(body) == {"object", "data"} and body["object"] == "list"
    for model in body["data"]:
        assert set(model) == {"id", "object", "created", "owned_by"}
        assert model["object"] == "model" and type(model["created"]) is int
        assert isinstance(model["owned_by"], str) and model["owned_by"]
    return [model["id"] for model in body["data"]]


def listed(upstream):
    return [r for r in upstream.requests if r.target == "/api/tags"]


def shown(upstream):
    return [json.loads(r.body)["model"] for r in upstream.requests if r.target == "/api/show"]


@pytest.fixture
def start(start_server, new_upstream):
    """start(answer to /api/tags, answer to /api/show): a program that has read its first list."""
    def run(listing, show=answers.error(404, "model not found"), wait=True, **settings):
        upstream = new_upstream()
        upstream.route("/api/tags", listing)
        upstream.route("/api/show", show)
        server = start_server(upstream, **settings)
        if wait:
            upstream.wait_for(lambda: listed(upstream), what="the first list")
        return server, upstream
    return run


# ---- the list ----


def test_list_equals_the_recording(server, upstream):
    """Ids, order, owners, and created from modified_at."""
    response = get(server, LIST)
    recorded = answers.recorded_lines("tags")[0]["models"]
    assert ids(response) == [model["model"] for model in recorded]
    assert response.header("Content-Type") == "application/json"
    for model, told in zip(recorded, response.json()["data"]):
        stated = datetime.fromisoformat(model["modified_at"][:19] + "+00:00")
        assert told["created"] == int(stated.timestamp())
        assert told["owned_by"] == "library"


def test_list_through_the_python_sdk(server):
    """client.models.list() and retrieve()."""
    with openai.OpenAI(base_url=server.url + "/v1", api_key="any", max_retries=0) as client:
        got = client.models.list()
        assert [model.id for model in got] == ["minilm:latest", "plain:latest", "think:latest",
                                               "tools:latest"]
        one = client.models.retrieve("plain:latest")
        assert (one.id, one.object, one.owned_by) == ("plain:latest", "model", "library")
        assert one.created == got.data[1].created > 1_700_000_000
        with pytest.raises(openai.NotFoundError) as info:
            client.models.retrieve("nope")
        assert info.value.code == "model_not_found" and info.value.param == "model"


@pytest.mark.parametrize("path", [LIST, "/models", "/v1/models/", "//v1//models", "/v1/v1/models",
                                  "/v1/models?client_version=1"])
def test_paths_of_the_list(server, path):
    """All ways to write it."""
    assert "plain:latest" in ids(get(server, path))


@pytest.mark.parametrize("path", [LIST, LIST + "/plain"])
def test_head(server, path):
    """HEAD has the length of GET and no body."""
    with raw.Client(server.port) as client:
        client.send(build("HEAD", path))
        head = client.read_response("HEAD")
        client.send(build("GET", path))
        body = client.read_response("GET")
    assert (head.status, head.header("Content-Length")) == (200, str(len(body.body)))


@pytest.mark.parametrize("path", [LIST, LIST + "/plain", LIST + "/nope"])
@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_wrong_method(server, path, method):
    """405 with Allow, whether there is such a model or not."""
    response = get(server, path, method=method)
    assert response.status == 405 and "GET" in response.header("Allow")


def test_needs_the_token(start_server, upstream):
    """With API_TOKEN both routes need it."""
    server = start_server(upstream, API_TOKEN="secret")
    for path in (LIST, LIST + "/plain"):
        assert get(server, path).status == 401
        assert get(server, path, {"Authorization": "Bearer secret"}).status == 200


@pytest.mark.parametrize("body, want", [
    ({"models": []}, []), ({"models": None}, []),
    ({"models": [None, 1, {}, {"name": None}, {"name": "a b"}]}, []),
    ({"models": [{"name": "n", "model": "m"}]}, ["m"]),
    ({"models": [{"name": "n", "model": ""}, {"name": "n:latest"}, {"name": "N"}]}, ["n"]),
    ({"models": [{"name": "b:7b"}, {"name": "a:7b"}, {"name": "b:7b"}]}, ["b:7b", "a:7b"]),
])
def test_odd_lists(start, body, want):
    """data is an array always, in the upstream's order, nothing twice."""
    server, _ = start(answers.whole(200, body))
    assert ids(get(server, LIST)) == want


def test_namespaces_own_their_models(start):
    """owned_by is the namespace."""
    server, _ = start(tags("u/m:1b", "hf.co/org/m:Q4", "m"))
    owners = {m["id"]: m["owned_by"] for m in get(server, LIST).json()["data"]}
    assert owners == {"u/m:1b": "u", "hf.co/org/m:Q4": "org", "m": "library"}


def test_many_models_and_an_end_of_them(start):
    """10,000 are listed, more are left out."""
    server, _ = start(tags(*(f"m{i}:1b" for i in range(10_001))))
    got = ids(get(server, LIST))
    assert len(got) == 10_000 and got[-1] == "m9999:1b"


# ---- when the upstream is slow, or away ----


def test_list_while_the_upstream_hangs(start):
    """A list that was read once is told at once, whatever the upstream does."""
    server, upstream = start(tags("m"), WORKERS=1)
    assert ids(get(server, LIST)) == ["m"]
    upstream.route("/api/tags", answers.steps(answers.HANG))
    deadline = time.monotonic() + 7  # until the list is not current any more
    took = []
    while time.monotonic() < deadline:
        began = time.monotonic()
        assert ids(get(server, LIST)) == ["m"]
        took.append(time.monotonic() - began)
        time.sleep(0.2)
    assert len(listed(upstream)) == 2, "a refresh was tried"
    assert max(took) < 1.5, "the grace of one request, and never the wait for a first list"
    assert statistics.median(took) < 0.2, "and of no other"


def test_no_list_and_the_upstream_hangs(start):
    """An error well under 5 s; the next ones do not wait that long again."""
    server, _ = start(answers.steps(answers.HANG), WORKERS=1)
    for most in (3, 3, 1.5):
        began = time.monotonic()
        response = get(server, LIST)
        assert response.status == 504 and response.error["code"] == "upstream_timeout"
        assert time.monotonic() - began < most
        if most == 3:
            time.sleep(0.3)


def test_slow_first_list_is_waited_for(start):
    """A second is worth waiting for."""
    slow = answers.steps(1.0, answers.Step("list", lambda conn: tags("m")(conn, None)))
    server, _ = start(slow)
    assert ids(get(server, LIST)) == ["m"]


@pytest.mark.parametrize("answer, status, code", [
    (answers.steps(answers.RESET), 502, "bad_upstream_response"),
    (answers.whole(200, b"<html>", "text/html"), 502, "bad_upstream_response"),
    (answers.whole(200, {"error": "x"}), 502, "bad_upstream_response"),
    (answers.whole(404, b"404 page not found", "text/plain"), 502, "bad_upstream_response"),
    (answers.error(401, "unauthorized"), 502, "upstream_auth_error"),
    (answers.error(429, "slow down"), 429, "rate_limit_exceeded"),
    (answers.error(500, "boom"), 500, None),
    (answers.whole(200, b'{"models":[' + b" " * (9 << 20) + b"]}"), 502,
     "bad_upstream_response"),
], ids=["reset", "html", "other json", "no route", "401", "429", "500", "over 8 MiB"])
def test_no_list_and_the_upstream_fails(start, answer, status, code):
    """An honest error, at once."""
    server, upstream = start(answer, WORKERS=1)
    response = get(server, LIST)
    assert (response.status, response.error["code"]) == (status, code)
    upstream.route("/api/tags", tags("m"))
    assert ids(get(server, LIST)) == ["m"], "and the list as soon as there is one"


def test_upstream_is_away(start_server, new_upstream):
    """No list: 502 upstream_unavailable, or 503 overloaded for those who come while the host cools
    and another question tries it. A list: that."""
    upstream = new_upstream()
    server = start_server(upstream)
    assert "plain:latest" in ids(get(server, LIST))
    upstream.stop()
    upstream.wait_for(lambda: all(conn.closed_at for conn in upstream.connections))
    assert "plain:latest" in ids(get(server, LIST))
    other = start_server(upstream)
    for path in (LIST, LIST + "/plain"):
        answer = get(other, path)
        assert (answer.status, answer.error["code"]) in (
            (502, "upstream_unavailable"), (503, "overloaded"))


def test_a_caller_who_leaves_while_it_waits(start):
    """Nothing is left behind; the program ends cleanly."""
    server, upstream = start(answers.steps(answers.HANG), answers.steps(answers.HANG))
    for path in (LIST, LIST + "/m"):
        with raw.Client(server.port) as client:
            client.send(build("GET", path))
            time.sleep(0.2)
    upstream.route("/api/tags", tags("m"))
    server.wait_log(r"end=caller_gone", count=2)


def test_shutdown_while_it_waits(start):
    """The drain's deadline answers those who wait."""
    server, _ = start(answers.steps(answers.HANG), SHUTDOWN_TIMEOUT=100)
    with raw.Client(server.port) as client:
        client.send(build("GET", LIST))
        time.sleep(0.2)
        server.signal(signal.SIGTERM)
        assert client.read_response().status == 503
    server.wait_exit()


# ---- refreshing ----


def test_list_is_refreshed(start):
    """A list older than 5 s is read again by the next look, which tells the new one."""
    server, upstream = start(tags("a"), WORKERS=1)
    assert ids(get(server, LIST)) == ["a"]
    upstream.route("/api/tags", tags("b", "a"))
    assert ids(get(server, LIST)) == ["a"], "current"
    time.sleep(5.2)
    assert ids(get(server, LIST)) == ["b", "a"]
    assert len(listed(upstream)) == 2


def test_many_callers_one_question(start):
    """At the start each worker asks once at most, however many wait."""
    slow = answers.steps(0.5, answers.Step("list", lambda conn: tags("m")(conn, None)))
    server, upstream = start(slow, WORKERS=2)
    got = []
    threads = [threading.Thread(target=lambda: got.append(ids(get(server, LIST))))
               for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [["m"]] * 20
    assert len(listed(upstream)) <= 3


def test_reload_to_another_upstream(start_server, new_upstream):
    """After SIGHUP the list is that of the new upstream; one that stays keeps its list."""
    old, new = new_upstream(), new_upstream()
    old.route("/api/tags", tags("old"))
    new.route("/api/tags", tags("new"))
    server = start_server(None, dotenv=f"OLLAMA_BASE_URL={old.url}\n")
    assert ids(get(server, LIST)) == ["old"]
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded")
    assert ids(get(server, LIST)) == ["old"]
    (server.folder / ".env").write_text(f"OLLAMA_BASE_URL={new.url}\n")
    server.signal(signal.SIGHUP)
    server.wait_log("reloaded", count=2)
    new.wait_for(lambda: ids(get(server, LIST)) == ["new"], what="the list of the new upstream")


def test_chats_keep_the_list_fresh(pair):
    """A chat costs no question while the list is fresh."""
    server, upstream = pair
    upstream.wait_for(lambda: listed(upstream))
    for _ in range(5):
        assert raw.chat(server).status == 200
    assert len(listed(upstream)) == 1


# ---- one model ----


@pytest.mark.parametrize("path, id", [
    ("/plain:latest", "plain:latest"), ("/plain", "plain"), ("/PLAIN", "PLAIN"),
    ("/plain%3Alatest", "plain:latest"), ("/plain/", "plain"), ("/plain?x=1", "plain"),
    ("//plain", "plain"),
])
def test_retrieve(server, path, id):
    """With or without :latest, in any case; the id is echoed as it was asked for."""
    response = get(server, LIST + path)
    assert response.status == 200
    model = response.json()
    assert (model["id"], model["object"], model["owned_by"]) == (id, "model", "library")
    assert model["created"] == get(server, LIST).json()["data"][1]["created"]


@pytest.mark.parametrize("path", ["/hf.co/org/m:Q4_K", "/hf.co%2Forg%2Fm:Q4_K",
                                  "/hf.co%2forg/m%3AQ4_K"])
@pytest.mark.parametrize("prefix", ["/v1/models", "/models"])
def test_retrieve_in_a_namespace(start, prefix, path):
    """Raw or percent-encoded."""
    server, _ = start(tags("hf.co/org/m:Q4_K", "m:Q4_K"))
    get(server, LIST)
    model = get(server, prefix + path).json()
    assert (model["id"], model["owned_by"]) == ("hf.co/org/m:Q4_K", "org")


def test_percent_slash_only_there(server):
    """%2F stands for a slash in a model's id alone."""
    assert get(server, "/v1%2Fmodels").status == 400
    assert get(server, "/v1/chat%2Fcompletions", method="POST").status == 400


def test_retrieve_what_is_not_listed_and_can_be_shown(start):
    """A cloud model that was never pulled: created is what its details say."""
    show = answers.whole(200, {"details": {}, "modified_at": "2026-01-02T03:04:05+01:00",
                               "capabilities": ["completion"]})
    server, upstream = start(tags("m"), show)
    model = get(server, LIST + "/gpt-oss:120b-cloud").json()
    assert model == {"id": "gpt-oss:120b-cloud", "object": "model", "created": 1767319445,
                     "owned_by": "library"}
    assert shown(upstream) == ["gpt-oss:120b-cloud"]


def test_retrieve_what_was_pulled_since(start):
    """The list is read again first."""
    server, upstream = start(tags("a"))
    assert ids(get(server, LIST)) == ["a"]
    upstream.route("/api/tags", tags("a", "b"))
    time.sleep(5.2)
    assert get(server, LIST + "/b").json()["id"] == "b"
    assert shown(upstream) == []


@pytest.mark.parametrize("answer", [
    answers.replay("show-missing"), answers.error(400, "invalid model name"),
    answers.whole(404, b"404 page not found", "text/plain"),
], ids=["missing", "bad name", "no such route"])
def test_retrieve_what_is_not_there(start, answer):
    """404 model_not_found, param model, not to be retried."""
    server, _ = start(tags("m"), answer)
    response = get(server, LIST + "/nope:7b")
    assert response.status == 404
    assert response.error == {"message": "model 'nope:7b' not found", "param": "model",
                              "type": "invalid_request_error", "code": "model_not_found"}
    assert response.header("X-Should-Retry") == "false"


@pytest.mark.parametrize("length, status", [(511, 200), (512, 200), (513, 404)])
def test_retrieve_a_long_name(start, length, status):
    """Longer ones are not asked for."""
    show = answers.whole(200, {"details": {}, "capabilities": ["completion"]})
    server, upstream = start(tags("m"), show)
    assert get(server, LIST + "/" + "x" * length).status == status
    assert len(shown(upstream)) == (status == 200)


@pytest.mark.parametrize("path, status", [
    ("/%00", 400), ("/a%0ab", 400), ("/%", 400), ("/%zz", 400), ("/..%2Fx", 400), ("/%2e%2e", 400),
    ("/\xe9", 400), ("/%ff", 404), ("/a%20b", 404), ("/%22x%22", 404), ("/'%7B%7D", 404),
    ("/a//b", 404), ("/:", 404), ("/" + "x" * 3000, 404), ("/" + "%2F" * 200, 404),
])
def test_retrieve_odd_ids(server, path, status):
    """Each is a clear answer, and the next request is as good as ever."""
    response = get(server, LIST + path)
    assert response.status == status
    raw.check_error_object(response.error)
    assert response.error["code"] == ("model_not_found" if status == 404 else None)
    assert get(server, LIST + "/plain").status == 200


def test_retrieve_while_the_upstream_hangs(start):
    """An error well under 5 s; what is listed is told at once."""
    server, upstream = start(tags("m"), answers.steps(answers.HANG))
    assert ids(get(server, LIST)) == ["m"]
    began = time.monotonic()
    assert get(server, LIST + "/nope").status == 504
    assert time.monotonic() - began < 3
    began = time.monotonic()
    assert get(server, LIST + "/m").status == 200
    assert time.monotonic() - began < 1.5


def test_no_upstream(ollamas_own_port, start_server):
    """Without an upstream: 503 no_upstream. (Nothing listens on Ollama's own port here.)"""
    server = start_server(None)
    for path in (LIST, LIST + "/m"):
        response = get(server, path)
        if response.status != 200:  # else an Ollama runs on this machine
            assert response.status in (503, 404)
            assert response.error["code"] in ("no_upstream", "model_not_found")
