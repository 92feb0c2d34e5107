#!/usr/bin/python3
"""Measures the store: bench/store.py [--binary FILE] [--keys N] [--rounds N]

Rows: --import of N keys into an empty store until they are durable, the same by the admin API
(POST /admin/api/keys/batch, until the answer), the start with N keys until the first answer of
/health, the start in a folder that is not there, and what of these was CPU time. Each row is the best of the rounds: what the machine does
beside only ever adds.
"""
import argparse
import http.client
import json
import os
import pathlib
import resource
import socket
import subprocess
import sys
import tempfile
import time

PASSWORD = "bench-password"


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Place:
    """A DATA_DIR of its own, with a port."""

    def __init__(self, binary, folder):
        self.binary = binary
        self.folder = folder
        self.port = free_port()
        self.env = {"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "PORT": str(self.port),
                    "DATA_DIR": str(folder / "data"), "LOG_LEVEL": "error", "WORKERS": "1",
                    "ADMIN_PASSWORD": PASSWORD, "OLLAMA_BASE_URL": "http://127.0.0.1:9"}

    def run(self, *options):
        subprocess.run([self.binary, *map(str, options)], env=self.env, cwd=self.folder,
                       check=True, stdout=subprocess.DEVNULL)

    def start(self):
        """The server's process, and the seconds until it answered."""
        began = time.monotonic()
        process = subprocess.Popen([self.binary], env=self.env, cwd=self.folder,
                                   stdout=subprocess.DEVNULL)
        while True:
            try:
                self.ask("GET", "/health")
                return process, time.monotonic() - began
            except OSError:
                time.sleep(0.001)

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        data = response.read()
        connection.close()
        if response.status != 200:
            sys.exit(f"{method} {path}: {response.status} {data[:200]}")
        return data


def cpu_of_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def cpu_of(process):
    """Of all its threads, to the nanosecond: a start takes less than a tick of the clock."""
    tasks = pathlib.Path(f"/proc/{process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def lines(n):
    return "".join(f"https://ollama.com|sk-{i:08d}-{os.urandom(16).hex()}\n" for i in range(n))


def measure_offline(binary, text):
    """Seconds and CPU seconds of the import, and of the start that follows."""
    with tempfile.TemporaryDirectory() as name:
        place = Place(binary, pathlib.Path(name))
        (place.folder / "keys.txt").write_text(text)
        began, cpu = time.monotonic(), cpu_of_children()
        place.run("--import", "keys.txt")
        imported = time.monotonic() - began, cpu_of_children() - cpu
        process, seconds = place.start()
        started = seconds, cpu_of(process)
        process.terminate()
        process.wait()
        return imported, started


def measure_api(binary, text):
    with tempfile.TemporaryDirectory() as name:
        place = Place(binary, pathlib.Path(name))
        process, seconds = place.start()
        first = seconds, cpu_of(process)
        token = json.loads(place.ask("POST", "/admin/login", json.dumps({"password": PASSWORD}),
                                     {"Content-Type": "application/json"}))["token"]
        body = json.dumps({"keys": text})
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        cpu, began = cpu_of(process), time.monotonic()
        answer = json.loads(place.ask("POST", "/admin/api/keys/batch", body, headers))
        took = time.monotonic() - began, cpu_of(process) - cpu
        process.terminate()
        process.wait()
        if answer["addedCount"] != text.count("\n"):
            sys.exit(f"added {answer['addedCount']}")
        return first, took


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    tree = pathlib.Path(__file__).resolve().parent.parent
    parser.add_argument("--binary", default=str(tree / "build/ollama2openai"))
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    text = lines(options.keys)
    rows = {"import, offline": [], "start to the first answer": [], "import by the API": [],
            "the first start of all": []}
    for _ in range(options.rounds):
        imported, started = measure_offline(options.binary, text)
        rows["import, offline"].append(imported)
        rows["start to the first answer"].append(started)
        first, took = measure_api(options.binary, text)
        rows["the first start of all"].append(first)
        rows["import by the API"].append(took)
    print(f"{options.keys} keys, best of {options.rounds}")
    for name, figures in rows.items():
        print(f"{name:28} {min(f[0] for f in figures):6.3f} s   "
              f"CPU {min(f[1] for f in figures):6.3f} s")


if __name__ == "__main__":
    main()
