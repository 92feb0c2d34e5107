"""/metrics: who may read it, that it is what Prometheus wants, and that it counts what happened."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request

import pytest

import admin
import answers
import conftest
import raw

SERVERS = conftest.TREE / "build/servers"
DASHBOARD = conftest.TREE / "packaging/grafana/ollama2openai.json"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def program(name):
    found = shutil.which(name) or str(SERVERS / "usr/bin" / name)
    assert os.access(found, os.X_OK), f"no {name}: scripts/setup test brings it"
    return found


def get(server, path="/metrics", **headers):
    return raw.get(server, path, [(name.replace("_", "-"), text) for name, text in headers.items()])


def post(server, path, body):
    return raw.exchange(server, raw.build("POST", path, body))


def scrape(server, **headers):
    response = get(server, **headers)
    assert response.status == 200, response
    return response


def values(text):
    """{name{labels}: value} of a text."""
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for line in text.splitlines() if line and not line.startswith("#")}


@pytest.fixture
def counted(start_server, new_upstream):
    """A server that has answered two chats, one of them a stream, and refused one."""
    upstream = new_upstream()
    server = start_server(upstream)
    with raw.Client(server.port) as client:
        for body in (raw.chat_request(False), raw.chat_request(True)):
            client.send(body)
            assert client.read_response().status == 200
    assert post(server, "/v1/chat/completions", b"{").status == 400
    # A request is counted when its answer was sent, which may be after it was read here.
    ended = 'ollama2openai_request_duration_seconds_count{route="chat"}'
    deadline = time.monotonic() + 10
    while values(scrape(server).body.decode()).get(ended) != 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return server


def test_counts_are_those_of_what_happened(counted):
    found = values(scrape(counted).body.decode())
    name = "ollama2openai_requests_total"
    assert found[name + '{route="chat",status="200",end="sent"}'] == 2
    assert found[name + '{route="chat",status="400",end="sent"}'] == 1
    assert found['ollama2openai_request_duration_seconds_count{route="chat"}'] == 3
    assert found['ollama2openai_time_to_first_token_seconds_count{route="chat"}'] == 2
    assert found['ollama2openai_upstream_attempts_total{verdict="ok"}'] == 2
    assert found['ollama2openai_tokens_total{direction="in"}'] > 0
    assert found['ollama2openai_tokens_total{direction="out"}'] > 0
    assert found["ollama2openai_open_streams"] == 0
    assert found["ollama2openai_open_requests"] == 1  # this one
    assert found["ollama2openai_open_connections"] >= 1
    assert found["ollama2openai_store_queue_length"] == 0
    assert found["ollama2openai_log_lines_dropped_total"] == 0
    assert found["process_resident_memory_bytes"] > 1e6
    assert abs(found["process_start_time_seconds"] - time.time()) < 3600
    assert any(key.startswith('ollama2openai_build_info{version="') for key in found)


def test_buckets_add_up(counted):
    text = scrape(counted).body.decode()
    found = values(text)
    for name in ("request_duration_seconds", "time_to_first_token_seconds"):
        rows = re.findall(rf'ollama2openai_{name}_bucket{{route="chat",le="([^"]+)"}} (\d+)', text)
        bounds = [float(bound) for bound, _ in rows]
        counts = [int(count) for _, count in rows]
        assert bounds == sorted(bounds) and bounds[-1] == float("inf")
        assert counts == sorted(counts)
        assert counts[-1] == found[f'ollama2openai_{name}_count{{route="chat"}}']
        assert found[f'ollama2openai_{name}_sum{{route="chat"}}'] >= 0


def test_open_streams_are_seen(start_server, new_upstream):
    upstream = new_upstream()
    server = start_server(upstream)
    upstream.script(answers.steps(answers.NDJSON_HEAD, answers.chunk(answers.line("a")),
                                  answers.HANG))
    with raw.Client(server.port) as client:
        client.send(raw.chat_request(True))
        client.read_through(b'"content":"a"')
        found = values(scrape(server).body.decode())
        assert found["ollama2openai_open_streams"] == 1
        assert found["ollama2openai_open_requests"] == 2


@pytest.mark.parametrize("accept, kind", [
    (None, TEXT), ("*/*", TEXT), ("application/openmetrics-text;version=1.0.0,*/*;q=0.1", OPEN)])
def test_formats_by_accept(counted, accept, kind):
    response = scrape(counted, **({"Accept": accept} if accept else {}))
    assert response.header("content-type") == kind
    text = response.body.decode()
    assert text.endswith("# EOF\n") == (kind == OPEN)
    assert ("# TYPE ollama2openai_requests counter" in text) == (kind == OPEN)


def test_promtool_has_nothing_to_say(counted):
    """`promtool check metrics` reads names, types and help as Prometheus' conventions want them."""
    done = subprocess.run([program("promtool"), "check", "metrics"], capture_output=True,
                          input=scrape(counted).body)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_labels_are_bounded(counted):
    """A caller cannot make new series: neither by paths nor by model names."""
    before = len(values(scrape(counted).body.decode()))
    for i in range(20):
        raw.get(counted, f"/nowhere/{i}")
        post(counted, "/v1/chat/completions",
                 json.dumps({"model": f"no-such-{i}", "messages": []}).encode())
    after = values(scrape(counted).body.decode())
    assert len(after) <= before + 2 * 30  # two routes more, with a histogram each
    assert not any("nowhere" in key or "no-such" in key for key in after)


