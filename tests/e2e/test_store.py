"""The store under everything that happens to one: kill -9, a full disk, a damaged file, a second
process, another program's folder. Nothing that was acknowledged is lost, and what stops the start
says in one line what to do."""

import datetime
import os
import pathlib
import re
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import time

import pytest

import admin
import answers
import conftest
import raw

LONG = bool(os.environ.get("O2O_LONG"))
KILLS = 200 if LONG else 20


def run(binary, folder, *options, timeout=60, limit=None, **settings):
    """Runs the program to its end; its status and the lines of both outputs together."""
    given = {"HOST": "127.0.0.1", "PORT": conftest.free_port(), "DATA_DIR": folder / "data",
             "LOG_LEVEL": "error", **settings}
    preexec = None
    if limit is not None:
        def preexec():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    done = subprocess.run([binary, *map(str, options)], cwd=folder, timeout=timeout,
                          env=conftest.clean_environment(**given), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=preexec)
    return done.returncode, done.stdout.decode().splitlines()


def refused(binary, folder, *options, status=1, **settings):
    """The one line with which it does not start."""
    got, lines = run(binary, folder, *options, **settings)
    assert got == status and len(lines) == 1, lines
    assert lines[0].startswith("ollama2openai: "), lines
    return lines[0]


def exported(binary, folder):
    out = folder / "out.txt"
    out.unlink(missing_ok=True)
    status, lines = run(binary, folder, "--export", out)
    assert status == 0, lines
    return out.read_text().splitlines()


def write_keys(folder, names, file="keys.txt"):
    path = folder / file
    path.write_text("".join(f"https://a.example|sk-{name}-0123456789\n" for name in names))
    return path


def database(folder):
    return folder / "data" / "ollama2openai.db"


def start(start_server, folder, **settings):
    return start_server(folder=folder, ADMIN_PASSWORD=admin.PASSWORD,
                        OLLAMA_BASE_URL="http://127.0.0.1:9", **settings)


# ---- --import and --export -----------------------------------------------------------------------

def test_what_goes_in_comes_out(binary, tmp_path):
    keys = tmp_path / "keys.txt"
    keys.write_text("# ours\nsk-1234567890; https://b.example/api|sk-b\n\n"
                    "http://10.0.0.1:11434\nsk-1234567890\nhttp://169.254.169.254|sk-x\nbad key\n")
    status, lines = run(binary, tmp_path, "--import", keys)
    assert status == 65
    assert [line for line in lines if line.startswith("not taken: ")] == [
        line for line in lines if re.match(r"not taken: line (6|7): ", line)], lines
    assert len(lines) == 3 and lines[-1].endswith(": 3 added, 1 there already, 2 not taken"), lines
    assert sorted(exported(binary, tmp_path)) == [
        "http://10.0.0.1:11434", "https://b.example|sk-b", "https://ollama.com|sk-1234567890"]
    assert stat.S_IMODE((tmp_path / "out.txt").stat().st_mode) == 0o600

    status, lines = run(binary, tmp_path, "--import", tmp_path / "out.txt")
    assert status == 0 and lines[-1].endswith(": 0 added, 3 there already, 0 not taken"), lines


