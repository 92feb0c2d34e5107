"""What docs/operations.md says: the proxies' files are run, and each event of the log is in it."""

import json
import re
import socket
import subprocess
import time

import pytest

import answers
import conftest
import raw
from test_metrics import SERVERS, program

TREE = conftest.TREE
MANUAL = (TREE / "docs/operations.md").read_text()


def test_manual_has_every_event_of_the_log():
    events = set()
    for file in (TREE / "src").rglob("*.c"):
        text = file.read_text()
        events |= set(re.findall(r'\blog_(?:info|warn|error)\(\s*"(\w+)"', text))
        events |= set(re.findall(r'\.event = "(\w+)"', text))
    assert len(events) > 20
    listed = set(re.findall(r"`(\w+)`", "\n".join(
        line.split("|")[1] for line in MANUAL.splitlines() if line.startswith("| `"))))
    assert events - listed == set()


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_manual_shows_the_files_that_are_run(name):
    assert f"\n{(TREE / 'packaging/proxy' / name).read_text()}```" in MANUAL


def wait_open(port, process, log):
    deadline = time.monotonic() + 30
    while True:
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)


def start_nginx(folder, port, backend):
    site = (TREE / "packaging/proxy/nginx.conf").read_text()
    assert "listen 80;" in site and "127.0.0.1:3000" in site
    site = site.replace("listen 80;", f"listen 127.0.0.1:{port};")
    site = site.replace("127.0.0.1:3000", f"127.0.0.1:{backend}")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/log;\n"
        f"events {{}}\nhttp {{ access_log off;\n{temporary}{site} }}\n")
    name = SERVERS / "usr/sbin/nginx"
    name = name if name.exists() else program("nginx")
    return [name, "-p", folder, "-e", folder / "log", "-c", folder / "nginx.conf"]


def start_caddy(folder, port, backend):
    site = (TREE / "packaging/proxy/Caddyfile").read_text()
    assert site.startswith("llm.example.com {") and "127.0.0.1:3000" in site
    site = site.replace("llm.example.com", f"http://127.0.0.1:{port}, http://llm.example.com:{port}")
    site = site.replace("127.0.0.1:3000", f"127.0.0.1:{backend}")
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + site)
    return [program("caddy"), "run", "--adapter", "caddyfile", "--config", folder / "Caddyfile"]


@pytest.mark.parametrize("start", [start_nginx, start_caddy], ids=["nginx", "caddy"])
def test_behind_a_proxy(start, start_server, new_upstream, tmp_path):
    """A stream comes through line by line, the log names the caller, the admin page wants the
    password, and a local proxy opens nothing that is for callers on this machine."""
    upstream = new_upstream()
    server = start_server(upstream, TRUST_PROXY="127.0.0.1/32", LOG_FORMAT="json")
    port = conftest.free_port()
    host = f"llm.example.com:{port}"
    log = tmp_path / "log"
    with open(log, "ab") as out:
        proxy = subprocess.Popen(start(tmp_path, port, server.port), stdout=out, stderr=out,
                                 cwd=tmp_path,
                                 env=conftest.clean_environment(HOME=tmp_path))
    try:
        wait_open(port, proxy, log)
        upstream.script(answers.steps(answers.NDJSON_HEAD, answers.chunk(answers.line("first")),
                                      answers.HANG))
        with raw.Client(port) as client:
            client.send(raw.build("POST", "/v1/chat/completions", raw.chat_body(True), host=host))
            client.read_through(b'"content":"first"')  # while the upstream says no more
        upstream.script(answers.chat_json("whole"))
        with raw.Client(port) as client:
            client.send(raw.build("POST", "/v1/chat/completions", raw.chat_body(), host=host))
            assert client.read_response().json()["choices"][0]["message"]["content"] == "whole"
            client.send(raw.build("GET", "/metrics", host=host))
            assert client.read_response("GET").status == 401
            client.send(raw.build("GET", "/admin/api/keys", host=host))
            assert client.read_response("GET").status == 403
        line = server.wait_log('"route":"chat".*"status":200')[0]
        assert json.loads(line)["peer"].startswith("127.0.0.1")
    finally:
        proxy.kill()
        proxy.wait()
