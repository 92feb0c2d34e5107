"""docs/openapi.json itself, and the helper that holds answers against it."""

import json

import jsonschema
import pytest

import openapi
import raw

KEY = {"id": "7", "key": "sk-a…wxyz", "baseUrl": "https://ollama.com/api", "name": "",
       "enabled": True, "healthy": True, "status": "ready", "lastCheck": None,
       "lastUsed": "2026-01-02T03:04:05.678Z", "lastError": None,
       "addedAt": "2026-01-02T03:04:05.000Z", "totalRequests": 1, "failedRequests": 0,
       "totalTokens": 2, "coolingUntil": None, "account": None, "cause": "none", "source": None,
       "reason": None, "since": None}
SUMMARY = {"total": 1, "enabled": 1, "healthy": 1, "disabled": 0, "unhealthy": 0,
           "totalRequests": 1, "totalTokens": 2}


def answer(status, body, kind="application/json", **headers):
    response = raw.Response()
    response.status = status
    response.fields = [("Content-Type", kind), *headers.items()]
    response.body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return response


def every(node, where="#"):
    """All objects of the document with their place."""
    if isinstance(node, dict):
        yield where, node
        for name, value in node.items():
            yield from every(value, f"{where}/{name}")
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from every(value, f"{where}/{i}")


def test_every_reference_leads_somewhere():
    used = set()
    for where, node in every(openapi.document()):
        if "$ref" in node:
            assert openapi.resolve(node), where
            used.add(node["$ref"])
    for kind, parts in openapi.document()["components"].items():
        for name in parts if kind != "securitySchemes" else ():
            assert f"#/components/{kind}/{name}" in used, f"{name} of {kind} is not used"


def test_every_schema_is_one_and_says_what_more_there_may_be():
    for where, node in every(openapi.document()):
        if where.endswith("/schema") or "/schemas/" in where and where.count("/") == 3:
            jsonschema.Draft202012Validator.check_schema(node)
        if node.get("type") == "object" and not where.endswith("/result"):
            assert "additionalProperties" in node, f"{where}: unknown fields would pass"


def test_every_operation_is_whole():
    names = set()
    for path, item in openapi.document()["paths"].items():
        for method in openapi.METHODS:
            if method not in item:
                continue
            op = item[method]
            assert op["summary"] and op["operationId"] not in names, (method, path)
            names.add(op["operationId"])
            wanted = {part[1:-1] for part in path.split("/") if part.startswith("{")}
            given = {openapi.resolve(p)["name"]
                     for p in item.get("parameters", []) + op.get("parameters", [])
                     if openapi.resolve(p)["in"] == "path"}
            assert wanted == given, (method, path)
            assert any(status.startswith("2") for status in op["responses"]), (method, path)
            if method != "get" and path != "/admin/login":
                assert {"$ref": "#/components/parameters/Csrf"} in op["parameters"], (method, path)


@pytest.mark.parametrize("method, path, response", [
    ("GET", "/admin/api/keys?limit=1", answer(200, {"keys": [KEY], "summary": SUMMARY, "total": 1})),
    ("DELETE", "/admin/api/keys/batch-like-id", answer(200, {"success": True})),
    ("POST", "/admin/api/keys/7/toggle", answer(200, {"success": True, "key": KEY})),
    ("GET", "/admin/api/keys", answer(401, {"error": "log in"})),
    ("POST", "/admin/login", answer(429, {"error": "wait"}, **{"Retry-After": "3"})),
    ("POST", "/admin/api/keys/export", answer(200, b"https://h|k\n", "text/plain; charset=utf-8")),
    ("GET", "/admin/api/nothing", answer(404, {"error": "nothing is there"})),
    ("GET", "/v1/models", answer(200, {"object": "list"})),
])
def test_good_answers_pass(method, path, response):
    openapi.check_answer(method, path, response)


@pytest.mark.parametrize("method, path, response, says", [
    ("GET", "/admin/api/keys", answer(200, {"keys": [], "summary": SUMMARY}), "total"),
    ("GET", "/admin/api/keys", answer(200, {"keys": [], "summary": SUMMARY, "total": 0, "x": 1}), "x"),
    ("GET", "/admin/api/keys", answer(200, {"keys": [{**KEY, "status": "well"}], "summary": SUMMARY,
                                            "total": 1}), "well"),
    ("GET", "/admin/api/keys", answer(200, {"keys": [{**KEY, "lastUsed": "2026-01-02"}],
                                            "summary": SUMMARY, "total": 1}), "lastUsed"),
    ("GET", "/admin/api/keys", answer(418, {"error": "tea"}), "status"),
    ("GET", "/admin/api/keys", answer(400, {"error": ""}), "error"),
    ("GET", "/admin/api/keys", answer(400, {"error": "a", "code": "b"}), "code"),
    ("GET", "/admin/api/keys", answer(400, b"oops", "text/plain"), "text/plain"),
    ("GET", "/admin/api/nothing", answer(200, {}), "no such route"),
    ("POST", "/admin/login", answer(429, {"error": "wait"}), "Retry-After"),
])
def test_others_do_not(method, path, response, says):
    with pytest.raises(AssertionError, match=says):
        openapi.check_answer(method, path, response)


@pytest.mark.parametrize("path, body, good", [
    ("/admin/api/keys", {"key": "sk-x"}, True),
    ("/admin/api/keys", {"key": "sk-x", "baseUrl": None, "name": "n"}, True),
    ("/admin/api/keys", {"key": "sk-x", "weight": 1}, False),
    ("/admin/api/keys/bulk", {"ids": ["1"], "action": "delete"}, True),
    ("/admin/api/keys/bulk", {"filter": {"status": "dead,cooling"}, "action": "delete"}, True),
    ("/admin/api/keys/bulk", {"ids": ["1"], "filter": {}, "action": "delete"}, False),
    ("/admin/api/keys/bulk", {"action": "delete"}, False),
    ("/admin/api/keys/bulk", {"filter": {"status": "well"}, "action": "check"}, False),
])
def test_bodies(path, body, good):
    if good:
        openapi.check_body("POST", path, body)
    else:
        with pytest.raises(AssertionError):
            openapi.check_body("POST", path, body)
