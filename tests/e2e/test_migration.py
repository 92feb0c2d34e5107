"""Coming from other programs: every file that docs/migration.md names, and the older page's calls."""

import json
import os
import re
import stat
import subprocess

import pytest

from admin import PASSWORD, Script, call
from conftest import clean_environment

OLDER_KEYS = {"keys": [
    {"id": "6f0c2b9e-3c1d-4d55-9a55-0f3c4c1d7a10", "key": "sk-older-one", "baseUrl": "https://ollama.com/api",
     "name": "sk-o...-one", "enabled": True, "healthy": False, "lastCheck": None,
     "lastUsed": "2025-11-01T00:00:00.000Z", "lastError": "HTTP 401",
     "addedAt": "2025-10-01T00:00:00.000Z", "totalRequests": 12, "failedRequests": 1},
    {"id": "b7", "key": "sk-older-two", "baseUrl": "http://192.168.1.5:11434", "name": "gpu",
     "enabled": False, "healthy": True, "totalTokens": 99, "weight": 5, "priority": 0,
     "maxConcurrent": 0, "currentConcurrent": 2, "group": "", "models": [], "modelMapping": {}, "tags": []},
    {"id": "c", "key": "http://192.168.1.6:11434", "baseUrl": "https://ollama.com/api", "name": "x"},
], "currentIndex": 1}
OLDER_CHANNELS = {"channels": [
    {"id": "1", "name": "cloud", "enabled": True, "baseUrl": "https://ollama.com/api",
     "keys": ["sk-channel-one", "sk-channel-two"], "models": ["llama3.2"], "rateLimit": 60},
    {"id": "2", "name": "lab", "enabled": False, "baseUrl": "http://lab:11434", "keys": []}]}
TOKENS = {"tokens": [{"id": "1", "token": "sk-o2o-" + "a" * 48}], "usageStats": {}}
NEW_API = {"success": True, "data": {"items": [
    {"id": 1, "type": 4, "key": "sk-n1\n\nsk-n2", "name": "pool", "status": 1, "base_url": "http://gpu:11434",
     "channel_info": {"is_multi_key": True, "multi_key_status_list": {"1": 2}}},
    {"id": 2, "type": 4, "key": "", "name": "hidden", "status": 1, "channel_info": {}},
    {"id": 3, "type": 1, "key": "sk-x", "name": "other", "status": 1, "channel_info": {}}]}}
ONE_API_CSV = ('id,type,key,status,name,base_url,models\r\n'
               '1,30,sk-o1,1,ollama,http://gpu:11434,"llama3.2,qwen3"\r\n'
               '2,30,sk-o2,2,off,,\r\n3,1,sk-x,1,other,,\r\n')

OLLAMA = "https://ollama.com"
# name, content, format, URL|key of what is there afterwards, lines about what is not, exit status
FILES = [
    ("keys.json", OLDER_KEYS, "keys.json",
     [f"{OLLAMA}|sk-older-one", "http://192.168.1.5:11434|sk-older-two"],
     ["keys[2]: the key is a URL", "weight of 1 entry: every ready key gets the same share"], 65),
    ("channels.json", OLDER_CHANNELS, "channels.json",
     [f"{OLLAMA}|sk-channel-one", f"{OLLAMA}|sk-channel-two", "http://lab:11434"],
     ["models of 1 entry: upstreams are asked which models they have",
      "limit of 1 entry: upstreams' own limits are kept, there are no others"], 0),
    ("tokens.json", TOKENS, "callers' tokens", [],
     ["1 token: tokens are for callers of the other program; callers' tokens here are in API_TOKEN"], 65),
    ("keys-group-active.txt", "sk-g1\r\nsk-g2\r\nsk-g1\r\n", "text, one key per line",
     [f"{OLLAMA}|sk-g1", f"{OLLAMA}|sk-g2"], [], 0),
    ("list.json", ["sk-l1", "http://h:1|sk-l2", "a b"], "JSON list of strings",
     [f"{OLLAMA}|sk-l1", "http://h:1|sk-l2"], ["[2]: the key holds a blank"], 65),
    ("channels-new-api.json", NEW_API, "channels of new-api",
     ["http://gpu:11434|sk-n1", "http://gpu:11434|sk-n2"],
     ["[1]: its key is left out (as admin APIs do; a table's export has it)",
      "[2]: it is no Ollama channel"], 65),
    ("channels.csv", ONE_API_CSV, "channels of one-api",
     ["http://gpu:11434|sk-o1", "http://localhost:11434|sk-o2"],
     ["line 4: it is no Ollama channel",
      "models of 1 entry: upstreams are asked which models they have"], 65),
    ("sheet.csv", "key;base_url;name;enabled\nsk-s1;http://h;one;1\nsk-s2;;two;0\n", "table of keys",
     ["http://h|sk-s1", f"{OLLAMA}|sk-s2"], [], 0),
    ("mixed.txt", "# mine\nsk-m1,sk-m2;http://h\nhttp://169.254.169.254/api|sk-m3\nftp://h|sk-m4\n",
     "text, one key per line", [f"{OLLAMA}|sk-m1", f"{OLLAMA}|sk-m2", "http://h"],
     ["line 3: upstreams may not be at '169.254.169.254': a link-local address",
      "line 4: URL does not begin with http:// or https://"], 65),
]
NAMES = [row[0] for row in FILES]


