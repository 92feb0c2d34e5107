"""The manual tells the truth: its commands are run as written, its links lead somewhere, and the
two languages of the front page say the same."""

import json
import re
import subprocess
import sys

import pytest

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
}


def blocks(path):
    """(language, text) of each fenced block."""
    return re.findall(r"(?ms)^```(\w*)\n(.*?)^```", path.read_text())


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
    server = conftest.Server(binary, folder, conftest.settings_for(folder, upstream))
    server.wait_ready()
    yield server
    server.stop()
    upstream.stop()


@pytest.mark.parametrize("language, text", cases())
def test_command_of_the_manual(running, language, text):
    text = text.replace("127.0.0.1:3000", f"127.0.0.1:{running.port}")
    command = {"sh": ["sh", "-e", "-c", text], "python": [sys.executable, "-c", text],
               "js": ["node", "--input-type=module", "-e", text]}[language]
    # The one command that wants the server stopped has a folder of its own.
    env = conftest.clean_environment(
        HOME=running.folder, no_proxy="*",
        DATA_DIR=running.folder / "other" if "--import" in text or "--export" in text else None)
    done = subprocess.run(command, cwd=running.folder, env=env, capture_output=True, timeout=60)
    out = done.stdout.decode()
    assert done.returncode == 0, out + done.stderr.decode()
    if "chat/completions" in text and "-N" in text:
        assert out.strip().endswith("data: [DONE]")
    elif "chat/completions" in text:
        assert json.loads(out)["choices"][0]["message"]["content"]
    else:
        assert out.strip()


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
