"""Who gets in on the admin side: passwords, sessions, cookies, the throttle."""

import concurrent.futures
import os
import signal
import time

import pytest

import raw
from admin import PASSWORD, Browser, Script, bearer, call, check_headers, error, login
from raw import build, exchange
from tls_files import Certificates


@pytest.fixture(scope="module")
def admin_server(module_server):
    return module_server(ADMIN_PASSWORD=PASSWORD, API_TOKEN="caller-token")


def test_login_gives_a_token_and_a_cookie(admin_server):
    response = login(admin_server)
    assert response.status == 200
    obj = response.json()
    assert list(obj) == ["success", "token"] and obj["success"] is True
    assert obj["token"].startswith("o2s_") and len(obj["token"]) == 48
    cookie = response.header("Set-Cookie")
    assert cookie == f"sid={obj['token']}; HttpOnly; SameSite=Strict; Path=/admin"
    assert login(admin_server).json()["token"] != obj["token"]


@pytest.mark.parametrize("body, status", [
    ({"password": "wrong"}, 401), ({"password": ""}, 401), ({"password": 5}, 400), ({}, 400),
    ([], 400), (b"{", 400), (b"", 400), ({"password": PASSWORD, "remember": True}, 400),
    (b'{"password":"a","password":"b"}', 400),
])
def test_login_refuses_other_bodies(start_server, body, status):
    server = start_server(ADMIN_PASSWORD=PASSWORD)
    response = call(server, "POST", "/admin/login", body)
    assert response.status == status, response
    error(response)
    assert response.header("Set-Cookie") is None


def test_login_wants_json(admin_server):
    head = (f"POST /admin/login HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
            f"Content-Length: 2\r\n\r\n{{}}")
    assert exchange(admin_server, head.encode()).status == 415


def test_session_by_cookie_and_by_bearer(admin_server):
    browser = Browser(admin_server)
    script = Script(admin_server, browser.token)
    assert script.ok("GET", "/session") == {"csrf": browser.csrf, "chatToken": browser.chat_token}
    password = Script(admin_server).ok("GET", "/session")
    assert password["csrf"] != browser.csrf and password["chatToken"].startswith("o2c_")