def test_a_file_is_never_written_over(binary, tmp_path):
    run(binary, tmp_path, "--import", write_keys(tmp_path, "a"))
    (tmp_path / "out.txt").write_text("mine")
    assert "out.txt" in refused(binary, tmp_path, "--export", tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text() == "mine"


def test_an_export_makes_no_database(binary, tmp_path):
    assert "there is no database" in refused(binary, tmp_path, "--export", tmp_path / "out.txt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [["--import"], ["--export"], ["--import", "a", "b"]])
def test_options_without_their_file_are_usage(binary, tmp_path, options):
    refused(binary, tmp_path, *options, status=64)
    assert not (tmp_path / "data").exists()


def test_a_file_that_is_not_there_is_named(binary, tmp_path):
    assert "no-such-file" in refused(binary, tmp_path, "--import", "no-such-file")


def test_an_export_that_cannot_be_written_leaves_nothing(binary, tmp_path):
    run(binary, tmp_path, "--import", write_keys(tmp_path, range(5000)))
    status, lines = run(binary, tmp_path, "--export", tmp_path / "out.txt", limit=65536)
    assert status == 1 and "out.txt" in lines[-1], lines
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("out.txt")] == []


# ---- one process ---------------------------------------------------------------------------------

def test_one_process_at_a_time(binary, tmp_path, start_server):
    keys = write_keys(tmp_path, "a")
    server = start(start_server, tmp_path)
    for options in (["--import", keys], ["--export", tmp_path / "out.txt"]):
        line = refused(binary, tmp_path, *options, status=75)
        assert "a server runs on" in line
    assert "in use by another process" in refused(binary, tmp_path)
    server.stop()
    assert run(binary, tmp_path, "--import", keys)[0] == 0


# ---- what stops the start ------------------------------------------------------------------------

def sql(folder, statement):
    db = sqlite3.connect(database(folder))
    db.execute(statement)
    db.commit()
    db.close()


def overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def new_foreign(folder):
    database(folder).unlink()
    sql(folder, "CREATE TABLE t (a)")


FAULTS = {
    "newer": (lambda f: sql(f, "PRAGMA user_version = 99"), "newer version"),
    "foreign": (new_foreign, "another program"),
    "no database": (lambda f: database(f).write_text("a text of some length\n" * 99), "backup"),
    "damaged": (lambda f: overwrite(database(f), 4096, b"\xff" * 60000), "backup"),
    "cut": (lambda f: os.truncate(database(f), 20000), "backup"),
    "no key file": (lambda f: (f / "data/secret.key").unlink(), "KEY_FILE"),
    "other key file": (lambda f: (f / "data/secret.key").write_bytes(b"k" * 32), "KEY_FILE"),
    "short key file": (lambda f: os.truncate(f / "data/secret.key", 31), "KEY_FILE"),
    "open key file": (lambda f: (f / "data/secret.key").chmod(0o644), "chmod 600"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_right_stops_the_start_and_stays(binary, tmp_path, fault):
    make, words = FAULTS[fault]
    run(binary, tmp_path, "--import", write_keys(tmp_path, range(500)))
    make(tmp_path)
    before = database(tmp_path).read_bytes()
    for options in ([], ["--export", tmp_path / "out.txt"]):
        line = refused(binary, tmp_path, *options)
        assert words in line and str(tmp_path / "data") in line, line
    assert database(tmp_path).read_bytes() == before
    assert not (tmp_path / "out.txt").exists()


def test_a_data_dir_that_cannot_be_is_named(binary, tmp_path):
    (tmp_path / "file").write_text("")
    assert "'/proc/nowhere'" in refused(binary, tmp_path, DATA_DIR="/proc/nowhere")
    assert "is not a folder" in refused(binary, tmp_path, DATA_DIR=tmp_path / "file")


def test_a_broken_keys_json_stops_the_start(binary, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/keys.json").write_text('{"keys":[')
    assert "repair it, or move it away" in refused(binary, tmp_path)
    assert (tmp_path / "data/keys.json").exists()


@pytest.mark.parametrize("text", ["", "a note of ours\n", "sk-one\nsk-two\n", "key;name\nsk-one;a\n"])
def test_a_foreign_keys_json_stops_the_start_and_stays(binary, tmp_path, text):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/keys.json").write_text(text)
    assert "move it away" in refused(binary, tmp_path)
    assert (tmp_path / "data/keys.json").read_text() == text


# ---- what an earlier version left ----------------------------------------------------------------

@pytest.mark.parametrize("schema", (1, 2, 3))
def test_a_database_of_an_earlier_schema_opens(binary, tmp_path, start_server, schema):
    data = pathlib.Path(__file__).parent.parent / "data"
    (tmp_path / "data").mkdir()
    shutil.copy(data / f"schema{schema}.db", database(tmp_path))
    db = sqlite3.connect(database(tmp_path))
    assert db.execute("PRAGMA user_version").fetchone() == (schema,)
    db.close()
    shutil.copy(data / "schema1.key", tmp_path / "data/secret.key")
    (tmp_path / "data/secret.key").chmod(0o600)
    keys = ["https://ollama.com|sk-first-schema-1", "http://10.0.0.1:11434",
            "https://b.example/base|sk-first-schema-3"]
    assert exported(binary, tmp_path) == keys
    server = start(start_server, tmp_path)
    assert admin.Script(server).ok("GET", "/keys")["total"] == len(keys)
    server.stop()
    assert exported(binary, tmp_path) == keys
    # As it was, for whoever goes back.
    kept = tmp_path / f"data/ollama2openai.db.schema{schema}"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    db = sqlite3.connect(kept)
    assert db.execute("PRAGMA user_version").fetchone() == (schema,)
    assert db.execute("SELECT count(*) FROM keys").fetchone() == (len(keys),)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    assert not [path for path in (tmp_path / "data").iterdir() if path.name.endswith(".tmp")]
    db = sqlite3.connect(database(tmp_path))
    assert db.execute("SELECT count(*), max(reason) FROM lives").fetchone()[1] in (None, "")
    assert db.execute("SELECT count(*) FROM refusals").fetchone() == (0,)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def test_a_wrong_key_file_changes_no_earlier_schema(binary, tmp_path):
    data = pathlib.Path(__file__).parent.parent / "data"
    (tmp_path / "data").mkdir()
    shutil.copy(data / "schema1.db", database(tmp_path))
    (tmp_path / "data/secret.key").write_bytes(b"k" * 32)
    (tmp_path / "data/secret.key").chmod(0o600)
    assert "is not the key file of" in refused(binary, tmp_path)
    db = sqlite3.connect(database(tmp_path))
    assert db.execute("PRAGMA user_version").fetchone() == (1,)
    db.close()


def test_the_first_start_takes_the_older_programs_keys(binary, tmp_path, start_server):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/keys.json").write_text(
        '{"keys":[{"id":"old-1","key":"sk-older-secret-text-1","baseUrl":"https://ollama.com/api",'
        '"name":"one","enabled":false,"healthy":true,"totalRequests":7,"failedRequests":2,'
        '"totalTokens":99}],"currentIndex":0}')
    (tmp_path / "data/tokens.json").write_text('{"tokens":[{"id":"t","key":"sk-callers-own"}]}')
    server = start(start_server, tmp_path)
    assert re.search(r"warning: 1 keys were taken from keys.json; delete .*keys.json.imported",
                     server.output), server.output
    assert "not taken from tokens.json" in server.output
    assert "sk-older-secret" not in server.output and "sk-callers" not in server.output
    taken = tmp_path / "data/keys.json.imported"
    assert stat.S_IMODE(taken.stat().st_mode) == 0o600
    key = admin.Script(server).ok("GET", "/keys")["keys"][0]
    assert (key["name"], key["enabled"], key["totalRequests"], key["failedRequests"],
            key["totalTokens"]) == ("one", False, 7, 2, 99), key


# ---- kill -9 -------------------------------------------------------------------------------------

def test_an_import_that_is_killed_is_there_or_not(binary, tmp_path):
    """Killed anywhere, an import has happened whole or not at all, and the file is sound."""
    n = 3000
    have = 1
    run(binary, tmp_path, "--import", write_keys(tmp_path, "a"))
    for cycle in range(KILLS):
        keys = write_keys(tmp_path, (f"{cycle}-{i}" for i in range(n)))
        env = conftest.clean_environment(DATA_DIR=tmp_path / "data")
        process = subprocess.Popen([binary, "--import", str(keys)], cwd=tmp_path, env=env,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        time.sleep(0.005 * (cycle % 20))  # somewhere else in it each time
        process.kill()
        said = process.communicate()[0]
        got = len(exported(binary, tmp_path))
        assert got in (have, have + n), (cycle, have, got, said)
        assert not said or b"added" not in said or got == have + n, said
        have = got
    assert run(binary, tmp_path, "--import", keys)[0] == 0


def test_a_killed_server_keeps_what_it_acknowledged(binary, tmp_path, start_server):
    """Keys are added until the kill; each that was answered with success is there afterwards."""
    acknowledged = set()
    for cycle in range(KILLS):
        server = start(start_server, tmp_path, LOG_LEVEL="error")
        server.expect_exit = -signal.SIGKILL
        script = admin.Script(server, admin.login(server).json()["token"])
        have = script.ok("GET", "/keys?limit=1")["total"]
        assert have >= len(acknowledged), (cycle, have, len(acknowledged))
        for i in range(1 + cycle % 7):
            name = f"k{cycle}-{i}"
            script.ok("POST", "/keys", {"key": f"https://a.example|sk-{name}", "name": name})
            acknowledged.add(f"https://a.example|sk-{name}")
        # One more is under way when the process dies.
        connection = raw.Client(server.port)
        connection.send(raw.build("POST", "/admin/api/keys",
                                  {"key": f"https://a.example|sk-unknown{cycle}"},
                                  script.headers))
        time.sleep(0.001 * (cycle % 5))
        server.process.kill()
        server.process.wait()
        connection.close()
    there = set(exported(binary, tmp_path))
    assert acknowledged <= there
    assert all("sk-unknown" in line for line in there - acknowledged)
    copy = sqlite3.connect(database(tmp_path))
    assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    copy.close()


def test_states_outlive_a_kill(tmp_path, start_server, new_upstream):
    """What a key waits for is known again a second after it came to be, until when included."""
    upstream = new_upstream()
    upstream.by_key("sk-limited-key-0000000", answers.error(
        429, "too many requests", [("Retry-After", "600")]))
    upstream.by_key("sk-refused-key-0000000", answers.error(401, "unauthorized"))
    server = start_server(upstream, folder=tmp_path, ADMIN_PASSWORD=admin.PASSWORD,
                          HEALTH_CHECK_INTERVAL=0)
    server.expect_exit = -signal.SIGKILL
    script = admin.Script(server)
    for name in ("limited", "refused", "good"):
        script.ok("POST", "/keys", {"key": f"{upstream.url}|sk-{name}-key-0000000", "name": name})

    def keys(script):
        fields = ("status", "coolingUntil", "lastError", "totalRequests", "failedRequests")
        return {key["name"]: {field: key[field] for field in fields}
                for key in script.ok("GET", "/keys")["keys"]}
    while {key["status"] for key in keys(script).values()} != {"ready", "cooling", "dead"}:
        assert raw.chat(server).status == 200
    before = keys(script)
    assert before["limited"]["status"] == "cooling" and before["refused"]["status"] == "dead"
    for state in ("cooling", "dead"):
        assert len(server.wait_log(rf"event=key_moved key=\d+ .*to={state} ")) == 1
    script.ok("GET", "/stats")  # has what changed written first, as the next second would
    server.process.kill()
    server.process.wait()

    server = start_server(upstream, folder=tmp_path, ADMIN_PASSWORD=admin.PASSWORD,
                          HEALTH_CHECK_INTERVAL=0)
    after = keys(admin.Script(server))
    until = [datetime.datetime.fromisoformat(k["limited"].pop("coolingUntil").replace("Z", "+00:00"))
             for k in (before, after)]
    assert abs((until[0] - until[1]).total_seconds()) < 1, until
    assert after == before
    seen = len(upstream.chats())
    for _ in range(4):
        assert raw.chat(server).status == 200
    assert {request.key for request in upstream.chats()[seen:]} == {"sk-good-key-0000000"}


def test_what_a_model_refused_outlives_a_kill(tmp_path, start_server, new_upstream):
    """A (key, model) that the upstream refused is not asked again after a restart."""
    upstream = new_upstream()

    def by_model(conn, request):
        if b'"dear"' in request.body:
            return answers.error(402, "this model uses extra usage only")(conn, request)
        return answers.chat_json()(conn, request)
    upstream.by_key("sk-poor-key-00000000000", by_model)
    settings = {"folder": tmp_path, "ADMIN_PASSWORD": admin.PASSWORD, "HEALTH_CHECK_INTERVAL": 0}
    server = start_server(upstream, **settings)
    server.expect_exit = -signal.SIGKILL
    script = admin.Script(server)
    for name in ("poor", "rich"):
        script.ok("POST", "/keys", {"key": f"{upstream.url}|sk-{name}-key-00000000000"})

    def asked(server, model):
        seen = len(upstream.chats())
        for _ in range(4):
            assert raw.chat(server, model=model).status == 200
        return [request.key for request in upstream.chats()[seen:]].count("sk-poor-key-00000000000")
    assert asked(server, "dear") == 1
    script.ok("GET", "/stats")  # has what changed written first, as the next second would
    server.process.kill()
    server.process.wait()

    server = start_server(upstream, **settings)
    assert asked(server, "dear") == 0
    assert asked(server, "Dear:latest") == 0
    assert asked(server, "cheap") == 2
    admin.Script(server).ok("POST", "/keys/reset-health")
    assert asked(server, "dear") == 1


def test_a_log_of_another_database_stops_the_start(binary, tmp_path, start_server):
    """A copy put in the place of a database that was killed: its log is not played into the copy."""
    server = start(start_server, tmp_path)
    server.expect_exit = -signal.SIGKILL
    script = admin.Script(server)
    script.ok("POST", "/keys", {"key": "https://a.example|sk-before"})
    copy = script("GET", "/backup").body
    script.ok("POST", "/keys", {"key": "https://a.example|sk-after"})
    server.process.kill()
    server.process.wait()
    log = pathlib.Path(f"{database(tmp_path)}-wal")
    was = log.read_bytes()
    assert was
    database(tmp_path).write_bytes(copy)
    line = refused(binary, tmp_path)
    assert f"{log}' is the log of another database" in line and "move it away" in line
    assert database(tmp_path).read_bytes() == copy and log.read_bytes() == was
    log.unlink()
    assert exported(binary, tmp_path) == ["https://a.example|sk-before"]


def test_copies_that_a_crash_left_are_removed(binary, tmp_path, start_server):
    run(binary, tmp_path, "--import", write_keys(tmp_path, "a"))
    for name in ("backup-0123abcd.tmp", "backup.tmp", "my-backup-1.tmp", "backup-1.tmp.gz"):
        (tmp_path / "data" / name).write_text("x")
    start(start_server, tmp_path).stop()
    assert sorted(path.name for path in (tmp_path / "data").glob("*backup*")) == [
        "backup-1.tmp.gz", "backup.tmp", "my-backup-1.tmp"]


def test_a_second_signal_still_writes_what_is_known(start_server, tmp_path, new_upstream):
    """What a request did to a key is stored even when its program is cut short at once."""
    upstream = new_upstream()
    upstream.by_key("sk-hangs", answers.steps(answers.HANG))
    server = start_server(upstream, folder=tmp_path, ADMIN_PASSWORD=admin.PASSWORD,
                          HEALTH_CHECK_INTERVAL=0)
    server.expect_exit = -signal.SIGTERM
    script = admin.Script(server)
    script.ok("POST", "/keys", {"key": f"{upstream.url}|sk-good"})
    script.ok("POST", "/keys", {"key": f"{upstream.url}|sk-hangs"})
    done = raw.Client(server.port)
    while not [request for request in upstream.chats() if request.key == "sk-hangs"]:
        seen = len(upstream.chats())
        done.send(raw.chat_request())
        upstream.wait_for(lambda: len(upstream.chats()) > seen)
        if upstream.chats()[-1].key == "sk-good":
            assert done.read_response().status == 200
    count = len([request for request in upstream.chats() if request.key == "sk-good"])
    server.process.send_signal(signal.SIGTERM)
    server.wait_log("event=draining")
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(timeout=10)
    done.close()
    server = start_server(upstream, folder=tmp_path, ADMIN_PASSWORD=admin.PASSWORD,
                          HEALTH_CHECK_INTERVAL=0)
    keys = admin.Script(server).ok("GET", "/keys")["keys"]
    assert keys[0]["totalRequests"] == count


# ---- a full disk ---------------------------------------------------------------------------------

def test_a_full_disk_is_507_and_loses_nothing(binary, tmp_path, start_server):
    server = start(start_server, tmp_path)
    script = admin.Script(server)
    script.ok("POST", "/keys", {"key": "https://a.example|sk-before"})
    size = database(tmp_path).stat().st_size
    hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, hard))
    text = "\n".join(f"https://a.example|sk-many-{i}" for i in range(2000))
    response = script("POST", "/keys/batch", {"keys": text})
    assert response.status == 507, response
    assert "no room on the disk" in admin.error(response)
    assert script.ok("GET", "/keys")["total"] == 1
    assert raw.get(server, "/health").status == 200

    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert script.ok("POST", "/keys/batch", {"keys": text})["addedCount"] == 2000
    server.stop()
    assert len(exported(binary, tmp_path)) == 2001


def test_a_full_disk_at_an_import_changes_nothing(binary, tmp_path):
    run(binary, tmp_path, "--import", write_keys(tmp_path, "a"))
    many = write_keys(tmp_path, range(5000), "many.txt")
    status, lines = run(binary, tmp_path, "--import", many, limit=200_000)
    assert status == 1 and "no room on the disk" in lines[-1], lines
    assert len(exported(binary, tmp_path)) == 1
    assert run(binary, tmp_path, "--import", many)[0] == 0
    assert len(exported(binary, tmp_path)) == 5001


# ---- secrets -------------------------------------------------------------------------------------

def test_no_secret_is_in_any_file(binary, tmp_path, start_server):
    canary = "canary-upstream-secret-0123456789"
    server = start(start_server, tmp_path)
    script = admin.Script(server)
    script.ok("POST", "/keys", {"key": f"https://a.example|{canary}", "name": "named"})
    backup = script("GET", "/backup")
    assert backup.status == 200 and backup.body.startswith(b"SQLite format 3")
    assert b"named" in backup.body and canary.encode() not in backup.body
    log = pathlib.Path(f"{database(tmp_path)}-wal")
    assert log.exists() and stat.S_IMODE(log.stat().st_mode) == 0o600
    for path in (tmp_path / "data").iterdir():
        assert canary.encode() not in path.read_bytes(), path
    server.stop()
    for path in (tmp_path / "data").iterdir():
        assert canary.encode() not in path.read_bytes(), path
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert canary not in server.output

    # The copy is a database, with the key file that it was made with.
    database(tmp_path).write_bytes(backup.body)
    assert exported(binary, tmp_path) == [f"https://a.example|{canary}"]


# ---- prompts -------------------------------------------------------------------------------------

PROMPT = "canaryprompt that nobody may see"


def quoting(text):
    """What a server may say that has `text` from the request."""
    return [
        *(answers.error(status, f'cannot do this with "{text}"')
          for status in (400, 401, 402, 403, 404, 408, 422, 429, 500, 502, 503, 504)),
        answers.error(429, f"you ({text}) have reached your session usage limit, said {text}"),
        answers.error(429, f"too many requests for {text}", [("Retry-After", "1")]),
        answers.error(403, f"this model requires a subscription, upgrade for access: {text}"),
        answers.error(403, f"{text} is no valid API key"),
        answers.error(503, f"Server overloaded, please retry shortly (ref: {text})"),
        answers.error(401, f"unauthorized: {text}", signin_url=f"https://ollama.com/{text}"),
        answers.whole(500, f"<html>{text}</html>".encode(), "text/html"),
        answers.whole(403, f"no {text} here".encode(), "text/plain"),
        answers.whole(200, f"<html>{text}</html>".encode(), "text/html"),
        answers.chat_stream([f'{{"error":"failed at {text}"}}\n'.encode()]),
        answers.chat_stream([answers.line("word "), f'{{"error":"failed at {text}"}}\n'.encode()]),
        answers.chat_stream([f'{{"{text}\n'.encode()]),
        answers.chat_stream([f'{{"error":{{"{text}":1}}}}\n'.encode()]),
    ]


def test_no_prompt_that_an_upstream_quotes_is_kept(tmp_path, start_server, new_upstream):
    """The caller may read in its own answer what it has asked; log, files and admin side have it
    from nobody."""
    upstreams = []
    for answer in quoting(PROMPT):
        upstream = new_upstream()
        upstream.by_key("sk-of-somebody-000000000", answer)
        upstreams.append(upstream)
    server = start_server(folder=tmp_path, ADMIN_PASSWORD=admin.PASSWORD, LOG_LEVEL="debug",
                          HEALTH_CHECK_INTERVAL=0, MAX_RETRIES=0)
    script = admin.Script(server)
    ask = {"model": "m", "messages": [{"role": "user", "content": PROMPT}]}
    sent = 0
    enabled = []
    for upstream in upstreams:
        key = script.ok("POST", "/keys", {"key": f"{upstream.url}|sk-of-somebody-000000000"})["key"]
        enabled.append(key["id"])
        if len(enabled) > 2:  # an only key would not be cooled
            script.ok("POST", f"/keys/{enabled.pop(0)}/toggle")
        for stream in [False, True] * 4:
            body = {**ask, "stream": stream}
            raw.exchange(server, raw.build("POST", "/v1/chat/completions", body))
            sent += 1
    deadline = time.monotonic() + 30
    while script.ok("GET", "/log?limit=1")["kept"] < sent:
        assert time.monotonic() < deadline
    script.ok("GET", "/stats")  # has what changed written
    assert all(upstream.chats() for upstream in upstreams)

    keys = script.ok("GET", "/keys")["keys"]
    entries = script.ok("GET", "/log?limit=200")["entries"]
    paths = (["/keys", "/overview", "/series?range=1h", "/log?limit=200", "/settings", "/stats"] +
             [f"/keys/{key['id']}" for key in keys] + [f"/log/{entry['id']}" for entry in entries])
    for path in paths:
        answer = script("GET", path)
        assert answer.status == 200 and b"canaryprompt" not in answer.body, (path, answer.body)
    assert len({key["lastError"] for key in keys if key["lastError"]}) >= 8, keys
    assert any("this model requires a subscription, upgrade for access" in (key["lastError"] or "")
               for key in keys)
    assert b"canaryprompt" not in raw.get(server, "/metrics").body
    for path in (tmp_path / "data").iterdir():
        assert b"canaryprompt" not in path.read_bytes(), path
    server.stop()
    for path in (tmp_path / "data").iterdir():
        assert b"canaryprompt" not in path.read_bytes(), path
    assert "canaryprompt" not in server.output
