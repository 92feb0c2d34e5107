"""Holds answers of the admin API against docs/openapi.json.

    openapi.check_answer("POST", "/admin/api/keys/batch?dryRun=1", response)
    openapi.check_body("POST", "/admin/api/keys", {"key": "sk-x"})

A route, a status or a field that the document does not have is a failure, as is one that it has
and the answer has not. HEAD is as GET without the body; OPTIONS is HTTP's own. `response` is one of
raw.py.
"""

import functools
import json
import pathlib
import re

import jsonschema

DOCUMENT = pathlib.Path(__file__).resolve().parent.parent.parent / "docs/openapi.json"
METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
PREFIX = "/admin/"
OF_HTTP = (405, 408, 413, 414, 415, 417, 431, 501, 503)  # any route may answer these
ERROR = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}


@functools.cache
def document():
    return json.loads(DOCUMENT.read_text(encoding="utf-8"))


@functools.cache
def routes():
    """[(regular expression, template)], those without a parameter first."""
    templates = sorted(document()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) + "$"), path)
            for path in templates]


def template_of(path):
    path = path.split("?")[0]
    for pattern, template in routes():
        if pattern.match(path):
            return template
    return None


def resolve(node):
    while "$ref" in node:
        target = document()
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def operation(method, path):
    template = template_of(path)
    return document()["paths"].get(template, {}).get(method.lower()) if template else None


def check_schema(schema, value, what):
    """Raises with all that is wrong. References are looked up in the document."""
    whole = {**schema, "components": document()["components"]}
    validator = jsonschema.Draft202012Validator(whole)
    faults = [f"{error.json_path}: {error.message[:300]}"
              for error in validator.iter_errors(value)]
    assert not faults, f"{what}: " + "; ".join(faults[:10])


def check_answer(method, path, response):
    what = f"{method} {path}: {response.status}"
    if not path.startswith(PREFIX) or method == "OPTIONS":
        return
    op = operation("GET" if method == "HEAD" else method, path)
    if op is None:
        assert response.status >= 400, f"{what}: docs/openapi.json has no such route"
        answer = ERROR
    elif str(response.status) in op["responses"]:
        answer = resolve(op["responses"][str(response.status)])
    else:
        assert response.status in OF_HTTP, f"{what}: a status that is not described"
        answer = ERROR
    for name, header in answer.get("headers", {}).items():
        assert response.header(name) is not None or not header.get("required"), f"{what}: no {name}"
    kind = response.header("Content-Type", "").split(";")[0]
    assert kind in answer["content"], f"{what}: {kind} is not among {list(answer['content'])}"
    if kind == "application/json" and method != "HEAD":
        check_schema(answer["content"][kind]["schema"], json.loads(response.body), what)


def check_body(method, path, body):
    """A request as the document has it: for what tests and examples send in good faith."""
    op = operation(method, path)
    assert op is not None, f"{method} {path}: docs/openapi.json has no such route"
    assert "requestBody" in op, f"{method} {path} takes no body"
    check_schema(op["requestBody"]["content"]["application/json"]["schema"], body,
                 f"{method} {path}")