@pytest.mark.parametrize("headers", [
    {}, bearer("o2s_" + "a" * 44), bearer("o2c_" + "a" * 64), bearer("caller-token-x" * 3),
    {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer "}, {"Authorization": ""},
    {"Cookie": "sid=o2s_" + "b" * 44}, {"Cookie": f"sid={PASSWORD}"}, {"Cookie": "sid="},
    {"x-api-key": PASSWORD},
], ids=str)
def test_nobody_else_gets_in(start_server, headers):
    server = start_server(ADMIN_PASSWORD=PASSWORD)
    for path in ("/admin/api/session", "/admin/api/nothing"):
        response = call(server, "GET", path, headers=headers)
        assert response.status == 401, (path, response)
        assert response.header("WWW-Authenticate") == "Bearer"
        error(response)


def test_the_password_is_never_taken_from_a_query(admin_server):
    for query in (f"?password={PASSWORD}", f"?token={PASSWORD}"):
        path = "/admin/api/session" + query.replace(" ", "%20")
        assert call(admin_server, "GET", path).status == 401


def test_caller_token_is_none_of_the_admins(admin_server):
    assert Script(admin_server, "caller-token")("GET", "/session").status == 401


def test_logout_ends_the_session_and_its_chat_token(admin_server):
    browser = Browser(admin_server)
    models = {"Authorization": f"Bearer {browser.chat_token}"}
    assert raw.get(admin_server, "/v1", headers=models).status == 200
    response = call(admin_server, "POST", "/admin/logout", headers=browser.headers)
    assert response.status == 200 and response.json() == {"success": True}
    assert response.header("Set-Cookie") == \
        "sid=; HttpOnly; SameSite=Strict; Path=/admin; Max-Age=0"
    assert browser("GET", "/session").status == 401
    assert Script(admin_server, browser.token)("GET", "/session").status == 401
    assert raw.get(admin_server, "/v1", headers=models).status == 401


def test_login_again_ends_the_old_session(admin_server):
    first = Browser(admin_server)
    assert login(admin_server, headers={"Cookie": first.cookie}).status == 200
    assert first("GET", "/session").status == 401


def test_v1_takes_session_and_chat_token_and_no_cookie(admin_server):
    browser = Browser(admin_server)
    for header in ("Authorization", "x-api-key", "api-key"):
        for token in (browser.token, browser.chat_token):
            value = f"Bearer {token}" if header == "Authorization" else token
            assert raw.get(admin_server, "/v1", headers={header: value}).status == 200
    assert raw.get(admin_server, "/v1", headers=browser.headers).status == 401
    assert raw.get(admin_server, "/v1", headers=bearer(PASSWORD)).status == 401
    assert Script(admin_server, browser.chat_token)("GET", "/session").status == 401


def test_restart_ends_sessions(start_server):
    server = start_server(ADMIN_PASSWORD=PASSWORD)
    token = login(server).json()["token"]
    server.stop()
    again = start_server(ADMIN_PASSWORD=PASSWORD, folder=server.folder)
    assert Script(again, token)("GET", "/session").status == 401


def test_new_password_by_sighup_ends_sessions(start_server):
    server = start_server(ADMIN_PASSWORD=None, dotenv=f"ADMIN_PASSWORD='{PASSWORD}'\n")
    browser = Browser(server)
    assert Script(server).ok("GET", "/session")
    (server.folder / ".env").write_text(f"ADMIN_PASSWORD='{PASSWORD}'\nLOG_LEVEL=info\n")
    server.signal(signal.SIGHUP)
    server.wait_log("event=reloaded")
    assert browser("GET", "/session").status == 200  # the same password
    (server.folder / ".env").write_text("ADMIN_PASSWORD='another password'\n")
    server.signal(signal.SIGHUP)
    server.wait_log("event=reloaded", count=2)
    assert browser("GET", "/session").status == 401
    assert Script(server)("GET", "/session").status == 401  # the old password, known before
    assert login(server, "another password").status == 200


def test_log_says_once_that_a_login_came_unencrypted(start_server):
    server = start_server(ADMIN_PASSWORD=PASSWORD)
    assert login(server).status == 200  # from this machine: nothing to say
    for _ in range(2):
        assert login(server, headers={"X-Forwarded-For": "203.0.113.1"}).status == 200
    server.wait_log("event=admin_login", count=3)
    assert server.output.count("event=admin_not_encrypted") == 1


# ---- what a browser may send ----


@pytest.mark.parametrize("headers, status", [
    ({}, 200),
    ({"Sec-Fetch-Site": "same-origin"}, 200),
    ({"Sec-Fetch-Site": "none"}, 200),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Origin": "http://127.0.0.1"}, 200),
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"X-CSRF": None}, 403),
    ({"X-CSRF": ""}, 403),
    ({"X-CSRF": "0" * 64}, 403),
], ids=str)
def test_cookie_needs_csrf_and_our_own_page(admin_server, headers, status):
    browser = Browser(admin_server)
    sent = {name: value for name, value in {**browser.headers, **headers}.items()
            if value is not None}
    response = call(admin_server, "POST", "/admin/logout", headers=sent)
    assert response.status == status, response
    assert browser("GET", "/session").status == (401 if status == 200 else 200)


def test_csrf_token_of_another_session_is_none(admin_server):
    one, two = Browser(admin_server), Browser(admin_server)
    sent = {"Cookie": one.cookie, "X-CSRF": two.csrf}
    assert call(admin_server, "POST", "/admin/logout", headers=sent).status == 403


def test_cookie_wants_json(admin_server):
    browser = Browser(admin_server)
    data = build("POST", "/admin/logout", b"a=b", browser.headers)
    data = data.replace(b"application/json", b"application/x-www-form-urlencoded")
    assert exchange(admin_server, data).status == 415


def test_bearer_needs_no_csrf(admin_server):
    token = login(admin_server).json()["token"]
    assert call(admin_server, "POST", "/admin/logout", headers=bearer(token)).status == 200


def test_cookie_under_tls_is_the_hosts_own(start_server, tmp_path):
    files = Certificates(tmp_path)
    cert, key = files.make("server")
    tls = files.client_context()
    server = start_server(ADMIN_PASSWORD=PASSWORD, TLS_CERT=cert, TLS_KEY=key, tls=tls)
    response = login(server, tls=tls)
    token = response.json()["token"]
    assert response.header("Set-Cookie") == \
        f"__Host-sid={token}; Secure; HttpOnly; SameSite=Strict; Path=/"
    assert response.header("Strict-Transport-Security").startswith("max-age=")
    for name, status in (("__Host-sid", 200), ("sid", 401)):
        assert call(server, "GET", "/admin/api/session", headers={"Cookie": f"{name}={token}"},
                    tls=tls).status == status


@pytest.mark.parametrize("trusted, secure", [("true", True), (None, False)])
def test_cookie_behind_a_proxy_with_tls(start_server, trusted, secure):
    server = start_server(ADMIN_PASSWORD=PASSWORD, TRUST_PROXY=trusted)
    response = login(server, headers={"X-Forwarded-Proto": "https"})
    assert response.header("Set-Cookie").startswith("__Host-sid=" if secure else "sid=")


