"""Bodies and answers made to cost more than they should."""

import json
import time

import answers
import raw


def post(server, body):
    return raw.exchange(server, raw.build("POST", "/v1/chat/completions", body))


def test_an_object_of_many_members_costs_no_worker_its_time(start_server, new_upstream):
    """100,000 members in `options` are read once, not once for each."""
    server = start_server(new_upstream(), WORKERS=1)
    options = {f"option{i}": i for i in range(99_990)}
    body = json.dumps({"model": "plain", "messages": [{"role": "user", "content": "hi"}],
                       "options": options}).encode()
    started = time.monotonic()
    assert post(server, body).status == 200
    assert time.monotonic() - started < 10, "linear work takes a fraction of a second"


def test_dense_bodies_do_not_multiply_in_memory(start_server, new_upstream):
    """Many tiny values are refused when parsing them would take many times the body's size."""
    server = start_server(new_upstream(), WORKERS=1)
    inner = b"[" + b",".join([b"[" + b"1," * 99_999 + b"1]"] * 150) + b"]"
    body = b'{"model":"plain","messages":[{"role":"user","content":"hi"}],"z":' + inner + b"}"
    before = server.memory_kib()
    response = post(server, body)
    assert response.status == 413
    assert response.error["code"] == "request_too_large"
    assert server.memory_kib() - before < 6 * len(body) // 1024


def test_tool_arguments_too_large_to_pass_on_are_an_error(server, upstream):
    """An answer that cannot be written whole is no answer."""
    call = {"function": {"index": 0, "name": "f", "arguments": {"text": "x" * (33 << 20)}}}
    upstream.script(answers.chat_json("", message={"role": "assistant", "content": "",
                                                    "tool_calls": [call]}))
    response = raw.chat(server)
    assert response.status == 502
    assert response.error["code"] == "bad_upstream_response"


def test_large_bodies_to_unknown_paths_are_404(server):
    """What is not there is not there, however much is sent to it."""
    for path in ("/foo", "/v1/audio/transcriptions"):
        response = raw.exchange(server, raw.build("POST", path, b"x" * 200_000))
        assert response.status == 404
        assert response.error["message"] == f"Invalid URL (POST {path})"
