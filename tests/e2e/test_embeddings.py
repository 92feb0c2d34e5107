"""POST /v1/embeddings, by raw requests and the official SDKs, whose default is base64."""

import base64
import json
import struct

import openai
import pytest

import answers
import node_clients
import raw
from raw import EMBEDDINGS, build, exchange

NATIVE = "/api/embed"
GOOD = ["embed", "embed-batch", "embed-dimensions"]


def ask(server, **more):
    return exchange(server, build("POST", EMBEDDINGS, {"model": "minilm", "input": "Hi", **more}))


def natives(upstream):
    return [json.loads(r.body) for r in upstream.requests if r.target == NATIVE]


def vectors(*lists, **more):
    return answers.whole(200, {"model": "minilm", "embeddings": list(lists), **more})


def recorded(name):
    return answers.recorded_lines(name)[0]


def request_of(name):
    native = json.loads(answers.recorded_request(name)[2])
    return {key: native[key] for key in ("model", "input", "dimensions") if key in native}


def float32(numbers):
    """The numbers as 32-bit floats have them."""
    return list(struct.unpack(f"<{len(numbers)}f", struct.pack(f"<{len(numbers)}f", *numbers)))


# ---- the official SDKs ----


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.url + "/v1", api_key="any", max_retries=0,
                       timeout=30) as made:
        yield made


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("encoding", [{}, {"encoding_format": "float"}], ids=["default", "float"])
def test_sdk_python(client, upstream, name, encoding):
    """create() decodes the base64 that it asks for by itself; floats come as they are."""
    upstream.route(NATIVE, answers.replay(name, slice_bytes=997))
    got = client.embeddings.create(**request_of(name), **encoding)
    wanted = recorded(name)
    assert [item.index for item in got.data] == list(range(len(wanted["embeddings"])))
    for item, vector in zip(got.data, wanted["embeddings"]):
        assert item.object == "embedding"
        assert list(item.embedding) == (vector if encoding else float32(vector))
    assert got.object == "list" and got.model == "minilm" and got._request_id
    assert got.usage.prompt_tokens == got.usage.total_tokens == wanted["prompt_eval_count"]
    assert natives(upstream) == [{key: value for key, value in request_of(name).items()}]


@pytest.mark.parametrize("encoding", [{}, {"encoding_format": "float"},
                                      {"encoding_format": "base64"}],
                         ids=["default", "float", "base64"])
def test_sdk_node(server, upstream, encoding):
    """The same with Node, which asks for base64 by default and decodes it."""
    upstream.route(NATIVE, answers.replay("embed-batch"))
    got = node_clients.run("embeddings.mjs", {
        "baseURL": server.url + "/v1", "apiKey": "any",
        "body": {**request_of("embed-batch"), **encoding}})
    wanted = recorded("embed-batch")
    for vector, native in zip(got["vectors"], wanted["embeddings"], strict=True):
        if encoding.get("encoding_format") == "base64":
            vector = list(struct.unpack("<384f", base64.b64decode(vector, validate=True)))
        assert vector == (native if encoding.get("encoding_format") == "float"
                          else float32(native))
    assert got["indexes"] == [0, 1, 2]
    assert got["usage"] == {"prompt_tokens": wanted["prompt_eval_count"],
                            "total_tokens": wanted["prompt_eval_count"]}


def test_sdk_strict_validation(server, upstream):
    """With _strict_response_validation every field has the type that the SDK declares."""
    upstream.route(NATIVE, answers.replay("embed-batch"))
    with openai.OpenAI(base_url=server.url + "/v1", api_key="any", max_retries=0,
                       _strict_response_validation=True) as strict:
        got = strict.embeddings.create(**request_of("embed-batch"), encoding_format="float")
    assert len(got.data) == 3