def test_other_pages_and_old_routes(admin_server):
    script = Script(admin_server)
    for name in ("tokens", "channels", "logs", "dashboard", "cache"):
        for path in (f"/{name}", f"/{name}/1"):
            response = script("GET", path)
            assert response.status == 404 and len(error(response)) > 20
    response = script("PUT", "/session")
    assert response.status == 405 and response.header("Allow") == "GET, HEAD"
    response = call(admin_server, "OPTIONS", "/admin/api/session",
                    headers={"Origin": "http://evil.example",
                             "Access-Control-Request-Method": "GET"})
    assert response.status == 204
    assert response.header("Access-Control-Allow-Origin") is None


def test_body_limit_of_small_routes(admin_server):
    token = login(admin_server).json()["token"]
    for size, status in ((65535, 400), (65536, 400), (65537, 413)):
        body = b'{"password":"' + b"x" * (size - 15) + b'"}' if status == 413 else \
            b'{"password":5' + b" " * (size - 14) + b"}"
        response = call(admin_server, "POST", "/admin/login", body, bearer(token))
        assert response.status == status, (size, response)
        error(response)


@pytest.mark.parametrize("size, headers, status", [
    (70000, {}, 413), (10, {"Content-Encoding": "gzip"}, 415)], ids=str)
def test_a_body_refused_while_the_password_is_checked(start_server, size, headers, status):
    server = start_server(ADMIN_PASSWORD=PASSWORD)
    for password, later in (("wrong", 401), (PASSWORD, 200)):
        sent = {**bearer(password), **headers}
        with raw.Client(server.port) as client:
            client.try_send(build("POST", "/admin/api/keys", b"x" * size, sent))
            assert client.read_response().status == status
        assert Script(server, password)("GET", "/session").status == later


def test_a_wrong_password_ends_a_request_whose_body_is_slow(start_server):
    server = start_server(ADMIN_PASSWORD=PASSWORD)
    data = build("POST", "/admin/api/keys", b'{"key":"sk-1"}', bearer("wrong"))
    with raw.Client(server.port) as client:
        client.send(data[:-5])
        assert client.read_response().status == 401
        client.try_send(data[-5:])
    assert Script(server).ok("GET", "/keys")["total"] == 0


# ---- the built-in password ----

LOOPBACK = [
    ({}, True), ({"Host": "localhost"}, True), ({"Host": "localhost:99"}, True),
    ({"Host": "[::1]:1"}, True), ({"Host": "evil.example"}, False),
    ({"Host": "localhost.evil.example"}, False), ({"Origin": "http://localhost:1"}, True),
    ({"Origin": "http://evil.example"}, False), ({"Origin": "null"}, False),
    ({"Forwarded": "for=1.2.3.4"}, False), ({"X-Forwarded-For": "127.0.0.1"}, False),
    ({"X-Forwarded-Host": "a"}, False), ({"X-Forwarded-Anything": "a"}, False),
    ({"X-Real-IP": "127.0.0.1"}, False), ({"Via": "1.1 proxy"}, False),
]


@pytest.fixture(scope="module")
def default_server(module_server):
    return module_server(HOST="0.0.0.0")


@pytest.mark.parametrize("headers, inside", LOOPBACK, ids=str)
def test_default_password_is_for_callers_on_this_machine(default_server, headers, inside):
    headers = dict(headers)
    host = headers.pop("Host", "127.0.0.1")
    for method, path in (("GET", "/admin/api/session"), ("POST", "/admin/login")):
        body = {"password": "admin123"} if method == "POST" else None
        sent = {**bearer("admin123"), **headers} if method == "GET" else headers
        response = exchange(default_server, build(method, path, body, sent, host=host), method)
        check_headers(response)
        if inside:
            assert response.status == (403 if "Origin" in headers and method == "POST" else 200), \
                response
        else:
            assert response.status == 403
            assert "ADMIN_PASSWORD" in error(response)


def test_default_password_wants_http_11_and_a_loopback_peer(default_server):
    data = build("GET", "/admin/api/session", None, bearer("admin123"), version="HTTP/1.0")
    assert exchange(default_server, data).status == 403
    address = os.popen("hostname -I").read().split()
    if not address:
        pytest.skip("this machine has no other address")
    response = exchange(default_server, build("GET", "/admin", None), "GET", host=address[0])
    assert response.status == 403 and "ADMIN_PASSWORD" in error(response)
    assert raw.get(default_server, "/v1").status == 200  # and the rest goes on


