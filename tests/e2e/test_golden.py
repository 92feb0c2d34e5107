"""Every golden case of tests/golden through the running program, byte for byte.

A case is a folder: openai.json is what a caller sends, ollama.json what we send on, the recording
of the folder's name what the upstream answers, answer.json or answer.sse what the caller gets
(with an id and a time that stand for any), answer.meta.json its status where it is not 200.
"""

import json
import re

import pytest

import answers
import raw
from stream_rules import check_stream

GOLDEN = answers.TESTS / "golden"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/openai.json"))
ASKED_FOR = {
    "chat", "chat-stream", "chat-stream-length", "chat-stop", "chat-system", "chat-unicode",
    "chat-options", "chat-missing-model", "chat-empty-messages", "chat-runner-killed",
    "chat-stream-runner-killed", "chat-stream-server-stopped",
    "generate", "generate-stream", "generate-raw-stream", "generate-empty",
    "generate-think-stream", "generate-suffix-unsupported", "embed", "embed-batch",
    "embed-dimensions", "embed-empty", "embed-missing-model", "embed-wrong-model",
    "embed-too-long"}
ROUTES = {  # by the first word of a case's name: our route, the native one
    "chat": (raw.CHAT, "/api/chat"), "generate": (raw.COMPLETIONS, "/api/generate"),
    "embed": (raw.EMBEDDINGS, "/api/embed")}
ID = re.compile(rb'"id":"(chatcmpl|cmpl)-[A-Za-z0-9_-]+"')
CREATED = re.compile(rb'"created":\d+')


def normal(body):
    body = ID.sub(rb'"id":"\1-golden"', body)
    return CREATED.sub(b'"created":1700000000', body)


def test_all_cases_are_there():
    """No case was lost."""
    assert ASKED_FOR <= set(CASES)


@pytest.mark.parametrize("slice_bytes", [None, 5], ids=["whole", "slices"])
@pytest.mark.parametrize("name", CASES)
def test_golden(server, upstream, name, slice_bytes):
    """The native request and the answer are those of the case."""
    folder = GOLDEN / name
    path, native_path = ROUTES[name.partition("-")[0]]
    upstream.route(native_path, answers.replay(name, slice_bytes=slice_bytes))
    response = raw.exchange(server, raw.build(
        "POST", path, (folder / "openai.json").read_bytes()))

    seen = [request for request in upstream.requests if request.target == native_path]
    assert len(seen) == 1
    native = seen[0].body
    expected = (folder / "ollama.json").read_bytes().strip()
    assert json.loads(native) == json.loads(expected)
    assert native == expected

    meta_path = folder / "answer.meta.json"
    meta = json.loads(meta_path.read_text()) if meta_path.exists() else {}
    assert response.status == meta.get("status", 200)
    if (folder / "answer.sse").exists():
        assert normal(response.body) == (folder / "answer.sse").read_bytes()
        stream = response.sse
        if path == raw.CHAT:
            check_stream(response, expect_error=bool(stream.errors), usage=bool(stream.usage))
    else:
        assert normal(response.body).strip() == (folder / "answer.json").read_bytes().strip()
        if response.status >= 400:
            raw.check_error_object(response.json()["error"])