def test_sdk_token_ids(client, upstream):
    """What LangChain sends by default: a 400 that names the setting."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="minilm", input=[[1, 2], [3]])
    assert "check_embedding_ctx_length=False" in caught.value.message
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "input")
    assert natives(upstream) == []


# ---- answers ----


def test_shape(server, upstream):
    """Every required field and no other."""
    upstream.route(NATIVE, answers.replay("embed-batch"))
    obj = ask(server, input=["a", "b", "c"]).json()
    assert set(obj) == {"object", "data", "model", "usage"} and obj["object"] == "list"
    assert obj["model"] == "minilm"
    assert set(obj["usage"]) == {"prompt_tokens", "total_tokens"}
    for i, item in enumerate(obj["data"]):
        assert set(item) == {"object", "index", "embedding"}
        assert (item["object"], item["index"]) == ("embedding", i)


def test_numbers_stay_the_text_they_were(server, upstream):
    """As floats nothing is rounded or written anew."""
    upstream.route(NATIVE, answers.whole(200, b'{"embeddings":[[0.10,1e-05,-0.0,17]]}'))
    assert b'"embedding":[0.10,1e-05,-0.0,17]' in ask(server).body


@pytest.mark.parametrize("encoding, text", [
    ("base64", True), ("BASE64", True), ("Base64", True), ("float", False), ("FLOAT", False),
    ("", False), (None, False)])
def test_encoding_formats(server, upstream, encoding, text):
    """Any case; null and the empty text are float."""
    upstream.route(NATIVE, vectors([0.1, -0.2, 0.3]))
    got = ask(server, encoding_format=encoding).json()["data"][0]["embedding"]
    assert got == ("zczMPc3MTL6amZk+" if text else [0.1, -0.2, 0.3])


def test_counts_may_be_absent(server, upstream):
    """Then they are 0."""
    upstream.route(NATIVE, vectors([1]))
    assert ask(server).json()["usage"] == {"prompt_tokens": 0, "total_tokens": 0}


def test_large_answers(server, upstream):
    """64 vectors of 4,096 numbers, whole and exact."""
    import random
    random.seed(5)
    lists = [[random.uniform(-1, 1) for _ in range(4096)] for _ in range(64)]
    upstream.route(NATIVE, vectors(*lists))
    data = ask(server, input=["x"] * 64, encoding_format="base64").json()["data"]
    for item, numbers in zip(data, lists, strict=True):
        assert base64.b64decode(item["embedding"], validate=True) == struct.pack("<4096f", *numbers)


@pytest.mark.parametrize("inputs, answer", [
    ("x", vectors()), ("x", vectors([1], [2])), (["a", "b"], vectors([1])),
    ("x", answers.whole(200, {"embeddings": None})), ("x", answers.whole(200, {})),
    ("x", answers.whole(200, {"embeddings": [1, 2]})), ("x", vectors([None])),
    ("x", vectors(["0.1"])), ("x", vectors([[0.1]])), ("x", answers.whole(200, b"[]")),
    ("x", answers.whole(200, b'{"embeddings":[[0.1,]]}')), ("x", answers.whole(200, b"")),
    ("x", answers.whole(200, b'{"embeddings":[[0.1')), ("x", answers.whole(200, b"<html>")),
    ("x", answers.whole(200, b'{"embeddings":[[1e39]]}')),
    ("x", answers.steps(answers.head(200, fields=[("Content-Length", 100)]) + b'{"emb',
                        answers.CLOSE)),
])
@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_bad_answers(server, upstream, inputs, answer, encoding):
    """502 bad_upstream_response, never a vector for the wrong text or none at all."""
    upstream.route(NATIVE, answer)
    response = ask(server, input=inputs, encoding_format=encoding)
    assert (response.status, response.error["code"]) == (502, "bad_upstream_response")


@pytest.mark.parametrize("status, text, ours, code, param", [
    (404, 'model "x" not found, try pulling it first', 404, "model_not_found", "model"),
    (501, "this model does not support embeddings", 400, None, "model"),
    (400, "the input length exceeds the context length", 400, "context_length_exceeded", "input"),
    (500, 'option "num_ctx" must be of type integer', 400, None, "num_ctx"),
    (500, "model runner has unexpectedly stopped", 500, None, None),
    (200, "model runner has unexpectedly stopped", 500, None, None),
])
def test_native_errors(server, upstream, status, text, ours, code, param):
    """The status they deserve, and the name that embeddings have for the field."""
    upstream.route(NATIVE, answers.error(status, text))
    response = ask(server)
    assert (response.status, response.error["code"], response.error["param"]) == (ours, code, param)


def test_the_log_names_the_route(server, upstream):
    """One access line with the route's name and the model's."""
    upstream.route(NATIVE, vectors([1]))
    response = ask(server)
    found = server.wait_log(response.header("x-request-id"))[0]
    assert "embeddings" in found and "minilm" in found


def test_request_timeout(start_server, upstream):
    """An upstream that never answers is 504."""
    upstream.route(NATIVE, answers.steps(answers.HANG))
    server = start_server(upstream, REQUEST_TIMEOUT=1000)
    response = ask(server)
    assert (response.status, response.error["code"]) == (504, "upstream_timeout")


# ---- requests ----


@pytest.mark.parametrize("given, native", [
    ("x", "x"), (["x"], ["x"]), (["x", "", "é\u0000"], ["x", "", "é\u0000"]), ("", [""]),
])
def test_inputs(server, upstream, given, native):
    """A text, or a list of them; an empty text has a vector too."""
    upstream.route(NATIVE, vectors(*([1],) * (len(given) if isinstance(given, list) else 1)))
    assert ask(server, input=given).status == 200
    assert natives(upstream) == [{"model": "minilm", "input": native}]


def test_many_inputs(server, upstream):
    """2,048 texts, OpenAI's own limit."""
    upstream.route(NATIVE, vectors(*([i] for i in range(2048))))
    data = ask(server, input=[str(i) for i in range(2048)]).json()["data"]
    assert [item["embedding"] for item in data] == [[i] for i in range(2048)]


