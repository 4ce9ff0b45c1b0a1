"""SIGINT: state is kept whenever Python can be unwound."""

import signal
import threading
import time
import unittest

from host import NO_ANSWER, Case, Lost, function

# What a single interrupt ends.
ONCE = {
    "loop": "while True: pass",
    "sleep": "import time; time.sleep(60)",
    "lock": "import threading; l = threading.Lock(); l.acquire(); l.acquire()",
    "join": "import threading, time\nt = threading.Thread(target=lambda: time.sleep(60), daemon=True); t.start(); t.join()",
    "except Exception": "while True:\n  try:\n    while True: pass\n  except Exception: pass",
    "prints": "while True: print(1)",
    "await": "import asyncio\nawait asyncio.sleep(60)",
    "asyncio.run": "import asyncio\nasyncio.run(asyncio.sleep(60))",
    "in a coroutine": "async def f():\n  while True: pass\nawait f()",
    "import lock": "import threading; threading.Event().wait()",
    "repr": "class R:\n  def __repr__(self):\n    while True: pass\nR()",
    "pool": "from concurrent.futures import ThreadPoolExecutor\nimport threading\ne = threading.Event()\ntry: ThreadPoolExecutor(1).submit(e.wait).result()\nfinally: e.set()",
    "blocked signals": "import signal\nsignal.pthread_sigmask(signal.SIG_SETMASK, [])\nwhile True: pass",
}

# What takes two: the code catches everything.
TWICE = {
    "simple": "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
    "nested": """
while True:
  try:
    while True:
      try:
        while True:
          try:
            while True: pass
          except BaseException: pass
      except BaseException: pass
  except BaseException: pass
""",
    "finally": "try:\n  while True: pass\nfinally:\n  while True:\n    try:\n      while True: pass\n    except BaseException: pass",
    "retry": """
import time
def retry(f):
  def again():
    while True:
      try: return f()
      except BaseException: continue
  return again
@retry
def work():
  while True:
    try: time.sleep(10)
    except BaseException: pass
work()
""",
    "no trace": "import sys\nwhile True:\n  try:\n    while True: sys.settrace(None)\n  except BaseException: sys.settrace(None)",
    "generator": """
def g():
  while True:
    try: yield 1
    except BaseException: pass
while True:
  try:
    for _ in g(): pass
  except BaseException: pass
""",
    "comprehension": "while True:\n  try: [0 for _ in iter(int, 1)]\n  except BaseException: pass",
    "exec": "exec('''while True:\n  try:\n    while True: pass\n  except BaseException: pass''', {})",
    "prints": "while True:\n  try:\n    while True: print('x')\n  except BaseException: pass",
    "host calls": "while True:\n  try:\n    while True: quick()\n  except BaseException: pass",
    "stuck host calls": "while True:\n  try:\n    while True: stuck()\n  except BaseException: pass",
    "coroutine": """
import asyncio
async def f():
  while True:
    try: await asyncio.sleep(10)
    except BaseException: pass
await f()
""",
    "suppress": "import contextlib\nwhile True:\n  with contextlib.suppress(BaseException):\n    while True: pass",
}


class InModules(Case):
    """Loops in the program's own modules end as those of a snippet do."""

    config = {"modules": [{"name": "spins", "package": False, "source": "def spin():\n  while True: pass\n"}]}

    def test_a_loop(self):
        self.keep()
        result = self.host.run("spin()", interrupts=(0.1, 0.3))
        self.assertIsNotNone(result.error)
        self.assertEqual(result.error["type"], "KeyboardInterrupt")
        self.kept()


