"""The manual tells the truth: its commands are run as written, its links lead somewhere, and the
two languages of the front page say the same."""

import contextlib
import json
import re
import sqlite3
import stat
import subprocess
import sys

import pytest

import admin
import answers
import conftest

TREE = conftest.TREE
MANUALS = sorted([*TREE.glob("*.md"), *(TREE / "docs").glob("*.md")])
FRONT = {"en": TREE / "README.md", "zh": TREE / "README.zh-CN.md"}

# Commands that are run elsewhere, as they are written there.
RUN_ELSEWHERE = {
    "scripts/run": "scripts/check-fresh, in a system that has nothing",
    "OLLAMA_BASE_URL=http://192.168.1.5:11434 scripts/run": "scripts/check-fresh, with its own URL",
    "ADMIN_PASSWORD='choose one' docker compose up -d": "scripts/check-image, step by step",
    "rm -f data/ollama2openai.db-wal && cp backup.db data/ollama2openai.db\n"
    "build/ollama2openai --export all-keys.txt": "below, where the server is stopped",
}


def blocks(path):
    """(language, text) of each fenced block."""
    return re.findall(r"(?ms)^```(\w*)\n(.*?)^```", path.read_text())


def printed(path):
    """{command: what the manual prints of it}: the block of text right behind the command's."""
    pairs = re.findall(r"(?ms)^```(?:sh|python|js)\n((?:(?!```).)*?)^```\n(?:\n|[^`\n][^\n]*\n)*?\n"
                       r"```text\n(.*?)^```", path.read_text())
    return {command.strip(): text.strip() for command, text in pairs}


def is_printed(out, text):
    """Whether it is that; … stands for what differs, within a line."""
    pattern = ".*?".join(map(re.escape, text.split("…")))
    return re.fullmatch(pattern, out.strip()) is not None


RESULTS = {command: text for path in MANUALS for command, text in printed(path).items()}


def test_commands_stand_where_they_are_found():
    """A block that is only indented would not be run."""
    for path in (*FRONT.values(), *(TREE / "docs").glob("*.md")):
        outside = re.sub(r"(?ms)^```.*?^```", "", path.read_text())
        assert not re.search(r"(?m)^    \S", outside), path.name
        # Those in other words for a shell would not be either.
        assert {language for language, _ in blocks(path)} <= {"", "sh", "python", "js", "text", "nginx"}


def cases():
    found = {}
    for path in MANUALS:
        for language, text in blocks(path):
            if language in ("sh", "python", "js"):
                found.setdefault((language, text.strip()), f"{path.name}: {text.split(chr(10))[0]}")
    return [pytest.param(language, text, id=name[:60]) for (language, text), name in found.items()
            if text not in RUN_ELSEWHERE]


def test_commands_that_are_run_elsewhere_are_there():
    texts = {text.strip() for path in MANUALS for _, text in blocks(path)}
    assert set(RUN_ELSEWHERE) <= texts
    assert "scripts/run" in (TREE / "scripts/check-fresh").read_text()
    assert "docker-compose.yml" in (TREE / "scripts/check-image").read_text()


@pytest.fixture(scope="module")
def running(binary, tmp_path_factory):
    """The program on the port that the manual names in a folder that looks like a checkout; the
    port is another one here, and put in the commands' place."""
    upstream = conftest.Upstream(fallback=answers.by_model)
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "build").mkdir()
    (folder / "build/ollama2openai").symlink_to(binary)
    (folder / "keys.txt").write_text("sk-of-the-manual\nhttp://192.168.1.5:11434\n")
    (folder / "keys-ollama-active.txt").write_text("sk-of-a-group\n")
    (folder / "keys-lab-all.txt").write_text("sk-of-the-lab\n")
    with contextlib.closing(sqlite3.connect(folder / "one-api.db")) as there:
        there.execute("create table channels (id, type, key, status, name, base_url)")
        there.execute("insert into channels values (1, 30, 'sk-of-a-channel', 1, 'one', 'http://192.168.1.6')")
        there.commit()
    server = conftest.Server(binary, folder, conftest.settings_for(folder, upstream))
    server.wait_ready()
    yield server
    server.stop()
    upstream.stop()


@pytest.mark.parametrize("language, text", cases())
def test_command_of_the_manual(running, tmp_path, language, text):
    result = RESULTS.get(text)
    text = text.replace("127.0.0.1:3000", f"127.0.0.1:{running.port}")
    command = {"sh": ["sh", "-e", "-c", text], "python": [sys.executable, "-c", text],
               "js": ["node", "--input-type=module", "-e", text]}[language]
    # Commands that want the server stopped have a folder of their own.
    offline = "--import" in text or "--export" in text
    env = conftest.clean_environment(HOME=running.folder, no_proxy="*",
                                     ADMIN_PASSWORD="admin123",
                                     DATA_DIR=tmp_path / "data" if offline else None)
    done = subprocess.run(command, cwd=running.folder, env=env, capture_output=True, timeout=60)
    out = done.stdout.decode()
    assert done.returncode == 0, out + done.stderr.decode()
    assert '"error"' not in out
    if "chat/completions" in text and "-N" in text:
        assert out.strip().endswith("data: [DONE]")
    elif "chat/completions" in text:
        assert json.loads(out)["choices"][0]["message"]["content"]
    else:
        assert out.strip()
    assert result is None or is_printed(out, result), out


