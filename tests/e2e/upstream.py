"""A scripted Ollama that misbehaves on command.

It listens on a real socket inside the pytest process, one thread for each connection, so that a
test sees everything that reached it: the bytes of each request, when they came, and when and how
the peer ended the connection. What it answers is decided request by request: from a queue that
the test filled (`script`), else by the key it carries (`by_key`), else by the recording named like the request's model, else a short
default answer.

An answer is a function `answer(conn, request)`. Most are built with the helpers of answers.py.
"""

import select
import socket
import ssl
import struct
import threading
import time


class PeerGone(Exception):
    """The program closed or reset its connection to us."""


class Request:
    """One request as it came off the socket."""

    def __init__(self, conn, head, body):
        self.conn = conn
        self.head = head  # bytes, up to and with the empty line
        self.body = body  # decoded from chunks if it came so
        self.at = time.monotonic()
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ")
        self.fields = [tuple(part.strip() for part in line.split(":", 1))
                       for line in lines[1:] if line]

    def header(self, name, default=None):
        values = self.headers(name)
        return values[0] if values else default

    @property
    def key(self):
        """The upstream key that it carries; empty: none."""
        return self.header("Authorization", "").removeprefix("Bearer ")

    def headers(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]


class Connection:
    """One accepted connection, with what a script may do to it."""

    def __init__(self, upstream, sock, number):
        self.upstream = upstream
        self.sock = sock
        self.number = number
        self.opened_at = time.monotonic()
        self.closed_at = None  # when we saw or made the end of it
        self.closed_by = None  # "peer-fin", "peer-reset", or "script"
        self.sent = 0  # bytes the kernel took from us
        self.requests = 0
        self.session_resumed = False  # TLS: an earlier session was taken up
        self.pending = b""

    # ---- what scripts call ----

    def send(self, data):
        """Sends all of `data`; notices a peer that leaves while the socket is full."""
        view = memoryview(data)
        while view:
            try:
                n = self.sock.send(view)
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError):
                self._wait(30, writing=True)
                continue
            except (ConnectionError, ssl.SSLError) as err:
                self._peer_gone("peer-reset" if isinstance(err, ConnectionError) else "peer-fin")
            self.sent += n
            view = view[n:]

    def pause(self, seconds):
        """Waits; raises PeerGone as soon as the peer leaves."""
        deadline = time.monotonic() + seconds
        while not self.upstream.stopping:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self._wait(min(left, 0.2))
        raise PeerGone

    def hang(self):
        """Says nothing more until the peer leaves or the test ends."""
        self.pause(3600)

    def close(self):
        """An orderly end: FIN."""
        self._ended("script")
        self._shut()

    def reset(self):
        """A disorderly end: RST."""
        self._ended("script")
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._shut(graceful=False)

    # ---- the rest is for the upstream itself ----

    def _shut(self, graceful=True):
        if graceful:
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            # Bytes of the peer left unread would turn our FIN into a reset.
            self.sock.settimeout(0.5)
            try:
                while self.sock.recv(65536):
                    pass
            except (OSError, ValueError):
                pass
        self.sock.close()

    def _ended(self, how):
        if self.closed_at is None:
            self.closed_at = time.monotonic()
            self.closed_by = how

    def _peer_gone(self, how):
        self._ended(how)
        raise PeerGone

    def _wait(self, seconds, writing=False):
        """Until readable (bytes are kept, an end raises) or, if asked, writable."""
        poll = select.poll()  # unlike select(), it takes any descriptor number
        poll.register(self.sock, select.POLLIN | (select.POLLOUT if writing else 0))
        if any(what & ~select.POLLOUT for _, what in poll.poll(seconds * 1000)):
            self._receive()

    def _receive(self):
        try:
            data = self.sock.recv(65536)
        except (ssl.SSLWantReadError, BlockingIOError):
            return
        except (ConnectionError, ssl.SSLError):
            self._peer_gone("peer-reset")
        if not data:
            self._peer_gone("peer-fin")
        self.pending += data

    def _take(self, n):
        while len(self.pending) < n:
            self._fill()
        data, self.pending = self.pending[:n], self.pending[n:]
        return data

    def _take_through(self, mark):
        while mark not in self.pending:
            self._fill()
        end = self.pending.index(mark) + len(mark)
        data, self.pending = self.pending[:end], self.pending[end:]
        return data

    def _fill(self):
        if self.upstream.stopping:
            raise PeerGone
        if hasattr(self.sock, "pending") and self.sock.pending():
            self._receive()
        else:
            self._wait(0.2)

    def read_request(self):
        head = self._take_through(b"\r\n\r\n")
        request = Request(self, head, b"")
        if self.upstream.before_body is not None:
            self.upstream.before_body(self, request)
        if request.header("Transfer-Encoding", "").lower() == "chunked":
            request.body = self._read_chunks()
        else:
            request.body = self._take(int(request.header("Content-Length", "0")))
        request.at = time.monotonic()
        return request

    def _read_chunks(self):
        body = b""
        while True:
            size = int(self._take_through(b"\r\n"), 16)
            body += self._take(size)
            self._take(2)
            if size == 0:
                return body


