"""The official Node SDK, two releases of it, unmodified: its results equal the recordings."""

import pytest

import answers
import node_clients
from sdk_cases import BAD, GOOD, expected, request_of

RELEASES = ["openai", "openai6"]


@pytest.fixture(params=RELEASES)
def chat(server, request):
    def run(how, body, api_key="any", url=None):
        return node_clients.run("chat.mjs", {
            "release": request.param, "baseURL": (url or server.url) + "/v1", "apiKey": api_key,
            "how": how, "body": body})
    return run


@pytest.mark.parametrize("id, status", [("plain", None), ("org/nope:7b", 404)])
def test_models(server, id, status):
    """models.list() and models.retrieve(), which encodes slashes."""
    got = node_clients.run("models.mjs", {
        "baseURL": server.url + "/v1", "apiKey": "any", "id": id})
    assert got["ids"] == ["minilm:latest", "plain:latest", "think:latest", "tools:latest"]
    if status is None:
        assert (got["model"]["id"], got["model"]["object"]) == (id, "model")
    else:
        assert got["error"] == {"name": "NotFoundError", "status": 404, "code": "model_not_found"}


def same(got, name):
    wanted = expected(name)
    assert {key: got[key] for key in wanted} == wanted
    assert "error" not in got


@pytest.mark.parametrize("name, streamed", GOOD)
def test_create(chat, upstream, name, streamed):
    """create(), streamed or not as the recording was."""
    upstream.script(answers.replay(name))
    got = chat("stream" if streamed else "create", request_of(name))
    same(got, name)
    assert got["roles"] == ["assistant"] if streamed else got["request_id"]


@pytest.mark.parametrize("name", [name for name, streamed in GOOD if streamed])
def test_stream_helper(chat, upstream, name):
    """stream(), which is the strictest reader, and its final completion."""
    upstream.script(answers.replay(name, slice_bytes=11))
    got = chat("helper", request_of(name))
    same(got, name)
    assert got["final_content"] == got["content"] and got["roles"] == ["assistant"]


@pytest.mark.parametrize("name, streamed, status, code", BAD)
def test_errors(chat, upstream, name, streamed, status, code):
    """HTTP errors and broken streams throw, with the code and what came before."""
    upstream.script(answers.replay(name))
    got = chat("stream" if streamed else "create", request_of(name))
    error = got["error"]
    assert error["status"] == status and error["code"] == code and error["message"]
    if status is None:
        assert got["content"] == expected(name)["content"]
    else:
        assert error["request_id"]


def test_stop_early_closes_the_upstream(chat, upstream):
    """A reader who breaks off stops the model."""
    upstream.script(answers.endless_stream(lambda n: answers.line(f"w{n} "), delay=0.02))
    assert chat("leave", request_of("chat"))["left"]
    conn = upstream.chats()[0].conn
    upstream.wait_for(lambda: conn.closed_at, what="the upstream to be closed")