def test_keys_by_state_of_so_many_hosts(start_pool, upstream):
    """Each host has its own series, up to 50; what is beyond, or has no short name, is one more."""
    lines = [f"http://10.0.0.1/{'long' * 60}/{i}|sk-long-{i}" for i in range(2)]
    lines += [f"http://10.0.0.1/{i:02d}|sk-many-{i}" for i in range(70)]
    server = start_pool(lines, ADMIN_PASSWORD=admin.PASSWORD, HEALTH_CHECK_INTERVAL=0)
    script = admin.Script(server)
    for key in script.ok("GET", "/keys")["keys"][:3]:
        script.ok("POST", f"/keys/{key['id']}/toggle")
    text = scrape(server).body.decode()
    rows = re.findall(r'(?m)^ollama2openai_keys\{host="([^"]+)",state="(\w+)"\} (\d+)$', text)
    assert len(rows) == len({row[:2] for row in rows}) == 51 * 4
    sums = {}
    for _, state, count in rows:
        sums[state] = sums.get(state, 0) + int(count)
    assert sums == {"ready": 69, "cooling": 0, "dead": 0, "disabled": 3}
    assert sum(int(count) for host, _, count in rows if host == "other") == 22
    done = subprocess.run([program("promtool"), "check", "metrics"], capture_output=True,
                          input=text.encode())
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# ---- who may read ----

def test_without_a_token_only_this_machine_reads(counted):
    for headers in ({"X_Forwarded_For": "1.2.3.4"}, {"Via": "1.1 proxy"},
                    {"Origin": "https://example.com"}, {"Forwarded": "for=1.2.3.4"}):
        response = get(counted, **headers)
        assert response.status in (401, 403)
        assert b"ollama2openai_" not in response.body
    response = get(counted, X_Forwarded_For="1.2.3.4")
    assert "METRICS_TOKEN" in response.json()["error"]["message"]


def test_with_a_token_only_that_reads(start_server, upstream):
    server = start_server(OLLAMA_BASE_URL=upstream.url, METRICS_TOKEN="m-token", API_TOKEN="c-token")
    assert get(server).status == 401
    for wrong in ("c-token", "m-token2", "", "M-TOKEN"):
        response = get(server, Authorization=f"Bearer {wrong}")
        assert response.status == 401
    scrape(server, Authorization="Bearer m-token", X_Forwarded_For="1.2.3.4")
    response = get(server, "/v1/models", Authorization="Bearer m-token")
    assert response.status == 401


def test_other_methods_are_refused(counted):
    assert post(counted, "/metrics", b"").status == 405


# ---- real parts ----

def query(port, expression):
    url = f"http://127.0.0.1:{port}/api/v1/query?query=" + urllib.parse.quote(expression)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as got:
        return json.load(got)["data"]["result"]


def test_a_real_prometheus_scrapes_it(start_server, new_upstream, tmp_path):
    upstream = new_upstream()
    server = start_server(upstream, METRICS_TOKEN="m-token")
    with raw.Client(server.port) as client:
        client.send(raw.chat_request(False))
        assert client.read_response().status == 200
    config = tmp_path / "prometheus.yml"
    config.write_text(f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: ollama2openai
    authorization: {{credentials: m-token}}
    static_configs: [{{targets: ["127.0.0.1:{server.port}"]}}]
""")
    port = conftest.free_port()
    with open(tmp_path / "log", "wb") as log:
        prometheus = subprocess.Popen(
            [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/data",
             f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log, cwd=tmp_path,
            env=conftest.clean_environment())
    try:
        expression = 'ollama2openai_requests_total{route="chat",status="200",end="sent"}'
        deadline = time.monotonic() + 60
        while True:
            assert prometheus.poll() is None, (tmp_path / "log").read_text()[-3000:]
            try:
                result = query(port, expression)
            except OSError:
                result = []
            if result:
                break
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()[-3000:]
            time.sleep(0.2)
        assert result[0]["value"][1] == "1"
        assert query(port, "up")[0]["value"][1] == "1"
    finally:
        prometheus.kill()
        prometheus.wait()


def test_dashboard_uses_only_series_that_exist(counted):
    exist = {re.split(r"[{ ]", key)[0] for key in values(scrape(counted).body.decode())}
    exist |= {"ollama2openai_hosts_cooling"}  # there while a host cools
    board = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert len(expressions) >= 10
    for expression in expressions:
        used = set(re.findall(r"\b(?:ollama2openai|process)_\w+", expression))
        assert used and used <= exist, expression
    titles = [panel["title"] for panel in board["panels"]]
    assert len(titles) == len(set(titles))
