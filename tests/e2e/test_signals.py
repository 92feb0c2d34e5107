"""SIGTERM drains, a second one ends at once, SIGHUP reads the settings again."""

import signal
import time

import pytest

import answers
import raw
from answers import HANG, chunk, line, steps
from stream_rules import check_stream

TEN_WORDS = answers.chat_stream(answers.words(*"abcdefghij"), delay=0.15)


def running_stream(server, upstream, answer):
    """Starts a stream and reads its first event."""
    upstream.script(answer)
    client = raw.Client(server.port, timeout=30)
    client.send(raw.chat_request(True))
    response = client.read_head()
    client.read_chunk(response)
    return client, response


def refused(server):
    try:
        client = raw.Client(server.port)
    except ConnectionError:
        return True
    if not client.try_send(raw.build("GET", "/health")):
        return True  # reset while it waited in the queue of the listener, which closed
    try:
        client.read_response("GET")
        return False
    except raw.Closed:
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sigterm_lets_streams_finish(pair, number):
    """The running stream completes, newcomers are refused, the exit status is 0."""
    server, upstream = pair
    client, response = running_stream(server, upstream, TEN_WORDS)
    server.signal(number)
    deadline = time.monotonic() + 5
    while not refused(server):
        assert time.monotonic() < deadline, "newcomers are still served"
    assert check_stream(client.read_body(response)).text == "abcdefghij"
    assert client.ends_within(5), "the connection is not kept while draining"
    assert server.wait_exit(20) == 0


def test_sigterm_closes_idle_connections(pair):
    """Kept connections without a request do not hold the program back."""
    server, upstream = pair
    clients = [raw.Client(server.port) for _ in range(5)]
    for client in clients[:3]:
        client.send(raw.build("GET", "/health"))
        client.read_response("GET")
    started = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.wait_exit(20) == 0
    assert time.monotonic() - started < 5
    assert all(client.ends_within(1) for client in clients)


def test_sigterm_answers_whole_requests_with_close(pair):
    """A chat under way is answered, with Connection: close."""
    server, upstream = pair
    late = answers.Step("answer", lambda conn: answers.chat_json("x")(conn, None))
    upstream.script(steps(0.8, late))
    with raw.Client(server.port) as client:
        client.send(raw.chat_request())
        upstream.wait_for_chat()
        server.signal(signal.SIGTERM)
        response = client.read_response()
        assert response.status == 200
        assert response.header("Connection", "").lower() == "close"
    assert server.wait_exit(20) == 0


def test_sigterm_serves_connections_that_wait(start_server, new_upstream):
    """What stood in the queue of the listener is accepted, not reset."""
    upstream = new_upstream()
    server = start_server(upstream)
    clients = [raw.Client(server.port) for _ in range(30)]
    for client in clients:
        client.send(raw.build("GET", "/health"))
    server.signal(signal.SIGTERM)
    assert [client.read_response("GET").status for client in clients] == [200] * 30
    assert server.wait_exit(20) == 0


def test_second_sigterm_ends_at_once(pair):
    """Nobody waits for an endless stream who asks twice."""
    server, upstream = pair
    client, _ = running_stream(server, upstream, steps(answers.NDJSON_HEAD, chunk(line("a")), HANG))
    server.signal(signal.SIGTERM)
    while not refused(server):
        pass
    assert server.process.poll() is None
    started = time.monotonic()
    server.signal(signal.SIGTERM)
    server.expect_exit = server.wait_exit(20)
    assert time.monotonic() - started < 5
    client.close()


def test_shutdown_timeout_cuts_with_an_error_event(start_server, new_upstream):
    """After SHUTDOWN_TIMEOUT: an error event, [DONE], a complete body, exit 0."""
    upstream = new_upstream()
    server = start_server(upstream, SHUTDOWN_TIMEOUT=600)
    client, response = running_stream(server, upstream,
                                      steps(answers.NDJSON_HEAD, chunk(line("a")), HANG))
    started = time.monotonic()
    server.signal(signal.SIGTERM)
    sse = check_stream(client.read_body(response), expect_error=True)
    assert 0.4 < time.monotonic() - started < 6
    assert sse.text == "a"
    assert server.wait_exit(20) == 0
    conn = upstream.chats()[0].conn
    upstream.wait_for(lambda: conn.closed_at)


