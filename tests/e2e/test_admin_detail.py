"""Settings, one key with its history, probes of a host, and imports that are taken back."""

import json

import pytest

import answers
from admin import PASSWORD, Script, error
from raw import build, exchange

SECRET = "sk-canary-0123456789-abcdefghijklmnop"


@pytest.fixture
def admin(start_server, new_upstream):
    upstream = new_upstream()
    script = Script(start_server(upstream, ADMIN_PASSWORD=PASSWORD, HEALTH_CHECK_INTERVAL=0))
    script.upstream = upstream
    return script


def chat(admin, model="m"):
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    return exchange(admin.server, build("POST", "/v1/chat/completions", body))


def add(admin, key=SECRET, **more):
    return admin.ok("POST", "/keys", {"key": key, "baseUrl": admin.upstream.url, **more})["key"]


# ---- settings ----


def test_settings_say_value_and_origin(start_server, new_upstream):
    server = start_server(new_upstream(), ADMIN_PASSWORD=PASSWORD, API_TOKEN="token-canary",
                          HTTPS_PROXY="http://user:proxy-canary@127.0.0.1:1",
                          dotenv="MAX_RETRIES=7\nMETRICS_TOKEN=metrics-canary\n")
    answer = Script(server)("GET", "/settings")
    settings = {s["name"]: s for s in answer.json()["settings"]}
    for secret in (PASSWORD, "token-canary", "proxy-canary", "metrics-canary"):
        assert secret.encode() not in answer.body
    retries = settings["MAX_RETRIES"]
    assert (retries["value"], retries["origin"], retries["default"]) == ("7", ".env", "2")
    assert retries["set"] and not retries["secret"] and not retries["restart"] and retries["help"]
    port = settings["PORT"]
    assert (port["value"], port["origin"]) == (str(server.port), "environment") and port["restart"]
    token = settings["API_TOKEN"]
    assert (token["value"], token["secret"], token["set"], token["default"]) == ("", True, True, "")
    assert settings["METRICS_TOKEN"]["origin"] == ".env" and settings["METRICS_TOKEN"]["set"]
    proxy = settings["HTTPS_PROXY"]["value"]
    assert "127.0.0.1:1" in proxy
    idle = settings["STREAM_IDLE_TIMEOUT"]
    assert (idle["origin"], idle["value"]) == ("default", idle["default"])
    assert not settings["CA_FILE"]["set"] and settings["CA_FILE"]["value"] == ""
    assert len(settings) == len(answer.json()["settings"]) >= 32


def test_settings_are_not_changed_here(admin):
    response = admin("PUT", "/settings", {})
    assert response.status == 405 and response.header("Allow") == "GET, HEAD"


# ---- one key ----


def test_a_key_with_its_history(admin):
    key = add(admin, name="one")
    admin.ok("POST", f"/keys/{key['id']}/toggle")
    admin.ok("POST", f"/keys/{key['id']}/toggle")
    admin.upstream.script(answers.error(401, "unauthorized"))
    assert chat(admin).status == 502
    detail = admin.ok("GET", f"/keys/{key['id']}")
    assert detail["key"]["id"] == key["id"] and detail["key"]["status"] == "dead"
    assert [(m["from"], m["to"]) for m in detail["moves"]] == [
        ("ready", "dead"), ("disabled", "ready"), ("ready", "disabled")]
    assert detail["key"]["since"] == detail["moves"][0]["at"]
    assert detail["moves"][0]["cause"] == "refused" and detail["moves"][0]["reason"]
    assert detail["host"]["host"] == admin.upstream.url and detail["host"]["keyed"]
    assert detail["host"]["states"] == {"ready": 0, "cooling": 0, "dead": 1, "disabled": 0}
    assert SECRET not in json.dumps(detail)


def test_a_key_that_is_not_there(admin):
    assert "no key" in error(admin("GET", "/keys/1"))


# ---- hosts ----


@pytest.mark.parametrize("form", ["", "/api"])
def test_a_host_is_asked_now(admin, form):
    add(admin)
    add(admin, "sk-second")
    before = len(admin.upstream.probes())
    answer = admin.ok("POST", "/hosts/check", {"host": admin.upstream.url + form})
    assert answer["host"]["host"] == admin.upstream.url and not answer["host"]["cooling"]
    assert len(admin.upstream.probes()) == before + 1


