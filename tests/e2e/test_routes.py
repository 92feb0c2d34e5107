"""Routes, paths, tokens, ids of requests."""

import re

import pytest

import raw
from raw import CHAT, build, chat_body, exchange, get

GET_ROUTES = ["/", "/health", "/v1"]


def test_get_root_says_what_this_is(server):
    """GET / answers 200 and names the program."""
    response = get(server, "/")
    assert response.status == 200
    assert "ollama2openai" in response.body.decode()


def test_get_health(server):
    """status, version, uptime and the summary of keys; no waiting for an upstream."""
    response = get(server, "/health")
    assert response.status == 200
    health = response.json()
    assert health["status"] in ("ok", "degraded", "no_backends")
    assert re.match(r"\d+\.\d+", health["version"])
    assert health["uptime"] >= 0
    assert isinstance(health["keys"], dict) and health["keys"]["total"] == 0


def test_get_health_says_no_backends_after_a_failed_connect(start_server, new_upstream):
    """Without a key, a missing upstream shows in /health."""
    upstream = new_upstream()
    server = start_server(upstream)
    raw.chat(server)
    assert get(server, "/health").json()["status"] == "ok"
    upstream.stop()
    upstream.wait_for(lambda: all(conn.closed_at for conn in upstream.connections))
    assert raw.chat(server).error["code"] == "upstream_unavailable"
    response = get(server, "/health")
    assert (response.status, response.json()["status"]) == (200, "no_backends")


def test_get_v1_is_a_connection_test(server):
    """{"object":"list","data":[],"message":...}."""
    obj = get(server, "/v1").json()
    assert obj["object"] == "list" and obj["data"] == []
    assert isinstance(obj["message"], str) and obj["message"]


@pytest.mark.parametrize("path", GET_ROUTES)
def test_head_on_every_get_route(server, path):
    """HEAD answers as GET does, without the body."""
    with raw.Client(server.port) as client:
        client.send(build("HEAD", path))
        head = client.read_response("HEAD")
        client.send(build("GET", path))
        body = client.read_response("GET")
        assert (head.status, body.status) == (200, 200)
        assert head.header("Content-Type") == body.header("Content-Type")
        assert abs(int(head.header("Content-Length")) - len(body.body)) <= 8  # uptime may grow
        assert client.is_open()


WRONG_METHODS = [
    ("POST", "/", {"GET", "HEAD"}), ("POST", "/health", {"GET", "HEAD"}),
    ("DELETE", "/v1", {"GET", "HEAD"}), ("GET", CHAT, {"POST"}), ("HEAD", CHAT, {"POST"}),
    ("PUT", CHAT, {"POST"}), ("PATCH", CHAT, {"POST"}), ("DELETE", CHAT, {"POST"}),
    ("GET", "/chat/completions", {"POST"}),
]


@pytest.mark.parametrize("method, path, allowed", WRONG_METHODS)
def test_wrong_method(server, method, path, allowed):
    """405 with Allow, in the JSON error shape."""
    response = get(server, path, method=method)
    assert response.status == 405
    named = {name.strip() for name in response.header("Allow").split(",")}
    assert allowed <= named <= allowed | {"OPTIONS"}
    if method != "HEAD":
        assert response.error["type"] == "invalid_request_error"
        assert response.error["code"] is None


UNKNOWN_PATHS = ["/nope", "/v1/nope", "/v1/responses", "/v1/messages", "/v1/rerank",
                 "/v1/audio/transcriptions", "/v1/images/generations", "/v1/moderations",
                 "/api/chat", "/api/tags", "/favicon.ico", "/v1/chat", "/v1/chat/completions/x",
                 "/dashboard/billing/subscription", "/V1/CHAT/COMPLETIONS"]


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_path(server, upstream, method, path):
    """404 in the JSON error shape with code null, never an HTML page."""
    body = chat_body() if method == "POST" else None
    response = exchange(server, build(method, path, body), method)
    assert response.status == 404, response
    assert response.error["type"] == "invalid_request_error" and response.error["code"] is None
    assert upstream.chats() == []


CHAT_PATHS = [
    "/v1/chat/completions", "/chat/completions", "/v1/chat/completions/", "//v1/chat/completions",
    "/v1//chat//completions", "/v1/v1/chat/completions", "/chat/completions/",
    "/v1/chat/completions?beta=true", "/v1/chat/completions?api-version=2024-02-01&x=%2F",
    "/v1/chat/completions?", "//v1///v1//chat/completions//?a=b",
]


@pytest.mark.parametrize("path", CHAT_PATHS)
def test_paths_that_lead_to_chat(server, path):
    """With and without /v1, twice, doubled and trailing slashes, query strings."""
    assert exchange(server, build("POST", path, chat_body())).status == 200


@pytest.mark.parametrize("path", ["/v1/", "//v1", "/v1?x=y", "/v1/v1", "/health/", "//health",
                                  "/health?probe=1", "//", "/?x=1"])
def test_paths_of_get_routes(server, path):
    """The same tolerance for the GET routes."""
    assert get(server, path).status == 200


def test_percent_encoded_letters(server):
    """An escaped letter is the letter."""
    assert exchange(server, build("POST", "/v1/%63hat/completions", chat_body())).status == 200


