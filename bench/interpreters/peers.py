"""Runs one case on one peer: peers.py PEER CASE COUNT CASES.json. Prints {"samples": [...]} in seconds or bytes, or {"skip": why}."""

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from typing import Any, Callable, Iterator

CODE: "dict[str, str]" = {}
BIG = 100 << 20
clock = time.perf_counter


class Skip(Exception):
    """The peer cannot do the case; the message says why."""


class Peer:
    """One interpreter. A session is whatever open returns."""

    shared = False  # sessions live in this process

    def open(self) -> Any:
        raise NotImplementedError

    def run(self, session: Any, code: str) -> None:
        raise NotImplementedError

    def close(self, session: Any) -> None:
        pass

    def with_add(self) -> Any:
        raise Skip("no way for the code to call the host")

    def big(self, session: Any, data: bytes) -> None:
        raise NotImplementedError

    def pids(self, session: Any) -> "list[int]":
        raise NotImplementedError

    def kill(self, session: Any) -> float:
        raise Skip("runs in the host's own process: nothing can be killed")


def add(a: int, b: int) -> int:
    return a + b


class StrandsSandboxed(Peer):
    shared = True

    def __init__(self) -> None:
        from strands_code_agent.python_environments.local_sandboxed import SandboxedPythonInterpreter

        self.make = SandboxedPythonInterpreter

    def open(self) -> Any:
        return self.make(authorized_imports=["numpy", "numpy.*", "pandas", "pandas.*"], timeout_seconds=600)

    def run(self, session: Any, code: str) -> None:
        _, err = session.execute_code(code)
        if err:
            raise RuntimeError(err)

    def with_add(self) -> Any:
        return self.make(additional_functions={"add": add})

    def big(self, session: Any, data: bytes) -> None:
        session.executor.send_variables({"data": data})  # by reference: the same process
        self.run(session, "len(data)")


class StrandsExec(StrandsSandboxed):
    def __init__(self) -> None:
        from strands_code_agent.python_environments.local_exec import ExecPythonInterpreter

        self.make = ExecPythonInterpreter

    def open(self) -> Any:
        return self.make()

    def with_add(self) -> Any:
        session = self.make()
        session.state["add"] = add
        return session

    def big(self, session: Any, data: bytes) -> None:
        session.state["data"] = data
        self.run(session, "len(data)")


class Kernel(Peer):
    def __init__(self) -> None:
        from jupyter_client.manager import start_new_kernel

        self.start = start_new_kernel

    def open(self) -> Any:
        return self.start(kernel_name="python3", startup_timeout=60)

    def run(self, session: Any, code: str) -> None:
        answer = session[1].execute(code, reply=True, timeout=120)
        if answer["content"]["status"] != "ok":
            raise RuntimeError(answer["content"]["evalue"])

    def close(self, session: Any) -> None:
        session[1].stop_channels()
        session[0].shutdown_kernel(now=True)

    def big(self, session: Any, data: bytes) -> None:
        with tempfile.NamedTemporaryFile() as f:  # what its users do: messages are for text
            f.write(data)
            f.flush()
            self.run(session, f"data = open({f.name!r}, 'rb').read()\nlen(data)")

    def pids(self, session: Any) -> "list[int]":
        return [session[0].provisioner.process.pid]

    def kill(self, session: Any) -> float:
        session[1].execute(CODE["loop"])
        time.sleep(0.2)
        pid = self.pids(session)[0]
        began = clock()
        session[0].shutdown_kernel(now=True)
        while running(pid):
            pass
        return clock() - began


class Monty(Peer):
    def __init__(self) -> None:
        from pydantic_monty import Monty as Pool

        self.pool = Pool(min_processes=1, max_processes=16)
        self.pool.__enter__()

    def open(self) -> Any:
        session = self.pool.checkout()
        session.__enter__()
        return session

    def run(self, session: Any, code: str) -> None:
        session.feed_run(code, external_lookup={"add": add})

    def close(self, session: Any) -> None:
        session.__exit__(None, None, None)

    def with_add(self) -> Any:
        session = self.pool.checkout(limits={"max_suspensions": 1 << 30})
        session.__enter__()
        return session

    def big(self, session: Any, data: bytes) -> None:
        session.feed_run("len(data)", inputs={"data": data})

    def pids(self, session: Any) -> "list[int]":
        out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(os.getpid())], capture_output=True, text=True).stdout
        return [int(p) for p in out.split() if running(int(p)) and comm(int(p)).startswith("monty")]

    def kill(self, session: Any) -> float:
        raise Skip("its limits end a loop from within; there is no call that kills a worker")


