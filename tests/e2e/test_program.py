"""The program itself: options, settings, .env, the start, the access log."""

import fcntl
import json
import os
import re
import select
import subprocess
import time

import pytest

import answers
import conftest
import raw


def run(binary, *options, cwd, timeout=60, **settings):
    """Runs the program to its end; (exit status, standard output and error)."""
    done = subprocess.run([binary, *options], cwd=cwd, env=conftest.clean_environment(**settings),
                          capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL)
    out = done.stdout.decode() + done.stderr.decode()
    assert not conftest.SANITIZER.search(out), out
    return done.returncode, out


def test_help_names_every_setting(binary, tmp_path):
    """--help exits 0 and lists options and settings."""
    status, out = run(binary, "--help", cwd=tmp_path)
    assert status == 0
    for name in ("--version", "--check-config", "PORT", "API_TOKEN", "OLLAMA_BASE_URL",
                 "STREAM_IDLE_TIMEOUT", "CORS_ORIGINS", "TLS_CERT", "SHUTDOWN_TIMEOUT", "NO_PROXY"):
        assert name in out


def test_version(binary, tmp_path):
    """--version is one line with the name and a version."""
    status, out = run(binary, "--version", cwd=tmp_path)
    assert status == 0
    assert re.fullmatch(r"ollama2openai \d+\.\d+\S*\n", out)


def test_unknown_option(binary, tmp_path):
    """An unknown option: one line and a status that is not 0."""
    status, out = run(binary, "--frobnicate", cwd=tmp_path)
    assert status != 0 and len(out.splitlines()) == 1 and "--frobnicate" in out


def test_check_config_says_values_and_where_they_came_from(binary, tmp_path):
    """Every effective setting and its source; nothing is started."""
    (tmp_path / ".env").write_text("PORT=4001\nLOG_LEVEL=warn\n")
    status, out = run(binary, "--check-config", cwd=tmp_path, LOG_LEVEL="debug")
    assert status == 0
    lines = out.splitlines()

    def of(name):
        return next(text for text in lines if re.match(rf"{name}\b", text))
    assert "4001" in of("PORT") and ".env" in of("PORT")
    assert "debug" in of("LOG_LEVEL") and "environment" in of("LOG_LEVEL")
    assert "30000" in of("CONNECT_TIMEOUT") and "default" in of("CONNECT_TIMEOUT")
    assert not (tmp_path / "data").exists()


SECRETS = {"API_TOKEN": "canary-token", "ADMIN_PASSWORD": "canary-password",
           "METRICS_TOKEN": "canary-metrics"}


def test_check_config_hides_secrets(binary, tmp_path):
    """No secret is printed, neither right nor wrong ones."""
    status, out = run(binary, "--check-config", cwd=tmp_path, **SECRETS)
    assert status == 0 and "canary" not in out
    status, out = run(binary, "--check-config", cwd=tmp_path, API_TOKEN="canary token\t")
    assert "canary" not in out
    status, out = run(binary, "--check-config", cwd=tmp_path, PORT="x", **SECRETS)
    assert status == 78 and "canary" not in out


BAD_SETTINGS = [
    ("PORT", "0"), ("PORT", "65536"), ("PORT", "http"), ("PORT", "30 00"), ("PORT", "-1"),
    ("PORT", "3000x"), ("PORT", "99999999999999999999"), ("HOST", "not an address"),
    ("HOST", "300.1.1.1"), ("OLLAMA_BASE_URL", "ftp://x"), ("OLLAMA_BASE_URL", "localhost"),
    ("OLLAMA_BASE_URL", "http://user:pw@host"), ("OLLAMA_BASE_URL", "http://host:99999"),
    ("OLLAMA_BASE_URL", "http://host/#x"), ("CONNECT_TIMEOUT", "fast"), ("REQUEST_TIMEOUT", "-5"),
    ("STREAM_IDLE_TIMEOUT", "1e3"), ("STREAM_START_TIMEOUT", "1.5"), ("MAX_RETRIES", "many"),
    ("REASONING_FIELD", "thoughts"), ("DEFAULT_NUM_CTX", "big"), ("LOG_LEVEL", "loud"),
    ("LOG_FORMAT", "xml"), ("DEBUG_HEADERS", "perhaps"), ("WORKERS", "0"), ("WORKERS", "x"),
    ("BODY_LIMIT", "0"), ("BODY_LIMIT", "50MB"), ("SHUTDOWN_TIMEOUT", "soon"),
    ("HEALTH_CHECK_INTERVAL", "-1"), ("UPSTREAM_ALLOW_CIDRS", "10.0.0.0/99"),
    ("TRUST_PROXY", "maybe"), ("MAX_CONN_PER_IP", "x"), ("HTTP_PROXY", "socks5://x"),
    ("TLS_CERT", "/nonexistent/cert.pem"), ("CA_FILE", "/nonexistent/ca.pem"),
    ("API_TOKEN_FILE", "/nonexistent/token"), ("CORS_ORIGINS", "example.com/path"),
]


