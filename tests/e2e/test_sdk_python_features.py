"""The official Python SDK: tools, parse(), log probabilities, images, models.

Plain chats are in test_sdk_python.py, completions and embeddings with the tests of their routes.
"""

import base64
import json

import openai
import pydantic
import pytest

import answers
from answers import chat_json, chat_stream, done_line, line, words

HI = [{"role": "user", "content": "Hi"}]
CALLS = [{"id": "call_a", "function": {"index": 0, "name": "get_weather",
                                       "arguments": {"city": "Zürich", "z": 1.50, "a": None}}},
         {"function": {"index": 0, "name": "add", "arguments": {}}}]
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {
    "type": "object", "properties": {}}}} for name in ("get_weather", "add")]
TOKENS = [{"token": token, "logprob": logprob, "bytes": list(token.encode()),
           "top_logprobs": [{"token": "?", "logprob": -3.5, "bytes": [63]}]}
          for token, logprob in (("né", -0.25), ("!", -1))]


class Weather(pydantic.BaseModel):
    city: str
    degrees: float


class GetWeather(pydantic.BaseModel):
    """The weather of a city."""
    city: str


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.url + "/v1", api_key="any", max_retries=0,
                       timeout=30) as made:
        yield made


def calls_line(*calls):
    return line(message={"role": "assistant", "content": "", "tool_calls": list(calls)})


def body_of(upstream, i=0):
    return json.loads(upstream.chats()[i].body)


def final_of(client, **options):
    """What the stream helper puts together."""
    with client.chat.completions.stream(model="plain", **options) as stream:
        stream.until_done()
        return stream.get_final_completion()


@pytest.mark.parametrize("streamed", [False, True])
def test_tools(client, upstream, streamed):
    """Two calls, their arguments as the model wrote them; the results find their calls."""
    if streamed:
        upstream.script(chat_stream([calls_line(CALLS[0]), calls_line(CALLS[1]), done_line()]))
        got = final_of(client, messages=HI, tools=TOOLS)
    else:
        upstream.script(chat_json(message={"role": "assistant", "content": "",
                                           "tool_calls": CALLS}))
        got = client.chat.completions.create(model="plain", messages=HI, tools=TOOLS)
    message = got.choices[0].message
    assert got.choices[0].finish_reason == "tool_calls" and not message.content
    first, second = message.tool_calls
    assert (first.id, first.type, first.function.name) == ("call_a", "function", "get_weather")
    assert json.loads(first.function.arguments) == CALLS[0]["function"]["arguments"]
    assert list(json.loads(first.function.arguments)) == ["city", "z", "a"]
    assert (second.function.name, second.function.arguments) == ("add", "{}")
    assert second.id and second.id != first.id

    upstream.script(chat_json("Done."))
    history = [*HI, message.model_dump(exclude_none=True),
               {"role": "tool", "tool_call_id": second.id, "content": "0"},
               {"role": "tool", "tool_call_id": first.id,
                "content": [{"type": "text", "text": "sunny"}, {"type": "text", "text": "."}]}]
    client.chat.completions.create(model="plain", messages=history, tools=TOOLS)
    sent = body_of(upstream, 1)["messages"]
    assert [call["function"]["arguments"] for call in sent[1]["tool_calls"]] \
        == [call["function"]["arguments"] for call in CALLS]
    assert [(one["tool_name"], one["content"]) for one in sent[2:]] \
        == [("add", "0"), ("get_weather", "sunny.")]


@pytest.mark.parametrize("streamed", [False, True])
def test_parse(client, upstream, streamed):
    """An object of the caller's own type; its schema is what the upstream is given."""
    text = json.dumps({"city": "Bern", "degrees": 21.5})
    upstream.script(chat_stream(words(text[:7], text[7:])) if streamed else chat_json(text))
    options = {"messages": HI, "response_format": Weather}
    got = final_of(client, **options) if streamed \
        else client.chat.completions.parse(model="plain", **options)
    assert got.choices[0].message.parsed == Weather(city="Bern", degrees=21.5)
    assert list(body_of(upstream)["format"]["properties"]) == ["city", "degrees"]


@pytest.mark.parametrize("streamed", [False, True])
def test_parse_tools(client, upstream, streamed):
    """Arguments become an object of the tool's type."""
    call = {"function": {"name": "GetWeather", "arguments": {"city": "Bern"}}}
    options = {"messages": HI, "tools": [openai.pydantic_function_tool(GetWeather)]}
    if streamed:
        upstream.script(chat_stream([calls_line(call), done_line()]))
        got = final_of(client, **options)
    else:
        upstream.script(chat_json(message={"role": "assistant", "content": "",
                                           "tool_calls": [call]}))
        got = client.chat.completions.parse(model="plain", **options)
    [made] = got.choices[0].message.tool_calls
    assert made.function.parsed_arguments == GetWeather(city="Bern")


