"""What an operator's system needs: installed files, the unit, the manual, the health check."""

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import pytest

import admin
import answers
import conftest
import raw
from test_program import run
from tls_files import Certificates

TREE = conftest.TREE


@pytest.fixture(scope="module")
def build_folder(binary):
    """Where the program under test was built, with what is built beside it."""
    folder = pathlib.Path(binary).parent
    if not (folder / "cmake_install.cmake").exists():
        folder = folder / "release"  # make's output folder
    assert (folder / "cmake_install.cmake").exists()
    return folder


@pytest.fixture(scope="module")
def installed(build_folder, tmp_path_factory):
    """The program installed under a prefix of its own."""
    prefix = tmp_path_factory.mktemp("prefix") / "usr"
    subprocess.run(["cmake", "--install", build_folder, "--prefix", prefix], check=True,
                   capture_output=True)
    return prefix


# ---- the manual ----

def test_configuration_is_the_table_of_settings(build_folder):
    """docs/configuration.md has what the program reads its settings by, word for word."""
    written = subprocess.run([build_folder / "manual_settings", "markdown"], check=True,
                             capture_output=True, env=conftest.clean_environment()).stdout.decode()
    text = (TREE / "docs/configuration.md").read_text()
    assert written.startswith("| variable |")
    assert text.endswith("-->\n" + written), \
        "run: build/dev/manual_settings markdown, and put its output at the end of the file"


def test_manual_page_has_every_setting(installed, binary, tmp_path):
    page = (installed / "share/man/man1/ollama2openai.1").read_text()
    _, out = run(binary, "--check-config", cwd=tmp_path)
    for line in out.splitlines():
        assert f".B {line.split('=')[0]}\n" in page
    _, out = run(binary, "--help", cwd=tmp_path)
    for option in ("--check-config", "--healthcheck"):
        assert option in out
        assert option.replace("-", r"\-") in page


def test_manual_page_is_sound(installed):
    """No warning of the formatter that `man` calls, and all of it is there."""
    groff = shutil.which("groff")
    assert groff, "no groff: scripts/setup test brings it"
    done = subprocess.run([groff, "-ww", "-b", "-Tutf8", "-Kutf8", "-man",
                           installed / "share/man/man1/ollama2openai.1"],
                          capture_output=True, env=conftest.clean_environment())
    assert done.returncode == 0
    assert done.stderr == b""
    assert b"SHUTDOWN_TIMEOUT" in re.sub(rb".\x08|\x1b\[\d*m", b"", done.stdout)


# ---- installed ----

def test_installed_program_needs_nothing_of_the_build(installed, build_folder):
    program = installed / "bin/ollama2openai"
    needs = subprocess.run(["ldd", program], check=True, capture_output=True).stdout.decode()
    assert "not found" not in needs
    assert str(TREE) not in needs and str(build_folder) not in needs
    done = subprocess.run([program, "--version"], check=True, capture_output=True,
                          env=conftest.clean_environment())
    assert done.stdout.startswith(b"ollama2openai ")


def test_unit_names_the_installed_program(installed):
    unit = (installed / "lib/systemd/system/ollama2openai.service").read_text()
    assert f"ExecStart={installed}/bin/ollama2openai\n" in unit
    assert "Type=notify\n" in unit
    assert "LimitNOFILE=65536\n" in unit


def systemd_analyze(*arguments):
    """Runs the one that is installed, or that scripts/setup unpacked, with its libraries and units."""
    env = conftest.clean_environment()
    found = shutil.which("systemd-analyze")
    if not found:
        root = TREE / "build/systemd"
        found = root / "usr/bin/systemd-analyze"
        assert found.exists(), "no systemd-analyze: scripts/setup test brings it"
        libraries = {str(path.parent) for path in root.rglob("*.so*")}
        units = {str(path.parent) for path in root.rglob("multi-user.target")}
        env.update(LD_LIBRARY_PATH=":".join(libraries), SYSTEMD_UNIT_PATH=":".join(units))
    return subprocess.run([found, *arguments], capture_output=True, text=True, env=env)


def verify(unit):
    """Whether systemd takes it, and what it says of it; our manual page is in no usual place here."""
    done = systemd_analyze("verify", "--man=no", "--recursive-errors=no", unit)
    return done.returncode == 0, [line for line in done.stderr.splitlines() if unit.stem in line]


def test_unit_is_accepted_and_tight(installed):
    """systemd finds nothing wrong with it, and little that it could still take away."""
    unit = installed / "lib/systemd/system/ollama2openai.service"
    assert verify(unit) == (True, [])
    done = systemd_analyze("security", "--offline=yes", "--threshold=20", unit)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