# ---- the throttle ----


def slow_down(server, **more):
    """
    Tries wrong passwords until one is refused unseen; returns that answer. It is the sixth, or a
    later one where a machine is so busy that a try takes longer than the wait after it.
    """
    for i in range(12):
        response = login(server, f"wrong {i}", **more)
        if response.status == 429:
            assert i >= 5
            return response
        assert response.status == 401
    raise AssertionError("nobody is slowed down")


def test_wrong_logins_are_slowed_down(start_server):
    server = start_server(ADMIN_PASSWORD=PASSWORD)
    known = Script(server, login(server).json()["token"])
    response = slow_down(server)
    assert 1 <= int(response.header("Retry-After")) <= 300
    error(response)
    response = Script(server, "wrong 6")("GET", "/session")
    assert response.status == 429 and response.header("Retry-After")
    assert known("GET", "/session").status == 200  # sessions go on
    deadline = time.monotonic() + 10
    while login(server).status == 429:  # and the right password is taken after the wait
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert login(server, "wrong 7").status == 401  # the count began anew


def test_another_address_is_let_in_meanwhile(start_server):
    server = start_server(ADMIN_PASSWORD=PASSWORD, TRUST_PROXY="true")
    mallory, alice = {"X-Forwarded-For": "203.0.113.1"}, {"X-Forwarded-For": "198.51.100.1"}
    slow_down(server, headers=mallory)
    assert login(server, headers=alice).status == 200


def test_a_restart_forgives_nobody_and_forgets_nobody(start_server):
    """What was counted of tries, and who has logged in, is known again after kill -9."""
    settings = {"ADMIN_PASSWORD": PASSWORD, "TRUST_PROXY": "true"}
    server = start_server(**settings)
    server.expect_exit = -signal.SIGKILL
    mallory, alice = {"X-Forwarded-For": "203.0.113.1"}, {"X-Forwarded-For": "198.51.100.1"}
    strangers = [{"X-Forwarded-For": f"192.0.2.{i}"} for i in range(30)]
    assert login(server, headers=alice).status == 200
    slow_down(server, headers=mallory)
    assert Script(server).ok("GET", "/stats")  # the store's thread has done what came before
    server.process.kill()
    server.process.wait()

    server = start_server(folder=server.folder, **settings)
    # He still waits or, where the restart took that long, has one try: five more if forgotten.
    again = [login(server, "wrong again", headers=mallory).status for _ in range(2)]
    assert 429 in again
    used = [login(server, "wrong", headers=stranger).status for stranger in strangers]
    assert used[0] == 401 and used[-1] == 429
    assert login(server, headers=strangers[-1]).status == 429
    assert login(server, headers=alice).status == 200


def test_a_thousand_wrong_logins_cost_few_hashes(start_server):
    server = start_server(ADMIN_PASSWORD=PASSWORD)
    with raw.Client(server.port) as client:
        for i in range(1000):
            client.send(build("POST", "/admin/login", {"password": f"wrong {i}"}))
            response = client.read_response()
            assert response.status in (401, 429)
            if response.header("Connection") == "close":
                client.close()
                client.__init__(server.port)
    assert len(server.wait_log("event=admin_login .*result=wrong")) <= 10


def test_parallel_wrong_logins_stall_nobody(start_server, new_upstream):
    server = start_server(new_upstream(), ADMIN_PASSWORD=PASSWORD)
    before = server.memory_kib()
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        logins = [pool.submit(login, server, f"wrong {i}") for i in range(50)]
        slowest = 0
        for _ in range(20):
            begun = time.monotonic()
            assert raw.chat(server).status == 200
            slowest = max(slowest, time.monotonic() - begun)
        statuses = [one.result().status for one in logins]
    assert set(statuses) <= {401, 429} and statuses.count(401) <= 10
    assert server.memory_kib() - before < 128 * 1024
    if not server.sanitized:
        assert slowest < 2, slowest  # hashes take near 0.1 s each, one at a time


def test_the_same_password_at_once_is_hashed_once(start_server):
    server = start_server(ADMIN_PASSWORD=PASSWORD)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(Script(server), "GET", "/session") for _ in range(20)]
        assert {one.result().status for one in calls} == {200}


def test_no_secret_in_the_log(start_server):
    server = start_server(ADMIN_PASSWORD=PASSWORD, LOG_LEVEL="debug")
    browser = Browser(server)
    login(server, "a wrong canary")
    Script(server)("GET", "/session")
    for secret in (PASSWORD, "a wrong canary", browser.token, browser.csrf, browser.chat_token):
        assert secret not in server.output
