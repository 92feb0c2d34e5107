"""What is measured: the slices, each one run of the load client, and the measures read from it."""
from dataclasses import dataclass, field, replace

# How a measure's goal is read.
RATIO = "ratio"            # to nginx, at most
AT_MOST = "at most"        # the value itself
DIFFERENCE = "difference"  # to nginx, at most
NONE = "none"              # for information


@dataclass
class Measure:
    key: str
    title: str
    unit: str
    value: object  # of (result of the load client, result against the upstream itself or None)
    goal: str = NONE
    limit: float = 0
    digits: int = 1


@dataclass
class Slice:
    key: str
    title: str
    measures: list
    stream: bool = False
    lines: int = 0          # that each stream has; 0: it does not end
    interval_us: int = 0    # between two lines of a stream; 0: back to back
    connections: int = 64
    body: int = 1024
    image: int = 0
    tools: bool = False     # ten tools and twenty messages
    inputs: int = 0         # embeddings of so many texts
    rate: float = 0         # questions a second, or a share of nginx's most as "half"
    warm_ms: int = 500
    window_ms: int = 2000
    tls_caller: bool = False
    tls_upstream: bool = False
    direct: bool = False    # is also measured against the upstream itself
    notes: list = field(default_factory=list)

    def model(self):
        return f"lines-{self.lines}-{self.interval_us}" if self.stream else "whole"

    def options(self, rate):
        args = ["--model", self.model(), "--connections", str(self.connections),
                "--body", str(self.body), "--warm-ms", str(self.warm_ms),
                "--window-ms", str(self.window_ms)]
        if self.stream:
            args += ["--stream", "--lines", str(self.lines)]
        if self.image:
            args += ["--image", str(self.image)]
        if self.tools:
            args += ["--tools"]
        if self.inputs:
            args += ["--inputs", str(self.inputs)]
        if self.rate:
            args += ["--rate", str(round(rate if self.rate == "half" else self.rate))]
        return args

    def fault(self, result):
        """Why a result counts for nothing; None if it counts."""
        if result["errors"]:
            return f"{result['errors']} errors, the first: {result['error']}"
        if self.stream and self.lines == 0:
            if result["open"] != self.connections:
                return f"{result['open']} of {self.connections} streams were open at the end"
            if self.interval_us:
                due = self.connections * 1e6 / self.interval_us * result["seconds"]
                if result["lines"] < 0.95 * due:
                    return f"{result['lines']} lines came instead of {due:.0f}"
        return None


def cpu_us_per_request(result, _direct):
    return result["cpu_ns"] / 1e3 / max(result["requests"], 1)


def cpu_ms_per_request(result, _direct):
    return result["cpu_ns"] / 1e6 / max(result["requests"], 1)


def cpu_us_per_line(result, _direct):
    return result["cpu_ns"] / 1e3 / max(result["lines"], 1)


def per_second(what):
    return lambda result, _direct: result[what] / result["seconds"]


def kib_per_stream(result, _direct):
    return (result["rss_kib"] - result["rss_before_kib"]) / max(result["open"], 1)


def added(hist, quantile):
    return lambda result, direct: result[hist][quantile] - direct[hist][quantile]


def cpu_line(key, limit=0.9):
    return Measure(key, "CPU per line", "µs", cpu_us_per_line, RATIO, limit)


def memory(key, goal, limit):
    return Measure(key, "memory per open stream", "KiB", kib_per_stream, goal, limit, 2)