@pytest.mark.parametrize("streamed", [False, True])
def test_parse_raises_at_the_limit(client, upstream, streamed):
    """Half of an object is no object: the finish reason says so, and the SDK raises."""
    options = {"messages": HI, "response_format": Weather}
    upstream.script(chat_stream(words('{"city":', reason="length")) if streamed
                    else chat_json('{"city":', "length"))
    with pytest.raises(openai.LengthFinishReasonError):
        if streamed:
            final_of(client, **options)
        else:
            client.chat.completions.parse(model="plain", **options)


@pytest.mark.parametrize("streamed", [False, True])
def test_logprobs(client, upstream, streamed):
    """Each token, its bytes and its rivals."""
    options = {"messages": HI, "logprobs": True, "top_logprobs": 1}
    if streamed:
        upstream.script(chat_stream([line("né", logprobs=TOKENS[:1]),
                                     line("!", logprobs=TOKENS[1:]), done_line()]))
        got = final_of(client, **options)
    else:
        upstream.script(chat_json("né!", logprobs=TOKENS))
        got = client.chat.completions.create(model="plain", **options)
    assert [entry.model_dump() for entry in got.choices[0].logprobs.content] == TOKENS
    assert got.choices[0].logprobs.refusal is None


@pytest.mark.parametrize("streamed", [False, True])
def test_vision(client, upstream, streamed):
    """Two images and two texts of one message stay one message."""
    pictures = [b"\x89PNG\r\n\x1a\n", bytes(range(256)) * 40]
    parts = [{"type": "text", "text": "What is "}]
    parts += [{"type": "image_url", "image_url": {
        "url": "data:image/png;base64," + base64.b64encode(data).decode()}} for data in pictures]
    parts.append({"type": "text", "text": "this?"})
    options = {"messages": [{"role": "user", "content": parts}]}
    upstream.script(chat_stream(words("A cat.")) if streamed else chat_json("A cat."))
    got = final_of(client, **options) if streamed \
        else client.chat.completions.create(model="plain", **options)
    assert got.choices[0].message.content == "A cat."
    [sent] = body_of(upstream)["messages"]
    assert sent["content"] == "What is this?"
    assert [base64.b64decode(image) for image in sent["images"]] == pictures


def test_image_by_address(client, upstream):
    """Nothing is fetched: BadRequestError says which part."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="plain", messages=[{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}]}])
    assert caught.value.param.startswith("messages[0].content[0].image_url")
    assert upstream.chats() == []


@pytest.mark.parametrize("streamed", [False, True])
def test_reasoning(client, upstream, streamed):
    """reasoning_effort goes up, reasoning_content comes down."""
    said = {"role": "assistant", "thinking": "Hm.", "content": "Yes."}
    options = {"model": "think", "messages": HI, "reasoning_effort": "low"}
    upstream.route("/api/show", answers.whole(200, {"capabilities": ["completion", "thinking"]}))
    upstream.script(chat_stream([line(message=said), done_line()]) if streamed
                    else chat_json(message=said))
    if streamed:
        deltas = [part.choices[0].delta for part in
                  client.chat.completions.create(**options, stream=True)]
        thinking = [getattr(delta, "reasoning_content", None) for delta in deltas]
        assert [(text, bool(delta.content)) for text, delta in zip(thinking, deltas) if text] \
            == [("Hm.", False)]
        assert "".join(delta.content or "" for delta in deltas) == "Yes."
    else:
        message = client.chat.completions.create(**options).choices[0].message
        assert (message.reasoning_content, message.content) == ("Hm.", "Yes.")
    assert body_of(upstream)["think"] == "low"


def test_models(client, upstream):
    """models.list() pages once; retrieve() takes what is listed, with or without its tag."""
    listed = list(client.models.list())
    assert [model.id for model in listed] == ["minilm:latest", "plain:latest", "think:latest",
                                              "tools:latest"]
    for model in listed:
        assert (model.object, model.owned_by) == ("model", "library")
        assert client.models.retrieve(model.id).created == model.created > 1_600_000_000
    assert client.models.retrieve("plain").id == "plain"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("hf.co/nope/nope:Q4")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
