"""What the official SDKs must get out of each recording, taken from the recording itself."""

import answers

# name, streamed
GOOD = [
    ("chat", False), ("chat-system", False), ("chat-options", False), ("chat-stream", True),
    ("chat-stream-length", True), ("chat-stop", True), ("chat-unicode", True),
    ("chat-stream-null", True),
]
# name, streamed, HTTP status of the error (None: an error event in the stream), its code
BAD = [
    ("chat-missing-model", False, 404, "model_not_found"),
    ("chat-missing-model", True, 404, "model_not_found"),
    ("chat-runner-killed", False, 500, None),
    ("chat-busy", True, 503, "overloaded"),
    ("chat-stream-runner-killed", True, None, None),
    ("chat-stream-server-stopped", True, None, "bad_upstream_response"),
    ("chat-repeat-stream", True, None, "bad_upstream_response"),
]
REASONS = {"stop": "stop", "length": "length"}


def expected(name):
    """Content, finish reason and usage that the native lines add up to."""
    lines = answers.recorded_lines(name)
    last = lines[-1]
    prompt, completion = last.get("prompt_eval_count", 0), last.get("eval_count", 0)
    return {
        "content": "".join(obj.get("message", {}).get("content", "") for obj in lines),
        "finish_reason": REASONS.get(last.get("done_reason")),
        "usage": [prompt, completion, prompt + completion],
    }


def request_of(name):
    """The recorded request as a caller of the OpenAI API would write it."""
    import json
    _, _, body = answers.recorded_request(name)
    native = json.loads(body)
    return {"model": native["model"], "messages": native["messages"] or [
        {"role": "user", "content": "Hi"}]}
