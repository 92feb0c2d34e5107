"""Every answer is held against the types of the official package.

The package reads leniently: unknown fields are kept, wrong types pass. Here nothing does, but for
the two fields of ours that docs/compatibility.md names. What its types cannot say, that a field
has to be present though it may be null, test_answer_types.py asks of the Node package's.
"""

import base64
import json

import pydantic
from openai.types import Completion, CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.shared import ErrorObject

TYPES = {"chat.completion": ChatCompletion, "chat.completion.chunk": ChatCompletionChunk,
         "text_completion": Completion, "model": Model}
OURS = {"ChatCompletionMessage": {"reasoning_content", "reasoning"},
        "ChoiceDelta": {"reasoning_content", "reasoning"},
        "CompletionChoice": {"reasoning_content", "reasoning"}}


def unknown_fields(value, where=""):
    """Paths of fields that the package's types do not have."""
    if isinstance(value, list):
        return [path for i, item in enumerate(value) for path in unknown_fields(item, f"{where}[{i}]")]
    if not isinstance(value, pydantic.BaseModel):
        return []
    ours = OURS.get(type(value).__name__, set())
    found = [f"{where}.{name}" for name in value.model_extra or {} if name not in ours]
    for name in type(value).model_fields:
        found += unknown_fields(getattr(value, name), f"{where}.{name}")
    return found


def check_object(obj, chunk=False):
    """Raises where `obj`, an answer or a chunk of one, is not what its `object` says."""
    if set(obj) == {"error"}:
        kind, obj = ErrorObject, obj["error"]
    elif obj.get("object") == "list" and "message" not in obj:  # GET /v1 has one
        check_list(obj)
        return
    else:
        kind = TYPES.get(obj.get("object"))
    if kind is None:
        return
    if kind is Completion and chunk:
        # The types of a chunk are those of a whole answer, whose reason is never null.
        obj = {**obj, "choices": [{**choice, "finish_reason": choice["finish_reason"] or "stop"}
                                  for choice in obj["choices"]]}
    made = kind.model_validate(obj, strict=True)
    assert unknown_fields(made) == []


def check_list(obj):
    if any(item.get("object") == "embedding" for item in obj["data"]):
        data = [{**item, "embedding": numbers_of(item["embedding"])} for item in obj["data"]]
        made = CreateEmbeddingResponse.model_validate({**obj, "data": data}, strict=True)
        assert unknown_fields(made) == []
    else:
        assert set(obj) == {"object", "data"}
        for item in obj["data"]:
            assert item["object"] == "model"
            check_object(item)


def numbers_of(embedding):
    """A list of numbers; base64 is decoded to bytes, four to a number."""
    if not isinstance(embedding, str):
        return embedding
    raw = base64.b64decode(embedding, validate=True)
    assert len(raw) % 4 == 0
    return [0.0] * (len(raw) // 4)


def check_answer(response):
    """Any answer of the program; what is none of OpenAI's passes, the admin's answers with it."""
    if response.path.startswith("/admin"):
        return
    content_type = response.header("Content-Type", "")
    if content_type.startswith("text/event-stream"):
        for obj in response.sse.objects:
            check_object(obj, chunk=True)
    elif content_type.startswith("application/json") and response.body:
        obj = json.loads(response.body)
        if isinstance(obj, dict):
            check_object(obj)
