"""The bytes that all requests together may hold."""

import time

import raw

HELD = 45 << 20
CALLERS = 14


def ask(client):
    client.send(raw.chat_request())
    return client.read_response()


def wait_for_status(client, status, seconds=20):
    deadline = time.monotonic() + seconds
    while True:
        response = ask(client)
        if response.status == status or time.monotonic() > deadline:
            return response
        time.sleep(0.05)


def test_many_large_bodies_do_not_add_up(start_server, new_upstream):
    """At 95 % of the 512 MiB for bodies new ones get 503 and come back later; then it goes on."""
    server = start_server(new_upstream(), WORKERS=1)
    part = b"x" * HELD
    # All connect first: at 98 % connections wait unaccepted.
    asking, waiting, *callers = [raw.Client(server.port) for _ in range(CALLERS + 2)]
    assert ask(asking).status == 200
    for client in callers:
        client.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                    b"Content-Length: %d\r\n\r\n" % (50 << 20))
    for client in callers:
        client.send(part)
    with raw.Client(server.port) as late:
        refused = wait_for_status(waiting, 503)
        assert refused.status == 503
        assert refused.error["code"] == "overloaded"
        assert refused.header("retry-after") == "1"
        late.send(raw.chat_request())
        for client in callers:
            client.close()
        assert late.read_response().status == 200
    assert wait_for_status(asking, 200).status == 200