PEERS: "dict[str, Callable[[], Peer]]" = {
    "strands-sandboxed": StrandsSandboxed,
    "strands-exec": StrandsExec,
    "ipykernel": Kernel,
    "monty": Monty,
}


def running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def comm(pid: int) -> str:
    with open(f"/proc/{pid}/comm") as f:
        return f.read().strip()


def pss(pid: "int | str") -> int:
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("Pss:"))


@contextlib.contextmanager
def opened(peer: Peer, make: "Callable[[], Any] | None" = None) -> "Iterator[Any]":
    session = (make or peer.open)()
    try:
        yield session
    finally:
        peer.close(session)


def timed(count: int, work: "Callable[[], None]", warm: int = 2) -> "list[float]":
    for _ in range(warm):
        work()
    samples = []
    for _ in range(count):
        began = clock()
        work()
        samples.append(clock() - began)
    return samples


def ready(peer: Peer, count: int, code: str) -> "list[float]":
    samples = []
    for i in range(count + 1):
        began = clock()
        session = peer.open()
        peer.run(session, code)
        took = clock() - began
        peer.close(session)
        if i:  # the first warms the peer up, as ours is
            samples.append(took)
    return samples


def memory(peer: Peer, count: int) -> "list[float]":
    """PSS of an idle session that has imported pandas."""
    if not peer.shared:
        sessions = [peer.open() for _ in range(min(count, 4))]
        for s in sessions:
            peer.run(s, CODE["imports"] if not isinstance(peer, Monty) else "1")
        try:
            if isinstance(peer, Monty):
                found = peer.pids(None)
                raise Skip(f"no pandas; a bare worker holds {sum(map(pss, found)) / len(found) / 1e6:.3g} MB")
            return [sum(pss(p) for s in sessions for p in peer.pids(s)) / len(sessions)]
        finally:
            for s in sessions:
                peer.close(s)
    peer.run(peer.open(), CODE["imports"])
    gc.collect()
    before = pss("self")
    sessions = [peer.open() for _ in range(100)]
    for s in sessions:
        peer.run(s, CODE["imports"])
    gc.collect()
    return [(pss("self") - before) / len(sessions)]


def case(peer: Peer, name: str, count: int) -> "list[float]":
    if name == "ready":
        return ready(peer, count, "1")
    if isinstance(peer, Monty) and name in ("ready-pandas", "groupby"):
        raise Skip("no numpy, no pandas: its own subset of Python")
    if name == "ready-pandas":
        return ready(peer, count, CODE["imports"])
    if name == "memory":
        return memory(peer, count)
    if name == "kill":
        samples = []
        for _ in range(count):
            samples.append(peer.kill(peer.open()))
        return samples
    with opened(peer, peer.with_add if name == "calls" else None) as session:
        if name == "snippet":
            return timed(count, lambda: peer.run(session, "y = 1"), 20)
        if name == "cpu":
            return timed(count, lambda: peer.run(session, CODE["cpu"]), 1)
        if name == "groupby":
            peer.run(session, CODE["frame"])
            return timed(count, lambda: peer.run(session, CODE["groupby"]))
        if name == "calls":
            return [t / 1000 for t in timed(count, lambda: peer.run(session, CODE["calls"]), 1)]
        if name == "big":
            data = os.urandom(BIG)
            return timed(count, lambda: peer.big(session, data), 1)
    raise Skip(f"no case {name}")


def main() -> None:
    peer, name, count, cases = sys.argv[1:5]
    with open(cases) as f:
        CODE.update(json.load(f))
    warnings.simplefilter("ignore")
    try:
        answer: "dict[str, Any]" = {"samples": case(PEERS[peer](), name, int(count))}
    except Skip as e:
        answer = {"skip": str(e)}
    except Exception as e:
        answer = {"skip": f"it fails: {type(e).__name__}: {str(e)[:160]}"}
    print("\n" + json.dumps(answer), flush=True)
    os._exit(0)  # threads and children of the peers are of no interest


main()
