"""Every operation of docs/openapi.json is there and answers as it says, asked in good faith.

`call` holds each answer against the document; what the answers mean is in test_admin_*.py.
"""

import pytest

import openapi
import raw
from admin import PASSWORD, Script, call, login

ASKED = set()


class Asker(Script):
    """A script that keeps book of the operations it used, and sends what the document allows."""

    def __call__(self, method, path, body=None, **options):
        op = openapi.operation(method, "/admin/api" + path)
        assert op, f"{method} {path} is not described"
        ASKED.add(op["operationId"])
        if body is not None:
            openapi.check_body(method, "/admin/api" + path, body)
        return super().__call__(method, path, body, **options)


@pytest.fixture(scope="module")
def server(module_server):
    return module_server(ADMIN_PASSWORD=PASSWORD, HEALTH_CHECK_INTERVAL=0, OLLAMA_BASE_URL=None)


@pytest.fixture
def ask(server):
    return Asker(server)


def test_begin_and_end_a_session(server, ask):
    ASKED.update({"login", "logout"})
    token = login(server).json()["token"]
    assert Asker(server, token).ok("GET", "/session")["chatToken"]
    assert call(server, "POST", "/admin/logout",
                headers={"Authorization": f"Bearer {token}"}).status == 200
    assert Asker(server, token)("GET", "/session").status == 401


def test_one_key(ask, upstream):
    url = f"http://127.0.0.1:{upstream.port}"
    key = ask.ok("POST", "/keys", {"key": f"{url}|contract-key-one", "name": "one"})["key"]
    assert (key["baseUrl"], key["name"], key["status"]) == (url, "one", "ready")
    assert "contract-key-one" not in key["key"]
    again = ask("POST", "/keys", {"key": "contract-key-one", "baseUrl": url + "/api/"})
    assert again.status == 409 and again.json()["key"]["id"] == key["id"]
    path = f"/keys/{key['id']}"
    assert ask.ok("PATCH", path, {"name": "two"})["key"]["name"] == "two"
    assert ask.ok("POST", path + "/toggle")["key"]["status"] == "disabled"
    assert ask.ok("POST", path + "/toggle")["key"]["enabled"] is True
    assert ask.ok("POST", path + "/check")["key"]["id"] == key["id"]
    assert ask.ok("DELETE", path) == {"success": True}
    for method, tail in (("DELETE", ""), ("POST", "/toggle"), ("POST", "/check")):
        assert ask(method, path + tail).status == 404
    assert ask("PATCH", path, {"enabled": True}).status == 404


def test_many_keys(ask):
    text = "# keys\nbulk-a,bulk-b;bulk-a\nhttp://u:p@h|x\nhttp://169.254.169.254|x\n"
    dry = ask.ok("POST", "/keys/batch?dryRun=1", {"keys": text})
    assert (dry["addedCount"], dry["duplicateCount"], dry["errorCount"]) == (2, 1, 2)
    assert dry["dryRun"] and ask.ok("GET", "/keys?limit=0")["total"] == 0
    assert [key["line"] for key in dry["added"] + dry["duplicates"]] == [2, 2, 2]
    done = ask.ok("POST", "/keys/batch", {"keys": text, "baseUrl": None})
    assert all("line" not in key for key in done["added"])
    assert not done["dryRun"]
    assert [error["line"] for error in done["errors"]] == [3, 4]
    for field in ("addedCount", "duplicateCount", "errors"):
        assert done[field] == dry[field]
    ids = [key["id"] for key in done["added"]]

    found = ask.ok("GET", "/keys?status=ready&sort=added&offset=1&limit=1")
    assert found["total"] == 2 and [key["id"] for key in found["keys"]] == [ids[1]]
    assert ask.ok("POST", "/keys/bulk", {"ids": ids, "action": "disable"})["count"] == 2
    assert ask.ok("GET", "/keys")["summary"]["disabled"] == 2
    enable = {"filter": {"status": "disabled"}, "action": "enable"}
    assert ask.ok("POST", "/keys/bulk", enable)["count"] == 2
    export = ask("POST", "/keys/export", {"password": PASSWORD})
    assert sorted(export.body.split()) == [b"https://ollama.com|bulk-a", b"https://ollama.com|bulk-b"]
    assert ask.ok("POST", "/keys/reset-health") == {"success": True}
    assert ask.ok("GET", "/stats?days=30")["summary"]["total"] == 2
    assert ask("GET", "/backup").body.startswith(b"SQLite format 3\0")
    assert ask.ok("DELETE", "/keys") == {"success": True, "removed": 2}


def test_one_key_in_detail(ask, upstream):
    url = f"http://127.0.0.1:{upstream.port}"
    done = ask.ok("POST", "/keys/batch", {"keys": "detail-a", "baseUrl": url})
    path = f"/keys/{done['added'][0]['id']}"
    assert ask.ok("GET", path)["key"]["baseUrl"] == url
    assert ask("POST", path + "/test", {"model": "m"}).body.endswith(b"\n\n")
    assert ask.ok("POST", "/hosts/check", {"host": url})["host"]["host"] == url
    assert ask.ok("DELETE", f"/imports/{done['import']}")["removed"] == 1
    assert ask("DELETE", f"/imports/{done['import']}").status == 404
    assert ask("GET", path).status == 404 and ask("POST", path + "/test").status == 404
    assert ask("POST", "/hosts/check", {"host": url}).status == 404


def test_settings_and_log(ask, server):
    assert ask.ok("GET", "/settings")["settings"]
    assert raw.exchange(server, raw.build("GET", "/v1/models")).status in (200, 503)
    while not ask.ok("GET", "/log")["entries"]:  # a little after the answer
        pass
    entry = ask.ok("GET", "/log?status=ok&limit=1")["entries"] + ask.ok("GET", "/log")["entries"]
    assert ask.ok("GET", f"/log/{entry[0]['id']}")["entry"] == entry[0]
    assert ask("GET", "/log/999999").status == 404


def test_checks_and_jobs(ask, upstream):
    url = f"http://127.0.0.1:{upstream.port}"
    ask.ok("POST", "/keys/batch", {"keys": "job-a\njob-b", "baseUrl": url})
    checked = ask.ok("POST", "/keys/check")
    assert len(checked["keys"]) == 2
    ask.ok("POST", "/keys/batch", {"keys": "\n".join(f"job-{n}" for n in range(199)), "baseUrl": url})
    begun = ask("POST", "/keys/check")
    assert begun.status == 202, begun
    path = f"/jobs/{begun.json()['job']['id']}"
    job = ask.ok("GET", path)
    assert job["total"] == 201 and job["done"] <= 201
    assert ask.ok("DELETE", path)["state"] in ("running", "stopped", "done")
    assert ask("GET", "/jobs/none").status == 404
    ask.ok("DELETE", "/keys")


def test_how_things_are(server, ask):
    assert ask.ok("GET", "/overview")["upstream"]["kind"] != "keys"
    assert len(ask.ok("GET", "/series?range=1h")["requests"]) == 60
    ASKED.add("live")
    assert call(server, "HEAD", "/admin/api/live", headers=ask.headers).status == 200


def test_nothing_was_left_out():
    described = {item[method]["operationId"] for item in openapi.document()["paths"].values()
                 for method in item if method in openapi.METHODS}
    assert described <= ASKED, described - ASKED
