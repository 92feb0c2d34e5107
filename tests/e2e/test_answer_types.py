"""Answers are what the official packages' types say, no field missing and none too many.

The Python package's types are asked for every answer of the suite (answer_types.py). Those of the
Node package also say which fields have to be present: the golden answers, and what other routes
answer, are written into a TypeScript file as literals, which the compiler takes only if each has
all required fields and no unknown one.
"""

import copy
import json

import pytest

import answer_types
import answers
import raw
from node_clients import PACKAGES, compile_types, install

PRELUDE = """\
import type OpenAI from "%s/openai/index.js";
type Ours = { reasoning_content?: string; reasoning?: string };
type Whole = OpenAI.Chat.ChatCompletion;
type WholeChoice = OpenAI.Chat.ChatCompletion.Choice;
type Chat = Omit<Whole, "choices"> & { choices: Array<Omit<WholeChoice, "message"> &
  { message: OpenAI.Chat.ChatCompletionMessage & Ours }> };
type Part = OpenAI.Chat.ChatCompletionChunk;
type PartChoice = OpenAI.Chat.ChatCompletionChunk.Choice;
type Chunk = Omit<Part, "choices"> & { choices: Array<Omit<PartChoice, "delta"> &
  { delta: OpenAI.Chat.ChatCompletionChunk.Choice.Delta & Ours }> };
type Text = Omit<OpenAI.Completion, "choices"> & { choices: Array<OpenAI.CompletionChoice & Ours> };
// The package has no type of their chunks: the reason and the usage are null until they are known.
type TextChunk = Omit<Text, "choices" | "usage"> & { usage?: OpenAI.CompletionUsage | null;
  choices: Array<Omit<OpenAI.CompletionChoice, "finish_reason"> & Ours &
    { finish_reason: OpenAI.CompletionChoice["finish_reason"] | null }> };
// As JSON has them: the package makes numbers of base64.
type Vectors = Omit<OpenAI.CreateEmbeddingResponse, "data"> & { data: Array<
  Omit<OpenAI.Embedding, "embedding"> & { embedding: number[] | string }> };
type Models = { object: "list"; data: OpenAI.Model[] };
type Failure = { error: OpenAI.ErrorObject };
"""
KINDS = {"chat.completion": "Chat", "chat.completion.chunk": "Chunk", "text_completion": "Text",
         "model": "OpenAI.Model"}


def kind_of(obj, chunk):
    if set(obj) == {"error"}:
        return "Failure"
    if obj["object"] == "list":
        return "Vectors" if "usage" in obj else "Models"
    return KINDS[obj["object"]] + ("Chunk" if chunk and obj["object"] == "text_completion" else "")


def complaints(tmp_path, rows):
    """Compiles (kind, object) rows, one a line; returns the compiler's words by row."""
    install()
    prelude = PRELUDE % PACKAGES
    first = prelude.count("\n") + 1
    lines = [f"export const a{i}: {kind} = {json.dumps(obj)};"
             for i, (kind, obj) in enumerate(rows)]
    file = tmp_path / "answers.ts"
    file.write_text(prelude + "\n".join(lines) + "\n")
    found = {}
    for text in compile_types(file):
        place, _, words = text.partition(": error ")
        found[int(place.rpartition("(")[2].split(",")[0]) - first] = words
    return found


def golden_rows():
    rows = {}
    for path in sorted((answers.TESTS / "golden").glob("*/answer.*")):
        if path.suffix == ".sse":
            found = raw.Sse(path.read_bytes()).objects
        elif path.name == "answer.json":
            found = [json.loads(path.read_bytes())]
        else:
            continue
        for obj in found:
            rows[json.dumps(obj, sort_keys=True)] = (kind_of(obj, path.suffix == ".sse"), obj)
    return list(rows.values())


def live_rows(server):
    """What golden cases do not have: models, vectors as numbers, errors of our own."""
    asked = [("GET", "/v1/models", None), ("GET", "/v1/models/plain", None),
             ("GET", "/v1/models/nope", None), ("GET", "/v1/nope", None),
             ("DELETE", "/v1/models/plain", None), ("POST", raw.CHAT, b"{"),
             ("POST", raw.EMBEDDINGS, {"model": "minilm", "input": ["a", "b"],
                                       "encoding_format": "float"}),
             ("POST", raw.CHAT, {**raw.chat_body(), "n": 2})]
    found = [raw.exchange(server, raw.build(method, path, body), method).json()
             for method, path, body in asked]
    return [(kind_of(obj, False), obj) for obj in found]


