"""The bytes that all requests together may hold."""

import time

import raw

HELD = 45 << 20
CALLERS = 14


def wait_for_status(server, status, seconds=20):
    deadline = time.monotonic() + seconds
    while True:
        response = raw.chat(server)
        if response.status == status or time.monotonic() > deadline:
            return response
        time.sleep(0.05)


def test_many_large_bodies_do_not_add_up(start_server, new_upstream):
    """At 95 % of the 512 MiB for bodies new ones get 503 and come back later; then it goes on."""
    server = start_server(new_upstream())
    half_sent = b"x" * HELD
    callers = []
    for _ in range(CALLERS):
        client = raw.Client(server.port)
        callers.append(client)
        client.try_send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
                        % (50 << 20))
        client.try_send(half_sent)
    refused = wait_for_status(server, 503)
    assert refused.status == 503
    assert refused.error["code"] == "overloaded"
    assert refused.header("retry-after") == "1"
    assert server.memory_kib() < 1200 << 10
    for client in callers:
        client.close()
    assert wait_for_status(server, 200).status == 200
