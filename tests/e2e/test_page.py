"""The admin page in a real browser: the scripts of tests/page, over the program and a stand-in.

The stand-in (web/dev) plays the admin API over pools that would take minutes to make, and with
text that no honest upstream sends; what works there against the contract works here against the
program in test_walk.
"""

import json
import pathlib
import subprocess
import time

import pytest

import answers
import node_clients
import raw
from admin import PASSWORD, Script
from conftest import TREE

FOLDER = TREE / "tests/page"
WEB = TREE / "web"


def run(script, *arguments, timeout=240):
    done = subprocess.run(
        [node_clients.node(), str(FOLDER / script), *arguments], cwd=FOLDER, timeout=timeout,
        capture_output=True, env={"PATH": "/usr/bin:/bin", "O2O_CHROMIUM": node_clients.browser()})
    assert done.returncode == 0, (done.stdout + done.stderr).decode()[-6000:]
    return done.stdout.decode()


@pytest.fixture(scope="session")
def dist(tmp_path_factory):
    """The page's files, as the build makes them."""
    folder = tmp_path_factory.mktemp("page")
    subprocess.run([node_clients.node(), "build.mjs", str(folder)], cwd=WEB, check=True,
                   capture_output=True, timeout=120)
    return str(folder / "dist")


def test_types():
    """The compiler is content; a message without its second language is no message."""
    done = subprocess.run([node_clients.node(), str(WEB / "node_modules/typescript/bin/tsc")],
                          cwd=WEB, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout.decode()


def test_no_markup_from_text():
    """Nothing in the page's source makes markup, or code, out of a string."""
    for path in (WEB / "src").rglob("*.ts*"):
        text = path.read_text()
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                     "new Function", "javascript:"):
            assert word not in text, f"{path}: {word}"


def served(server):
    """Which places of the page the program has the data for."""
    def status(path):
        return raw.get(server, "/admin/api" + path, {"Authorization": f"Bearer {PASSWORD}"}).status
    has = [path for path in ("overview", "settings", "log") if status(f"/{path}") == 200]
    return has + (["key"] if status("/keys/1") == 404 else [])  # 405: only changed, not shown


@pytest.mark.parametrize("lang, phone", [("en", False), ("zh", False), ("en", True)])
def test_walk(start_server, new_upstream, lang, phone):
    """What a new user does, by what can be read on the page; and the snippet that it gives works."""
    upstream = new_upstream()
    server = start_server(upstream, ADMIN_PASSWORD=PASSWORD)
    has = served(server)
    out = run("walk.mjs", json.dumps({
        "url": server.url, "password": PASSWORD, "lang": lang, "phone": phone,
        "keyUrl": upstream.url, "model": "plain", "answer": "o", "has": has}))
    snippet = json.loads(out)["snippet"]
    done = subprocess.run(["sh", "-c", snippet + " --silent --show-error --max-time 20"],
                          capture_output=True, timeout=30, check=True)
    assert b"data: [DONE]" in done.stdout, done.stdout


def test_behaviour(dist):
    run("behave.mjs", dist)


def test_text_of_others(dist):
    run("hostile.mjs", dist)


def test_text_of_others_in_the_program(start_server, new_upstream):
    """Names that people gave, and a model's name from a hostile upstream, in the program's page."""
    evil = "<svg/onload=alert(1)>"
    upstream = new_upstream()
    listing = {"models": [{"name": evil, "model": evil, "modified_at": "2026-01-01T00:00:00Z"}]}
    upstream.route("/api/tags", answers.whole(200, listing))
    server = start_server(upstream, ADMIN_PASSWORD=PASSWORD)
    script = Script(server)
    key = script.ok("POST", "/keys", {"key": f"{upstream.url}|sk-evil-0000000000000001"})["key"]
    script.ok("PATCH", f"/keys/{key['id']}", {"name": evil})
    deadline = time.monotonic() + 10
    while not raw.get(server, "/v1/models").json()["data"]:
        assert time.monotonic() < deadline, "the program lists no model"
        time.sleep(0.02)
    run("look.mjs", json.dumps({
        "url": server.url, "password": PASSWORD, "places": [["/keys", evil], ["/chat", evil]]}))


@pytest.mark.slow
def test_every_place(dist):
    run("places.mjs", dist)


def test_sizes(dist):
    """What a browser loads first stays small: the build itself refuses more script than 100 KB."""
    files = list(pathlib.Path(dist).iterdir())
    assert {file.suffix for file in files} == {".html", ".js", ".css", ".svg"}
    assert sum(file.stat().st_size for file in files) < 400_000
