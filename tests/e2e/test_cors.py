"""What browsers are told, and which origins may use the API."""

import pytest

import raw
from raw import CHAT, build, chat_body, exchange

WEB = "https://chat.example.com"
LOCAL = "http://localhost:5173"
STAINLESS = ("x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,"
             "x-stainless-retry-count,x-stainless-runtime,x-stainless-runtime-version,"
             "x-stainless-timeout,x-stainless-helper-method")
EXPOSED = {"x-request-id", "retry-after", "retry-after-ms", "x-should-retry"}


def preflight(server, path, origin, headers="authorization,content-type", **more):
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": headers, **more}
    return exchange(server, build("OPTIONS", path, None, asked), "OPTIONS")


@pytest.fixture(scope="module")
def token_server(module_server):
    return module_server(API_TOKEN="tok")


PATHS = [CHAT, "/chat/completions", "/v1/models", "/v1/nope", "/v1",
         "/dashboard/billing/usage?start_date=x"]


@pytest.mark.parametrize("path", PATHS)
def test_preflight_on_every_path_without_a_token(token_server, path):
    """204 with the whole list, on known and unknown paths."""
    response = preflight(token_server, path, WEB, STAINLESS + ",authorization,content-type")
    assert response.status == 204 and response.body == b""
    assert response.header("Access-Control-Allow-Origin") in (WEB, "*")
    methods = {name.strip() for name in response.header("Access-Control-Allow-Methods").split(",")}
    assert {"GET", "POST", "OPTIONS", "HEAD", "DELETE"} <= methods
    allowed = {name.strip().lower() for name in
               response.header("Access-Control-Allow-Headers").split(",")}
    assert {"authorization", "content-type", *STAINLESS.split(",")} <= allowed
    assert response.header("Access-Control-Max-Age") == "7200"
    vary = response.header("Vary").lower()
    assert "origin" in vary and "access-control-request-headers" in vary
    assert response.header("Access-Control-Allow-Credentials") is None


def test_preflight_without_asked_headers_names_them(token_server):
    """Without a list to echo, the known list is sent: Authorization is never covered by *."""
    response = exchange(token_server, build("OPTIONS", CHAT, None, {
        "Origin": WEB, "Access-Control-Request-Method": "POST"}), "OPTIONS")
    allowed = response.header("Access-Control-Allow-Headers").lower()
    for name in ("authorization", "content-type", "x-api-key", "openai-organization",
                 "x-stainless-timeout", "x-stainless-retry-count"):
        assert name in allowed


def test_private_network(token_server):
    """Access-Control-Request-Private-Network is answered for allowed origins."""
    response = preflight(token_server, CHAT, WEB,
                         **{"Access-Control-Request-Private-Network": "true"})
    assert response.header("Access-Control-Allow-Private-Network") == "true"


ANSWERS = [
    ("chat", "POST", CHAT, chat_body(), {"Authorization": "Bearer tok"}, 200),
    ("stream", "POST", CHAT, chat_body(True), {"Authorization": "Bearer tok"}, 200),
    ("no token", "POST", CHAT, chat_body(), {}, 401),
    ("not found", "GET", "/v1/nope", None, {"Authorization": "Bearer tok"}, 404),
    ("wrong method", "GET", CHAT, None, {"Authorization": "Bearer tok"}, 405),
    ("bad body", "POST", CHAT, b"{", {"Authorization": "Bearer tok"}, 400),
    ("billing", "GET", "/dashboard/billing/usage", None, {"Authorization": "Bearer tok"}, 404),
]


@pytest.mark.parametrize("why, method, path, body, headers, status", ANSWERS,
                         ids=[row[0] for row in ANSWERS])
