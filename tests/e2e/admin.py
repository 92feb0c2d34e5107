"""A client of the admin side, as a script (bearer) or as a browser (cookie, X-CSRF)."""

import openapi
import raw

PASSWORD = "a password of tests"


def call(server, method, path, body=None, headers=(), **options):
    """One request below /admin; its answer, with its headers and docs/openapi.json checked."""
    data = raw.build(method, path, body, headers)
    response = raw.exchange(server, data, method, **options)
    check_headers(response)
    if method not in ("OPTIONS", "HEAD"):
        openapi.check_answer(method, path, response)
    return response


def check_headers(response):
    policy = response.header("Content-Security-Policy")
    if response.status == 204:
        return
    for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'",
                 "require-trusted-types-for 'script'", "base-uri 'none'", "form-action 'self'"):
        assert part in policy, response
    assert "unsafe" not in policy
    assert response.header("X-Content-Type-Options") == "nosniff"
    assert response.header("Cross-Origin-Opener-Policy") == "same-origin"
    assert response.header("Referrer-Policy") == "no-referrer"
    assert not [name for name, _ in response.fields
                if name.lower().startswith("access-control-")], response
    if response.header("Content-Type", "").startswith("application/json"):
        assert response.header("Cache-Control") == "no-store"


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def login(server, password=PASSWORD, headers=(), **options):
    return call(server, "POST", "/admin/login", {"password": password}, headers, **options)


def error(response):
    """The sentence of an error; its shape is checked on the way."""
    obj = response.json()
    assert list(obj) == ["error"] and isinstance(obj["error"], str) and obj["error"], obj
    return obj["error"]


class Script:
    """Sends a bearer: a session's token or the password."""

    def __init__(self, server, token=PASSWORD):
        self.server = server
        self.headers = bearer(token)

    def __call__(self, method, path, body=None, headers=(), **options):
        return call(self.server, method, "/admin/api" + path, body,
                    {**self.headers, **dict(headers)}, **options)

    def ok(self, method, path, body=None, **options):
        response = self(method, path, body, **options)
        assert response.status == 200, response
        return response.json()


class Browser(Script):
    """Sends a cookie, and X-CSRF with what changes something."""

    def __init__(self, server, password=PASSWORD):
        self.server = server
        response = login(server, password)
        assert response.status == 200, response
        self.token = response.json()["token"]
        self.cookie = response.header("Set-Cookie").split(";")[0]
        self.headers = {"Cookie": self.cookie}
        session = self.ok("GET", "/session")
        self.csrf, self.chat_token = session["csrf"], session["chatToken"]
        self.headers["X-CSRF"] = self.csrf
