"""What the tests of Node packages share: where they are, and the node that runs them.

The packages want a newer node than some distributions have, so one of them brings it along.
"""

import json
import os
import pathlib
import platform
import shutil
import subprocess
import threading

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent / "node"
PACKAGES = FOLDER / "node_modules"
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
MACHINES = {"x86_64": "x64", "aarch64": "arm64"}


def install():
    """The packages, by their lock file, if nobody did it before: scripts/setup test does."""
    if not (PACKAGES / "ai").is_dir():
        assert shutil.which("npm"), "tests/e2e/node needs `npm ci`"
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=FOLDER, check=True,
                       capture_output=True, timeout=300)


def node():
    install()
    brought = PACKAGES / f"node-linux-{MACHINES.get(platform.machine())}" / "bin" / "node"
    found = os.environ.get("O2O_NODE") or (str(brought) if brought.is_file() else None) \
        or shutil.which("node") or shutil.which("nodejs")
    assert found, "the Node tests need node"
    return found


def browser():
    """A Chromium for the page; scripts/setup test installs it where the distribution has one."""
    found = os.environ.get("O2O_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found and platform.freedesktop_os_release().get("ID") != "debian":
        pytest.skip("this distribution has no package of Chromium")
    assert found, "the tests of the page need chromium"
    return found


def run(script, options, timeout=60):
    """A script of tests/e2e/node with its options as JSON; what it prints is JSON too."""
    done = subprocess.run([node(), script, json.dumps(options)], cwd=FOLDER, timeout=timeout,
                          capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def compile_types(file):
    """Type-checks one TypeScript file and returns the compiler's complaints, one a line."""
    done = subprocess.run(
        [node(), str(PACKAGES / "typescript" / "bin" / "tsc"), "--noEmit", "--strict",
         "--skipLibCheck", "--target", "es2022", "--module", "nodenext", "--pretty", "false",
         str(file)], cwd=FOLDER, timeout=300, capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if ": error " in line]


class Driver:
    """One client of clients/NAME.mjs in a process of its own, which takes job after job."""

    def __init__(self, name):
        env = {**os.environ, "O2O_CHROMIUM": browser()} if name == "page" else None
        self.process = subprocess.Popen(
            [node(), "drive.mjs", name], cwd=FOLDER, env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.said = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stderr:
            self.said.append(line)

    def start(self, what, server, **job):
        job = {"what": what, "baseURL": server.url + "/v1", "apiKey": "any", "model": "plain",
               **job}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()

    def result(self):
        line = self.process.stdout.readline()
        assert line, "the client ended: " + "".join(self.said)
        return json.loads(line)

    def __call__(self, what, server, **job):
        self.start(what, server, **job)
        return self.result()

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
