"""The official Python SDK, unmodified: its results equal the recordings."""

import openai
import pytest

import answers
from sdk_cases import BAD, GOOD, expected, request_of


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.url + "/v1", api_key="any", max_retries=0,
                       timeout=30) as made:
        yield made


def summary(content, finish_reason, usage):
    return {"content": content, "finish_reason": finish_reason,
            "usage": [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens]}


@pytest.mark.parametrize("name, streamed", GOOD)
def test_create(client, upstream, name, streamed):
    """create(), streamed or not as the recording was."""
    upstream.script(answers.replay(name))
    if not streamed:
        got = client.chat.completions.create(**request_of(name))
        result = summary(got.choices[0].message.content, got.choices[0].finish_reason, got.usage)
        assert got.object == "chat.completion" and got._request_id
    else:
        content, reason, usage, roles = "", None, None, []
        for part in client.chat.completions.create(**request_of(name), stream=True,
                                                   stream_options={"include_usage": True}):
            usage = part.usage or usage
            for choice in part.choices:
                content += choice.delta.content or ""
                reason = choice.finish_reason or reason
                roles += [choice.delta.role] if choice.delta.role else []
        result = summary(content, reason, usage)
        assert roles == ["assistant"]
    assert result == expected(name)


@pytest.mark.parametrize("name", [name for name, streamed in GOOD if streamed])
def test_stream_helper(client, upstream, name):
    """stream(), which puts the parts together, and its events."""
    upstream.script(answers.replay(name, slice_bytes=11))
    deltas = ""
    with client.chat.completions.stream(**request_of(name),
                                        stream_options={"include_usage": True}) as stream:
        for event in stream:
            if event.type == "content.delta":
                deltas += event.delta
        # get_final_completion() would raise for the finish reason "length".
        final = stream.current_completion_snapshot
    assert summary(final.choices[0].message.content or "", final.choices[0].finish_reason,
                   final.usage) == expected(name)
    assert deltas == expected(name)["content"]
    assert final.choices[0].message.role == "assistant"


@pytest.mark.parametrize("streamed", [False, True])
def test_strict_validation(server, upstream, streamed):
    """With _strict_response_validation every field has the type that the SDK declares."""
    name = "chat-stream" if streamed else "chat"
    upstream.script(answers.replay(name))
    with openai.OpenAI(base_url=server.url + "/v1", api_key="any", max_retries=0,
                       _strict_response_validation=True) as strict:
        got = strict.chat.completions.create(**request_of(name), stream=streamed)
        text = "".join(part.choices[0].delta.content or "" for part in got) if streamed \
            else got.choices[0].message.content
    assert text == expected(name)["content"]


@pytest.mark.parametrize("name, streamed, status, code", BAD)
def test_errors(client, upstream, name, streamed, status, code):
    """HTTP errors by class and code; broken streams raise instead of ending quietly."""
    upstream.script(answers.replay(name))
    content = ""
    with pytest.raises(openai.APIError) as caught:
        got = client.chat.completions.create(**request_of(name), stream=streamed)
        for part in got if streamed else ():
            content += part.choices[0].delta.content or ""
    error = caught.value
    if status is None:
        assert not isinstance(error, openai.APIStatusError)
        assert content == expected(name)["content"]
        assert error.message and "error occurred during streaming" not in error.message
    else:
        assert error.status_code == status and error.request_id
    assert error.code == code


def test_stop_early_closes_the_upstream(client, upstream):
    """A reader who breaks off stops the model."""
    upstream.script(answers.endless_stream(lambda n: answers.line(f"w{n} "), delay=0.02))
    stream = client.chat.completions.create(model="plain", stream=True, messages=[
        {"role": "user", "content": "Hi"}])
    for _ in stream:
        break
    stream.close()
    conn = upstream.chats()[0].conn
    upstream.wait_for(lambda: conn.closed_at, what="the upstream to be closed")


def test_fields_of_new_models_are_taken(client, upstream):
    """What newer code sends: developer role, max_completion_tokens, and much that is ignored."""
    got = client.chat.completions.create(
        model="plain", max_completion_tokens=5, store=False, user="u", metadata={"a": "b"},
        service_tier="auto", parallel_tool_calls=True, n=1, logit_bias={}, messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]}])
    assert got.choices[0].message.content == "Hello."


def test_authentication_error(start_server, upstream):
    """A wrong key raises AuthenticationError with its code."""
    server = start_server(upstream, API_TOKEN="tok")
    with openai.OpenAI(base_url=server.url + "/v1", api_key="wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            client.chat.completions.create(model="plain", messages=[
                {"role": "user", "content": "Hi"}])
        assert caught.value.code == "invalid_api_key"