@pytest.mark.parametrize("name, value", BAD_SETTINGS)
def test_bad_settings_stop_the_start(binary, tmp_path, name, value):
    """One line that names the variable and its value; exit 78, with --check-config and without."""
    settings = {name: value}
    if name == "TLS_CERT":
        settings["TLS_KEY"] = value
    for options in (["--check-config"], []):
        status, out = run(binary, *options, cwd=tmp_path, **settings)
        assert status == 78, out
        assert len(out.splitlines()) == 1, out
        assert name in out
        assert value in out or "://user:" in value


def test_setting_and_its_file_together_stop_the_start(binary, tmp_path):
    """API_TOKEN and API_TOKEN_FILE: which one counts would be a guess."""
    (tmp_path / "token").write_text("a")
    status, out = run(binary, cwd=tmp_path, API_TOKEN="b", API_TOKEN_FILE=tmp_path / "token")
    assert status == 78 and len(out.splitlines()) == 1 and "API_TOKEN" in out


def test_one_of_two_tls_files_stops_the_start(binary, tmp_path):
    """TLS_CERT without TLS_KEY."""
    (tmp_path / "cert.pem").write_text("x")
    status, out = run(binary, cwd=tmp_path, TLS_CERT=tmp_path / "cert.pem")
    assert status == 78 and "TLS_" in out


def test_bad_dotenv_stops_the_start(binary, tmp_path):
    """A bad value in .env is named like one of the environment."""
    (tmp_path / ".env").write_text("LOG_LEVEL=loud\n")
    status, out = run(binary, cwd=tmp_path)
    assert status == 78 and "LOG_LEVEL" in out and "loud" in out


DOTENV = [
    # line, name, value shown
    ("PORT=4002", "PORT", "4002"), ("export PORT=4003", "PORT", "4003"),
    ("PORT='4004'", "PORT", "4004"), ('PORT="4005"', "PORT", "4005"),
    ("PORT=4006 # a comment", "PORT", "4006"), ("# PORT=1\nPORT=4007", "PORT", "4007"),
    ("PORT=", "PORT", "3000"), ("\n\nPORT=4008\n", "PORT", "4008"),
    ("PORT=4009\r\n", "PORT", "4009"),
    ('DATA_DIR="a # b"', "DATA_DIR", "a # b"), ("DATA_DIR='a \"b\" #c'", "DATA_DIR", 'a "b" #c'),
]


@pytest.mark.parametrize("text, name, shown", DOTENV)
def test_dotenv_forms(binary, tmp_path, text, name, shown):
    """NAME=value, export, quotes, comments, nothing."""
    (tmp_path / ".env").write_text(text)
    status, out = run(binary, "--check-config", cwd=tmp_path)
    assert status == 0, out
    found = next(text for text in out.splitlines() if re.match(rf"{name}\b", text))
    assert shown in found


def test_empty_variable_counts_as_not_set(binary, tmp_path):
    """PORT= in the environment lets .env speak."""
    (tmp_path / ".env").write_text("PORT=4010\n")
    status, out = run(binary, "--check-config", cwd=tmp_path, PORT="")
    assert status == 0 and "4010" in out