def test_errors_are_whole_json_answers(server, upstream):
    """Real status, JSON type, correct length, a reason phrase, and the connection goes on."""
    import answers
    upstream.script(answers.error(404, "model 'x' not found"))
    with raw.Client(server.port) as client:
        for data, status, reason in (
                (build("POST", CHAT, b"{"), 400, "Bad Request"),
                (raw.chat_request(), 404, "Not Found"),
                (build("GET", "/nope"), 404, "Not Found"),
                (build("GET", CHAT), 405, "Method Not Allowed")):
            client.send(data)
            response = client.read_response()
            assert (response.status, response.reason) == (status, reason)
            assert response.header("Content-Length") == str(len(response.body))
            assert response.error["message"]
        assert client.is_open()


# ---- request ids ----

@pytest.mark.parametrize("data, status", [
    (build("GET", "/health"), 200), (build("GET", "/nope"), 404), (build("POST", CHAT, b"{"), 400),
    (raw.chat_request(), 200), (raw.chat_request(True), 200), (b"GET / HTTP/1.1\r\n\r\n", 400),
], ids=["health", "not found", "bad body", "chat", "stream", "refused by the parser"])
def test_every_answer_has_a_request_id(server, upstream, data, status):
    """x-request-id on each answer, another one each time, in the log."""
    first, second = exchange(server, data), exchange(server, data)
    assert first.status == second.status == status
    ids = [first.header("x-request-id"), second.header("x-request-id")]
    assert all(name and re.fullmatch(r"[A-Za-z0-9._-]{8,128}", name) for name in ids)
    assert ids[0] != ids[1]
    server.wait_log(re.escape(ids[0]))


@pytest.mark.parametrize("given, echoed", [
    ("abc-123_X.y", True), ("0af7651916cd43dd8448eb211c80319c", True),
    ("x" * 5000, False), ("a b", False), ('a"b', False), ("é", False), ("", False),
])
def test_sane_ids_are_echoed(server, given, echoed):
    """A client's own id comes back if it is sane; else ours is used."""
    got = get(server, "/health", {"x-request-id": given}).header("x-request-id")
    assert (got == given) is echoed
    assert got


# ---- tokens ----

TOKEN_FORMS = [
    ({"Authorization": "Bearer tok-one"}, 200), ({"authorization": "bearer tok-two"}, 200),
    ({"Authorization": "BEARER tok-one"}, 200), ({"x-api-key": "tok-one"}, 200),
    ({"X-API-KEY": "tok-two"}, 200), ({"api-key": "tok-one"}, 200),
    ({}, 401), ({"Authorization": "Bearer wrong"}, 401), ({"Authorization": "Bearer "}, 401),
    ({"Authorization": "tok-one"}, 401), ({"Authorization": "Basic dG9rLW9uZQ=="}, 401),
    ({"Authorization": "Bearer tok-one,tok-two"}, 401), ({"Authorization": "Bearer tok-on"}, 401),
    ({"Authorization": "Bearer tok-onee"}, 401), ({"x-api-key": "TOK-ONE"}, 401),
    ({"api-key": ""}, 401), ({"Cookie": "token=tok-one"}, 401),
]


@pytest.fixture(scope="module")
def token_server(module_server):
    return module_server(API_TOKEN="tok-one,tok-two")


@pytest.mark.parametrize("headers, status", TOKEN_FORMS)
def test_token_forms(token_server, upstream, headers, status):
    """Bearer in any case, x-api-key, api-key; anything else is 401 invalid_api_key."""
    response = exchange(token_server, raw.chat_request(headers=headers))
    assert response.status == status
    if status == 401:
        assert response.error["type"] == "invalid_request_error"
        assert response.error["code"] == "invalid_api_key"
        assert upstream.chats() == []


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/", 200), ("GET", "/health", 200), ("HEAD", "/health", 200), ("GET", "/v1", 401),
    ("POST", CHAT, 401), ("POST", "/chat/completions", 401), ("OPTIONS", CHAT, 204),
])
def test_which_routes_want_a_token(token_server, method, path, status):
    """Every route of the API but /, /health and preflights."""
    headers = {"Origin": "http://localhost", "Access-Control-Request-Method": "POST"} \
        if method == "OPTIONS" else {}
    body = chat_body() if method == "POST" else None
    assert exchange(token_server, build(method, path, body, headers), method).status == status


@pytest.mark.parametrize("headers", [
    {}, {"Authorization": "Bearer "}, {"Authorization": "Bearer sk-dummy"}, {"x-api-key": "x"},
    {"api-key": ""}, {"Authorization": "whatever"}])
def test_any_key_is_fine_without_tokens(server, headers):
    """Empty or dummy keys pass while no token is set."""
    assert exchange(server, raw.chat_request(headers=headers)).status == 200


def test_unauthorized_is_answered_before_the_body(token_server):
    """401 comes although the body never does."""
    with raw.Client(token_server.port) as client:
        client.send(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{"
                    % CHAT.encode())
        assert client.read_response().status == 401


def test_api_token_from_a_file(start_server, upstream, tmp_path):
    """API_TOKEN_FILE holds the token; a final newline does not count."""
    path = tmp_path / "token"
    path.write_text("file-token\n")
    server = start_server(upstream, API_TOKEN_FILE=path)
    assert raw.chat(server).status == 401
    assert raw.chat(server, headers={"Authorization": "Bearer file-token"}).status == 200
