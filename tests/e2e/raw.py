"""Raw HTTP for tests: bytes out, answers parsed strictly, every byte and moment kept."""

import json
import socket
import ssl
import struct
import time

from stream_rules import ERROR_TYPES


class Closed(Exception):
    """The server ended the connection where more was expected."""


class Response:
    def __init__(self):
        self.interim = []  # status codes of 1xx answers that came before
        self.version = self.reason = None
        self.status = 0
        self.path = ""  # of the request that was sent last on the connection
        self.fields = []
        self.head_at = None  # time.monotonic() when the head was whole
        self.chunks = []  # (time, bytes) of each chunk of a chunked body
        self.body = b""
        self.complete = False

    def header(self, name, default=None):
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else default

    def json(self):
        return json.loads(self.body.decode("utf-8", "strict"))

    @property
    def error(self):
        """The error object; its shape is checked on the way."""
        obj = self.json()
        assert list(obj) == ["error"], obj
        check_error_object(obj["error"])
        assert self.header("Content-Type", "").startswith("application/json")
        return obj["error"]

    @property
    def sse(self):
        return Sse(self.body)

    def __repr__(self):
        return f"<{self.status} {self.reason} {self.fields} {self.body[:300]!r}>"


watchers = []  # called with every answer that was read whole


def seen(response):
    for watch in watchers:
        watch(response)


