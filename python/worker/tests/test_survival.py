"""What a session must survive, and what it must not pretend to survive."""

import sys
import unittest

from host import Case, Host, Lost, function

HOSTILE = {
    "print is gone": "import builtins; builtins.print = None",
    "builtins are broken": "import builtins\nfor n in ('compile', 'exec', 'eval', 'len', 'repr', 'str', 'isinstance', 'type', 'getattr', 'open', 'list', 'dict', 'bytes', 'BaseException', 'KeyboardInterrupt', 'map', 'sorted', '__import__', '__build_class__'): setattr(builtins, n, None)",
    "builtins are empty": "import builtins; vars(builtins).clear()",
    "own builtins are broken": "b = __builtins__; keep_b = dict(b); b['print'] = b['len'] = None\nb.update(keep_b)",
    "json is replaced": "import json; json.dumps = json.loads = json.JSONEncoder = None; json.encoder.c_make_encoder = None",
    "modules are cleared": "import sys; sys.modules.clear()",
    "modules are replaced": "import sys; sys.modules = {}",
    "modules are poisoned": "import sys\nfor n in ('traceback', 'linecache', 'json', 'io', 'os', 'time', 'struct', 'signal', 'codecs'): sys.modules[n] = None",
    "main is gone": "import sys; del sys.modules['__main__']",
    "main is replaced": "import sys, types; sys.modules['__main__'] = types.ModuleType('x')",
    "hooks": "import sys\nsys.displayhook = sys.excepthook = sys.unraisablehook = None\nsys.path_hooks = sys.meta_path = sys.path = None",
    "linecache": "import linecache; linecache.cache.clear(); linecache.getlines = linecache.getline = None",
    "traceback": "import traceback; traceback.TracebackException.__init__ = None; traceback.TracebackException = None",
    "os": "import os; os.stat = os.scandir = os.dup = os.close = os.write = os.open = os.fstat = None",
    "time": "import time; time.monotonic = None",
    "struct and codecs": "import struct, codecs; struct.pack = struct.unpack_from = None; codecs.register_error('backslashreplace', lambda e: ('evil', e.end))",
    "recursion limit": "import sys; sys.setrecursionlimit(60)",
    "threading": "import threading; threading._active = threading.enumerate = None",
    "gc": "import gc; gc.disable(); gc.collect = None; gc.set_threshold(0)",
    "profile": "import sys; sys.setprofile(lambda *a: 1/0)",
    "trace": "import sys; sys.settrace(lambda *a: 1/0)",
    "signal": "import signal; signal.signal = None",
    "asyncio": "import asyncio; asyncio.set_event_loop(None); asyncio.new_event_loop().close()",
    "environment": "import os; os.environ.clear(); os.chdir('/')",
    "annotations": "__annotations__ = 3; __name__ = None; __loader__ = __spec__ = 1",
}


class Hostile(Case):
    config = {"namespaces": [{"module": "finance", "functions": [function(1, "roi", "x: float")]}]}
    functions = {1: lambda a: {"roi": a["x"] * 2}}

    def test_the_next_run_is_right(self):
        for name, code in HOSTILE.items():
            with self.subTest(name), Host(functions=self.functions, **self.config) as host:
                self.host = host
                self.keep()
                host.run(code)
                self.kept()
                self.assertEqual(self.good("roi(4)").value, "{'roi': 8}")
                self.assertEqual(self.bad("1/0", "ZeroDivisionError").error["message"], "division by zero")
                if name != "builtins are empty":  # no module can be imported any more
                    self.assertEqual(self.good("[kept for _ in 'ab']").value, "[41, 41]")

    def test_exceptions_that_fight_back(self):
        self.keep()
        for body in (
            "def __str__(self): raise KeyboardInterrupt",
            "def __str__(self): 1/0\n  __repr__ = __str__",
            "def __str__(self): import sys; sys.exit()",
            "def __str__(self): return 5",
            "def __str__(self): return self.__str__()",
            "def __getattribute__(self, n): raise SystemExit",
            "__qualname__ = 'x' * 1000",
            "@property\n  def __traceback__(self): raise ValueError\n  @property\n  def __cause__(self): raise ValueError",
            "@property\n  def __notes__(self): raise KeyboardInterrupt",
        ):
            result = self.host.run(f"class E(Exception):\n  {body}\nraise E('x')")
            self.assertIsNotNone(result.error, body)
            self.kept()

    def test_an_exception_that_cannot_be_told_is_asked_once(self):
        self.bad("asked = []\nclass E(Exception):\n  def __str__(self): asked.append(1); 1/0\nraise E()", "E")
        self.assertEqual(self.good("len(asked)").value, "1")

    def test_a_low_recursion_limit_ends_with_its_run(self):
        self.good("import sys; default = sys.getrecursionlimit(); sys.setrecursionlimit(50)")
        self.assertEqual(self.good("sys.getrecursionlimit() == default").value, "True")
        self.good("sys.setrecursionlimit(5000)")
        self.assertEqual(self.good("sys.getrecursionlimit()").value, "5000")

    def test_metaclasses_that_fight_back(self):
        self.keep()
        code = "class M(type):\n  @property\n  def __name__(cls): raise KeyboardInterrupt\n  __module__ = __name__\nclass E(Exception, metaclass=M): pass\nraise E()"
        self.assertEqual(self.host.run(code).error["type"], "E")
        self.kept()

    def test_values_that_fight_back(self):
        self.keep()
        for body in ("return 5", "raise SystemExit", "return '\\ud800'", "import builtins; builtins.repr = None; return 'x'"):
            self.host.run(f"class V:\n  def __repr__(self): {body}\nV()")
            self.kept()
        self.assertEqual(self.good("class S(str):\n  def encode(self, *a): raise ValueError\nprint(S('text'))").stdout, "text\n")