def test_fields_that_are_passed_on(server, upstream):
    """dimensions, and what Ollama's users know; user is ignored."""
    upstream.route(NATIVE, vectors([1]))
    fields = {"dimensions": 8, "truncate": False, "keep_alive": "5m", "options": {"num_ctx": 99}}
    assert ask(server, **fields, user="u", store=True).status == 200
    assert natives(upstream) == [{"model": "minilm", "input": "Hi", **fields}]


def test_default_num_ctx_is_for_conversations(start_server, upstream):
    """An embedder has a window of its own."""
    upstream.route(NATIVE, vectors([1]))
    assert ask(start_server(upstream, DEFAULT_NUM_CTX=8192)).status == 200
    assert natives(upstream) == [{"model": "minilm", "input": "Hi"}]


HUGE = 10**30
BAD_FIELDS = [
    ("model", [5, True, [], {}, "", None, "x" * 10000]),
    ("input", [5, True, {}, None, [], [None], [{}], [True], [5], [[5]], ["a", 5], HUGE]),
    ("encoding_format", [5, True, [], {}, "hex", "float32", "x" * 10000, HUGE]),
    ("dimensions", ["8", True, [], {}, 0, -1, 1.5, HUGE, 2**31]),
    ("truncate", [5, "true", [], {}]),
    ("keep_alive", [True, [], {}]),
    ("options", [5, "x", [], True]),
]


@pytest.mark.parametrize("name, value", [(name, value) for name, values in BAD_FIELDS
                                         for value in values])
def test_bad_fields(server, upstream, name, value):
    """400 that names the field; the upstream is not asked."""
    response = ask(server, **{name: value})
    assert response.status == 400, response
    assert response.error["type"] == "invalid_request_error"
    assert response.error["param"].startswith(name)
    assert natives(upstream) == []


@pytest.mark.parametrize("name", [name for name, _ in BAD_FIELDS if name not in ("model", "input")]
                         + ["user"])
def test_null_is_absent(server, upstream, name):
    """As everywhere."""
    upstream.route(NATIVE, vectors([1]))
    assert ask(server, **{name: None}).status == 200
    assert natives(upstream) == [{"model": "minilm", "input": "Hi"}]


@pytest.mark.parametrize("path", ["/embeddings", "/v1/v1/embeddings", "/v1/embeddings/"])
def test_paths(server, upstream, path):
    """The tolerance that all routes have."""
    upstream.route(NATIVE, vectors([1]))
    assert exchange(server, build("POST", path, {"model": "m", "input": "x"})).status == 200


@pytest.mark.parametrize("path", [EMBEDDINGS, raw.COMPLETIONS])
def test_wrong_method(server, path):
    """405 with Allow."""
    response = raw.get(server, path)
    assert response.status == 405 and "POST" in response.header("Allow")
