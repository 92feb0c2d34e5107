"""Starts the program under test, each time in a clean environment of its own.

O2O_BINARY names the program; without it build/dev/ollama2openai or build/ollama2openai is taken.
Tests that ask for `server` and `upstream` share one running program; tests that need settings of
their own, or leave the program in a special state, ask for `start_server` and `new_upstream`.
"""

import fcntl
import functools
import itertools
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import tempfile
import time

import pytest

import answer_types
import answers
import raw
import stream_rules
from upstream import Upstream

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
SANITIZER = re.compile(
    r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|WARNING: ThreadSanitizer|runtime error:")
START_SECONDS = 60
STOP_SECONDS = 60
PORTS = 2000  # of each process of a parallel run


def find_binary():
    named = os.environ.get("O2O_BINARY")
    tries = [named] if named else [TREE / "build/dev/ollama2openai", TREE / "build/ollama2openai"]
    for path in tries:
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return str(pathlib.Path(path).resolve())
    pytest.exit(f"no program to test at {', '.join(map(str, tries))}; set O2O_BINARY", 2)


@pytest.fixture(scope="session")
def binary():
    return find_binary()


def ports_of_this_process():
    """
    Numbers of ports in turn, each process of a parallel run with a range of its own, and below the
    one that the kernel takes from: nobody else gets a port between our look at it and its use, or
    where a test has just closed it.
    """
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 10
    first = random.randrange(PORTS)
    for i in itertools.count():
        yield 12000 + number * PORTS + (first + i) % PORTS


_ports = ports_of_this_process()


def free_port():
    for port in itertools.islice(_ports, PORTS):
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no port is free")


def clean_environment(**settings):
    """Nothing of ours but what a program needs to run, and the given settings."""
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8"}
    for name in ("ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS",
                 "ASAN_SYMBOLIZER_PATH"):
        if name in os.environ:
            env[name] = os.environ[name]
    env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    env.update({name: str(value) for name, value in settings.items() if value is not None})
    return env


def watch_stream(response):
    if response.path.startswith("/admin/"):
        return  # has events of its own, which docs/openapi.json describes
    if response.status == 200 and response.header("Content-Type", "").startswith("text/event-"):
        stream_rules.check_rules(response)


@pytest.fixture(autouse=True)
def watched(request):
    """Every answer to the raw client is held against the rules; test_fakes.py asks others."""
    if request.path.name == "test_fakes.py":
        yield
        return
    raw.watchers = [watch_stream, answer_types.check_answer]
    yield
    raw.watchers = []


@functools.cache
def is_sanitized(binary):
    """Whether a sanitizer keeps books in the program's memory: sizes then say little."""
    data = pathlib.Path(binary).read_bytes()
    return b"__asan_init" in data or b"__tsan_init" in data


class Server:
    """One running program."""

    def __init__(self, binary, folder, settings):
        self.folder = folder
        self.port = int(settings["PORT"])
        self.log_path = folder / "output.log"
        self.expect_exit = 0
        with open(self.log_path, "ab") as out:
            self.process = subprocess.Popen(
                [binary], cwd=folder, env=clean_environment(**settings),
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        self.pid = self.process.pid
        self.sanitized = is_sanitized(binary)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self):
        return self.log_path.read_text("utf-8", "replace")

    def wait_ready(self, tls=None, host="127.0.0.1", headers=()):
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert self.process.poll() is None, \
                f"ended with {self.process.returncode} at the start:\n{self.output}"
            try:
                response = raw.get(self, "/health", host=host, tls=tls)
                assert response.status == 200, response
                return self
            except (OSError, raw.Closed):
                assert time.monotonic() < deadline, f"does not answer:\n{self.output}"
                time.sleep(0.02)

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, timeout=STOP_SECONDS):
        return self.process.wait(timeout)

    def wait_log(self, pattern, timeout=10, count=1):
        """Waits until the output has `count` lines that match; returns those."""
        deadline = time.monotonic() + timeout
        while True:
            found = [text for text in self.output.splitlines() if re.search(pattern, text)]
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, f"no line with {pattern!r} in:\n{self.output}"
            time.sleep(0.02)

    def memory_kib(self):
        """Resident memory, as the kernel says; 0 under a sanitizer, which keeps what was freed."""
        if self.sanitized:
            return 0
        for text in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if text.startswith("VmRSS:"):
                return int(text.split()[1])
        raise AssertionError("no VmRSS")

    def settled_memory_kib(self):
        """The same once it stands still: some of the start is done after it."""
        deadline = time.monotonic() + 15
        before, since = self.memory_kib(), time.monotonic()
        while time.monotonic() < min(since + 1.5, deadline):
            time.sleep(0.1)
            if self.memory_kib() != before:
                before, since = self.memory_kib(), time.monotonic()
        return before

    def stop(self):
        """Ends it as an operator would, and checks how it ended."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.wait_exit()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"did not end on SIGTERM:\n{self.output[-4000:]}") from None
        assert not SANITIZER.search(self.output), self.output[-8000:]
        assert self.process.returncode == self.expect_exit, \
            f"ended with {self.process.returncode}:\n{self.output[-4000:]}"


def settings_for(folder, upstream, **settings):
    given = {
        "HOST": "127.0.0.1", "PORT": free_port(), "DATA_DIR": folder / "data",
        "LOG_LEVEL": "info", "WORKERS": 2,
    }
    if upstream is not None:
        given["OLLAMA_BASE_URL"] = upstream.url
    given.update(settings)
    return given


@pytest.fixture(scope="session")
def _shared(binary, tmp_path_factory):
    upstream = Upstream(fallback=answers.by_model)
    folder = tmp_path_factory.mktemp("server")
    server = Server(binary, folder, settings_for(folder, upstream))
    server.wait_ready()
    yield server, upstream
    try:
        server.stop()
    finally:
        upstream.stop()


@pytest.fixture
def server(_shared):
    """The shared program, with default settings."""
    server = _shared[0]
    assert server.process.poll() is None, f"it ended before this test:\n{server.output[-4000:]}"
    yield server
    assert server.process.poll() is None, f"it ended in this test:\n{server.output[-4000:]}"


@pytest.fixture
def upstream(_shared):
    """The shared program's upstream, with nothing scripted and nothing seen."""
    _shared[1].reset()
    return _shared[1]


