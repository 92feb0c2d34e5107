"""HTTP_PROXY, HTTPS_PROXY and NO_PROXY, with a small proxy that knows where names lead."""

import select
import shutil
import socket
import threading

import pytest

import raw
from test_upstream_faults import GONE, outcome
from tls_files import Certificates

NAME = "upstream.test.example"


class Proxy:
    """Takes absolute-form requests and CONNECT for NAME to one real port; notes request lines."""

    def __init__(self, target_port, answer=None):
        self.target_port = target_port
        self.answer = answer  # bytes that every CONNECT gets instead of a tunnel
        self.lines = []
        self.heads = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        data = b""
        while b"\r\n\r\n" not in data:
            more = sock.recv(65536)
            if not more:
                return
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        self.lines.append(head.split(b"\r\n")[0].decode())
        self.heads.append(head.decode("latin-1"))
        method, target, _ = self.lines[-1].split(" ")
        if self.answer is not None:
            sock.sendall(self.answer)
            sock.close()
            return
        other = socket.create_connection(("127.0.0.1", self.target_port))
        if method == "CONNECT":
            sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            other.sendall(rest)
        else:
            path = "/" + target.split("/", 3)[3]
            other.sendall(data.replace(target.encode(), path.encode(), 1))
        self._copy(sock, other)

    @staticmethod
    def _copy(one, two):
        pairs = {one: two, two: one}
        while pairs:
            for sock in select.select(list(pairs), [], [], 30)[0]:
                try:
                    data = sock.recv(65536)
                    if data:
                        pairs[sock].sendall(data)
                except OSError:
                    data = b""
                if not data:
                    one.close()
                    two.close()
                    return


@pytest.fixture
def new_proxy():
    made = []

    def make(*args, **options):
        made.append(Proxy(*args, **options))
        return made[-1]
    yield make
    for proxy in made:
        proxy.stop()


def test_http_proxy_by_absolute_form(start_server, new_upstream, new_proxy):
    """http upstreams: the proxy gets the absolute URI; the host's own name stays in Host."""
    upstream = new_upstream()
    proxy = new_proxy(upstream.port)
    server = start_server(upstream, HTTP_PROXY=proxy.url, OLLAMA_BASE_URL=f"http://{NAME}:11434")
    for stream in (False, True):
        assert raw.chat(server, stream=stream).status == 200
    chats = [text for text in proxy.lines if "/api/chat" in text]
    assert chats[0] == f"POST http://{NAME}:11434/api/chat HTTP/1.1"
    assert upstream.chats()[0].header("Host") == f"{NAME}:11434"


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command")
def test_https_proxy_by_connect(start_server, new_upstream, new_proxy, tmp_path):
    """https upstreams: a tunnel, and the certificate is that of the upstream."""
    certs = Certificates(tmp_path)
    upstream = new_upstream(tls=certs.server_context(certs.make("up", hosts=f"DNS:{NAME}")))
    proxy = new_proxy(upstream.port)
    server = start_server(upstream, HTTPS_PROXY=proxy.url, CA_FILE=certs.ca, WORKERS=1,
                          OLLAMA_BASE_URL=f"https://{NAME}")
    for stream in (False, True):
        assert raw.chat(server, stream=stream).status == 200
    assert set(proxy.lines) == {f"CONNECT {NAME}:443 HTTP/1.1"}
    assert len({request.conn for request in upstream.chats()}) == 1, "one tunnel, kept"
    assert upstream.chats()[0].header("Host") == NAME


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command")
def test_https_proxy_does_not_weaken_verification(start_server, new_upstream, new_proxy, tmp_path):
    """Behind the tunnel a wrong name is refused as ever."""
    certs = Certificates(tmp_path)
    other = certs.make("other", hosts="DNS:other.example")
    upstream = new_upstream(tls=certs.server_context(other))
    proxy = new_proxy(upstream.port)
    server = start_server(upstream, HTTPS_PROXY=proxy.url, CA_FILE=certs.ca,
                          OLLAMA_BASE_URL=f"https://{NAME}")
    assert outcome(raw.chat(server)) == GONE
    assert upstream.requests == []


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", b"garbage\r\n\r\n", b""])
def test_proxy_that_refuses_the_tunnel(start_server, new_upstream, new_proxy, answer):
    """502 upstream_unavailable."""
    proxy = new_proxy(1, answer=answer)
    server = start_server(None, HTTPS_PROXY=proxy.url, OLLAMA_BASE_URL=f"https://{NAME}")
    assert outcome(raw.chat(server)) == GONE


def test_credentials_of_the_proxy(start_server, new_upstream, new_proxy):
    """user:password in the proxy's URL become Proxy-Authorization, and go no further in logs."""
    upstream = new_upstream()
    proxy = new_proxy(upstream.port)
    url = proxy.url.replace("http://", "http://user:canary%2Bpw@")
    server = start_server(upstream, HTTP_PROXY=url, OLLAMA_BASE_URL=f"http://{NAME}:11434")
    assert raw.chat(server).status == 200
    assert "Proxy-Authorization: Basic dXNlcjpjYW5hcnkrcHc=" in proxy.heads[0]
    server.stop()
    assert "canary" not in server.output


DIRECT = ["127.0.0.1", "localhost"]


@pytest.mark.parametrize("host", DIRECT)
def test_loopback_goes_direct(start_server, new_upstream, new_proxy, host):
    """Loopback hosts never go through a proxy."""
    upstream = new_upstream()
    proxy = new_proxy(upstream.port)
    server = start_server(upstream, HTTP_PROXY=proxy.url, HTTPS_PROXY=proxy.url,
                          OLLAMA_BASE_URL=f"http://{host}:{upstream.port}")
    assert raw.chat(server).status == 200
    assert proxy.lines == []


@pytest.mark.parametrize("rule", [NAME, "*", ".test.example", "test.example", "a.b, " + NAME])
def test_no_proxy(start_server, new_upstream, new_proxy, rule):
    """NO_PROXY takes hosts out: then the name itself is looked up, in vain."""
    upstream = new_upstream()
    proxy = new_proxy(upstream.port)
    server = start_server(upstream, HTTP_PROXY=proxy.url, NO_PROXY=rule,
                          OLLAMA_BASE_URL=f"http://{NAME}:11434")
    with raw.Client(server.port, timeout=40) as client:
        client.send(raw.chat_request())
        assert outcome(client.read_response()) == GONE
    assert proxy.lines == []


def test_lower_case_http_proxy_is_not_read(start_server, new_upstream, new_proxy):
    """A CGI could set it."""
    upstream = new_upstream()
    proxy = new_proxy(upstream.port)
    server = start_server(upstream, http_proxy=proxy.url, OLLAMA_BASE_URL=f"http://{NAME}:11434")
    with raw.Client(server.port, timeout=40) as client:
        client.send(raw.chat_request())
        assert outcome(client.read_response()) == GONE
    assert proxy.lines == []