def plain_slices():
    return [
        Slice("chat", "chat, 1 KB in, 400 B out, 64 connections", [
            Measure("chat.cpu", "CPU per request", "µs", cpu_us_per_request, RATIO, 0.8),
            Measure("chat.rate", "requests per second", "/s", per_second("requests"), digits=0),
            Measure("start", "start to the first answer", "ms",
                    lambda result, _direct: result["start_ms"], AT_MOST, 50),
        ]),
        Slice("b2b", "64 streams, back to back", [
            cpu_line("b2b.cpu"),
            Measure("b2b.rate", "lines per second", "/s", per_second("lines"), digits=0),
        ], stream=True),
        Slice("5ms", "64 streams, a line every 5 ms", [cpu_line("5ms.cpu")],
              stream=True, interval_us=5000),
        Slice("50ms", "1,000 streams, a line every 50 ms", [cpu_line("50ms.cpu")],
              stream=True, interval_us=50000, connections=1000),
        Slice("half", "chat at half of nginx's most", [
            Measure("half.p50", "latency added, p50", "µs", added("whole_us", "p50"), RATIO, 1),
            Measure("half.p99", "latency added, p99", "µs", added("whole_us", "p99"), RATIO, 1),
        ], rate="half", window_ms=5000, direct=True),
        Slice("first", "streams of one line, 2,000 a second", [
            Measure("first.p50", "time to first token added, p50", "µs",
                    added("first_us", "p50"), RATIO, 1),
            Measure("first.p99", "time to first token added, p99", "µs",
                    added("first_us", "p99"), digits=0),
        ], stream=True, lines=1, rate=2000, window_ms=5000, direct=True),
        Slice("image", "5 MB body, an image inside", [
            Measure("image.cpu", "CPU per request", "ms", cpu_ms_per_request, DIFFERENCE, 2, 2),
        ], connections=4, image=5_000_000),
        Slice("tools", "chat, ten tools and twenty messages, 64 connections", [
            Measure("tools.cpu", "CPU per request", "µs", cpu_us_per_request),
            Measure("tools.rate", "requests per second", "/s", per_second("requests"), digits=0),
        ], body=10_000, tools=True),
        # nginx passes numbers on; ours makes base64 of them.
        Slice("embed", "64 embeddings of 1,024 numbers, 4 connections", [
            Measure("embed.cpu", "CPU per request", "ms", cpu_ms_per_request, AT_MOST, 1, 2),
        ], connections=4, inputs=64),
        Slice("idle", "5,000 idle streams, a line every 2 s", [memory("idle.memory", AT_MOST, 4)],
              stream=True, interval_us=2_000_000, connections=5000, warm_ms=2000, window_ms=1000),
        Slice("many", "9,000 streams, a line every second", [
            memory("many.memory", AT_MOST, 4),
            cpu_line("many.cpu"),
            Measure("many.p99", "latency added per line, p99", "µs", added("line_us", "p99"),
                    RATIO, 1),
        ], stream=True, interval_us=1_000_000, connections=9000, warm_ms=1000, window_ms=4000,
              direct=True),
    ]


def tls_slices():
    slices = []
    for side, caller in (("to the caller", True), ("to the upstream", False)):
        key = "tls-caller" if caller else "tls-upstream"
        where = {"tls_caller": caller, "tls_upstream": not caller}
        slices += [
            Slice(f"{key}.chat", f"TLS {side}: chat, 64 connections", [
                Measure(f"{key}.chat.cpu", "CPU per request", "µs", cpu_us_per_request, RATIO, 1),
            ], **where),
            Slice(f"{key}.5ms", f"TLS {side}: 64 streams, a line every 5 ms",
                  [cpu_line(f"{key}.5ms.cpu", 1)], stream=True, interval_us=5000, **where),
            Slice(f"{key}.idle", f"TLS {side}: 2,000 idle streams, a line every 2 s",
                  [memory(f"{key}.idle.memory", RATIO, 1)], stream=True, interval_us=2_000_000,
                  connections=2000, warm_ms=2000, window_ms=1000, **where),
        ]
    return slices


def all_slices():
    return plain_slices() + tls_slices()


def quick(s):
    """The same slice, smaller: to see that everything works, not to draw conclusions."""
    return replace(s, warm_ms=min(s.warm_ms, 200), window_ms=min(s.window_ms, 600),
                   connections=min(s.connections, 1000))