@pytest.mark.parametrize("line, replacement", [
    ("Type=notify", "Type=notified"),
    ("/bin/ollama2openai\n", "/bin/no-such-program\n"),
    ("ProtectSystem=strict", "ProtectSistem=strict"),
])
def test_a_bad_unit_is_seen(installed, tmp_path, line, replacement):
    text = (installed / "lib/systemd/system/ollama2openai.service").read_text()
    assert line in text
    unit = tmp_path / "ollama2openai.service"
    unit.write_text(text.replace(line, replacement))
    accepted, said = verify(unit)
    assert not accepted or said


# ---- the container's files; scripts/check-image builds and runs them ----

def load_script(name):
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(TREE / "scripts" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


check_image = load_script("check-image")
COMPOSE = (TREE / "docker-compose.yml").read_text()


def test_dockerfile_and_compose_file_keep_the_rules():
    done = subprocess.run([TREE / "scripts/check-image", "--lint"], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("line, replacement", [
    ("USER 10001:10001", "USER root"),
    ("USER 10001:10001", ""),
    ("FROM debian:trixie-slim\n", "FROM debian:latest\n"),
    ("FROM debian:trixie-slim\n", "FROM debian\n"),
    ("EXPOSE 3000", "EXPOSE 70000"),
    ("WORKDIR /data", "WORKDIR data"),
    ('ENTRYPOINT ["/usr/bin/ollama2openai"]', "ENTRYPOINT /usr/bin/ollama2openai"),
    ('ENTRYPOINT ["/usr/bin/ollama2openai"]', ""),
    ("VOLUME /data", "ADD https://example.com/x /x"),
    ("RUN scripts/setup build", "RUN apt-get install --yes gcc"),
    ("RUN scripts/setup build", "RUN cd /src && make"),
])
def test_dockerfile_rules_see_a_bad_line(line, replacement):
    text = (TREE / "Dockerfile").read_text()
    assert list(check_image.lint(check_image.read_dockerfile(text))) == []
    assert line in text
    bad = text.replace(line, replacement)
    assert len(list(check_image.lint(check_image.read_dockerfile(bad)))) == 1


def test_compose_file_hands_every_setting_on(binary, tmp_path):
    """All of them but where the data and the listener are, which the file itself decides."""
    _, out = run(binary, "--check-config", cwd=tmp_path)
    names = {line.split("=")[0] for line in out.splitlines()} - {"PORT", "HOST", "DATA_DIR"}
    assert names == set(check_image.SAMPLES)
    env = check_image.compose_environment(COMPOSE, {name: f"of {name}" for name in names})
    assert env == {name: f"of {name}" for name in names}


@pytest.mark.parametrize("shell, where", [
    ({}, "0.0.0.0:3000:3000"), ({"PORT": "4000"}, "0.0.0.0:4000:3000"),
    ({"HOST": "127.0.0.1"}, "127.0.0.1:3000:3000")])
def test_compose_file_says_where_it_is_published(shell, where):
    assert check_image.published(COMPOSE, shell) == where


@pytest.mark.parametrize("name", check_image.SAMPLES)
def test_variable_of_the_compose_file_takes_effect(binary, tmp_path, name):
    """It alone, and as it was set. What is not set arrives empty, which counts as not set."""
    check_image.make_files(tmp_path)

    def settings(shell):
        env = check_image.compose_environment(COMPOSE, shell)
        status, out = run(binary, "--check-config", cwd=tmp_path, **env)
        assert status == 0, out
        return dict(line.split("=", 1) for line in out.splitlines())
    shell = check_image.sample(name, tmp_path)
    usual, found = settings({"ADMIN_PASSWORD": "p"}), settings(shell)
    shown = {one: "(set)" if one in check_image.SECRETS else value for one, value in shell.items()}
    assert found == {**usual, **{one: f"{text}  (environment)" for one, text in shown.items()}}
    assert usual["ADMIN_PASSWORD"] == "(set)  (environment)"
    assert all(text.endswith("  (default)") for other, text in usual.items()
               if other != "ADMIN_PASSWORD")


def listeners(port):
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


def test_a_server_under_the_compose_file(start_server, new_upstream, tmp_path):
    """What can be seen from outside of variables that were set in the shell of `docker compose`."""
    upstream = new_upstream()
    shell = {**check_image.SECRETS, "OLLAMA_BASE_URL": upstream.url, "KEY_FILE": tmp_path / "key",
             **{name: check_image.SAMPLES[name] for name in (
                 "REASONING_FIELD", "DEFAULT_NUM_CTX", "LOG_FORMAT", "DEBUG_HEADERS", "WORKERS",
                 "BODY_LIMIT", "CORS_ORIGINS")}}
    shell = {name: str(value) for name, value in shell.items()}
    server = start_server(**check_image.compose_environment(COMPOSE, shell))
    assert raw.chat(server).status == 401
    upstream.script(answers.whole(200, answers.chat_object("two", message={
        "role": "assistant", "content": "two", "thinking": "one"})))
    origin = {"Origin": "https://chat.example"}
    answer = raw.chat(server, headers={"Authorization": "Bearer image-token", **origin})
    message = answer.json()["choices"][0]["message"]
    assert message["reasoning"] == message["reasoning_content"] == "one"
    assert answer.header("X-Attempts") and answer.header("Access-Control-Allow-Origin")
    assert json.loads(upstream.chats()[0].body)["options"]["num_ctx"] == 8192
    token = {"Authorization": "Bearer image-token"}
    assert raw.exchange(server, raw.build("POST", "/v1/chat/completions", b"{" + b" " * 4096,
                                          token)).status == 413
    assert raw.chat(server, headers={**token, "Origin": "https://other.example"}).status == 403
    assert raw.get(server, "/metrics", [("Authorization", "Bearer image-metrics")]).status == 200
    assert admin.login(server, "correct horse").status == 200
    assert (tmp_path / "key").stat().st_size == 32
    assert listeners(server.port) == 3  # one of each worker
    assert json.loads(server.wait_log('"route":"chat"')[0])["status"] in (200, 401)


def test_compose_file_wants_a_password():
    """No password is a sentence that says what to do."""
    for shell in ({}, {"ADMIN_PASSWORD": ""}, {"API_TOKEN": "t"}):
        with pytest.raises(check_image.Failure, match=r"^set ADMIN_PASSWORD, in \.env beside "):
            check_image.compose_environment(COMPOSE, shell)


# ---- --healthcheck ----

def check(server, **settings):
    return run(server.process.args[0], "--healthcheck", cwd=server.folder, PORT=server.port,
               **settings)


def test_healthcheck_of_a_server_that_is_well(start_server, upstream):
    server = start_server(OLLAMA_BASE_URL=upstream.url)
    status, out = check(server)
    assert status == 0
    assert out.startswith("{") and '"version"' in out and out.count("\n") == 1


def test_healthcheck_asks_where_the_server_listens(start_server, upstream):
    """0.0.0.0 is no address to connect to; a proxy is none of its business."""
    server = start_server(OLLAMA_BASE_URL=upstream.url, HOST="0.0.0.0")
    assert check(server, HOST="0.0.0.0", HTTP_PROXY="http://127.0.0.1:1")[0] == 0
    server = start_server(OLLAMA_BASE_URL=upstream.url, HOST="127.0.0.2", wait=False)
    server.wait_log("listens on")
    assert check(server, HOST="127.0.0.2")[0] == 0
    status, out = check(server, HOST="127.0.0.3")
    assert status == 1 and "127.0.0.3" in out


def test_healthcheck_over_tls_wants_the_same_certificate(start_server, upstream, tmp_path):
    """Signed by nobody it knows and for another name, it is still the server's own."""
    certs = Certificates(tmp_path)
    cert, key = certs.make("public", hosts="DNS:llm.example.com")
    other, other_key = certs.make("other")
    server = start_server(OLLAMA_BASE_URL=upstream.url, TLS_CERT=cert, TLS_KEY=key, wait=False)
    server.wait_log("listens on https")
    assert check(server, TLS_CERT=cert, TLS_KEY=key)[0] == 0
    status, out = check(server, TLS_CERT=other, TLS_KEY=other_key)
    assert status == 1 and "certificate" in out


def test_healthcheck_without_a_server(binary, tmp_path):
    status, out = run(binary, "--healthcheck", cwd=tmp_path, PORT=conftest.free_port())
    assert status == 1
    assert out.count("\n") == 1 and "refused" in out


def test_healthcheck_of_a_port_that_never_answers(binary, tmp_path):
    """A server that hangs is not well: the check ends by itself."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        status, out = run(binary, "--healthcheck", cwd=tmp_path, PORT=silent.getsockname()[1])
    assert status == 1 and "no answer in time" in out


# ---- systemd's datagrams ----

def test_notify_tells_each_step(start_server, upstream, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(path)
        notified.settimeout(20)
        server = start_server(OLLAMA_BASE_URL=upstream.url, NOTIFY_SOCKET=path)
        assert notified.recv(1000).startswith(b"READY=1")
        server.signal(signal.SIGHUP)
        reloading = notified.recv(1000).decode()
        assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert int(reloading.split("=")[-1]) > 0
        assert notified.recv(1000).startswith(b"READY=1")
        server.signal(signal.SIGTERM)
        assert notified.recv(1000).startswith(b"STOPPING=1")
        assert server.wait_exit() == 0


def test_notify_takes_abstract_names(start_server, upstream):
    name = f"o2o-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind("\0" + name)
        notified.settimeout(20)
        start_server(OLLAMA_BASE_URL=upstream.url, NOTIFY_SOCKET="@" + name)
        assert notified.recv(1000).startswith(b"READY=1")