def test_port_in_use(binary, tmp_path, server):
    """A port that somebody has: one line and a status that is not 0, also for our own twin."""
    settings = {"HOST": "127.0.0.1", "PORT": server.port, "DATA_DIR": tmp_path / "data",
                "OLLAMA_BASE_URL": "http://127.0.0.1:1"}
    status, out = run(binary, cwd=tmp_path, **settings)
    assert status not in (0, None)
    errors = [text for text in out.splitlines() if str(server.port) in text]
    assert len(out.splitlines()) == 1 and errors, out
    assert raw.get(server, "/health").status == 200


def test_banner_says_where_things_are(server):
    """The address, the base URL for clients and the upstream."""
    start = server.output[:3000]
    assert f"127.0.0.1:{server.port}" in start and "/v1" in start


def test_warning_about_missing_token_on_open_address(start_server, upstream):
    """HOST other than loopback and no API_TOKEN: a warning; with one: none."""
    open_server = start_server(upstream, HOST="0.0.0.0")
    assert "API_TOKEN" in open_server.output
    closed = start_server(upstream, HOST="0.0.0.0", API_TOKEN="tok")
    assert "API_TOKEN" not in closed.output


def test_settings_of_the_older_program_are_named_once(start_server, upstream):
    """CACHE_* and the like get one warning."""
    server = start_server(upstream, CACHE_TTL="5", RATE_LIMIT_MAX="3")
    assert len([text for text in server.output.splitlines() if "CACHE_TTL" in text]) == 1
    assert "RATE_LIMIT_MAX" in server.output


def test_ipv6_address(start_server, upstream):
    """HOST=::1 is listened on and named with brackets."""
    server = start_server(upstream, HOST="::1", host="::1")
    assert f"[::1]:{server.port}" in server.output
    assert raw.get(server, "/health", host="::1").status == 200


def test_base_url_forms(start_server, new_upstream):
    """With /api, /v1, a slash, or nothing behind the host: requests go to /api/chat."""
    for tail in ("", "/", "/api", "/api/", "/v1"):
        upstream = new_upstream()
        server = start_server(upstream, OLLAMA_BASE_URL=upstream.url + tail)
        assert raw.chat(server).status == 200
        assert upstream.chats()[0].target == "/api/chat", tail


def test_base_url_with_a_path(start_server, new_upstream):
    """Another path is kept: an Ollama behind a prefix."""
    upstream = new_upstream()
    server = start_server(upstream, OLLAMA_BASE_URL=upstream.url + "/ollama/api")
    assert raw.chat(server).status == 200
    targets = {request.target for request in upstream.requests}  # its models are asked for, too
    assert "/ollama/api/chat" in targets
    assert all(target.startswith("/ollama/api/") for target in targets)


def test_without_settings_nothing_goes_to_ollama_com(ollamas_own_port, start_server):
    """Neither key nor OLLAMA_BASE_URL, and no local Ollama: 503 no_upstream, says what to do."""
    server = start_server(None)
    response = raw.chat(server)
    if response.status != 503:
        pytest.skip("there is an Ollama on port 11434 of this machine")
    assert response.error["code"] == "no_upstream"
    assert raw.get(server, "/health").json()["status"] == "no_backends"


def test_loop_is_broken(start_server, upstream):
    """A request that came through us already: 508."""
    server = start_server(upstream)
    raw.chat(server)
    via = upstream.chats()[0].header("Via")
    response = raw.chat(server, headers={"Via": via})
    assert response.status == 508
    assert response.error["type"] == "invalid_request_error"
    assert len(upstream.chats()) == 1


# ---- the access log ----

def fields_of(text):
    return dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', text))


def access_line(server, name):
    return server.wait_log(re.escape(name))[-1]


def test_access_line_of_a_chat(server, upstream):
    """Id, route, model, status, bytes, both times and why it ended, on one line."""
    raw.chat(server, headers={"x-request-id": "line-1"}, model="chat")
    got = fields_of(access_line(server, "line-1"))
    assert "200" in got.values() and "chat" in got["model"]
    assert any("chat" in value for key, value in got.items() if key in ("route", "path"))
    assert int(got["bytes"]) > 100
    times = [int(value) for key, value in got.items() if key.endswith("ms")]
    assert len(times) >= 2 and all(0 <= value < 60_000 for value in times)