@pytest.fixture(scope="module")
def module_server(binary, tmp_path_factory, _shared):
    """Starts programs that serve all tests of a file, on the shared upstream."""
    started = []

    def start(**settings):
        folder = tmp_path_factory.mktemp("server")
        started.append(Server(binary, folder, settings_for(folder, _shared[1], **settings)))
        return started[-1].wait_ready()
    yield start
    for server in started:
        server.stop()


@pytest.fixture
def new_upstream():
    """Makes upstreams: new_upstream(tls=None)."""
    made = []

    def make(tls=None, **options):
        options.setdefault("fallback", answers.by_model)
        made.append(Upstream(tls=tls, **options))
        return made[-1]
    yield make
    for upstream in made:
        upstream.stop()


@pytest.fixture
def ollamas_own_port():
    """For tests to which it matters whether something listens on 11434: one of them at a time."""
    with open(pathlib.Path(tempfile.gettempdir()) / f"o2o-11434-{os.getuid()}", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def start_server(binary, tmp_path_factory):
    """Starts programs: start_server(upstream, NAME=value, ...); None takes a setting away."""
    started = []

    def start(upstream=None, wait=True, tls=None, dotenv=None, folder=None, host="127.0.0.1",
              **settings):
        folder = folder or tmp_path_factory.mktemp("server")
        if dotenv is not None:
            (folder / ".env").write_text(dotenv)
        server = Server(binary, folder, settings_for(folder, upstream, **settings))
        started.append(server)
        if wait:
            server.wait_ready(tls=tls, host=host)
        return server
    yield start
    failures = []
    for server in started:
        try:
            server.stop()
        except AssertionError as err:
            failures.append(str(err))
    assert not failures, "\n".join(failures)


@pytest.fixture
def start_pool(binary, tmp_path_factory, start_server):
    """Starts programs with keys: start_pool([line, ...], NAME=value, ...)."""
    def start(lines, **settings):
        folder = tmp_path_factory.mktemp("pool")
        (folder / "keys.txt").write_text("\n".join(lines) + "\n")
        env = clean_environment(DATA_DIR=folder / "data")
        done = subprocess.run([binary, "--import", "keys.txt"], cwd=folder, env=env, timeout=60,
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return start_server(None, folder=folder, **settings)
    return start


@pytest.fixture
def pair(start_server, new_upstream):
    """A program and an upstream of its own, for tests that leave marks on either."""
    upstream = new_upstream()
    return start_server(upstream), upstream


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: waits for more than 5 s")
    config.addinivalue_line("markers", "first: starts what slow tests wait for")


def pytest_collection_modifyitems(items):
    """What takes long is begun first and looked at last; tests of the fakes come early."""
    slow = any(item.get_closest_marker("slow") for item in items)

    def place(item):
        if item.get_closest_marker("first"):
            return 0
        return 3 if item.get_closest_marker("slow") else 1 + (item.path.name != "test_fakes.py")
    items[:] = [item for item in items if slow or not item.get_closest_marker("first")]
    items.sort(key=place)
