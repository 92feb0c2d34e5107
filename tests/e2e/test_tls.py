"""TLS on both sides: our listener, and upstreams that must prove who they are."""

import shutil
import signal
import ssl
import time

import pytest

import answers
import raw
from stream_rules import check_stream
from test_upstream_faults import GONE, outcome
from tls_files import Certificates

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl command")


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="module")
def good(certs):
    return certs.make("good")


def test_listener_serves_https(start_server, new_upstream, certs, good):
    """TLS_CERT and TLS_KEY: chats, streams and kept connections over TLS."""
    upstream = new_upstream()
    server = start_server(upstream, tls=certs.client_context(), TLS_CERT=good[0], TLS_KEY=good[1])
    with raw.Client(server.port, tls=certs.client_context()) as client:
        for stream in (False, True, False):
            client.send(raw.chat_request(stream))
            response = client.read_response()
            assert response.status == 200
            if stream:
                check_stream(response)
        assert client.sock.version() in ("TLSv1.2", "TLSv1.3")


def test_listener_sends_large_answers_over_tls(start_server, new_upstream, certs, good):
    """Many records, read slowly."""
    upstream = new_upstream()
    server = start_server(upstream, tls=certs.client_context(), TLS_CERT=good[0], TLS_KEY=good[1])
    texts = [f"{n} " + "y" * 2000 for n in range(1000)]
    upstream.script(answers.chat_stream(answers.words(*texts)))
    with raw.Client(server.port, tls=certs.client_context(), rcvbuf=4096, timeout=60) as client:
        client.send(raw.chat_request(True))
        assert check_stream(client.read_response()).text == "".join(texts)


def test_listener_takes_large_bodies_over_tls(start_server, new_upstream, certs, good):
    """Four MiB in, whole."""
    upstream = new_upstream()
    server = start_server(upstream, tls=certs.client_context(), TLS_CERT=good[0], TLS_KEY=good[1])
    text = "0123456789abcdef" * 262144
    with raw.Client(server.port, tls=certs.client_context(), timeout=60) as client:
        client.send(raw.chat_request(messages=[{"role": "user", "content": text}]))
        assert client.read_response().status == 200
    assert text.encode() in upstream.chats()[0].body


def test_listener_refuses_old_protocols(start_server, new_upstream, certs, good):
    """Below TLS 1.2 nothing is negotiated."""
    server = start_server(new_upstream(), tls=certs.client_context(), TLS_CERT=good[0],
                          TLS_KEY=good[1])
    context = certs.client_context()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        raw.Client(server.port, tls=context)


def test_listener_plain_bytes_on_the_tls_port(start_server, new_upstream, certs, good):
    """HTTP on the HTTPS port ends quickly and harms nobody."""
    server = start_server(new_upstream(), tls=certs.client_context(), TLS_CERT=good[0],
                          TLS_KEY=good[1])
    with raw.Client(server.port) as client:
        client.send(raw.build("GET", "/health"))
        started = time.monotonic()
        client.read_to_end()
        assert time.monotonic() - started < 3
    with raw.Client(server.port, tls=certs.client_context()) as client:
        client.send(raw.build("GET", "/health"))
        assert client.read_response("GET").status == 200


@pytest.mark.parametrize("how", ["close", "reset"])
def test_caller_who_leaves_over_tls_closes_the_upstream(start_server, new_upstream, certs, good,
                                                        how):
    """Within a second, as over plain sockets."""
    upstream = new_upstream()
    server = start_server(upstream, tls=certs.client_context(), TLS_CERT=good[0], TLS_KEY=good[1])
    upstream.script(answers.steps(answers.HANG))
    client = raw.Client(server.port, tls=certs.client_context())
    client.send(raw.chat_request(True))
    conn = upstream.wait_for_chat().conn
    left_at = time.monotonic()
    getattr(client, how)()
    upstream.wait_for(lambda: conn.closed_at, what="the upstream to be closed")
    assert conn.closed_at - left_at < 1


def test_sighup_loads_a_new_certificate(start_server, new_upstream, certs, tmp_path):
    """Renewed files are used for new connections."""
    first, second = certs.make("first"), certs.make("second")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def install(files):
        shutil.copy(files[1], key)
        shutil.copy(files[0], cert)
    install(first)
    server = start_server(new_upstream(), tls=certs.client_context(), TLS_CERT=cert, TLS_KEY=key)

    def served_name():
        with raw.Client(server.port, tls=certs.client_context()) as client:
            return dict(pair[0] for pair in client.sock.getpeercert()["subject"])["commonName"]
    assert served_name() == "first"
    install(second)
    server.signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while served_name() != "second":
        assert time.monotonic() < deadline, "the old certificate is still served"


