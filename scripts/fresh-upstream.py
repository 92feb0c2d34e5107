"""A made-up Ollama for scripts/check-fresh: one model, one answer.

    fresh-upstream.py                     serves on a free port of loopback, which it prints
    fresh-upstream.py --check CHAT STREAM  checks the answers that a caller got through the proxy
"""
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORDS = ["Hello", " from", " a", " fresh", " machine", "."]
DONE = {"done": True, "done_reason": "stop", "total_duration": 6, "load_duration": 1,
        "prompt_eval_count": 11, "prompt_eval_duration": 2, "eval_count": 6, "eval_duration": 3}


def line(text, **more):
    body = {"model": "tiny", "created_at": "2025-01-01T00:00:00Z",
            "message": {"role": "assistant", "content": text}, "done": False, **more}
    return json.dumps(body).encode() + b"\n"


class Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, content_type, pieces):
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/api/chat":
            self.send_error(404)
        elif body.get("stream", True):
            self.answer("application/x-ndjson", [*map(line, WORDS), line("", **DONE)])
        else:
            self.answer("application/json; charset=utf-8", [line("".join(WORDS), **DONE)])

    def do_GET(self):
        if self.path == "/api/tags":
            self.answer("application/json", [b'{"models":[{"name":"tiny","model":"tiny"}]}'])
        else:
            self.send_error(404)


def check(chat, stream):
    whole = json.load(open(chat))["choices"][0]
    assert whole["message"]["content"] == "".join(WORDS), whole
    assert whole["finish_reason"] == "stop", whole

    events = [part[len("data: "):] for part in open(stream).read().split("\n\n")
              if part.startswith("data: ")]
    assert events[-1] == "[DONE]", events
    choices = [c for e in events[:-1] for c in json.loads(e)["choices"]]
    assert "".join(c["delta"].get("content") or "" for c in choices) == "".join(WORDS), choices
    assert [c["finish_reason"] for c in choices if c["finish_reason"]] == ["stop"], choices


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        check(*sys.argv[2:])
    else:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
        print(server.server_address[1], flush=True)
        server.serve_forever()