def test_actual_answers_carry_cors_headers(token_server, why, method, path, body, headers,
                                               status):
    """Errors and streams too, or the page sees only "Failed to fetch"."""
    response = exchange(token_server, build(method, path, body, {**headers, "Origin": WEB}))
    assert response.status == status
    assert response.header("Access-Control-Allow-Origin") in (WEB, "*")
    exposed = {name.strip().lower() for name in
               response.header("Access-Control-Expose-Headers").split(",")}
    assert EXPOSED <= exposed
    assert "origin" in (response.header("Vary") or "").lower()


def test_upstream_errors_carry_them_too(token_server, upstream):
    """A 404 of the upstream is an answer like any other."""
    import answers
    upstream.script(answers.error(404, "model 'x' not found"))
    response = exchange(token_server, raw.chat_request(headers={
        "Origin": WEB, "Authorization": "Bearer tok"}))
    assert response.status == 404
    assert response.header("Access-Control-Allow-Origin") in (WEB, "*")


AUTO_WITHOUT_TOKEN = [
    (LOCAL, True), ("http://127.0.0.1:3000", True), ("http://[::1]:8080", True),
    ("https://localhost", True), ("app://obsidian.md", True), ("chrome-extension://abcdef", True),
    ("moz-extension://abc", True), ("tauri://localhost", True), ("capacitor://localhost", True),
    ("vscode-webview://x", True),
    (WEB, False), ("http://example.com", False), ("null", False),
    ("http://localhost.evil.com", False), ("http://127.0.0.1.evil.com", False),
    ("http://evil.com:127", False), ("https://localhost@evil.com", False),
]


@pytest.mark.parametrize("origin, allowed", AUTO_WITHOUT_TOKEN)
def test_auto_without_a_token(server, upstream, origin, allowed):
    """Only loopback and non-http origins: a page on the web must not use somebody's keys."""
    for response in (preflight(server, CHAT, origin),
                     exchange(server, raw.chat_request(headers={"Origin": origin}))):
        if allowed:
            assert response.status in (200, 204)
            assert response.header("Access-Control-Allow-Origin") in (origin, "*")
        else:
            assert response.status == 403
            assert response.error["code"] == "origin_not_allowed"
            assert response.error["type"] == "invalid_request_error"
            assert not [name for name, _ in response.fields
                        if name.lower().startswith("access-control")]
    assert len(upstream.chats()) == (1 if allowed else 0)


LISTED = [
    # CORS_ORIGINS, origin, allowed
    ("https://a.example.com", "https://a.example.com", True),
    ("https://a.example.com", "https://b.example.com", False),
    ("https://a.example.com", "http://a.example.com", False),
    ("https://*.example.com", "https://x.example.com", True),
    ("https://*.example.com", "https://example.com", False),
    ("https://*.example.com", "https://x.example.com.evil.org", False),
    ("https://a.example.com, app://obsidian.md", "app://obsidian.md", True),
    ("https://a.example.com", "http://localhost:5173", False),
]


@pytest.mark.parametrize("setting", sorted({row[0] for row in LISTED}))
def test_listed_origins(start_server, upstream, setting):
    """CORS_ORIGINS replaces the rule; * stands for a part of a name."""
    server = start_server(upstream, CORS_ORIGINS=setting)
    for given, origin, allowed in LISTED:
        if given == setting:
            assert preflight(server, CHAT, origin).status == (204 if allowed else 403), origin


def test_own_origin_with_a_valid_token_passes(start_server, upstream):
    """The origin that equals our own scheme and Host, with a valid bearer."""
    server = start_server(upstream, API_TOKEN="tok", CORS_ORIGINS="https://a.example.com")
    own = f"http://proxy.example.com:{server.port}"
    host = own.removeprefix("http://")
    for token, statuses in (("tok", {200}), ("wrong", {401, 403})):
        data = build("POST", CHAT, chat_body(), {"Origin": own, "Authorization": f"Bearer {token}"},
                     host=host)
        assert exchange(server, data).status in statuses


def test_no_origin_no_cors_headers_needed(server):
    """Programs that are no browsers send no Origin and are served."""
    assert raw.chat(server).status == 200