def test_backup_comes_back_as_written(binary, start_server, tmp_path):
    """The two commands of docs/operations.md, around the loss of the database."""
    backup, restore = [text for language, text in blocks(TREE / "docs/operations.md")
                       if language == "sh" and "backup.db" in text]
    assert restore.strip() in RUN_ELSEWHERE
    (tmp_path / "build").mkdir()
    (tmp_path / "build/ollama2openai").symlink_to(binary)
    server = start_server(folder=tmp_path, ADMIN_PASSWORD=admin.PASSWORD,
                          OLLAMA_BASE_URL="http://127.0.0.1:9")
    script = admin.Script(server)
    script.ok("POST", "/keys/batch", {"keys": "http://10.0.0.1|sk-one\nhttp://10.0.0.1|sk-two"})

    def run(text):
        done = subprocess.run(["sh", "-e", "-c", text], cwd=tmp_path, capture_output=True, text=True,
                              env=conftest.clean_environment(ADMIN_PASSWORD=admin.PASSWORD))
        assert done.returncode == 0, done.stdout + done.stderr
    run(backup.replace(":3000", f":{server.port}"))
    assert stat.S_IMODE((tmp_path / "backup.db").stat().st_mode) == 0o600
    script.ok("DELETE", "/keys")
    server.stop()
    run(restore)
    lines = (tmp_path / "all-keys.txt").read_text().splitlines()
    assert sorted(lines) == ["http://10.0.0.1|sk-one", "http://10.0.0.1|sk-two"]


def test_first_chats_have_printed_results():
    found = printed(FRONT["en"])
    assert len(found) == 5 and set(found) <= set(RESULTS), list(found)
    for needle in ("scripts/run", "curl http", "curl -N", "from openai", "--import"):
        assert any(needle in command for command in found)


def test_start_prints_what_the_front_page_says(start_server):
    server = start_server(None, HOST="0.0.0.0", WORKERS=None)
    text = RESULTS["scripts/run"].replace(":3000", f":{server.port}")
    out = "".join(line for line in server.output.splitlines(True) if not line.startswith("time="))
    assert is_printed(out, text), out


def test_front_page_quotes_what_was_measured():
    """Each figure of the sentence about cost stands in docs/performance.md, in both languages."""
    measured = (TREE / "docs/performance.md").read_text()
    quoted = []
    for path in FRONT.values():
        line, = [line for line in path.read_text().splitlines() if "docs/performance.md" in line]
        quoted.append(re.findall(r"\d+\.\d+", line))
    assert quoted[0] == quoted[1] and len(quoted[0]) >= 3
    for figure in quoted[0]:
        assert re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d.])", measured), figure


@pytest.mark.parametrize("path", MANUALS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


def test_manual_of_the_api_has_every_route():
    """Those of the operators as openapi.json has them, with the same words."""
    document = json.loads((TREE / "docs/openapi.json").read_text())
    described = {(method.upper(), path, call["summary"].lower())
                 for path, calls in document["paths"].items()
                 for method, call in calls.items() if "responses" in call}
    text = (TREE / "docs/api.md").read_text()
    rows = re.findall(r"(?m)^\| (\w+) `(/admin/[^`]+)` \| (.+) \|$", text)
    assert {(method, path, does.lower()) for method, path, does in rows} == described
    assert len(rows) == len(described)


def test_front_pages_say_the_same():
    """Commands, tables by number of rows, links, and names of settings."""
    english, chinese = (FRONT[name].read_text() for name in ("en", "zh"))
    assert blocks(FRONT["en"]) == blocks(FRONT["zh"])
    assert english.count("\n## ") == chinese.count("\n## ")
    for pattern in (r"(?m)^\|", r"(?m)^- "):
        assert len(re.findall(pattern, english)) == len(re.findall(pattern, chinese))
    links = [sorted(set(re.findall(r"\]\((docs/[^)]+\.(?:md|json))\)", text)))
             for text in (english, chinese)]
    assert links[0] == links[1]
    names = [set(re.findall(r"`([A-Z][A-Z_]+)(?:=[^`]*)?`", text)) for text in (english, chinese)]
    assert names[0] == names[1]


def test_front_page_names_the_clients_and_defaults_that_are():
    text = FRONT["en"].read_text()
    for client in ("ChatGPT Next Web", "Open WebUI", "LobeChat", "Cherry Studio", "ChatBox", "LibreChat"):
        assert f"| {client} |" in text
    configuration = (TREE / "docs/configuration.md").read_text()
    for name in set(re.findall(r"(?m)^\| `([A-Z_]+)`", text)):
        assert f"| `{name}` |" in configuration
