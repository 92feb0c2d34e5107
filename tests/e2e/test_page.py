"""The admin page in a real browser: the scripts of tests/page, over the program and a stand-in.

The stand-in (web/dev) plays the admin API over pools that would take minutes to make, and with
text that no honest upstream sends; what works there against the contract works here against the
program in test_walk.
"""

import json
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import answers
import node_clients
import raw
from admin import PASSWORD, Script
from conftest import TREE, free_port

FOLDER = TREE / "tests/page"
WEB = TREE / "web"
SHOTS = TREE / "build/screenshots/walk"
MODEL = "tiny"  # answers.by_model has no recording of it
ANSWER = "Hello."


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


def test_sentences():
    """What the server says and the page shows has a Chinese sentence."""
    run("sentences.mjs")


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


@pytest.mark.parametrize("lang, phone, theme", [
    ("en", False, "light"), ("zh", False, "dark"), ("en", True, "dark"), ("zh", True, "light")])
def test_walk(start_server, new_upstream, lang, phone, theme):
    """What is to be done with 5,000 keys, in every place; pictures stay in build/screenshots."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    upstream = new_upstream()
    server = start_server(upstream, ADMIN_PASSWORD=PASSWORD)
    has = served(server)
    out = run("walk.mjs", json.dumps({
        "url": server.url, "password": PASSWORD, "lang": lang, "phone": phone,
        "keyUrl": upstream.url, "model": "plain", "answer": "o", "has": has,
        "theme": theme, "shots": str(SHOTS)}))
    snippet = json.loads(out)["snippet"]
    done = subprocess.run(["sh", "-c", snippet + " --silent --show-error --max-time 20"],
                          capture_output=True, timeout=30, check=True)
    assert b"data: [DONE]" in done.stdout, done.stdout


def refusing(dead):
    """An upstream's answers: one key is refused, whatever it is asked."""
    def answer(conn, request):
        if request.key == dead:
            return answers.error(401, "unauthorized")(conn, request)
        if request.target == "/api/tags":
            return answers.whole(200, {"models": [{"name": MODEL, "model": MODEL, "size": 7}]})(conn, request)
        return answers.by_model(conn, request)
    return answer


def run_snippet(kind, text, folder):
    """Runs a copied snippet as a person would, with what the tests have installed of it."""
    commands = {"curl": ["sh", "-c", text + " --silent --show-error --max-time 20"],
                "python": [sys.executable, "-c", text],
                "node": [node_clients.node(), "--input-type=module", "-e", text]}
    cwd = node_clients.FOLDER if kind == "node" else folder
    done = subprocess.run(commands[kind], cwd=cwd, timeout=60, capture_output=True)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()[-3000:]
    return done.stdout.decode()


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_new_user(start_server, new_upstream, tmp_path, lang):
    """By visible labels alone: keys, the dead one and why, a chat; what is copied of it works."""
    upstream = new_upstream(fallback=refusing("sk-dead-000000000000002"))
    server = start_server(upstream, ADMIN_PASSWORD=PASSWORD, HEALTH_CHECK_INTERVAL=0,
                          OLLAMA_BASE_URL=None)
    copied = json.loads(run("newuser.mjs", json.dumps({
        "url": server.url, "password": PASSWORD, "lang": lang, "model": MODEL, "answer": ANSWER,
        "good": f"{upstream.url}|sk-good-000000000000001",
        "dead": f"{upstream.url}|sk-dead-000000000000002"})))
    assert "data: [DONE]" in run_snippet("curl", copied["curl"], tmp_path)
    for kind in ("python", "node"):
        assert ANSWER in run_snippet(kind, copied[kind], tmp_path), kind


def test_axe_in_the_program(start_server, new_upstream):
    """axe finds nothing in any place of the program's page; the first paint comes within 1 s."""
    upstream = new_upstream(fallback=refusing("sk-dead-000000000000002"))
    server = start_server(upstream, ADMIN_PASSWORD=PASSWORD, HEALTH_CHECK_INTERVAL=0)
    script = Script(server)
    down = f"http://127.0.0.1:{free_port()}"
    keys = [script.ok("POST", "/keys", {"key": text})["key"]["id"] for text in (
        f"{upstream.url}|sk-good-000000000000001", f"{upstream.url}|sk-dead-000000000000002",
        f"{down}|sk-down-000000000000003")]
    script.ok("PATCH", f"/keys/{keys[0]}", {"name": "the good one"})
    script.ok("POST", "/keys/check")
    for _ in range(3):
        raw.chat(server, model=MODEL)
    entry = script.ok("GET", "/log")["entries"][0]["id"]
    run("audit.mjs", json.dumps({"url": server.url, "password": PASSWORD, "places": [
        ["", MODEL], ["/keys", "the good one"], [f"/keys/{keys[1]}", "sk-d"],
        [f"/keys/{keys[2]}", "sk-d"], ["/keys/add", "192.168.1.5:11434"], ["/log", MODEL],
        [f"/log/{entry}", MODEL], ["/chat", MODEL], ["/settings", "MAX_RETRIES"]]}))


def test_restart_and_end_of_session(start_server, new_upstream, tmp_path):
    """A page that is open finds its server again, and the login leads back to the place."""
    upstream = new_upstream()
    settings = {"ADMIN_PASSWORD": None, "PORT": free_port(), "folder": tmp_path}
    dotenv = f"ADMIN_PASSWORD={PASSWORD}\n"
    server = start_server(upstream, dotenv=dotenv, **settings)
    script = Script(server)
    key = script.ok("POST", "/keys", {"key": f"{upstream.url}|sk-last-0000000000000001"})["key"]
    script.ok("PATCH", f"/keys/{key['id']}", {"name": "the one key"})
    page = subprocess.Popen(
        [node_clients.node(), str(FOLDER / "lasting.mjs"),
         json.dumps({"url": server.url, "passwords": [PASSWORD, "another one"]})],
        cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env={"PATH": "/usr/bin:/bin", "O2O_CHROMIUM": node_clients.browser()})
    try:
        for word in page.stdout:
            if word == "stop\n":
                server.stop()
            elif word == "start\n":
                server = start_server(upstream, **settings)
            elif word == "change\n":  # ends all sessions of the old one
                (tmp_path / ".env").write_text("ADMIN_PASSWORD=another one\n")
                server.signal(signal.SIGHUP)
            page.stdin.write("\n")
            page.stdin.flush()
        assert page.wait(timeout=60) == 0, page.stderr.read()
    finally:
        page.kill()
        page.wait()


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