class Kept(Case):
    """Limits that are met without losing the state."""

    def setUp(self):
        # Soft limits are given to the process before the worker starts.
        before = "import resource\n" + "".join(
            f"resource.setrlimit(resource.RLIMIT_{n}, ({v}, resource.getrlimit(resource.RLIMIT_{n})[1]))\n"
            for n, v in (("AS", 1 << 30), ("NOFILE", 128), ("FSIZE", 64 << 20))
        )
        self.host = Host(before=before, guard=False)
        self.addCleanup(self.host.close)

    def test_memory(self):
        self.keep()
        for code in (
            "x = bytearray(10**10)",
            "x = []\nwhile True: x.append(bytearray(10**6))",
            "x = 'x' * 2 * 10**9",
            "x = [0]\nwhile True: x += x",
            "d = {}\nwhile True: d[len(d)] = len(d)",
        ):
            error = self.bad(code, "MemoryError").error
            self.assertIn("1024 MiB", error["message"])
            self.good("x = d = None")
            self.kept()

    def test_memory_that_stays_full(self):
        self.keep()
        self.bad("x = []\nfor size in (10**7, 10**5, 10**3, 100):\n  try:\n    while True: x.append(bytearray(size))\n  except MemoryError: pass\nraise MemoryError", "MemoryError")
        self.host.run("del x")
        self.kept()

    def test_recursion(self):
        self.keep()
        error = self.bad("def f(n): return f(n + 1)\nf(0)", "RecursionError").error
        self.assertLess(len(error["traceback"]), 5000)
        self.bad("def f(): print('x'); f()\nf()", "RecursionError")
        self.bad("class R:\n  def __repr__(self): return repr(self)\nR()", "RecursionError")
        self.bad("class A:\n  def __getattr__(self, n): return getattr(self, n)\nA().x", "RecursionError")
        self.kept()

    def test_descriptors_run_out(self):
        self.keep()
        error = self.bad("import os\nwhile True: os.dup(0)", "OSError").error
        self.assertIn("at most 128 files", error["message"])
        again = self.host.run("f = open('after.txt', 'w'); f.close()")
        self.assertIsNone(again.error)
        self.assertEqual([f["name"] for f in again.files], ["after.txt"])
        self.kept()

    def test_leaked_descriptors_are_closed_and_files_in_use_are_not(self):
        self.good("import os, socket\nfiles = [open(f'f{i}', 'w') for i in range(40)]\nnumber = os.open('raw', os.O_CREAT | os.O_RDWR)\nholder = {'fds': [os.dup(0)]}\npair = socket.socketpair()")
        result = self.good("sum(os.dup(0) * 0 for _ in range(50))")
        self.assertTrue(any("closed 50 descriptors" in w for w in result.done["warnings"]), result.done)
        self.good("for f in files: f.write('x'); f.flush()")
        self.good("os.write(number, b'x'); os.fstat(holder['fds'][0]); pair[0].send(b'x')")

    def test_few_descriptors_are_nobodys_business(self):
        self.assertEqual(self.good("import os\nfor i in range(20): os.dup(0)").done["warnings"], [])

    def test_files_in_cycles_are_closed(self):
        self.good("class C: pass\nimport gc; gc.disable()\nfor i in range(100):\n  c = C(); c.me = c; c.f = open('x', 'w')\ndel c")
        self.assertEqual(self.good("import os; fd = os.dup(0); os.close(fd); fd < 20").value, "True")

    def test_file_size(self):
        self.keep()
        error = self.bad("with open('big', 'wb') as f:\n  while True: f.write(bytes(1 << 20))", "OSError").error
        self.assertIn("64 MiB", error["message"])
        self.kept()

    def test_arithmetic(self):
        self.keep()
        self.bad("int('9' * 10**5)", "ValueError")
        self.bad("1 << (1 << 70)", "OverflowError") if sys.version_info < (3, 13) else self.host.run("1 << (1 << 70)")
        self.kept()

    def test_threads_left_behind_are_listed(self):
        result = self.good("import threading, time\nstop = threading.Event()\nt = threading.Thread(target=stop.wait, name='idle one'); t.start()")
        self.assertEqual(result.done["warnings"], ["1 thread still running (idle one)"])
        self.assertEqual(self.good("stop.set(); t.join()").done["warnings"], [])

    def test_prints_of_a_flood_leave_no_thread(self):
        self.assertEqual(self.good("for i in range(5000): print(i)").done["warnings"], [])


