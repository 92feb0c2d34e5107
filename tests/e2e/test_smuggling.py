"""What a strict server must refuse, byte for byte, and the few odd things it must serve.

A refused request gets one of 400, 405, 408, 413, 414, 417, 431, 501 and a closed connection, and
no handler sees it: each row carries a chat that would reach the upstream. Behind each one stands a
second request that a server confused about the first one's end would answer.
"""

import json

import pytest

import raw
from raw import chat_body

BODY = json.dumps(chat_body()).encode()
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
SECOND = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


def post(fields, body=BODY, line=b"POST /v1/chat/completions HTTP/1.1", host=b"Host: x\r\n"):
    return line + b"\r\n" + host + fields + b"\r\n" + body


def get(target, method=b"GET", version=b"HTTP/1.1", fields=b"Host: x\r\n", body=b""):
    return method + b" " + target + b" " + version + b"\r\n" + fields + b"\r\n" + body


def sized_chunks(size_line, data=BODY, after=b"\r\n0\r\n\r\n"):
    return post(CHUNKED, size_line + b"\r\n" + data + after)


HEX = b"%x" % len(BODY)

REFUSED = [
    # why, bytes, statuses
    ("CL and TE", post(LENGTH + CHUNKED, CHUNKS), {400}),
    ("TE and CL", post(CHUNKED + LENGTH, CHUNKS), {400}),
    ("TE xchunked", post(b"Transfer-Encoding: xchunked\r\n", CHUNKS), {400, 501}),
    ("TE gzip, chunked", post(b"Transfer-Encoding: gzip, chunked\r\n", CHUNKS), {400, 501}),
    ("TE chunked, gzip", post(b"Transfer-Encoding: chunked, gzip\r\n", CHUNKS), {400, 501}),
    ("TE chunked, chunked", post(b"Transfer-Encoding: chunked, chunked\r\n", CHUNKS), {400, 501}),
    ("TE identity", post(b"Transfer-Encoding: identity\r\n" + LENGTH), {400, 501}),
    ("TE identity and chunked", post(b"Transfer-Encoding: identity\r\n" + CHUNKED, CHUNKS),
     {400, 501}),
    ("TE chunked twice", post(CHUNKED * 2, CHUNKS), {400, 501}),
    ("TE empty", post(b"Transfer-Encoding: \r\n" + LENGTH), {400, 501}),
    ("TE with vertical tab", post(b"Transfer-Encoding: \x0bchunked\r\n", CHUNKS), {400, 501}),
    ("TE with parameter", post(b"Transfer-Encoding: chunked;q=1\r\n", CHUNKS), {400, 501}),
    ("TE quoted", post(b'Transfer-Encoding: "chunked"\r\n', CHUNKS), {400, 501}),
    ("TE folded", post(b"Transfer-Encoding:\r\n chunked\r\n", CHUNKS), {400, 501}),
    ("TE on 1.0", post(CHUNKED, CHUNKS, b"POST /v1/chat/completions HTTP/1.0"), {400, 501}),
    ("two CL, equal", post(LENGTH * 2), {400}),
    ("two CL, different", post(LENGTH + b"Content-Length: 5\r\n"), {400}),
    ("two CL in lower case", post(LENGTH + LENGTH.lower()), {400}),
    ("CL +n", post(b"Content-Length: +%d\r\n" % len(BODY)), {400}),
    ("CL n, n", post(b"Content-Length: %d, %d\r\n" % (len(BODY), len(BODY))), {400}),
    ("CL -0", post(b"Content-Length: -0\r\n", b""), {400}),
    ("CL -1", post(b"Content-Length: -1\r\n", b""), {400}),
    ("CL empty", post(b"Content-Length: \r\n", b""), {400}),
    ("CL hex", post(b"Content-Length: 0x%x\r\n" % len(BODY)), {400}),
    ("CL with a space inside", post(b"Content-Length: 1 2\r\n"), {400}),
    ("CL 2^63-1", post(b"Content-Length: 9223372036854775807\r\n"), {413, 400}),
    ("CL 2^64+2", post(b"Content-Length: 18446744073709551618\r\n"), {413, 400}),
    ("CL of 30 digits", post(b"Content-Length: " + b"9" * 30 + b"\r\n"), {413, 400}),
    ("chunk 0x..", sized_chunks(b"0x" + HEX), {400}),
    ("chunk +..", sized_chunks(b"+" + HEX), {400}),
    ("chunk -0", sized_chunks(b"-0"), {400}),
    ("chunk size empty", sized_chunks(b""), {400}),
    ("chunk size with space in front", sized_chunks(b" " + HEX), {400}),
    ("chunk size not hex", sized_chunks(b"zz"), {400}),
    ("bare LF after chunk size", post(CHUNKED, HEX + b"\n" + BODY + b"\r\n0\r\n\r\n"), {400}),
    ("bare LF after chunk data", post(CHUNKED, HEX + b"\r\n" + BODY + b"\n0\r\n\r\n"), {400}),
    ("bare LF after last chunk", post(CHUNKED, HEX + b"\r\n" + BODY + b"\r\n0\n\n"), {400}),
    ("bare CR after chunk size", post(CHUNKED, HEX + b"\r" + BODY + b"\r\n0\r\n\r\n"), {400}),
    ("chunk data without CRLF", post(CHUNKED, HEX + b"\r\n" + BODY + b"0\r\n\r\n"), {400}),
    ("chunk data too long", post(CHUNKED, HEX + b"\r\n" + BODY + b"xx\r\n0\r\n\r\n"), {400}),
    ("chunk 7fff...", sized_chunks(b"7fffffffffffffff"), {400, 413}),
    ("chunk ffff...", sized_chunks(b"ffffffffffffffff"), {400, 413}),
    ("chunk of 17 digits", sized_chunks(b"1" + b"0" * 16), {400, 413}),
    ("bare LF head", get(b"/health").replace(b"\r\n", b"\n"), {400}),
    ("bare LF after one field", b"GET /health HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", {400}),
    ("bare CR in the head", b"GET /health HTTP/1.1\rHost: x\r\n\r\n", {400}),
    ("obs-fold", post(b"X-A: b\r\n c\r\n" + LENGTH), {400}),
    ("obs-fold with tab", post(b"X-A: b\r\n\tc\r\n" + LENGTH), {400}),
    ("space before the first field", b"GET /health HTTP/1.1\r\n Host: x\r\n\r\n", {400}),
    ("space before colon", post(b"X-A : b\r\n" + LENGTH), {400}),
    ("space before colon of CL", post(b"Content-Length : %d\r\n" % len(BODY)), {400}),
    ("space before colon of TE", post(b"Transfer-Encoding : chunked\r\n", CHUNKS), {400}),
    ("empty name", post(b": b\r\n" + LENGTH), {400}),
    ("no colon", post(b"nonsense\r\n" + LENGTH), {400}),
    ("space in name", post(b"X A: b\r\n" + LENGTH), {400}),
    ("NUL in name", post(b"X\0A: b\r\n" + LENGTH), {400}),
    ("NUL in value", post(b"X-A: b\0c\r\n" + LENGTH), {400}),
    ("CR in value", post(b"X-A: b\rc\r\n" + LENGTH), {400}),
    ("control character in value", post(b"X-A: b\x01c\r\n" + LENGTH), {400}),
    ("DEL in value", post(b"X-A: b\x7fc\r\n" + LENGTH), {400}),
    ("8-bit name", post(b"X-\xe9: b\r\n" + LENGTH), {400}),
    ("HEAD with a body", get(b"/health", b"HEAD", fields=b"Host: x\r\nContent-Length: 38\r\n",
                             body=SECOND), {400}),
    ("HEAD with chunks", get(b"/health", b"HEAD", fields=b"Host: x\r\n" + CHUNKED,
                             body=b"0\r\n\r\n"), {400}),
    ("TRACE", get(b"/health", b"TRACE"), {405, 501}),
    ("CONNECT", get(b"127.0.0.1:80", b"CONNECT"), {400, 405, 501}),
    ("unknown method", get(b"/health", b"BREW"), {400, 405, 501}),
    ("method of WebDAV", get(b"/health", b"PROPFIND"), {400, 405, 501}),
    ("lower-case method", get(b"/health", b"get"), {400, 405, 501}),
    ("method of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 405, 501}),
    ("method with colon", get(b"/health", b"GE:T"), {400, 501}),
    ("version 4294967297.1", get(b"/health", version=b"HTTP/4294967297.1"), {400}),
    ("version 1.10", get(b"/health", version=b"HTTP/1.10"), {400}),
    ("version 1.2", get(b"/health", version=b"HTTP/1.2"), {400}),
    ("version 2.0", get(b"/health", version=b"HTTP/2.0"), {400}),
    ("version 0.9", get(b"/health", version=b"HTTP/0.9"), {400}),
    ("version 01.1", get(b"/health", version=b"HTTP/01.1"), {400}),
    ("version in lower case", get(b"/health", version=b"http/1.1"), {400}),
    ("no version", b"GET /health\r\nHost: x\r\n\r\n", {400}),
    ("simple request", b"GET /health\r\n\r\n", {400}),
    ("another protocol", get(b"/health", version=b"ICAP/1.0"), {400}),
    ("RTSP", get(b"rtsp://x/health", b"OPTIONS", version=b"RTSP/1.0"), {400, 405, 501}),
    ("no Host", get(b"/health", fields=b""), {400}),
    ("no Host on 1.0", get(b"/v1/chat/completions", b"POST", b"HTTP/1.0", LENGTH, BODY), {400}),
    ("two Hosts", get(b"/health", fields=b"Host: x\r\nHost: x\r\n"), {400}),
    ("two different Hosts", get(b"/health", fields=b"Host: x\r\nHost: y\r\n"), {400}),
    ("Host with a space", get(b"/health", fields=b"Host: x y\r\n"), {400}),
    ("Host with a slash", get(b"/health", fields=b"Host: x/y\r\n"), {400}),
    ("Host with userinfo", get(b"/health", fields=b"Host: a@x\r\n"), {400}),
    ("space in the target", get(b"/hea lth"), {400}),
    ("two spaces before the version", b"GET /health  HTTP/1.1\r\nHost: x\r\n\r\n", {400}),
    ("tab in the request line", b"GET\t/health HTTP/1.1\r\nHost: x\r\n\r\n", {400, 501}),
    ("trailing space", b"GET /health HTTP/1.1 \r\nHost: x\r\n\r\n", {400}),
    ("%00", get(b"/health%00"), {400}),
    ("%0d%0a", get(b"/health%0d%0aX: y"), {400}),
    ("broken escape", get(b"/health%2"), {400}),
    ("escape not hex", get(b"/health%zz"), {400}),
    ("%5c", get(b"/v1%5cchat"), {400}),
    ("backslash", get(b"/v1\\chat"), {400}),
    ("..", get(b"/../etc/passwd"), {400}),
    (".. inside", get(b"/v1/../health"), {400}),
    ("%2e%2e", get(b"/v1/%2e%2e/health"), {400}),
    ("%2F outside a model's id", get(b"/v1%2Fchat/completions", b"POST",
                                     fields=b"Host: x\r\n" + LENGTH, body=BODY), {400}),
    ("8-bit target", get(b"/h\xe9alth"), {400}),
    ("control character in the target", get(b"/he\x01alth"), {400}),
    ("fragment in the target", get(b"/health#x"), {400}),
    ("target without slash", get(b"health"), {400}),
    ("absolute URI of another authority", get(b"http://evil.example/health"), {400}),
    ("absolute URI with userinfo", get(b"http://x@evil.example/health"), {400}),
    ("absolute URI of another scheme", get(b"ftp://x/health"), {400}),
    ("3000 header lines", get(b"/health", fields=b"Host: x\r\n" + b"a:b\r\n" * 3000), {431}),
    ("headers over 16 KiB", get(b"/health", fields=b"Host: x\r\n" + b"".join(
        b"X-%d: %s\r\n" % (i, b"y" * 1000) for i in range(20))), {431}),
    ("Expect junk", post(b"Expect: junk\r\n" + LENGTH), {417}),
    ("Expect twice", post(b"Expect: 100-continue\r\nExpect: junk\r\n" + LENGTH), {400, 417}),
    ("garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400, 405, 501}),
    ("NULs", b"\0" * 64 + b"\r\n\r\n", {400, 405, 501}),
    ("two leading CRLF and more", b"\r\n" * 50 + SECOND, {400}),
    ("leading space", b" GET /health HTTP/1.1\r\nHost: x\r\n\r\n", {400, 501}),
    ("leading LF", b"\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n", {400, 501}),
    ("trailer with a bad name", post(CHUNKED, CHUNKS[:-2] + b"X A: b\r\n\r\n"), {400}),
    ("trailer without colon", post(CHUNKED, CHUNKS[:-2] + b"nonsense\r\n\r\n"), {400}),
    ("endless chunk extension", post(CHUNKED, HEX + b";" + b"x" * 20000 + b"\r\n" + BODY
                                     + b"\r\n0\r\n\r\n"), {400, 413, 431}),
    ("endless trailers", post(CHUNKED, CHUNKS[:-2] + b"".join(
        b"X-%d: %s\r\n" % (i, b"y" * 1000) for i in range(20)) + b"\r\n"), {400, 413, 431}),
]


def sent_on(upstream):
    """What the upstream got of callers: at the start it is asked for its models besides."""
    return [request for request in upstream.requests if request.target != "/api/tags"]


@pytest.mark.parametrize("why, data, statuses", REFUSED, ids=[row[0] for row in REFUSED])
def test_refused(server, upstream, why, data, statuses):
    """One error in JSON, the end of the connection, and nothing else."""
    with raw.Client(server.port) as client:
        client.try_send(data + SECOND)
        response = client.read_response("HEAD" if data.startswith(b"HEAD") else "GET")
        assert response.status in statuses, response
        assert response.header("Connection", "").lower() == "close"
        if not data.startswith(b"HEAD"):
            assert response.error["type"] == "invalid_request_error"
        assert client.ends_within(5), "the connection goes on, or more came"
        assert client.eof == "fin"
    assert sent_on(upstream) == []


@pytest.mark.parametrize("size", [1, 7])
def test_refused_in_small_pieces(server, upstream, size):
    """The same verdicts however the bytes are cut; some rows that depend on look-ahead."""
    names = {"CL and TE", "two CL, different", "bare LF after chunk data", "obs-fold",
             "chunk data without CRLF", "space before colon of CL", "bare CR in the head"}
    for why, data, statuses in (row for row in REFUSED if row[0] in names):
        with raw.Client(server.port) as client:
            for i in range(0, len(data), size):
                if not client.try_send(data[i:i + size]):
                    break
            assert client.read_response().status in statuses, why
            assert client.ends_within(5), why
    assert sent_on(upstream) == []


PADDED = b"   %d  " % len(BODY)

SERVED = [
    # why, bytes, statuses in order
    ("three pipelined", raw.chat_request() * 3, [200, 200, 200]),
    ("trailers", post(CHUNKED, CHUNKS[:-2] + b"X-Checksum: 1\r\nY: 2\r\n\r\n"), [200]),
    ("chunk extensions", sized_chunks(HEX + b";x=y", after=b"\r\n0;z\r\n\r\n"), [200]),
    ("quoted chunk extension", sized_chunks(HEX + b';x="y z"'), [200]),
    ("upper-case chunk size", sized_chunks(HEX.upper()), [200]),
    ("chunk size with zeros in front", sized_chunks(b"000" + HEX), [200]),
    ("TE in other letters", post(b"transfer-ENCODING: Chunked\r\n", CHUNKS), [200]),
    ("blanks around CL", post(b"Content-Length:" + PADDED + b"\r\n"), [200]),
    ("CL with zeros in front", post(b"Content-Length: 000%d\r\n" % len(BODY)), [200]),
    ("one leading CRLF", b"\r\n" + SECOND, [200]),
    ("CRLF between requests", SECOND + b"\r\n" + SECOND, [200, 200]),
    ("GET with a body", get(b"/health", fields=b"Host: x\r\nContent-Length: 5\r\n", body=b"hello"),
     [200]),
    ("GET with chunks", get(b"/health", fields=b"Host: x\r\n" + CHUNKED,
                            body=b"5\r\nhello\r\n0\r\n\r\n"), [200]),
    ("absolute URI of the same authority", get(b"http://x/health"), [200]),
    ("absolute URI, other letters", get(b"HTTP://X/health"), [200]),
    ("absolute URI with port", get(b"http://x:3000/health", fields=b"Host: x:3000\r\n"), [200]),
    ("doubled slashes", get(b"//health"), [200]),
    ("doubled slashes with a name", get(b"//evil/a"), [404]),
    ("Host with a port", get(b"/health", fields=b"Host: localhost:1\r\n"), [200]),
    ("empty field value", get(b"/health", fields=b"Host: x\r\nX-Empty:\r\n"), [200]),
    ("8-bit value", get(b"/health", fields=b"Host: x\r\nX-A: caf\xe9\r\n"), [200]),
    ("tab in a value", get(b"/health", fields=b"Host: x\r\nX-A: a\tb\r\n"), [200]),
    ("%2F in a model's id", get(b"/v1/models/hf.co%2Fa%2Fb%3Aq4"), [404]),
]


@pytest.mark.parametrize("why, data, statuses", SERVED, ids=[row[0] for row in SERVED])
def test_served(server, upstream, why, data, statuses):
    """Answers in order, and a request behind them is answered on the same connection."""
    with raw.Client(server.port) as client:
        client.send(data + SECOND)
        assert [client.read_response().status for _ in statuses] == statuses
        last = client.read_response("GET")
        assert last.status == 200 and last.json()["version"]
        assert client.is_open()


def test_body_of_get_is_not_a_request(server):
    """The body of a GET is read over, whatever it looks like."""
    with raw.Client(server.port) as client:
        client.send(get(b"/health", fields=b"Host: x\r\nContent-Length: %d\r\n" % len(SECOND),
                        body=SECOND))
        assert client.read_response("GET").status == 200
        assert client.is_open()


def test_dot_segments_are_bad_requests(server):
    """Nothing is resolved: /./health is not /health."""
    for target in (b"/./health", b"/v1/.", b"/%2e/health"):
        assert raw.exchange(server, get(target), "GET").status == 400


def test_upgrade_is_not_answered(server):
    """No protocol is ever switched."""
    for name in (b"websocket", b"h2c", b"TLS/1.0"):
        with raw.Client(server.port) as client:
            client.send(get(b"/health", fields=b"Host: x\r\nConnection: Upgrade\r\nUpgrade: "
                            + name + b"\r\n"))
            response = client.read_response("GET")
            assert response.status in (200, 400, 405, 501) and response.interim == []


def test_bytes_behind_a_closing_request_are_not_served(server, upstream):
    """After Connection: close nothing that follows is a request."""
    with raw.Client(server.port) as client:
        client.send(get(b"/health", fields=b"Host: x\r\nConnection: close\r\n")
                    + raw.chat_request())
        assert client.read_response("GET").status == 200
        assert client.ends_within(5)
    assert sent_on(upstream) == []


def test_refused_behind_a_good_one(server, upstream):
    """A bad request in a pipeline ends it: the good one before is served, none after."""
    with raw.Client(server.port) as client:
        client.send(SECOND + post(LENGTH + CHUNKED, CHUNKS) + raw.chat_request())
        assert [client.read_response("GET").status for _ in range(2)] == [200, 400]
        assert client.ends_within(5)
    assert sent_on(upstream) == []
