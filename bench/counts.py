"""Counts that do not depend on the machine's mood: system calls and instructions per unit.

A unit is a request or a streamed line. Each count is the difference of two runs that differ in
nothing but their number of units, so connections and the start are not in it.
"""
import os
import re
import shutil
import signal
import subprocess
import time
from typing import NamedTuple

from contenders import ROOT, BenchError, cpu_ticks
from report import markdown

TOP_FUNCTIONS = 25
ATTACH_LIMIT_S = 10
SETTLE_LIMIT_S = 120


def chat_arguments(size):
    return ["--connections", "64", "--requests", str(size)]


def stream_arguments(connections, interval_us):
    return lambda size: ["--connections", str(connections), "--requests", str(connections),
                         "--stream", "--lines", str(size), "--model", f"lines-{size}-{interval_us}"]


class Unit(NamedTuple):
    """What is counted, and how much of it in the two runs under each tool."""
    name: str
    calls: object         # arguments of the load client under strace, of the size of a run
    calls_sizes: tuple
    calls_factor: int     # units per step of size
    instructions: object  # the same under callgrind
    instructions_sizes: tuple
    instructions_factor: int


# Under valgrind a server is some fifty times slower: fewer and slower streams, or lines would
# wait for each other and be read together.
UNITS = [
    Unit("request", chat_arguments, (1000, 5000), 1, chat_arguments, (640, 3840), 1),
    Unit("line", stream_arguments(64, 20000), (50, 150), 64,
         stream_arguments(16, 50000), (10, 60), 16),
]


def run_load(bench, server, arguments):
    result = bench.load(server.place.port, server.contender.api, arguments, server.pids(), False)
    if result["errors"]:
        raise BenchError(f"{server.contender.name}: {result['error']}")


# ---- system calls --------------------------------------------------------------------------------

def is_traced(pid):
    status = open(f"/proc/{pid}/status").read()
    return re.search(r"^TracerPid:\s*0$", status, re.MULTILINE) is None


def strace(bench, server, arguments):
    """System calls by name during one run of the load client."""
    out = bench.folder / "strace"
    pids = server.pids()
    argv = ["strace", "-f", "-c", "-U", "calls,name", "-o", str(out)]
    for pid in pids:
        argv += ["-p", str(pid)]
    tracer = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        give_up = time.monotonic() + ATTACH_LIMIT_S
        while not all(is_traced(pid) for pid in pids):
            if tracer.poll() is not None or time.monotonic() > give_up:
                raise BenchError("strace cannot attach: is ptrace allowed here?")
            time.sleep(0.01)
        run_load(bench, server, arguments)
    finally:
        if tracer.poll() is None:
            tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=ATTACH_LIMIT_S)
    calls = re.findall(r"^\s*(\d+)\s+(\w+)\s*$", out.read_text(), re.MULTILINE)
    return {name: int(n) for n, name in calls if name != "total"}


def count_calls(bench, contender, unit):
    arguments, (few, many) = unit.calls, unit.calls_sizes
    with bench.running(contender) as server:
        run_load(bench, server, arguments(few))
        less = strace(bench, server, arguments(few))
        more = strace(bench, server, arguments(many))
    units = (many - few) * unit.calls_factor
    per_unit = {name: (n - less.get(name, 0)) / units for name, n in more.items()}
    shown = sorted(((n, name) for name, n in per_unit.items() if n >= 0.05), reverse=True)
    return sum(per_unit.values()), ", ".join(f"{name} {n:.2f}" for n, name in shown)


# ---- instructions --------------------------------------------------------------------------------

def dump(server, folder):
    """Makes callgrind write what it counted since the last time; returns the file."""
    before = set(folder.glob("callgrind.*"))
    # Both ends build the name of their pipe from the environment, HOST and USER among it.
    env = dict(server.env, PATH=os.environ["PATH"])
    subprocess.run(["callgrind_control", f"--vgdb-prefix={folder}/vgdb", "--dump",
                    str(server.process.pid)], check=True, capture_output=True, timeout=60, env=env)
    new = set(folder.glob("callgrind.*")) - before
    if len(new) != 1:
        raise BenchError("callgrind wrote no profile")
    return new.pop()