def test_access_line_names_the_trace(server):
    """A valid traceparent is logged, so that a trace can be followed here; no other text is."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for name, value in (("trace-chat", parent), ("trace-bad", "no-trace"), ("trace-none", None)):
        headers = {"x-request-id": name} | ({"traceparent": value} if value else {})
        raw.chat(server, headers=headers, stream=True)
        wanted = value if value == parent else None
        assert fields_of(access_line(server, name)).get("traceparent") == wanted


ENDS = {
    "done": answers.chat_stream(answers.words("a")),
    "upstream error": answers.chat_stream([answers.line("a"), b'{"error":"x"}\n']),
    "upstream cut": answers.chat_stream([answers.line("a")], end=answers.RESET),
}


def test_access_line_says_why_it_ended(server, upstream):
    """A stream that was done and streams that broke end in different words."""
    words = {}
    for why, answer in ENDS.items():
        name = "why-" + why.replace(" ", "-")
        upstream.script(answer)
        raw.chat(server, stream=True, headers={"x-request-id": name})
        words[why] = fields_of(access_line(server, name))["end"]
    assert words["done"] != words["upstream error"] and words["done"] != words["upstream cut"]


def test_one_access_line_per_request(server):
    """Whatever the answer: exactly one line."""
    made = [("one-ok", raw.build("GET", "/health", headers={"x-request-id": "one-ok"})),
            ("one-404", raw.build("GET", "/nope", headers={"x-request-id": "one-404"})),
            ("one-400", raw.build("POST", raw.CHAT, b"{", {"x-request-id": "one-400"}))]
    for name, data in made:
        raw.exchange(server, data)
        server.wait_log(name)
    raw.exchange(server, raw.build("GET", "/health", headers={"x-request-id": "one-last"}))
    server.wait_log("one-last")
    for name, _ in made:
        assert server.output.count(name) == 1


def test_log_is_json_on_request(start_server, upstream):
    """LOG_FORMAT=json: each access line is an object."""
    server = start_server(upstream, LOG_FORMAT="json")
    raw.chat(server, headers={"x-request-id": "json-1"})
    obj = json.loads(access_line(server, "json-1"))
    assert "json-1" in obj.values() and 200 in obj.values() and "plain" in obj.values()


def test_log_level_error_has_no_access_lines(start_server, upstream):
    """LOG_LEVEL=error: quiet."""
    server = start_server(upstream, LOG_LEVEL="error")
    raw.chat(server, headers={"x-request-id": "quiet-1"})
    assert "quiet-1" not in server.output


def test_prompts_and_secrets_are_never_logged(start_server, upstream):
    """Not at any level, not when things fail; nor do answers reach the log."""
    server = start_server(upstream, LOG_LEVEL="debug", API_TOKEN="canary-token-1")
    ok = {"Authorization": "Bearer canary-token-1"}
    upstream.script(answers.chat_json("canary-answer"),
                    answers.chat_stream(answers.words("canary-answer")),
                    answers.error(400, "echo of canary-upstream"),
                    answers.chat_stream([answers.line("x"), b"canary-garbage\n"]))
    prompt = [{"role": "user", "content": "canary-prompt"}]
    for stream in (False, True, False, True):
        raw.chat(server, stream=stream, headers=ok, messages=prompt)
    raw.chat(server, headers={"Authorization": "Bearer canary-wrong"}, messages=prompt)
    raw.chat(server, headers={"x-api-key": "canary-wrong"}, messages=prompt)
    raw.exchange(server, raw.build("POST", raw.CHAT, b'{"canary-body":', ok))
    raw.get(server, "/v1?key=canary-query", ok)
    raw.exchange(server, b"POST / HTTP/1.1\r\ncanary-header\r\n\r\n")
    raw.chat(server, headers={**ok, "x-request-id": "last-one"})
    server.wait_log("last-one")
    server.stop()
    for word in ("canary-token", "canary-wrong", "canary-prompt", "canary-answer", "canary-body",
                 "canary-query", "canary-header", "canary-garbage"):
        assert word not in server.output, word


def test_requests_cannot_write_log_lines(server):
    """One request, one line: control characters come out escaped."""
    body = raw.chat_body(model="x\nevent=forged\x1b[31m\u2028y")
    raw.exchange(server, raw.build("POST", raw.CHAT, body, {"x-request-id": "forge-1"}))
    server.wait_log("forge-1")
    assert not any(text.startswith("event=forged") for text in server.output.splitlines())
    assert "\x1b" not in server.output and "\u2028" not in server.output


LONG_LINE = {"x-request-id": "z" * 128,
             "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


def test_stuck_reader_of_the_log_stops_nobody(binary, tmp_path, upstream):
    """A full pipe on standard output: requests are answered all the same. What was dropped is
    counted, and the log says so as soon as somebody reads it again."""
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    settings = conftest.settings_for(tmp_path, upstream, LOG_LEVEL="debug")
    process = subprocess.Popen([binary], cwd=tmp_path, env=conftest.clean_environment(**settings),
                               stdin=subprocess.DEVNULL, stdout=write_end, stderr=write_end)
    os.close(write_end)
    try:
        class There:
            port = settings["PORT"]
        deadline = time.monotonic() + conftest.START_SECONDS
        while True:
            try:
                raw.get(There, "/health")
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        started = time.monotonic()
        dropped, made = 0, 0
        while dropped == 0:
            assert made < 20_000, "a log of that size is kept"
            with raw.Client(There.port) as client:
                for _ in range(500):
                    client.send(raw.build("GET", "/health", headers=LONG_LINE))
                    assert client.read_response("GET").status == 200
                client.send(raw.build("GET", "/metrics"))
                text = client.read_response("GET").body.decode()
            made += 500
            dropped = int(re.search(r"(?m)^ollama2openai_log_lines_dropped_total (\d+)", text)[1])
        assert time.monotonic() - started < 60
        output = ""
        while not re.search(r"event=log_dropped lines=\d+\n", output):
            assert select.select([read_end], [], [], conftest.STOP_SECONDS)[0], "nothing was said"
            output += os.read(read_end, 65536).decode()
        said = int(re.search(r"event=log_dropped lines=(\d+)", output)[1])
        assert said >= dropped
        assert output.count("z" * 100) + said >= made
        process.terminate()
        assert process.wait(conftest.STOP_SECONDS) == 0
    finally:
        os.close(read_end)
        if process.poll() is None:
            process.kill()
            process.wait()


FORWARDED = [
    ("true", ["203.0.113.9"], "203.0.113.9", "a trusted peer says who called"),
    ("true", ["198.51.100.1, 203.0.113.9, 10.0.0.7"], "203.0.113.9", "the right-most untrusted"),
    ("true", ["198.51.100.1", "203.0.113.9"], "203.0.113.9", "two fields are one list"),
    ("true", [], "127.0.0.1", "nothing was forwarded"),
    ("true", ["nonsense"], "127.0.0.1", "no address"),
    ("192.0.2.0/24", ["203.0.113.9"], "127.0.0.1", "the peer is not one we trust"),
    (None, ["203.0.113.9"], "127.0.0.1", "nobody is trusted"),
]


@pytest.mark.parametrize("trust, fields, peer, why", FORWARDED, ids=[row[3] for row in FORWARDED])
def test_trust_proxy_names_the_caller_in_the_log(start_server, new_upstream, trust, fields, peer,
                                                 why):
    """X-Forwarded-For is believed from trusted peers alone, from the right."""
    server = start_server(new_upstream(), TRUST_PROXY=trust)
    headers = [("X-Request-Id", "forwarded-1")] + [("X-Forwarded-For", f) for f in fields]
    assert raw.get(server, "/v1", headers).status == 200
    assert fields_of(access_line(server, "forwarded-1"))["peer"] == peer, why