class Client:
    """One connection to the server under test."""

    def __init__(self, port, host="127.0.0.1", timeout=15, rcvbuf=None, tls=None, source=None):
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source:
            self.sock.bind((source, 0))
        self.sock.settimeout(timeout)
        self.sock.connect((host, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
        self.buffer = b""
        self.path = ""
        self.eof = None  # "fin" or "reset" once the server ended it

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()

    def send(self, data):
        self._note(data)
        self.sock.sendall(data)

    def _note(self, data):
        """Remembers the path, if `data` begins a request."""
        words = data[:2000].split(b"\r\n", 1)[0].split(b" ")
        if len(words) == 3 and words[2].startswith(b"HTTP/"):
            self.path = words[1].decode("latin-1")

    def try_send(self, data):
        """Sends what the server takes; False if it ended the connection meanwhile."""
        self._note(data)
        try:
            self.sock.sendall(data)
            return True
        except (ConnectionError, ssl.SSLError):
            return False

    def close(self):
        self.sock.close()

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # ---- reading ----

    def _fill(self):
        if self.eof is None:
            try:
                data = self.sock.recv(65536)
            except (ConnectionError, ssl.SSLError):
                data, self.eof = b"", "reset"
            if data:
                self.buffer += data
                return
            self.eof = self.eof or "fin"
        raise Closed(f"connection ended ({self.eof}) with {self.buffer[-200:]!r} unread")

    def read_through(self, mark):
        while mark not in self.buffer:
            self._fill()
        end = self.buffer.index(mark) + len(mark)
        data, self.buffer = self.buffer[:end], self.buffer[end:]
        return data

    def read_exactly(self, n):
        while len(self.buffer) < n:
            self._fill()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def read_head(self, response=None):
        """Status line and headers of the next answer; 1xx answers are noted and passed over."""
        response = response or Response()
        response.path = self.path
        lines = self.read_through(b"\r\n\r\n").decode("latin-1").split("\r\n")
        assert not any("\n" in text or "\r" in text for text in lines)
        response.version, status, response.reason = lines[0].split(" ", 2)
        response.status = int(status)
        if response.status < 200:
            response.interim.append(response.status)
            return self.read_head(response)
        response.head_at = time.monotonic()
        for text in lines[1:-2]:
            name, colon, value = text.partition(":")
            assert colon and name and name == name.strip() and value[:1] == " ", text
            response.fields.append((name, value.strip()))
        return response

    def read_chunk(self, response):
        """The next chunk of a chunked body; b"" for the last one."""
        size = int(self.read_through(b"\r\n")[:-2], 16)
        data = self.read_exactly(size)
        assert self.read_exactly(2) == b"\r\n"
        response.chunks.append((time.monotonic(), data))
        response.body += data
        if not data:
            response.complete = True
            seen(response)
        return data

    def read_body(self, response, method="POST"):
        if method == "HEAD" or response.status in (204, 304):
            pass
        elif response.header("Transfer-Encoding") is not None:
            assert response.header("Transfer-Encoding").lower() == "chunked"
            assert response.header("Content-Length") is None
            while self.read_chunk(response):
                pass
            return response
        elif response.header("Content-Length") is not None:
            response.body = self.read_exactly(int(response.header("Content-Length")))
        else:
            response.body = self.read_to_end()
        response.complete = True
        seen(response)
        return response

    def read_response(self, method="POST"):
        return self.read_body(self.read_head(), method)

    def read_to_end(self):
        try:
            while True:
                self._fill()
        except Closed:
            data, self.buffer = self.buffer, b""
            return data

    def ends_within(self, seconds):
        """Whether the server ends the connection, without another byte, in that time."""
        self.sock.settimeout(seconds)
        try:
            self._fill()
            return False
        except Closed:
            return not self.buffer
        except TimeoutError:
            return False

    def is_open(self):
        """Whether the connection still stands and nothing more came."""
        self.sock.settimeout(0.05)
        try:
            self._fill()
        except Closed:
            return False
        except TimeoutError:
            return not self.buffer
        return False


# ---- requests ----


def build(method, path, body=None, headers=(), host="127.0.0.1", version="HTTP/1.1"):
    """The bytes of a request; a body that is no bytes is sent as JSON."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = [f"{method} {path} {version}", f"Host: {host}"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in dict(headers).items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def chat_body(stream=False, **more):
    return {"model": "plain", "messages": [{"role": "user", "content": "Hi"}],
            "stream": stream, **more}


CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"


def chat_request(stream=False, headers=(), **more):
    return build("POST", CHAT, chat_body(stream, **more), headers)


# ---- what every error and every stream must be ----

def check_error_object(error):
    assert set(error) == {"message", "type", "param", "code"}, error
    assert isinstance(error["message"], str) and error["message"], error
    assert error["type"] in ERROR_TYPES, error
    assert error["param"] is None or isinstance(error["param"], str), error
    assert error["code"] is None or (isinstance(error["code"], str) and error["code"]), error


class Sse:
    """An event stream taken apart strictly: what is not expected raises."""

    def __init__(self, body):
        self.body = body
        text = body.decode("utf-8", "strict")
        assert "\r" not in text
        assert text.endswith("\n"), f"unfinished last line: {text[-80:]!r}"
        self.lines = text[:-1].split("\n")
        self.comments = []
        self.payloads = []  # text after "data: "
        self.order = []  # "comment" or "data", as they came
        i = 0
        while i < len(self.lines):
            current = self.lines[i]
            if current.startswith(":"):
                self.comments.append(current)
                self.order.append("comment")
                i += 1
                continue
            assert current.startswith("data: "), f"line {i} is no data line: {current[:80]!r}"
            assert i + 1 < len(self.lines) and self.lines[i + 1] == "", "event without a blank line"
            self.payloads.append(current[len("data: "):])
            self.order.append("data")
            i += 2

    @property
    def done(self):
        return bool(self.payloads) and self.payloads[-1] == "[DONE]"

    @property
    def objects(self):
        return [json.loads(text) for text in self.payloads if text != "[DONE]"]

    @property
    def chunks(self):
        return [obj for obj in self.objects if "error" not in obj]

    @property
    def errors(self):
        return [obj["error"] for obj in self.objects if "error" in obj]

    @property
    def deltas(self):
        return [choice["delta"] for obj in self.chunks for choice in obj["choices"]]

    @property
    def text(self):
        return "".join(delta.get("content") or "" for delta in self.deltas)

    @property
    def finish_reasons(self):
        return [choice["finish_reason"] for obj in self.chunks for choice in obj["choices"]
                if choice["finish_reason"] is not None]

    @property
    def usage(self):
        return [obj["usage"] for obj in self.chunks if obj.get("usage") is not None]


def exchange(server, data, method="POST", **options):
    """One request on a connection of its own."""
    with Client(server.port, **options) as client:
        client.send(data)
        return client.read_response(method)


def get(server, path, headers=(), method="GET", **options):
    return exchange(server, build(method, path, None, headers), method, **options)


def chat(server, stream=False, headers=(), **more):
    return exchange(server, chat_request(stream, headers, **more))