def text_of(content):
    return content if isinstance(content, str) else json.dumps(content, indent=1)


def run(binary, folder, *args, **settings):
    return subprocess.run([binary, *args], env=clean_environment(DATA_DIR=folder / "data", **settings),
                          cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def export(binary, folder):
    target = folder / "export.txt"
    target.unlink(missing_ok=True)
    done = run(binary, folder, "--export", str(target))
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    return target.read_text().splitlines()


@pytest.mark.parametrize("name, content, kind, keys, left, status", FILES, ids=NAMES)
def test_import_of_a_file(binary, tmp_path, name, content, kind, keys, left, status):
    (tmp_path / name).write_text(text_of(content), newline="")
    done = run(binary, tmp_path, "--import", name)
    assert done.returncode == status, done
    assert done.stderr.splitlines() == [f"not taken: {line}" for line in left]
    said = re.fullmatch(rf"{re.escape(name)} \({kind}\): (\d+) added, (\d+) there already, "
                        r"(\d+) not taken\n", done.stdout)
    assert said and int(said[1]) == len(keys), done.stdout
    assert sorted(export(binary, tmp_path)) == sorted(keys)
    again = run(binary, tmp_path, "--import", name)
    assert again.returncode == status and ": 0 added, " in again.stdout
    assert sorted(export(binary, tmp_path)) == sorted(keys)


@pytest.mark.parametrize("name, content, kind, keys, left, status", FILES, ids=NAMES)
def test_the_same_by_the_api(start_server, name, content, kind, keys, left, status):
    ask = Script(start_server(ADMIN_PASSWORD=PASSWORD, HEALTH_CHECK_INTERVAL=0))
    text = text_of(content)
    dry = ask.ok("POST", "/keys/batch?dryRun=1", {"keys": text})
    assert ask.ok("GET", "/keys")["total"] == 0
    done = ask.ok("POST", "/keys/batch", {"keys": text})
    assert done["addedCount"] == dry["addedCount"] == len(keys)
    assert done["errors"] == dry["errors"] and done["notes"] == dry["notes"]
    said = [f"{error['place']}: {error['error']}" for error in done["errors"]] + done["notes"]
    assert said == left
    shown = ask("POST", "/keys/export", {"password": PASSWORD}).body.decode().splitlines()
    # An Ollama of this machine is kept as a key too.
    assert sorted(set(shown) - {"http://127.0.0.1:11434"}) == sorted(keys)
    assert not [word for word in re.findall(r"sk-[a-z]+\d", json.dumps(done["added"]))]


def test_default_url_for_a_whole_import(binary, tmp_path):
    (tmp_path / "keys.txt").write_text("sk-a\nhttp://other|sk-b\n")
    done = run(binary, tmp_path, "--import", "keys.txt", OLLAMA_BASE_URL="http://lab:11434/api/")
    assert done.returncode == 0
    assert sorted(export(binary, tmp_path)) == ["http://lab:11434|sk-a", "http://other|sk-b"]


@pytest.mark.parametrize("content, says", [
    ("{\"keys\": [", "cannot take keys from 'bad': "),
    ("{}", "JSON with neither 'keys' nor 'channels' nor a list in 'data'"),
    ("id,key_value,key_hash\n1,abc,def\n", "use its export of one key per line"),
    ("key,base_url\nsk,\"http://h\n", "a quote that opens near line 2 does not close"),
])
def test_files_that_are_refused(binary, tmp_path, content, says):
    (tmp_path / "bad").write_text(content)
    done = run(binary, tmp_path, "--import", "bad")
    assert done.returncode == 1 and says in done.stderr and done.stderr.count("\n") == 1
    assert export(binary, tmp_path) == []


def test_broken_json_by_the_api_is_a_400(start_server):
    ask = Script(start_server(ADMIN_PASSWORD=PASSWORD))
    for text in ("{\"keys\": [", "{}", "[[[["):
        assert ask("POST", "/keys/batch", {"keys": text}).status == 400


def test_first_start_takes_the_older_files_over(start_server, upstream, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    keys_there = [{**key, "baseUrl": f"http://127.0.0.1:{upstream.port}"} for key in OLDER_KEYS["keys"]]
    for name, content in (("keys.json", {"keys": keys_there, "currentIndex": 0}), ("channels.json", OLDER_CHANNELS),
                          ("tokens.json", TOKENS)):
        (data / name).write_text(json.dumps(content))
    server = start_server(folder=tmp_path, ADMIN_PASSWORD=PASSWORD, HEALTH_CHECK_INTERVAL=0)
    for name in ("keys.json", "channels.json"):
        assert not (data / name).exists()
        assert stat.S_IMODE((data / f"{name}.imported").stat().st_mode) == 0o600
    assert (data / "tokens.json").exists()
    assert "delete" in server.output and "keys.json.imported" in server.output

    ask = Script(server)
    keys = {key["name"]: key for key in ask.ok("GET", "/keys")["keys"]}
    older = keys_there[0]
    one = keys["sk-o...-one"]
    for field in ("id", "baseUrl", "name", "enabled", "lastUsed", "lastError", "addedAt", "totalRequests",
                  "failedRequests"):
        assert one[field] == older[field], field
    assert keys["gpu"]["status"] == "disabled" and keys["gpu"]["totalTokens"] == 99
    assert ask.ok("POST", f"/keys/{older['id']}/toggle")["key"]["enabled"] is False
    assert ask.ok("DELETE", "/keys/b7") == {"success": True}


OLDER_FIELDS = {"id", "key", "baseUrl", "name", "enabled", "healthy", "lastCheck", "lastUsed",
                "lastError", "addedAt", "totalRequests", "failedRequests", "totalTokens"}


def test_what_the_older_page_asked(start_server, upstream):
    """Requests as that page and the older README sent them, and the fields that were read of the answers."""
    server = start_server(upstream, ADMIN_PASSWORD=PASSWORD, HEALTH_CHECK_INTERVAL=0)
    url = f"http://127.0.0.1:{upstream.port}"
    token = call(server, "POST", "/admin/login", {"password": PASSWORD}).json()
    assert token["success"] is True
    for bearer in (token["token"], PASSWORD):
        ask = Script(server, bearer)
        listed = ask.ok("GET", "/keys")
        assert listed["keys"] == [] and listed["summary"]["total"] == 0

        added = ask.ok("POST", "/keys", {"key": "older-page-key", "baseUrl": url})
        assert added["success"] is True and OLDER_FIELDS <= set(added["key"])
        twice = ask("POST", "/keys", {"key": "older-page-key", "baseUrl": url})
        assert twice.status == 409 and OLDER_FIELDS <= set(twice.json()["key"])
        batch = ask.ok("POST", "/keys/batch", {"keys": "older-a,older-b;older-a\n# no\n", "baseUrl": ""})
        assert [len(batch[name]) for name in ("added", "duplicates", "errors")] == [2, 1, 0]

        listed = ask.ok("GET", "/keys")
        assert all(OLDER_FIELDS <= set(key) for key in listed["keys"])
        assert {"total", "enabled", "healthy", "disabled", "unhealthy"} <= set(listed["summary"])
        one = added["key"]["id"]
        assert ask.ok("POST", f"/keys/{one}/toggle")["key"]["enabled"] is False
        assert ask.ok("POST", f"/keys/{one}/check")["success"] is True
        checked = ask.ok("POST", "/keys/check")
        assert len(checked["keys"]) == checked["summary"]["total"] == 3
        assert all(OLDER_FIELDS <= set(key) for key in checked["keys"])
        assert ask.ok("POST", "/keys/reset-health")["success"] is True
        stats = ask.ok("GET", "/stats")
        assert set(stats) == {"summary", "stats"}
        assert ask.ok("DELETE", f"/keys/{one}")["success"] is True
        assert ask("DELETE", f"/keys/{one}").status == 404
        assert ask.ok("DELETE", "/keys")["success"] is True


def test_imported_files_do_not_come_back(start_server, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "keys.json").write_text(json.dumps(OLDER_KEYS))
    server = start_server(folder=tmp_path, ADMIN_PASSWORD=PASSWORD)
    assert Script(server).ok("DELETE", "/keys")["removed"] == 2
    server.stop()
    os.rename(data / "keys.json.imported", data / "keys.json")
    server = start_server(folder=tmp_path, ADMIN_PASSWORD=PASSWORD)
    assert Script(server).ok("GET", "/keys")["total"] == 0
    assert "--import" in server.output