# ---- SIGHUP ----

def token_works(server, token):
    return raw.chat(server, headers={"Authorization": f"Bearer {token}"}).status == 200


def wait_until(condition, what, timeout=10):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.02)


def test_sighup_reads_dotenv_again(start_server, upstream):
    """A changed API_TOKEN takes effect for new requests; running streams go on."""
    server = start_server(upstream, dotenv="API_TOKEN=old-token\n")
    assert token_works(server, "old-token")
    upstream.script(TEN_WORDS)
    client = raw.Client(server.port)
    client.send(raw.chat_request(True, headers={"Authorization": "Bearer old-token"}))
    response = client.read_head()
    (server.folder / ".env").write_text("API_TOKEN=new-token\n")
    server.signal(signal.SIGHUP)
    wait_until(lambda: token_works(server, "new-token"), "the new token")
    assert not token_works(server, "old-token")
    assert check_stream(client.read_body(response)).text == "abcdefghij"
    client.close()


def test_sighup_reads_token_file_again(start_server, upstream, tmp_path):
    """API_TOKEN_FILE is read anew although its name did not change."""
    path = tmp_path / "token"
    path.write_text("old-token\n")
    server = start_server(upstream, API_TOKEN_FILE=path)
    assert token_works(server, "old-token")
    path.write_text("new-token\n")
    server.signal(signal.SIGHUP)
    wait_until(lambda: token_works(server, "new-token"), "the new token")
    assert not token_works(server, "old-token")


def test_sighup_with_a_bad_file_changes_nothing(start_server, upstream):
    """A bad value: one error line that names it, and everything stays."""
    server = start_server(upstream, dotenv="API_TOKEN=old-token\n")
    (server.folder / ".env").write_text("API_TOKEN=new-token\nLOG_FORMAT=xml\n")
    server.signal(signal.SIGHUP)
    server.wait_log("LOG_FORMAT")
    assert token_works(server, "old-token") and not token_works(server, "new-token")


def test_sighup_keeps_what_needs_a_restart(start_server, upstream):
    """PORT and the like stay, each named in a warning."""
    server = start_server(upstream, dotenv="API_TOKEN=old-token\nDATA_DIR=./one\n", DATA_DIR=None)
    (server.folder / ".env").write_text("API_TOKEN=new-token\nDATA_DIR=./two\n")
    server.signal(signal.SIGHUP)
    server.wait_log("DATA_DIR")
    wait_until(lambda: token_works(server, "new-token"), "the new token")


def test_sighup_keeps_what_the_environment_sets(start_server, upstream):
    """The environment wins over a changed .env, and that is said."""
    server = start_server(upstream, dotenv="", API_TOKEN="env-token")
    (server.folder / ".env").write_text("API_TOKEN=file-token\n")
    server.signal(signal.SIGHUP)
    server.wait_log("API_TOKEN")
    assert token_works(server, "env-token") and not token_works(server, "file-token")


def test_sighup_changes_the_upstream(start_server, new_upstream):
    """OLLAMA_BASE_URL is read again as well."""
    first, second = new_upstream(), new_upstream()
    server = start_server(first, OLLAMA_BASE_URL=None, dotenv=f"OLLAMA_BASE_URL={first.url}\n")
    assert raw.chat(server).status == 200 and first.chats()
    (server.folder / ".env").write_text(f"OLLAMA_BASE_URL={second.url}\n")
    server.signal(signal.SIGHUP)
    wait_until(lambda: raw.chat(server).status == 200 and second.chats(), "the new upstream")


def test_sighup_many_times_under_load(start_server, upstream):
    """A hundred reloads: no request fails."""
    server = start_server(upstream, dotenv="LOG_LEVEL=info\n", LOG_LEVEL=None)
    with raw.Client(server.port) as client:
        for i in range(100):
            server.signal(signal.SIGHUP)
            client.send(raw.chat_request(bool(i % 2)))
            assert client.read_response().status == 200
