"""An admin page that is open on our server while it is measured.

It does what the page's Log place does, which is what asks most: it holds the live feed with the
requests in it, and reads overview and series again and again. Python reads here what a browser
would: nothing of this runs on the server's core.
"""
import http.client
import json
import os
import threading

from contenders import LOAD_CORE, PASSWORD, BenchError

EVERY_S = 10
LIMIT_S = 30
READS = ["/admin/api/overview", "/admin/api/series?range=1h"]


class OpenPage:
    """Opens with the `with` statement; `events` counts what came by the feed."""

    def __init__(self, port):
        self.port = port
        self.events = 0
        self.failure = None
        self.closing = threading.Event()
        self.threads = [threading.Thread(target=self._in_its_place, args=(work,), daemon=True)
                        for work in (self._follow, self._reread)]

    def __enter__(self):
        login = json.dumps({"password": PASSWORD})
        answer = self._ask("POST", "/admin/login", login, {"Content-Type": "application/json"})
        self.fields = {"Authorization": f"Bearer {json.loads(answer)['token']}"}
        self.feed = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        self.feed.request("GET", "/admin/api/live?log=1", headers=self.fields)
        self.response = self.feed.getresponse()
        if self.response.status != 200:
            raise BenchError(f"the live feed answers {self.response.status}")
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self.closing.set()
        for thread in self.threads:
            thread.join(LIMIT_S)
        self.feed.close()
        if exc == (None, None, None) and (self.failure or self.events == 0):
            raise BenchError(f"the page: {self.failure or 'the live feed sent nothing'}")

    def _ask(self, method, path, body=None, fields=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        try:
            connection.request(method, path, body, fields or self.fields)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise BenchError(f"{path} answers {response.status}: {answer[:200]!r}")
        return answer

    def _in_its_place(self, work):
        os.sched_setaffinity(0, {LOAD_CORE})  # of this thread alone
        try:
            work()
        except (BenchError, OSError, http.client.HTTPException) as failure:
            self.failure = failure

    def _follow(self):
        while not self.closing.is_set():
            line = self.response.readline()
            if not line:
                return
            self.events += line.startswith(b"event:")

    def _reread(self):
        while not self.closing.is_set():
            for path in READS:
                self._ask("GET", path)
            self.closing.wait(EVERY_S)