def test_answers_have_the_types_of_the_node_package(server, upstream, tmp_path):
    """All of them, at once: the compiler starts slowly."""
    upstream.route("/api/embed", answers.replay("embed-batch"))
    rows = golden_rows() + live_rows(server)
    assert {kind for kind, _ in rows} == {*KINDS.values(), "TextChunk", "Vectors", "Models",
                                          "Failure"}
    found = complaints(tmp_path, rows)
    assert not found, [(rows[i], words) for i, words in sorted(found.items())[:5]]


# ---- answers with a fault ----


def golden(name, i=0):
    path = answers.TESTS / "golden" / name
    whole = path / "answer.json"
    return json.loads(whole.read_bytes()) if whole.exists() \
        else raw.Sse((path / "answer.sse").read_bytes()).objects[i]


def without(*path):
    return lambda obj: at(obj, path[:-1]).pop(path[-1])


def having(value, *path):
    return lambda obj: at(obj, path[:-1]).update({path[-1]: value})


def at(obj, path):
    for step in path:
        obj = obj[step]
    return obj


CHOICE = ("choices", 0)
# golden case, its event, the change, whether the Python types notice it too
FAULTS = [
    ("chat", 0, without("id"), True), ("chat", 0, without("created"), True),
    ("chat", 0, having("1", "created"), True), ("chat", 0, having(None, "model"), True),
    ("chat", 0, without(*CHOICE, "logprobs"), False),
    ("chat", 0, without(*CHOICE, "message", "refusal"), False),
    ("chat", 0, having("load", *CHOICE, "finish_reason"), True),
    ("chat", 0, having("x", *CHOICE, "message", "thinking"), True),
    ("chat", 0, having(1, "total_duration"), True),
    ("chat", 0, having("6", "usage", "total_tokens"), True),
    ("chat", 0, having(1, "usage", "eval_count"), True),
    ("chat-tools", 0, having({}, *CHOICE, "message", "tool_calls", 0, "function", "arguments"), True),
    ("chat-tools", 0, without(*CHOICE, "message", "tool_calls", 0, "type"), True),
    ("chat-tools", 0, having(0, *CHOICE, "message", "tool_calls", 0, "index"), True),
    ("chat-logprobs", 0, without(*CHOICE, "logprobs", "content", 0, "top_logprobs"), True),
    ("chat-logprobs", 0, without(*CHOICE, "logprobs", "refusal"), False),
    ("chat-stream", 0, without(*CHOICE, "index"), True),
    ("chat-stream", 0, without(*CHOICE, "finish_reason"), False),
    ("chat-stream", 0, having("x", *CHOICE, "delta", "thinking"), True),
    ("chat-stream", 0, having("", *CHOICE, "delta", "role"), True),
    ("chat-tools-stream", 1, without(*CHOICE, "delta", "tool_calls", 0, "index"), True),
    ("generate", 0, without(*CHOICE, "text"), True),
    ("generate", 0, without(*CHOICE, "logprobs"), False),
    ("generate-stream", 0, without(*CHOICE, "index"), True),
    ("embed", 0, without("usage", "total_tokens"), True),
    ("embed", 0, having(1, "load_duration"), True),
    ("embed", 0, without("data", 0, "index"), True),
    ("chat-missing-model", 0, without("error", "param"), False),
    ("chat-missing-model", 0, having(404, "error", "code"), True),
    ("chat-missing-model", 0, having(404, "error", "status"), True),
]


def faulty():
    for name, i, change, seen in FAULTS:
        obj = copy.deepcopy(golden(name, i))
        chunk = obj.get("object") == "chat.completion.chunk" or name == "generate-stream"
        kind = kind_of(obj, chunk)
        if obj.get("object") == "list":  # the list with usage, whatever is taken from it
            kind = "Vectors"
        change(obj)
        yield kind, obj, chunk, seen


def test_the_node_types_notice_faults(tmp_path):
    """Each fault is one complaint of the compiler."""
    rows = [(kind, obj) for kind, obj, _, _ in faulty()]
    assert sorted(complaints(tmp_path, rows)) == list(range(len(rows)))


def test_the_python_types_notice_faults():
    """Those that they can: a field that may be null may also be missing for them."""
    for kind, obj, chunk, seen in faulty():
        try:
            answer_types.check_object(obj, chunk)
            noticed = False
        except (ValueError, AssertionError, KeyError):
            noticed = True
        assert noticed == seen, (kind, obj)


@pytest.mark.parametrize("name, i", sorted({(name, i) for name, i, _, _ in FAULTS}))
def test_the_python_types_take_the_answers(name, i):
    """Before the fault."""
    answer_types.check_object(golden(name, i), chunk=name.endswith("stream"))