def test_a_host_that_comes_back(start_server, new_upstream):
    upstream = new_upstream()
    admin = Script(start_server(upstream, ADMIN_PASSWORD=PASSWORD, HEALTH_CHECK_INTERVAL=0))
    admin.upstream = upstream
    key = add(admin)
    admin.upstream.script(answers.whole(403, b"<html>", "text/html"))
    assert chat(admin).status == 502
    host = admin.ok("GET", f"/keys/{key['id']}")["host"]
    assert host["cooling"] and host["cause"] == "host" and host["reason"] and host["until"]
    assert admin.ok("POST", "/hosts/check", {"host": upstream.url})["host"]["cooling"] is False
    assert chat(admin).status == 200


def test_a_host_of_disabled_keys_is_asked_too(admin):
    key = add(admin)
    admin.ok("POST", f"/keys/{key['id']}/toggle")
    assert admin.ok("POST", "/hosts/check", {"host": admin.upstream.url})["success"]


@pytest.mark.parametrize("body, status", [({"host": "http://nowhere"}, 404), ({"host": ""}, 400),
                                          ({"host": " "}, 400), ({}, 400), ({"host": 1}, 400),
                                          ({"host": "x" * 2049}, 400), ({"host": "h", "x": 1}, 400)])
def test_hosts_that_cannot_be_asked(admin, body, status):
    response = admin("POST", "/hosts/check", body)
    assert response.status == status and error(response)


# ---- imports ----


def batch(admin, text, query=""):
    return admin.ok("POST", f"/keys/batch{query}", {"keys": text, "baseUrl": admin.upstream.url})


def last_import(admin):
    return admin.ok("GET", "/overview")["lastImport"]


def test_an_import_is_taken_back(admin):
    assert last_import(admin) is None
    add(admin, "sk-before")
    assert last_import(admin) is None
    number = batch(admin, "sk-a\nsk-b\nsk-before")["import"]
    last = last_import(admin)
    assert (last["id"], last["count"], last["left"]) == (number, 2, 2) and last["at"]
    batch(admin, "sk-c", f"?import={number}")
    assert last_import(admin) == {**last, "count": 3, "left": 3}
    one = admin.ok("GET", "/keys?q=&limit=10")["keys"][1]
    admin.ok("DELETE", f"/keys/{one['id']}")
    assert last_import(admin) == {**last, "count": 3, "left": 2}
    assert admin.ok("DELETE", f"/imports/{number}") == {"success": True, "removed": 2}
    assert admin.ok("GET", "/keys")["total"] == 1 and last_import(admin) is None
    assert admin("DELETE", f"/imports/{number}").status == 404


def test_an_import_is_known_after_a_restart(start_server, new_upstream, tmp_path):
    upstream = new_upstream()
    settings = {"ADMIN_PASSWORD": PASSWORD, "HEALTH_CHECK_INTERVAL": 0, "DATA_DIR": str(tmp_path)}
    admin = Script(start_server(upstream, **settings))
    admin.upstream = upstream
    batch(admin, "sk-a\nsk-b")
    last = last_import(admin)
    admin.server.stop()
    admin = Script(start_server(upstream, **settings))
    assert last_import(admin) == last
    assert admin.ok("DELETE", f"/imports/{last['id']}")["removed"] == 2


def test_only_the_last_import_is_offered(admin):
    first = batch(admin, "sk-a")["import"]
    second = batch(admin, "sk-b\nsk-c")["import"]
    assert last_import(admin)["id"] == second
    batch(admin, "sk-d", f"?import={first}")
    assert (last_import(admin)["id"], last_import(admin)["count"]) == (second, 2)
    assert "import" not in batch(admin, "sk-a") or batch(admin, "sk-a")["import"] is None
    assert last_import(admin)["id"] == second
    assert admin.ok("DELETE", f"/imports/{first}")["removed"] == 2
    assert admin.ok("GET", "/keys")["total"] == 2


@pytest.mark.parametrize("number", ["0", "9", "x", "-1", "9223372036854775807", "18446744073709551615"])
def test_imports_that_are_not_there(admin, number):
    add(admin)
    assert "import" in error(admin("DELETE", f"/imports/{number}"))
    assert admin.ok("GET", "/keys")["total"] == 1