def settle(server):
    """Waits until the server does nothing: what it does behind its start is no unit's."""
    give_up = time.monotonic() + SETTLE_LIMIT_S
    while time.monotonic() < give_up:
        before = [cpu_ticks(pid) for pid in server.pids()]
        time.sleep(0.5)
        if [cpu_ticks(pid) for pid in server.pids()] == before:
            return
    raise BenchError(f"{server.contender.name} does not come to rest")


def total(profile):
    found = re.search(r"^(?:totals|summary): (\d+)", profile.read_text(), re.MULTILINE)
    if found is None:
        raise BenchError(f"{profile.name} has no sum")
    return int(found.group(1))


def own_costs(profile):
    """Instructions of each (file, function) itself. callgrind_annotate would count functions
    that were running when the profile began, the loop above all, with all they called."""
    names = {}   # of files and functions: each is spelled out once, then it is a number
    costs = {}
    place = {"fl": "", "fn": ""}
    below = False
    for line in profile.read_text().splitlines():
        head = re.match(r"(fl|fi|fe|fn|cfn|cfi|cfl)=(\(\d+\))(?: (.*))?$", line)
        if head:
            kind, number, name = head.groups()
            table = "fn" if kind in ("fn", "cfn") else "fl"
            name = names.setdefault((table, number), name)
            if kind in ("fl", "fn"):
                place[kind] = name
        elif line.startswith("calls="):
            below = True  # the next line is the cost of what was called
        elif re.match(r"[+*\d-]\S* \d+$", line):
            if not below:
                key = place["fl"], place["fn"]
                costs[key] = costs.get(key, 0) + int(line.split()[1])
            below = False
    return costs


def functions(profile, units):
    """The dearest functions: instructions per unit, share, file, name."""
    costs = own_costs(profile)
    everything = sum(costs.values())
    dearest = sorted(costs.items(), key=lambda item: -item[1])[:TOP_FUNCTIONS]
    return [(n / units, 100 * n / everything, where.rsplit("/", 1)[-1], name)
            for (where, name), n in dearest]


def count_instructions(bench, contender, unit):
    arguments, (few, many) = unit.instructions, unit.instructions_sizes
    folder = ROOT / "build/bench/callgrind" / f"{contender.name}-{unit.name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    wrapper = ["valgrind", "--tool=callgrind", f"--vgdb-prefix={folder}/vgdb",
               f"--callgrind-out-file={folder}/callgrind.%p"]
    with bench.running(contender, wrapper=wrapper) as server:
        run_load(bench, server, arguments(few))
        settle(server)
        dump(server, folder)
        run_load(bench, server, arguments(few))
        less = dump(server, folder)
        run_load(bench, server, arguments(many))
        more = dump(server, folder)
    above = (total(more) - total(less)) / ((many - few) * unit.instructions_factor)
    return above, functions(more, many * unit.instructions_factor)


# ---- all of it -----------------------------------------------------------------------------------

def run(bench, contenders):
    rows = [["", "instructions", "of nginx", "system calls", "by name"]]
    profiles = []
    for unit in UNITS:
        counted = {}
        for contender in contenders:
            if contender.name == "peer":
                continue  # a program of any kind may not run under valgrind
            instructions, top = count_instructions(bench, contender, unit)
            counted[contender.name] = instructions, *count_calls(bench, contender, unit)
            if contender.name == "ours":
                profiles.append((unit.name, top))
        reference = counted.get("nginx", (None,))[0]
        for name, (instructions, calls, by_name) in counted.items():
            rows.append([f"{name}, per {unit.name}", f"{instructions:,.0f}",
                         f"{instructions / reference:.2f}" if reference else "–",
                         f"{calls:.2f}", by_name])
    print(markdown(rows))
    for name, top in profiles:
        print(f"\nours, instructions per {name} by function:\n")
        print(markdown([["instructions", "share", "file", "function"]] + [
            [f"{n:,.0f}", f"{share:.1f} %", where, function] for n, share, where, function in top]))
    return 0
