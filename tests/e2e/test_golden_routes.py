"""Golden cases of completions and embeddings through the running program, byte for byte.

As in test_golden.py, which has those of chat; answer.meta.json is there where the status is not
200.
"""

import json
import re

import pytest

import answers
import raw

GOLDEN = answers.TESTS / "golden"
ROUTES = {  # by the first word of a case's name: our route, the native one
    "generate": (raw.COMPLETIONS, "/api/generate"), "embed": (raw.EMBEDDINGS, "/api/embed")}
CASES = sorted(path.parent.name for word in ROUTES
               for path in GOLDEN.glob(f"{word}*/openai.json"))
ID = re.compile(rb'"id":"cmpl-[A-Za-z0-9_-]+"')
CREATED = re.compile(rb'"created":\d+')
NOT_MET = {  # recordings without a case
    "embed-no-input": "without an input we answer 400",
    "embed-number": "an input is text always",
}


def test_every_recording_has_a_case_or_a_reason():
    """No case was lost."""
    recorded = {path.stem for word in ROUTES
                for path in answers.RECORDINGS.glob(f"{word}*.response")}
    recorded -= {name for name in recorded if name.startswith("embeddings-legacy")}  # not called
    assert recorded == set(CASES) | set(NOT_MET)


def normal(body):
    body = ID.sub(b'"id":"cmpl-golden"', body)
    return CREATED.sub(b'"created":1700000000', body)


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
    assert seen[0].body == (folder / "ollama.json").read_bytes()
    meta = folder / "answer.meta.json"
    status = json.loads(meta.read_text())["status"] if meta.exists() else 200
    assert response.status == status
    answer = folder / ("answer.sse" if (folder / "answer.sse").exists() else "answer.json")
    assert normal(response.body) == answer.read_bytes()
    if status >= 400:
        raw.check_error_object(response.error)
