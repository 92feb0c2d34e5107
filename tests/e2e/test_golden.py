"""Every golden case of tests/golden through the running program, byte for byte.

tests/golden/README.md says which files a case has. Ids and times in an answer stand for any.
"""

import json
import re

import pytest

import answers
import raw
from stream_rules import check_stream

GOLDEN = answers.TESTS / "golden"
CASES = sorted(path.parent.name for path in GOLDEN.glob("chat*/openai.json"))
NOT_MET = "## Recordings that no request meets"
ID = re.compile(rb'"id":"chatcmpl-([A-Za-z0-9_-]+)"')
CREATED = re.compile(rb'"created":\d+')


def normal(body):
    """The answer with the id and the time of the golden ones, and ids of calls made of that id."""
    found = ID.search(body)
    if found:
        body = body.replace(b"call_" + found.group(1) + b"_", b"call_golden_")
    body = ID.sub(b'"id":"chatcmpl-golden"', body)
    return CREATED.sub(b'"created":1700000000', body)


def meta_of(name):
    return json.loads((GOLDEN / name / "answer.meta.json").read_text())


def upstream_answer(name, slice_bytes):
    """What the upstream answers in the case: a file of its own, or a recording."""
    lines = GOLDEN / name / "upstream.ndjson"
    whole = GOLDEN / name / "upstream.json"
    if lines.exists():
        return answers.chat_stream(lines.read_bytes().splitlines(keepends=True))
    if whole.exists():
        return answers.whole(200, whole.read_bytes())
    return answers.replay(meta_of(name).get("recording", name), slice_bytes=slice_bytes)


def test_every_recording_has_a_case_or_a_reason():
    """A recorded chat is a golden case, or the list of those that cannot be says why not."""
    excused = (GOLDEN / "README.md").read_text().partition(NOT_MET)[2]
    excused = set(re.findall(r"`(chat[a-z0-9-]*)`", excused)) - set(CASES)
    recorded = {path.stem for path in answers.RECORDINGS.glob("chat*.response")}
    assert recorded - set(CASES) == excused


@pytest.mark.parametrize("slice_bytes", [None, 5], ids=["whole", "slices"])
@pytest.mark.parametrize("name", CASES)
def test_golden(request, server, upstream, name, slice_bytes):
    """The native request and the answer are those of the case."""
    folder = GOLDEN / name
    meta = meta_of(name)
    attempts = meta.get("attempts", 1)
    if attempts > 1:  # what the program learns of the model must not be known before
        upstream = request.getfixturevalue("new_upstream")()
        server = request.getfixturevalue("start_server")(upstream)
    if meta["form"] != "refused":
        upstream.script(*[upstream_answer(name, slice_bytes)] * attempts)
    response = raw.exchange(server, raw.build(
        "POST", raw.CHAT, (folder / "openai.json").read_bytes()))

    if meta["form"] == "refused":
        assert upstream.chats() == []
    else:
        assert len(upstream.chats()) == attempts
        native = upstream.chats()[0].body
        expected = (folder / "ollama.json").read_bytes().strip()
        assert json.loads(native) == json.loads(expected)
        assert native == expected

    assert response.status == meta.get("status", 200)
    if (folder / "answer.sse").exists():
        assert normal(response.body) == (folder / "answer.sse").read_bytes()
        stream = response.sse
        check_stream(response, expect_error=bool(stream.errors), usage=bool(stream.usage))
    else:
        assert normal(response.body).strip() == (folder / "answer.json").read_bytes().strip()
        if response.status >= 400:
            raw.check_error_object(response.json()["error"])


def compatibility_rows(page):
    """The last cells of the tables' rows."""
    text = (answers.TESTS.parent / "docs" / page).read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and "| ---" not in line]
    return [(row, row.rstrip("| ").rpartition(" | ")[2]) for row in rows]


def test_every_line_of_the_compatibility_tables_names_what_holds_it():
    """The last column of docs/compatibility.md names golden cases and tests that exist."""
    rows = compatibility_rows("compatibility.md")
    sources = "\n".join(path.read_text() for path in answers.TESTS.rglob("test_*.[cp]*"))
    assert len(rows) > 50
    for row, held_by in rows:
        names = re.findall(r"`([^`]+)`", held_by)
        assert names or held_by == "held by", row
        for name in names:
            assert name == "FIELDS" or (GOLDEN / name / "answer.meta.json").exists() \
                or re.search(rf"\b{re.escape(name)}\b", sources), f"{name} is no test: {row}"


@pytest.mark.parametrize("page, unit", [("completions", "test_completion.c"),
                                        ("embeddings", "test_embedding.c")])
def test_every_line_of_the_other_tables_does_too(page, unit):
    """Theirs is `u: name` for a unit test, `f:`, `e:` for an end-to-end test, `g:` for a case."""
    files = {"u": answers.TESTS / "unit" / "codec" / unit,
             "f": answers.TESTS / "unit" / "codec" / "test_float32.c",
             "e": answers.TESTS / "e2e" / f"test_{page}.py"}
    rows = compatibility_rows(f"compatibility-{page}.md")
    assert len(rows) > 15
    for row, held_by in rows:
        names = re.findall(r"\b([ufeg]): ([\w-]+)", held_by)
        assert names or held_by == "test", row
        for kind, name in names:
            if kind == "g":
                assert (GOLDEN / name / "openai.json").exists(), row
            else:
                assert re.search(rf"test_(\w+__)?{name}\(", files[kind].read_text()), row