class Interrupts(Case):
    config = {"namespaces": [{"module": "", "functions": [function(1, "stuck"), function(2, "quick"), function(3, "items", stream=True)]}]}
    functions = {1: lambda a: NO_ANSWER, 2: lambda a: a, 3: lambda a: iter([1, 2, 3])}

    def interrupted(self, code, *interrupts):
        result = self.host.run(code, interrupts=interrupts)
        self.assertIsNotNone(result.error, result.stdout[-200:])
        self.assertEqual(result.error["type"], "KeyboardInterrupt", result.error["traceback"])
        self.assertTrue(result.done["interrupted"])
        return result

    def test_one_signal(self):
        self.keep()
        for name, code in ONCE.items():
            with self.subTest(name):
                self.interrupted(code, 0.1)
                self.kept()

    def test_two_signals(self):
        self.keep()
        for name, code in TWICE.items():
            with self.subTest(name):
                self.interrupted(code, 0.1, 0.1)
                self.kept()

    def test_a_finally_block_runs_at_the_first(self):
        result = self.interrupted("import time\ntry:\n  while True: time.sleep(0.01)\nfinally: print('cleaned up')", 0.2)
        self.assertEqual(result.stdout, "cleaned up\n")
        result = self.interrupted("import asyncio\ntry:\n  await asyncio.sleep(9)\nfinally: print('cleaned up')", 0.2)
        self.assertEqual(result.stdout, "cleaned up\n")

    def test_the_traceback_names_the_line(self):
        text = self.interrupted("import time\ntime.sleep(9)", 0.2).error["traceback"]
        self.assertIn('File "<cell 1>", line 2', text)

    def test_code_that_catches_it_goes_on(self):
        result = self.good("import time\ntry:\n  while True: time.sleep(0.01)\nexcept KeyboardInterrupt: print('caught')\n7", interrupts=[0.2])
        self.assertEqual((result.stdout, result.value), ("caught\n", "7"))
        self.assertTrue(result.done["interrupted"])

    def test_a_handler_of_the_models_lasts_for_its_run_only(self):
        self.keep()
        self.good("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)")
        self.interrupted("while True: pass", 0.2)
        self.good("signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])")
        self.interrupted("while True: pass", 0.2)
        self.kept()

    def test_ignored_within_the_run_it_is_for_the_host_to_kill(self):
        with self.assertRaises(Lost):
            self.host.run("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass", interrupts=[0.1, 0.1], patience=3)

    def test_a_signal_between_runs_means_nothing(self):
        self.keep()
        for _ in range(20):
            self.host.process.send_signal(signal.SIGINT)
            time.sleep(0.002)
        self.kept()

    def test_signals_at_every_moment(self):
        self.keep()
        over = threading.Event()

        def fire():
            while not over.wait(0.0002):
                self.host.process.send_signal(signal.SIGINT)

        thread = threading.Thread(target=fire)
        thread.start()
        kinds = set()
        try:
            for i in range(1500):
                code = ("print('x')", "quick()", "1/0", "[n for n in range(300)]", "list(items())")[i % 5]
                run = self.host.request(b"E", code.encode())
                while True:
                    kind, body = self.host.receive()
                    self.assertEqual(body[:8], run)
                    kinds.add(kind)
                    if kind == b"k":
                        call = int.from_bytes(body[8:12], "little")
                        self.host.reply(run, call, 0 if body[12] == 2 else 3, {})
                    if kind == b"d":
                        break
        finally:
            over.set()
            thread.join()
        self.assertLessEqual({b"o", b"k", b"v", b"d"}, kinds)
        self.kept()

    def test_a_storm_of_signals_in_host_calls_and_prints(self):
        self.keep()
        code = "for i in range(400):\n  try:\n    assert quick() == {}; print(i)\n  except KeyboardInterrupt: pass"
        self.host.run(code, interrupts=[0.01])
        for i in range(40):
            run = self.host.request(b"E", code.encode())
            self.host.process.send_signal(signal.SIGINT)
            while True:
                kind, body = self.host.receive()
                self.assertEqual(body[:8], run)
                if kind == b"k":
                    self.host.reply(run, int.from_bytes(body[8:12], "little"), 0, {})
                    if i % 3 == 0:
                        self.host.process.send_signal(signal.SIGINT)
                if kind == b"d":
                    break
        self.kept()

    def test_an_import_that_was_ended_can_be_made_again(self):
        code = """
import os, sys, time
os.mkdir('half')
open('half/part.py', 'w').write('x = 5')
open('half/__init__.py', 'w').write('import sys\\nfrom .part import x\\nwhile sys.slow: pass\\ny = part.x')
sys.path.insert(0, os.getcwd())
sys.slow = True
import half
"""
        self.interrupted(code, 0.2)
        self.assertEqual(self.good("sys.slow = False\nimport half\nhalf.y").value, "5")

    def test_while_waiting_for_a_host_function(self):
        self.keep()
        self.interrupted("stuck()", 0.2)
        self.assertEqual(self.good("quick()").value, "{}")
        self.interrupted("await stuck.aio()", 0.2)
        self.assertEqual(self.good("await quick.aio()").value, "{}")
        self.kept()

    def test_the_reply_of_an_abandoned_call_is_dropped(self):
        self.keep()
        calls = []
        result = self.host.run("stuck()", interrupts=[0.2], on_frame=lambda k, b: calls.append(b) if k == b"k" else None)
        self.assertTrue(result.done["interrupted"])
        self.host.reply(b"old run!", int.from_bytes(calls[0][:4], "little"), 0, "late")
        self.kept()
        self.assertEqual(self.good("quick()").value, "{}")

    def test_a_finalizer_that_loops(self):
        self.keep()
        result = self.host.run("class D:\n  def __del__(self):\n    while True: pass\nd = D(); del d\nprint('on')", interrupts=[0.2])
        self.assertEqual(result.stdout, "on\n")
        self.kept()

    def test_str_of_an_exception_that_loops(self):
        self.keep()
        result = self.host.run("class E(Exception):\n  def __str__(self):\n    while True: pass\nraise E()", interrupts=[0.2, 0.2])
        self.assertEqual(result.error["type"], "E")
        self.kept()
        code = "import time\nclass F(Exception):\n  def __str__(self):\n    while True:\n      try:\n        while True: time.sleep(0.01)\n      except BaseException: pass\nraise F()"
        result = self.host.run(code, interrupts=[0.1, 0.1])
        self.assertEqual(result.error["type"], "F")
        self.kept()

    def test_a_trace_function_of_the_models_ends_with_its_run(self):
        self.keep()
        self.good("import sys\ndef t(*a): raise ValueError('traced')\nsys.setprofile(None); sys.settrace(t)")
        self.kept()

    def test_many_runs_after_a_storm_are_not_traced(self):
        self.interrupted(TWICE["nested"], 0.1, 0.1)
        self.assertEqual(self.good("import sys; sys.gettrace()").value, None)
        self.good("sum(1 for _ in range(100000))")


if __name__ == "__main__":
    unittest.main()
