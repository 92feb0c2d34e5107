"""Golden cases of completions, embeddings and models through the running program, byte for byte.

As in test_golden.py, which has those of chat. A case has what the upstream answers in
upstream.json, or is the recording of its name; answer.meta.json says what is not as usual.
"""

import json
import os
import re

import pytest

import answers
import raw

GOLDEN = answers.TESTS / "golden"
ROUTES = {  # by the first word of a case's name: our route, the native one
    "generate": (raw.COMPLETIONS, "/api/generate"), "embed": (raw.EMBEDDINGS, "/api/embed"),
    "failed": (raw.CHAT, "/api/chat")}
CASES = sorted(path.parent.name for word in ROUTES
               for path in GOLDEN.glob(f"{word}*/openai.json"))
MODELS = sorted(path.parent.name for path in GOLDEN.glob("models*/upstream.json"))
ID = re.compile(rb'"id":"cmpl-[A-Za-z0-9_-]+"')
CREATED = re.compile(rb'"created":\d+')
NOT_MET = {  # recordings without a case
    "embed-no-input": "without an input we answer 400",
    "embed-number": "an input is text always",
}
ROWS_NOT_MET = {  # edge cases of Ollama without a case
    109: "a path with a slash at its end is never asked for",
}


def test_every_recording_has_a_case_or_a_reason():
    """No case was lost."""
    recorded = {path.stem for word in ROUTES
                for path in answers.RECORDINGS.glob(f"{word}*.response")}
    recorded -= {name for name in recorded if name.startswith("embeddings-legacy")}  # not called
    assert recorded == {name for name in CASES if "-case-" not in name} | set(NOT_MET)


def test_every_edge_case_has_a_golden_case():
    """Rows 1 to 77 and 93 to 113 are those of these routes."""
    rows = {row for path in GOLDEN.glob("*/answer.meta.json")
            for row in json.loads(path.read_text()).get("rows", [])}
    assert {*range(1, 78), *range(93, 114)} - set(ROWS_NOT_MET) == rows


def normal(body):
    body = ID.sub(b'"id":"cmpl-golden"', body)
    return CREATED.sub(b'"created":1700000000', body)


def meta_of(name):
    path = GOLDEN / name / "answer.meta.json"
    return json.loads(path.read_text()) if path.exists() else {}


def upstream_answer(name, meta, slice_bytes):
    own = GOLDEN / name / "upstream.json"
    if not own.exists():
        return answers.replay(name, slice_bytes=slice_bytes)
    return answers.whole(meta.get("upstream_status", 200), own.read_bytes(),
                         meta.get("upstream_type", "application/json; charset=utf-8"))


def check_answer(name, body):
    """The case's answer is `body`; O2O_GOLDEN_WRITE=1 writes a case that has none yet."""
    files = [path for path in (GOLDEN / name).glob("answer.*") if path.suffix in (".sse", ".json")
             and path.name != "answer.meta.json"]
    if not files and os.environ.get("O2O_GOLDEN_WRITE"):
        files = [GOLDEN / name / "answer.json"]
        files[0].write_bytes(body)
    [file] = files
    assert body == file.read_bytes()


@pytest.mark.parametrize("slice_bytes", [None, 5], ids=["whole", "slices"])
@pytest.mark.parametrize("name", CASES)
def test_golden(request, server, upstream, name, slice_bytes):
    """The native request and the answer are those of the case."""
    folder, meta = GOLDEN / name, meta_of(name)
    path, native_path = ROUTES[name.partition("-")[0]]
    if name.startswith("failed"):  # which leaves its marks on the upstream's state
        upstream = request.getfixturevalue("new_upstream")()
        server = request.getfixturevalue("start_server")(upstream)
    native = folder / "ollama.json"
    if native.exists():
        upstream.route(native_path, upstream_answer(name, meta, slice_bytes))
    response = raw.exchange(server, raw.build(
        "POST", path, (folder / "openai.json").read_bytes()))

    seen = [request.body for request in upstream.requests if request.target == native_path]
    assert seen == ([native.read_bytes()] if native.exists() else [])
    assert response.status == meta.get("status", 200)
    check_answer(name, normal(response.body))
    if response.status >= 400:
        raw.check_error_object(response.error)


@pytest.mark.parametrize("name", MODELS)
def test_golden_models(new_upstream, start_server, name):
    """The list that is made of the upstream's, or one model of it."""
    meta, upstream = meta_of(name), new_upstream()
    upstream.route("/api/tags", upstream_answer(name, meta, None))
    server = start_server(upstream)
    path = "/v1/models" + ("/" + meta["id"] if "id" in meta else "")
    response = raw.get(server, path)
    assert response.status == 200
    check_answer(name, response.body)
