"""The servers that are measured: how each is configured, started and stopped.

Every contender listens on 127.0.0.1, forwards to the stub of the upstream, runs on one core with
one thread for its work, keeps connections to the upstream open, and logs nothing, except ours,
which writes its access log to a file in memory.
"""
import ctypes
import os
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNPACKED = ROOT / "build/bench/root"  # packages that scripts/setup fetched and did not install
TOKEN = "bench-token-0123456789abcdef"
PASSWORD = "not-the-default"
PROXY_CORE = 1
LOAD_CORE = 0
START_LIMIT_S = 30
SETTLE_S = 0.5  # without a tick of CPU time
SETTLE_LIMIT_S = 10
PR_SET_PDEATHSIG = 1


class BenchError(Exception):
    """What makes a run void; the text says why."""


def free_port():
    """A port below the range from which the kernel takes ports of outgoing connections."""
    for port in range(20000 + os.getpid() % 5000, 32000):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            if port not in free_port.taken:
                free_port.taken.add(port)
                return port
    raise BenchError("no free port")


free_port.taken = set()


def tail(log):
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def wait_for_start(name, process, log, ask, limit_s=START_LIMIT_S):
    """Calls `ask` until it has nothing to say; what it returns or raises is why it is too early."""
    give_up = time.monotonic() + limit_s
    while True:
        try:
            why = ask()
        except OSError as e:
            why = str(e)
        if why is None:
            return
        ended = process.poll() is not None
        if ended:
            why = f"it ended with {process.returncode}"
        if ended or time.monotonic() > give_up:
            raise BenchError(f"{name} does not start: {why}\n{tail(log)}")
        time.sleep(0.0005)


def connect_once(port):
    socket.create_connection(("127.0.0.1", port), timeout=START_LIMIT_S).close()


def spawn(argv, core, log, env=None, cwd=None):
    """Starts a program in a session of its own, pinned; it dies with us."""
    libc = ctypes.CDLL(None)

    def prepare():
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.sched_setaffinity(0, {core})

    with open(log, "ab") as out:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env,
                                cwd=cwd, start_new_session=True, preexec_fn=prepare)


def kill(process):
    """Ends a program and what it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def session_pids(leader):
    """The processes of the session that `leader` began."""
    pids = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        # Behind the command in brackets: state, parent, group, session.
        if int(stat[stat.rindex(")") + 2:].split()[3]) == leader:
            pids.append(int(entry.name))
    return sorted(pids)


def cpu_ticks(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


@dataclass
class Place:
    """Where one start of a contender finds things."""
    folder: Path  # its own, new, in memory if the machine has such a place
    port: int
    upstream_port: int
    tls_caller: bool = False
    tls_upstream: bool = False
    certificates: Path = None  # holds cert.pem, key.pem and both.pem
    wrapper: list = field(default_factory=list)  # a command that runs the program: valgrind


def installed(name):
    """The path of a program and the environment it needs."""
    env = dict(os.environ, LC_ALL="C.UTF-8")
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None and (UNPACKED / "usr/sbin" / name).exists():
        path = str(UNPACKED / "usr/sbin" / name)
        libraries = [str(p) for p in (UNPACKED / "usr/lib").glob("*-linux-gnu*")]
        env["LD_LIBRARY_PATH"] = ":".join(libraries)
    if path is None:
        raise BenchError(f"{name} is missing: run scripts/setup bench")
    return path, env


class Contender:
    """A kind of server. `command` returns what to run and in which environment."""
    name = ""
    api = "ollama"

    def command(self, place):
        raise NotImplementedError

    def version(self):
        return self.name

    def start(self, place):
        argv, env = self.command(place)
        return Running(self, place, place.wrapper + argv, env)


class Running:
    """A contender that was started and has answered once."""

    def __init__(self, contender, place, argv, env):
        self.contender = contender
        self.place = place
        self.env = env
        self.log = place.folder / "log"
        began = time.monotonic()
        self.process = spawn(argv, PROXY_CORE, self.log, env=env, cwd=place.folder)
        try:
            wait_for_start(contender.name, self.process, self.log, self._ask,
                           START_LIMIT_S * (10 if place.wrapper else 1))
        except BaseException:
            self.stop()
            raise
        self.start_ms = (time.monotonic() - began) * 1000

    def _ask(self):
        status = first_answer(self.contender.api, self.place)
        return None if status == 200 else f"its first answer has the status {status}"

    def settle(self):
        """Waits until what is done behind the start is done: it is no stream's memory or CPU."""
        give_up = time.monotonic() + SETTLE_LIMIT_S
        before, since = None, time.monotonic()
        while time.monotonic() < min(since + SETTLE_S, give_up):
            now = [cpu_ticks(pid) for pid in self.pids()]
            if now != before:
                before, since = now, time.monotonic()
            time.sleep(0.05)

    def tail(self):
        return tail(self.log)

    def pids(self):
        return session_pids(self.process.pid)

    def stop(self):
        kill(self.process)


def first_answer(api, place):
    """Asks for one chat; returns the status."""
    path = "/v1/chat/completions" if api == "openai" else "/api/chat"
    body = '{"model":"whole","messages":[{"role":"user","content":"hello"}],"stream":false}'
    text = (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"Connection: close\r\n\r\n{body}")
    with socket.create_connection(("127.0.0.1", place.port), timeout=START_LIMIT_S) as s:
        if place.tls_caller:
            context = ssl.create_default_context(cafile=str(place.certificates / "cert.pem"))
            s = context.wrap_socket(s, server_hostname="localhost")
        s.sendall(text.encode())
        head = s.recv(4096)
        if not head.startswith(b"HTTP/1.1 "):
            raise OSError(f"no answer but {head[:40]!r}")
        return int(head.split()[1])