class Upstream:
    """The listener, what it saw, and what it will answer."""

    def __init__(self, tls=None, fallback=None, host="127.0.0.1", port=0):
        self.tls = tls  # an ssl.SSLContext, or None
        self.fallback = fallback  # answers what no script and no queue does
        self.before_body = None  # called with (conn, request) once a head is read
        self.greet = None  # called with a new plain socket in place of serving it
        self.stopping = False
        self.lock = threading.Condition()
        self.listener = socket.create_server((host, port), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.reset()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def reset(self):
        """Forgets what was seen and scripted. Open connections stay."""
        with self.lock:
            self.requests = []
            self.connections = []
            self.handshake_errors = []
            self.queue = []
            self.keys = {}
            self.routes = {}
            self.before_body = None

    def script(self, *answers):
        """The next chat requests get these answers, in this order."""
        with self.lock:
            self.queue.extend(answers)

    def by_key(self, key, *answers):
        """Model requests with this key get these answers, in this order, the last one for ever."""
        with self.lock:
            self.keys[key] = list(answers)

    def route(self, path, answer):
        """Every request for `path` gets this answer."""
        with self.lock:
            self.routes[path] = answer

    def chats(self):
        """Chat requests seen so far; probes, which have no body, and the like are left out."""
        with self.lock:
            return [r for r in self.requests if r.target.endswith("/api/chat") and r.body]

    def probes(self):
        """Requests that ask how a key is, at no cost."""
        with self.lock:
            return [r for r in self.requests if r.method == "POST" and not r.body]

    def wait_for(self, condition, timeout=10, what="the upstream to see it"):
        """Waits until `condition()` is true; everything that is seen wakes it up. The condition is
        asked without the lock: it may itself send something that has to be answered here."""
        deadline = time.monotonic() + timeout
        while not (result := condition()):
            left = deadline - time.monotonic()
            assert left > 0, f"waited {timeout} s for {what}"
            with self.lock:
                self.lock.wait(min(left, 0.05))
        return result

    def wait_for_chat(self, n=1, timeout=10):
        """The n-th chat request, once it is here whole."""
        return self.wait_for(lambda: len(self.chats()) >= n and self.chats()[n - 1], timeout,
                             f"chat request {n}")

    def stop(self):
        """No new connections, and an end to those that stand."""
        if self.stopping:
            return
        self.stopping = True
        self.listener.shutdown(socket.SHUT_RDWR)  # close() alone would leave accept() waiting
        self.listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.greet:
            self.greet(sock)
            sock.close()
            return
        if self.tls:
            sock.settimeout(10)
            try:
                sock = self.tls.wrap_socket(sock, server_side=True)
            except (OSError, ssl.SSLError) as err:
                with self.lock:
                    self.handshake_errors.append(err)
                    self.lock.notify_all()
                sock.close()
                return
        sock.setblocking(False)
        conn = Connection(self, sock, len(self.connections))
        conn.session_resumed = bool(self.tls and sock.session_reused)
        with self.lock:
            self.connections.append(conn)
            self.lock.notify_all()
        try:
            while conn.closed_at is None:
                self._exchange(conn)
        except (PeerGone, OSError, ValueError):
            conn._ended("peer-fin")
        sock.close()
        with self.lock:
            self.lock.notify_all()

    def _exchange(self, conn):
        request = conn.read_request()
        with self.lock:
            conn.requests += 1
            self.requests.append(request)
            answer = self._choose(request)
            self.lock.notify_all()
        answer(conn, request)

    def _choose(self, request):
        if request.target in self.routes:
            return self.routes[request.target]
        if request.target.endswith("/api/chat") and self.queue and request.body:
            return self.queue.pop(0)
        if request.key in self.keys and request.method == "POST" and request.body:
            answers = self.keys[request.key]
            return answers.pop(0) if len(answers) > 1 else answers[0]
        return self.fallback
