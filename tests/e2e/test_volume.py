"""DATA_DIR as operators get it wrong: a volume that may not be read or written, files of others named
like ours. Each stops the start with one line that says what to do, and nothing is changed."""

import os
import pathlib
import sqlite3
import subprocess

import pytest

import conftest

DATABASE, KEY_FILE = "ollama2openai.db", "secret.key"
ROOT = os.geteuid() == 0
# Root may do anything by its capabilities; without them it is a user like others.
PLAIN = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if ROOT else []
NOBODY = 65534


def refused(binary, folder, data, prefix=PLAIN, **settings):
    """The one line with which it does not start."""
    given = {"HOST": "127.0.0.1", "PORT": conftest.free_port(), "DATA_DIR": data,
             "HEALTH_CHECK_INTERVAL": 0, **settings}
    done = subprocess.run([*prefix, binary], cwd=folder, timeout=60, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=conftest.clean_environment(**given))
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 1 and len(lines) == 1, (done.returncode, lines)
    assert lines[0].startswith("ollama2openai: "), lines
    return lines[0]


@pytest.fixture
def data(binary, tmp_path):
    """A folder that a server has used."""
    (tmp_path / "keys.txt").write_text("sk-0123456789\n")
    subprocess.run([binary, "--import", "keys.txt"], cwd=tmp_path, check=True, capture_output=True,
                   env=conftest.clean_environment(DATA_DIR=tmp_path / "data"))
    return tmp_path / "data"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name, mode", [
    (".", 0o000), (".", 0o300), (".", 0o500), (".", 0o600), (DATABASE, 0o000), (DATABASE, 0o200),
    (DATABASE, 0o400), (KEY_FILE, 0o000), (KEY_FILE, 0o200)])
def test_rights_that_are_missing(binary, data, name, mode):
    """The line says which file or folder wants what."""
    before = contents(data)
    path = data / name
    path.chmod(mode)
    line = refused(binary, data.parent, data)
    path.chmod(0o700 if name == "." else 0o600)
    assert "Permission denied; run chmod u+rwX on" in line and line.endswith(f"on '{path}'"), line
    assert contents(data) == before


@pytest.mark.parametrize("name", [".", DATABASE, KEY_FILE])
def test_a_volume_of_another_user(binary, data, name):
    """As when a container's user changed: the line says who must own it."""
    path = data / name
    if ROOT:
        path.chmod(0o700)
        os.chown(path, NOBODY, NOBODY)
    elif name == ".":
        data = path = "/usr"
    else:
        path = data / name
        path.unlink()
        path.symlink_to("/etc/shadow")
    line = refused(binary, ".", data)
    assert str(path) in line and "Permission denied" in line
    assert f"user {os.geteuid()}, who runs this, must own it (chown)" in line


def test_a_folder_that_cannot_be_made(binary, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    for data, words in ((tmp_path / "closed/data", f"run chmod u+rwX on '{tmp_path}/closed'"),
                        (tmp_path / "no/such", "make the folder it is in first")):
        line = refused(binary, tmp_path, data)
        assert f"cannot make the folder '{data}'" in line and words in line


@pytest.mark.parametrize("make", ["file", "link"])
def test_what_is_no_folder(binary, tmp_path, make):
    if make == "file":
        (tmp_path / "data").write_text("")
    else:
        (tmp_path / "data").symlink_to("nowhere")
    line = refused(binary, tmp_path, tmp_path / "data")
    assert line.endswith(f"'{tmp_path}/data' is not a folder: move it away, or set DATA_DIR")


def own_mounts():
    """A command before others, whose mounts are theirs alone."""
    user = [] if ROOT else ["--user", "--map-root-user"]
    shared = "shared:" in pathlib.Path("/proc/self/mountinfo").read_text()
    for propagation in ["private"] + ["unchanged"] * (not shared):  # the latter for a chroot
        command = ["unshare", *user, "--mount", "--propagation", propagation]
        if subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            return command
    pytest.skip("this machine lets nobody mount")


@pytest.mark.parametrize("name", ["data", "data/new", "empty"])
def test_a_volume_that_is_mounted_read_only(binary, data, name):
    folder = data.parent
    (folder / "empty").mkdir(mode=0o700)
    mounted = name.split("/")[0]
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    line = refused(binary, folder, folder / name,
                   [*own_mounts(), "sh", "-ec", script, "mounted", folder / mounted, *PLAIN])
    assert str(folder / name) in line, line
    assert "Read-only file system; mount it so that it can be written to" in line


# ---- files of others, named like ours ----

def foreign_database(path, application=0):
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE photos (a)")
    db.execute(f"PRAGMA application_id = {application}")
    db.commit()
    db.close()


FOREIGN = [
    (DATABASE, lambda path: path.write_text("a note\n"), "move it away, or set DATA_DIR"),
    (DATABASE, lambda path: path.write_bytes(os.urandom(9000)), "move it away, or set DATA_DIR"),
    (DATABASE, foreign_database, "move it away, or set DATA_DIR"),
    (DATABASE, lambda path: foreign_database(path, 7), "move it away, or set DATA_DIR"),
    (DATABASE, lambda path: path.mkdir(), "is not a file: move it away"),
    (KEY_FILE, lambda path: path.write_text("a note\n"), "put the right one there, or set KEY_FILE"),
    (KEY_FILE, lambda path: path.write_text(""), "put the right one there, or set KEY_FILE"),
    (KEY_FILE, lambda path: path.mkdir(), "put the right one there, or set KEY_FILE"),
    ("keys.json", lambda path: path.write_text("a note\n"), "move it away, or, if it holds keys,"),
    ("keys.json", lambda path: path.write_text('{"photos": []}'), "repair it, or move it away"),
    ("keys.json", lambda path: path.mkdir(), "repair it, or move it away"),
    ("channels.json", lambda path: path.write_text("[1, 2"), "repair it, or move it away"),
    ("channels.json", lambda path: path.mkdir(), "repair it, or move it away"),
]


@pytest.mark.parametrize("name, make, words", FOREIGN)
def test_a_file_of_others_in_a_new_folder(binary, tmp_path, name, make, words):
    path = tmp_path / "data" / name
    path.parent.mkdir(mode=0o700)
    make(path)
    if path.is_file():
        path.chmod(0o600)
    before = path.read_bytes() if path.is_file() else None
    line = refused(binary, tmp_path, tmp_path / "data")
    assert str(path) in line and words in line, line
    assert (path.read_bytes() if path.is_file() else None) == before


@pytest.mark.parametrize("name, make, words", FOREIGN[:8])
def test_a_file_of_others_in_the_place_of_ours(binary, data, name, make, words):
    path = data / name
    path.unlink()
    make(path)
    if path.is_file():
        path.chmod(0o600)
    line = refused(binary, data.parent, data)
    assert str(path) in line, line
    assert words in line or "put a backup in its place, or move it away" in line, line


def test_a_port_in_use(binary, tmp_path, server):
    line = refused(binary, tmp_path, tmp_path / "data", PORT=server.port)
    assert line.endswith(f"port {server.port}: another program has it; end that, or set PORT"), line