class Gone(Case):
    """What ends the process ends it: no wrong answer comes after it."""

    def lost(self, code):
        with self.assertRaises(Lost):
            self.host.run(code)
        self.host.process.wait(60)

    def test_exit(self):
        self.lost("import os; os._exit(3)")
        self.assertEqual(self.host.process.returncode, 3)

    def test_a_crash_leaves_a_trace(self):
        self.lost("import faulthandler; faulthandler._sigsegv()")
        self.assertEqual(self.host.process.returncode, -11)
        self.assertIn("Segmentation fault", self.host.native_output())
        self.assertIn('File "<cell 1>"', self.host.native_output())

    def test_abort(self):
        self.lost("import os; os.abort()")
        self.assertEqual(self.host.process.returncode, -6)

    def test_the_channel_is_closed(self):
        self.lost("import os; os.closerange(3, 200); print('x')")

    def test_the_host_goes_away(self):
        self.host.run("x = 1")
        self.assertEqual(self.host.close(), 0)

    def test_the_host_goes_away_from_what_never_ends(self):
        code = """
import asyncio
class Endless:
    def __del__(self):
        while True: pass
async def f():
    while True:
        try: await asyncio.sleep(9)
        except BaseException: pass
async def begin(): return asyncio.create_task(f()), Endless()
kept = await begin()
"""
        self.host.run(code)
        self.assertEqual(self.host.close(), 0)

    def test_the_host_goes_away_while_code_calls_it(self):
        with Host(namespaces=[{"functions": [function(1, "f")]}]) as host:
            host.request(b"E", b"f()")
            self.assertEqual(host.receive()[0], b"k")
        self.assertEqual(host.process.returncode, 0)


class Hints(Case):
    def test_processes(self):
        for code in (
            "import errno, os\ndef fork(): raise PermissionError(errno.EPERM, 'Operation not permitted')\nfork()",
            "import subprocess, _posixsubprocess, errno\ndef no(*a): raise PermissionError(errno.EPERM, 'Operation not permitted')\nsubprocess._fork_exec = _posixsubprocess.fork_exec = no\nsubprocess._USE_POSIX_SPAWN = False\nsubprocess.run(['ls'], close_fds=True)",
        ):
            self.assertIn("processes are not allowed here", self.bad(code, "PermissionError").error["message"])

    def test_network(self):
        code = "import socket, errno\ndef connect(): raise PermissionError(errno.EPERM, 'Operation not permitted')\nconnect()"
        self.assertIn("the network is not allowed here", self.bad(code, "PermissionError").error["message"])

    def test_disk(self):
        code = "import errno\nraise OSError(errno.ENOSPC, 'No space left on device')"
        self.assertIn("disk quota", self.bad(code, "OSError").error["message"])

    def test_other_permissions_are_left_alone(self):
        self.assertNotIn("allowed here", self.bad("raise PermissionError(13, 'Permission denied', '/x')", "PermissionError").error["message"])


if __name__ == "__main__":
    unittest.main()