class Ours(Contender):
    name = "ours"
    api = "openai"
    program = ROOT / "build/ollama2openai"

    def command(self, place):
        scheme = "https" if place.tls_upstream else "http"
        env = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "PORT": str(place.port),
            "HOST": "127.0.0.1",
            "WORKERS": "1",
            "DATA_DIR": str(place.folder / "data"),
            "OLLAMA_BASE_URL": f"{scheme}://127.0.0.1:{place.upstream_port}",
            "API_TOKEN": TOKEN,
            "ADMIN_PASSWORD": PASSWORD,
            "LOG_LEVEL": "info",
        }
        if place.tls_caller:
            env["TLS_CERT"] = str(place.certificates / "cert.pem")
            env["TLS_KEY"] = str(place.certificates / "key.pem")
        if place.tls_upstream:
            env["CA_FILE"] = str(place.certificates / "cert.pem")
        return [str(self.program)], env

    def version(self):
        out = subprocess.run([self.program, "--version"], capture_output=True, text=True)
        return out.stdout.strip() or self.name


NGINX = """\
daemon off;
{process}
{user}
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 64m;
    keepalive_requests 1000000000;
    upstream stub {{
        server 127.0.0.1:{upstream_port};
        keepalive 512;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096{listen};
        {tls_caller}
        location / {{
            proxy_pass {scheme}://stub;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_request_buffering off;
            proxy_read_timeout 300s;
            {tls_upstream}
        }}
    }}
}}
"""

NGINX_TLS_CALLER = """ssl_certificate {certs}/cert.pem;
        ssl_certificate_key {certs}/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;"""

NGINX_TLS_UPSTREAM = """proxy_ssl_protocols TLSv1.2 TLSv1.3;
            proxy_ssl_server_name on;
            proxy_ssl_name localhost;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {certs}/cert.pem;"""


class Nginx(Contender):
    name = "nginx"

    def command(self, place):
        path, env = installed("nginx")
        certs = place.certificates
        text = NGINX.format(
            # A profile wants one process.
            process="master_process off;" if place.wrapper else "",
            user="user root;" if os.geteuid() == 0 else "",
            descriptors=descriptor_limit(), connections=descriptor_limit() - 64,
            folder=place.folder, port=place.port, upstream_port=place.upstream_port,
            listen=" ssl" if place.tls_caller else "",
            scheme="https" if place.tls_upstream else "http",
            tls_caller=NGINX_TLS_CALLER.format(certs=certs) if place.tls_caller else "",
            tls_upstream=NGINX_TLS_UPSTREAM.format(certs=certs) if place.tls_upstream else "")
        (place.folder / "nginx.conf").write_text(text)
        return [path, "-e", "stderr", "-p", f"{place.folder}/", "-c", "nginx.conf"], env

    def version(self):
        path, env = installed("nginx")
        out = subprocess.run([path, "-v"], capture_output=True, text=True, env=env)
        return out.stderr.strip().replace("nginx version: ", "")


HAPROXY = """\
global
    nbthread 1
    maxconn {connections}
defaults
    mode http
    option http-no-delay
    http-reuse always
    timeout connect 30s
    timeout client 300s
    timeout server 300s
frontend callers
    bind 127.0.0.1:{port} backlog 4096{tls_caller}
    default_backend stub
backend stub
    server stub 127.0.0.1:{upstream_port}{tls_upstream}
"""


class Haproxy(Contender):
    name = "haproxy"

    def command(self, place):
        path, env = installed("haproxy")
        certs = place.certificates
        text = HAPROXY.format(
            connections=(descriptor_limit() - 200) // 2, port=place.port,
            upstream_port=place.upstream_port,
            tls_caller=f" ssl crt {certs}/both.pem" if place.tls_caller else "",
            tls_upstream=(f" ssl verify required ca-file {certs}/cert.pem sni str(localhost)"
                          " verifyhost localhost" if place.tls_upstream else ""))
        (place.folder / "haproxy.cfg").write_text(text)
        return [path, "-db", "-f", str(place.folder / "haproxy.cfg")], env

    def version(self):
        path, env = installed("haproxy")
        out = subprocess.run([path, "-v"], capture_output=True, text=True, env=env)
        return " ".join(out.stdout.split()[:3])


class Peer(Contender):
    """Any other program: a command of the shell that listens on a fixed port."""
    name = "peer"

    def __init__(self, shell_command, port, api):
        self.shell_command = shell_command
        self.port = port
        self.api = api

    def command(self, place):
        if place.tls_caller or place.tls_upstream:
            raise BenchError("the peer is not measured with TLS")
        url = f"http://127.0.0.1:{place.upstream_port}"
        env = dict(os.environ, PORT=str(self.port), OLLAMA_BASE_URL=url, OLLAMA_HOST=url,
                   UPSTREAM_PORT=str(place.upstream_port), API_TOKEN=TOKEN,
                   DATA_DIR=str(place.folder / "data"))
        return ["/bin/sh", "-c", self.shell_command], env

    def version(self):
        return self.shell_command


def descriptor_limit():
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 65536)