# ---- upstreams ----

def test_upstream_over_tls(start_server, new_upstream, certs, good):
    """CA_FILE makes its certificate good; streams and kept connections work."""
    upstream = new_upstream(tls=certs.server_context(good))
    server = start_server(upstream, CA_FILE=certs.ca, WORKERS=1)
    for stream in (False, True, False):
        assert raw.chat(server, stream=stream).status == 200
    assert len({request.conn for request in upstream.chats()}) == 1


def test_upstream_over_tls_by_name(start_server, new_upstream, certs, good):
    """The name in the URL is what the certificate must say, and what SNI says."""
    names = []
    context = certs.server_context(good)
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    upstream = new_upstream(tls=context)
    server = start_server(upstream, CA_FILE=certs.ca,
                          OLLAMA_BASE_URL=f"https://localhost:{upstream.port}")
    assert raw.chat(server).status == 200
    assert set(names) == {"localhost"}
    assert upstream.chats()[0].header("Host") == f"localhost:{upstream.port}"


def test_upstream_sessions_are_resumed(start_server, new_upstream, certs, good):
    """A later connection takes up the session of an earlier one."""
    upstream = new_upstream(tls=certs.server_context(good))
    server = start_server(upstream, CA_FILE=certs.ca, WORKERS=1)

    def answer_then_close(conn, request):
        answers.chat_json()(conn, request)
        conn.close()
    upstream.script(answer_then_close, answer_then_close)
    for _ in range(2):
        assert raw.chat(server).status == 200
    assert upstream.chats()[1].conn.session_resumed


BAD_CERTS = {
    "wrong host": lambda certs: certs.make("elsewhere", hosts="DNS:elsewhere.example"),
    "expired": lambda certs: certs.make("expired", expired=True),
    "self-signed": lambda certs: certs.self_signed("self"),
}


@pytest.mark.parametrize("why", BAD_CERTS)
def test_u3_bad_certificates_are_refused(start_server, new_upstream, certs, why):
    """502 upstream_unavailable; no request is sent, nothing falls back to plain text."""
    upstream = new_upstream(tls=certs.server_context(BAD_CERTS[why](certs)))
    server = start_server(upstream, CA_FILE=certs.ca)
    assert outcome(raw.chat(server)) == GONE
    assert outcome(raw.chat(server, stream=True)) == GONE
    assert upstream.requests == []


def test_u3_unknown_root_is_refused(start_server, new_upstream, certs, good):
    """A good certificate whose root nobody named."""
    upstream = new_upstream(tls=certs.server_context(good))
    assert outcome(raw.chat(start_server(upstream))) == GONE
    assert upstream.requests == []


def test_u3_plain_http_where_tls_was_asked_for(start_server, new_upstream, certs):
    """An upstream that speaks no TLS."""
    upstream = new_upstream()
    upstream.greet = lambda sock: sock.recv(65536) and sock.sendall(
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
    server = start_server(upstream, CA_FILE=certs.ca,
                          OLLAMA_BASE_URL=f"https://127.0.0.1:{upstream.port}")
    assert outcome(raw.chat(server)) == GONE


def test_u3_handshake_that_stalls(start_server, new_upstream, certs):
    """CONNECT_TIMEOUT counts for the TLS handshake too."""
    upstream = new_upstream()
    upstream.greet = lambda sock: time.sleep(3)
    server = start_server(upstream, CA_FILE=certs.ca, CONNECT_TIMEOUT=600,
                          OLLAMA_BASE_URL=f"https://127.0.0.1:{upstream.port}")
    started = time.monotonic()
    assert outcome(raw.chat(server)) == GONE
    assert 0.5 < time.monotonic() - started < 2.5


def test_tls_end_without_close_notify_in_mid_stream(start_server, new_upstream, certs, good):
    """A stream cut under TLS is a broken stream."""
    upstream = new_upstream(tls=certs.server_context(good))
    server = start_server(upstream, CA_FILE=certs.ca)
    for end in (answers.CLOSE, answers.RESET):
        upstream.script(answers.chat_stream([answers.line("a")], end=end))
        check_stream(raw.chat(server, stream=True), expect_error=True)
