"""What the worker costs: python3 tests/bench.py

Round trips are seen from a host in Python, which adds its own time; "worker"
is the processor time of the worker alone (Linux).
"""

import time

from host import Host, function

ROUNDS = 3000


def cpu(host):
    """Nanoseconds that the worker has spent on a processor."""
    with open(f"/proc/{host.process.pid}/schedstat") as f:
        return int(f.read().split()[0])


def snippet(host, code):
    """A run without the comforts of Host.run."""
    run = host.request(b"E", code)
    while True:
        kind, body = host.receive()
        if kind == b"d":
            return body
        if kind == b"k":
            host.send(b"R", run + body[8:12] + b"\0" + b"5")


def measure(host, name, code, per=1):
    for _ in range(200 // per + 1):
        snippet(host, code)
    took, used = [], []
    for _ in range(ROUNDS // per):
        start, before = time.perf_counter_ns(), cpu(host)
        snippet(host, code)
        took.append(time.perf_counter_ns() - start)
        used.append(cpu(host) - before)
    took.sort()
    used.sort()
    middle = len(took) // 2
    print(f"{name:32} p50 {took[middle] / per / 1000:7.1f} us    worker {used[middle] / per / 1000:6.1f} us")


def main():
    spaces = [{"module": "m", "functions": [function(1, "f", "x: int")]}]
    with Host(namespaces=spaces, guard=True, libraries=["*"]) as host:
        print(host.ready)
        measure(host, "x=1", b"x=1")
        measure(host, "x+1 (a value)", b"x+1")
        measure(host, "print(1)", b"print(1)")
        measure(host, "import math; math.pi", b"import math; math.pi")
        measure(host, "1/0 (an error)", b"1/0")
        measure(host, "1,000 host calls, each", b"for i in range(1000): f(i)", 1000)
        measure(host, "1,000 prints, each", b"for i in range(1000): print(i)", 1000)


if __name__ == "__main__":
    main()
