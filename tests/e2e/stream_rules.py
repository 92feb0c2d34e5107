"""What holds for every chat stream, whatever it says: checked wherever a test reads one."""

FINISH_REASONS = {"stop", "length", "tool_calls", "content_filter"}
LINE_BYTES = 64 * 1024


def check_stream(response, expect_error=False, usage=False):
    """Checks the whole of a finished stream and returns it parsed."""
    from raw import check_error_object

    assert response.status == 200
    assert response.header("Content-Type", "").startswith("text/event-stream")
    assert response.complete
    sse = response.sse
    assert sse.payloads and sse.payloads[-1] == "[DONE]", sse.payloads[-2:]
    assert sse.payloads.count("[DONE]") == 1
    check_lines(sse)
    check_chunks(sse)
    if expect_error:
        assert len(sse.errors) == 1, "a broken stream has one error event"
        assert list(sse.objects[-1]) == ["error"], "nothing comes between the error and [DONE]"
        check_error_object(sse.errors[0])
        assert sse.finish_reasons == [], "a broken stream has no finish reason"
    else:
        assert sse.errors == []
        check_finish(sse, usage)
    return sse


def check_lines(sse):
    for text in sse.lines:
        assert len(text.encode()) < LINE_BYTES
        assert not any(char in text for char in "\u2028\u2029\u0085")
    for text in sse.comments:
        assert not text.lstrip(": ").startswith("ping")


def check_chunks(sse):
    chunks = sse.chunks
    for name in ("id", "created", "model", "object"):
        assert len({chunk[name] for chunk in chunks}) <= 1, f"{name} changes in the stream"
    for chunk in chunks:
        assert "error" not in chunk
        assert isinstance(chunk["id"], str) and chunk["id"]
        assert type(chunk["created"]) is int
        assert chunk["object"] == "chat.completion.chunk"
        assert isinstance(chunk["choices"], list)
        for choice in chunk["choices"]:
            assert type(choice["index"]) is int
            assert isinstance(choice["delta"], dict)
            assert choice["finish_reason"] is None or choice["finish_reason"] in FINISH_REASONS
            check_delta(choice["delta"])
    for i, delta in enumerate(sse.deltas):
        assert ("role" in delta) == (i == 0), "the role is in the first delta and no other"
        if i == 0:
            assert delta["role"] == "assistant"
            assert isinstance(delta.get("content"), str)


def check_delta(delta):
    if "content" in delta:
        assert isinstance(delta["content"], str)
    reasoning = delta.get("reasoning_content")
    assert reasoning is None or not (reasoning and delta.get("content"))


def check_finish(sse, usage):
    assert len(sse.finish_reasons) == 1
    with_choices = [chunk for chunk in sse.chunks if chunk["choices"]]
    assert with_choices[-1]["choices"][0]["finish_reason"] is not None
    assert len(sse.usage) == (1 if usage else 0)
    if usage:
        last = sse.chunks[-1]
        assert last["choices"] == [] and last["usage"] is not None
        assert {"prompt_tokens", "completion_tokens", "total_tokens"} <= set(last["usage"])
    else:
        assert all(chunk["choices"] for chunk in sse.chunks)
