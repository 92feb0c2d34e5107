"""Answers for the scripted upstream: recordings of a real Ollama, and built ones.

Each function returns an answer, that is a function of (connection, request).
"""

import json
import pathlib

TESTS = pathlib.Path(__file__).resolve().parent.parent
RECORDINGS = TESTS / "recordings" / "ollama-0.24.0"

CREATED_AT = "2026-11-22T23:18:12.416293398Z"
COUNTS = {
    "total_duration": 1187656021, "load_duration": 238374962,
    "prompt_eval_count": 12, "prompt_eval_duration": 459474305,
    "eval_count": 6, "eval_duration": 457074945,
}
REASONS = {
    200: "OK", 204: "No Content", 301: "Moved Permanently", 302: "Found", 307: "Temporary Redirect",
    400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden",
    404: "Not Found", 408: "Request Timeout", 413: "Content Too Large", 418: "I'm a teapot",
    422: "Unprocessable Entity", 429: "Too Many Requests", 500: "Internal Server Error",
    501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}

# ---- native lines ----


def line(content="", **more):
    """One line of a stream, as bytes with its newline."""
    obj = {"model": "plain", "created_at": CREATED_AT,
           "message": {"role": "assistant", "content": content}, "done": False}
    obj.update(more)
    return json.dumps(obj, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def done_line(content="", reason="stop", **more):
    """The last line of a stream."""
    return line(content, done=True, done_reason=reason, **{**COUNTS, **more})


def words(*texts, reason="stop"):
    """The lines of a whole stream that says `texts`."""
    return [line(text) for text in texts] + [done_line(reason=reason)]


def chat_object(content="Hello.", reason="stop", **more):
    obj = {"model": "plain", "created_at": CREATED_AT,
           "message": {"role": "assistant", "content": content},
           "done": True, "done_reason": reason, **COUNTS}
    obj.update(more)
    return obj


# ---- bytes of HTTP ----


def head(status=200, content_type="application/json; charset=utf-8", fields=(), reason=None):
    lines = [f"HTTP/1.1 {status} {reason or REASONS.get(status, 'Unknown')}"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


NDJSON_HEAD = head(200, "application/x-ndjson", [("Transfer-Encoding", "chunked")])
END_OF_CHUNKS = b"0\r\n\r\n"


# ---- answers ----


class Step:
    """Something a script does besides sending and pausing."""

    def __init__(self, name, run):
        self.name = name
        self.run = run

    def __repr__(self):
        return self.name


RESET = Step("RESET", lambda conn: conn.reset())
CLOSE = Step("CLOSE", lambda conn: conn.close())
HANG = Step("HANG", lambda conn: conn.hang())


def steps(*items):
    """Runs items in order: bytes are sent, numbers are seconds to pause, Steps are done."""
    def answer(conn, request):
        for item in items:
            if isinstance(item, (bytes, bytearray)):
                conn.send(item)
            elif isinstance(item, (int, float)):
                conn.pause(item)
            else:
                item.run(conn)
    return answer


def recording(name):
    return (RECORDINGS / f"{name}.response").read_bytes()


def recorded_request(name):
    """(method, path, body) of a recording."""
    first, _, rest = (RECORDINGS / f"{name}.request").read_bytes().partition(b"\n")
    method, path = first.decode().split()
    return method, path, rest.strip()


def recorded_lines(name):
    """The JSON objects in the body of a recorded response, chunks taken apart."""
    raw = recording(name)
    head_bytes, _, body = raw.partition(b"\r\n\r\n")
    if b"chunked" in head_bytes:
        parts, rest = [], body
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            parts.append(rest[:int(size, 16)])
            rest = rest[int(size, 16) + 2:]
        body = b"".join(parts)
    return [json.loads(text) for text in body.split(b"\n") if text.strip()]


def replay(name, slice_bytes=None, delay=0):
    """A recorded response, byte for byte, whole or in slices; then the connection closes."""
    raw = recording(name)

    def answer(conn, request):
        size = slice_bytes or len(raw)
        for i in range(0, len(raw), size):
            conn.send(raw[i:i + size])
            if delay:
                conn.pause(delay)
        conn.close()
    return answer


def whole(status=200, body=b"", content_type="application/json; charset=utf-8", fields=(),
          close=False):
    """An answer with Content-Length. A body that is no bytes is sent as JSON."""
    if not isinstance(body, bytes):
        body = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    fields = list(fields) + [("Content-Length", len(body))]
    if close:
        fields.append(("Connection", "close"))
    tail = [CLOSE] if close else []
    return steps(head(status, content_type, fields) + body, *tail)


def error(status, text, fields=(), **more):
    """An error as Ollama writes it."""
    return whole(status, {"error": text, **more}, fields=fields)


def chat_json(content="Hello.", reason="stop", **more):
    """A whole chat answer."""
    return whole(200, chat_object(content, reason, **more))


def chat_stream(lines, delay=0, end=END_OF_CHUNKS, start=NDJSON_HEAD):
    """A streamed answer, a chunk for each line, over a connection that stays open.

    Without a delay the end comes in one write with the last line: so it is certain that the
    connection is free again when the next request comes.
    """
    def answer(conn, request):
        conn.send(start)
        for i, data in enumerate(lines):
            last = i == len(lines) - 1 and not delay and isinstance(end, bytes)
            conn.send(chunk(data) + (end if last else b""))
            if delay:
                conn.pause(delay)
        if isinstance(end, Step):
            end.run(conn)
        elif delay or not lines:
            conn.send(end)
    return answer


def endless_stream(make_line, delay=0):
    """A stream that goes on until the peer leaves."""
    def answer(conn, request):
        conn.send(NDJSON_HEAD)
        n = 0
        while True:
            conn.send(chunk(make_line(n)))
            n += 1
            if delay:
                conn.pause(delay)
    return answer


def by_model(conn, request):
    """What is answered without a script: the recording of that name, else a short answer."""
    if request.target == "/api/version":
        return whole(200, {"version": "0.24.0"})(conn, request)
    if request.target == "/api/tags":
        # It closes its connection: a test's first chat has a fresh one.
        return replay("tags")(conn, request)
    if not request.target.endswith("/api/chat"):
        return whole(404, b"404 page not found", "text/plain")(conn, request)
    if not request.body:  # as probes have it; recorded: chat-empty-body
        return error(400, "missing request body")(conn, request)
    body = json.loads(request.body)
    name = body.get("model", "")
    if (RECORDINGS / f"{name}.response").is_file():
        return replay(name)(conn, request)
    if body.get("stream", True):
        return chat_stream(words("Hel", "lo."))(conn, request)
    return chat_json()(conn, request)
