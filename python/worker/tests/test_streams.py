"""stdout and stderr: order, pace, caps, and whatever the model does to them."""

import os
import time
import unittest

from host import Case, Host


class Streams(Case):
    def test_order_between_the_streams_is_kept(self):
        code = "import sys\nfor i in range(2000): print(i, file=sys.stderr if i % 2 else sys.stdout)"
        frames = [(k, b) for k, b in self.good(code).frames if k in b"oe"]
        seen = b"".join(b for _, b in frames).split()
        self.assertEqual([int(n) for n in seen], list(range(2000)))

    def test_a_write_comes_at_once(self):
        for pause in (0.5, 2, 8, 30):  # more on a machine that stands still
            start = time.monotonic()
            came = []
            self.good(
                f"import time\nprint('now'); time.sleep({pause})",
                on_frame=lambda kind, _: came.append(time.monotonic() - start) if kind == b"o" else None,
            )
            if came[0] < 0.8 * pause:
                return
        self.fail("text waited for the end of the snippet")

    def test_a_flood_is_gathered_and_still_comes_while_the_code_sleeps(self):
        for pause in (0.6, 2, 8, 30):  # more on a machine that stands still
            came = []
            code = f"import time\nfor i in range(20_000): print()\nprint('last')\ntime.sleep({pause})"
            result = self.good(code, on_frame=lambda kind, body: came.append((time.monotonic(), kind, body)))
            last = next(t for t, kind, body in came if kind == b"o" and body.endswith(b"last\n"))
            if len(result.frames) < 19_000 and came[-1][0] - last > pause / 2:
                return
        self.fail(f"{len(result.frames)} frames, or text waited for the end of the snippet")

    def test_slow_printing_is_not_gathered_again(self):
        self.good("for i in range(5000): print(i)")
        result = self.good("import time\nfor i in range(3): print(i, end=''); time.sleep(0.01)")
        self.assertEqual(len([k for k, _ in result.frames if k == b"o"]), 3)

    def test_binary_buffer(self):
        result = self.good("import sys\nw = sys.stdout.buffer.write\nw('é'.encode()[:1]); w('é'.encode()[1:]); w(b'\\xff\\n'); None")
        self.assertEqual(result.stdout, "é\ufffd\n")

    def test_it_behaves_like_a_text_file(self):
        code = """
import io, sys
assert isinstance(sys.stdout, io.TextIOBase) and sys.stdout.encoding == 'utf-8'
assert sys.stdout.writable() and not sys.stdout.isatty() and sys.stdout.fileno() == 1
sys.stdout.writelines(['a', 'b']); sys.stdout.reconfigure(line_buffering=True)
print('c', flush=True, file=sys.stderr)
import contextlib
with contextlib.redirect_stdout(io.StringIO()) as f: print('hidden')
assert f.getvalue() == 'hidden\\n'
try: sys.stdout.write(5)
except TypeError as e: print(e)
"""
        result = self.good(code)
        self.assertEqual(result.stdout, "abwrite() argument must be str, not int\n")
        self.assertEqual(result.stderr, "c\n")

    def test_closed_replaced_and_broken_streams_are_restored(self):
        self.good("kept = 41")
        for code in (
            "import sys; sys.stdout.close(); print('still here')",
            "import sys; sys.stdout = sys.stderr = sys.stdin = None",
            "import sys; del sys.stdout, sys.stderr",
            "import sys\nclass Evil:\n  def write(self, s): 1/0\n  flush = write\nsys.stdout = sys.stderr = Evil()",
            "import sys; sys.stdout.write = None; sys.stdout.flush = 3",
            "import sys; type(sys.stdout).write = None; type(sys.stdout.buffer).write = lambda *a: 1/0",
            "import sys; sys.stdout.__dict__.clear()",
            "import sys\nclass Eq:\n  def __eq__(self, other): raise SystemExit\nsys.stdout.name = Eq()",
            "import sys, io; sys.stdout = io.StringIO(); print('lost')",
        ):
            self.good(code)
            self.kept()

    def test_there_is_no_input(self):
        self.good("kept = 41")
        for code in ("input()", "import sys; sys.stdin.read()", "import sys; next(sys.stdin)", "import sys; sys.stdin.close(); input('? ')"):
            self.assertIn("put the value into the code", self.bad(code, "EOFError").error["message"])
        self.kept()

    def test_text_of_threads_between_runs_belongs_to_the_next(self):
        code = """
import os, threading, time
def work():
    while not os.path.exists('go'): time.sleep(0.01)
    print('late')
    os.mkdir('went')
threading.Thread(target=work, name='slow').start()
"""
        self.good(code)
        self.host.between_runs("go", "went")
        self.assertEqual(self.good("print('next')").stdout, "late\nnext\n")

    def test_a_logging_handler_outlives_its_cell(self):
        self.good("import logging; logging.basicConfig()")
        self.assertEqual(self.good("logging.warning('w')").stderr, "WARNING:root:w\n")

    def test_c_code_writes_to_the_descriptors(self):
        self.good("import os; os.write(1, b'from c'); os.write(2, b'!')")
        self.assertIn("from c!", self.host.native_output())

    def test_printing_in_a_finalizer_within_a_print(self):
        code = "import gc\nclass D:\n  def __del__(self): print('del')\nfor i in range(300):\n  d = D(); d.me = d; del d\n  print(i)\n  gc.collect() if i % 50 == 0 else None"
        self.good(code)

    def test_threads_print_whole_frames(self):
        code = """
import threading
def work(n):
    for i in range(500): print(f'{n}:{i}\\n', end='')
ts = [threading.Thread(target=work, args=(n,)) for n in range(4)]
[t.start() for t in ts]; [t.join() for t in ts]; None
"""
        lines = self.good(code).stdout.split()
        self.assertEqual(len(set(lines)), 2000)


class Caps(Case):
    config = {"output_limit": 1000, "spool_limit": 100_000}

    def test_below_the_limit_nothing_is_cut(self):
        for size in (1, 499, 500, 501, 999):
            result = self.good(f"print('x' * {size})")
            self.assertEqual((len(result.stdout), result.done["stdout_cut"]), (size + 1, 0))
            self.assertEqual(result.done["full_output"], "")

    def test_head_and_tail_are_shown_and_all_is_kept(self):
        result = self.good("for i in range(5000): print(i)")
        whole = "".join(f"{i}\n" for i in range(5000))
        cut = result.done["stdout_cut"]
        self.assertGreater(cut, 20_000)
        self.assertIn(f"[... {cut} bytes of stdout left out; all of it is in {result.done['full_output']} ...]", result.stdout)
        head, _, tail = result.stdout.partition("\n[...")
        self.assertTrue(whole.startswith(head))
        self.assertTrue(whole.endswith(tail.partition("...]\n")[2]))
        with open(os.path.join(self.host.work, result.done["full_output"])) as f:
            self.assertEqual(f.read(), whole)
        self.assertEqual(self.good(f"len(open({result.done['full_output']!r}).read())").value, str(len(whole)))
        self.assertEqual(result.files, [], "the spool is no file of the model's")

    def test_one_big_write_of_wide_characters(self):
        result = self.good("print('a' + 'é€' * 50_000)")
        self.assertLess(len(result.stdout.encode()), 1200)
        self.assertTrue(result.stdout.endswith("é€\n"))
        head = result.stdout.partition("\n[...")[0]
        self.assertEqual(head, ("a" + "é€" * 200)[: len(head)])

    def test_streams_are_capped_apart(self):
        result = self.good("import sys\nprint('o' * 5000); print('e' * 20, file=sys.stderr)")
        self.assertEqual(result.stderr, "e" * 20 + "\n")
        self.assertEqual(result.done["stderr_cut"], 0)
        with open(os.path.join(self.host.work, result.done["full_output"])) as f:
            self.assertEqual(f.read(), "o" * 5000 + "\n" + "e" * 20 + "\n")

    def test_the_spool_is_bounded(self):
        result = self.good("for i in range(20000): print('y' * 20)")
        size = os.path.getsize(os.path.join(self.host.work, result.done["full_output"]))
        self.assertLessEqual(size, 100_000)
        self.assertTrue(any("size limit" in w for w in result.done["warnings"]))

    def test_old_spools_are_dropped(self):
        for _ in range(8):
            self.good("print('z' * 5000)")
        self.assertLessEqual(len(os.listdir(os.path.join(self.host.work, ".output"))), 5)

    def test_a_spool_that_cannot_be_made_is_a_warning(self):
        self.good("open('.output', 'w').close(); kept = 41")
        result = self.good("print('z' * 5000)")
        self.assertEqual(result.done["full_output"], "")
        self.assertTrue(any("could not be kept" in w for w in result.done["warnings"]), result.done)
        self.kept()

    def test_without_a_limit_nothing_is_spooled(self):
        with Host(output_limit=1 << 40) as host:
            result = host.run("for _ in range(300): print('x' * 9999)")
            self.assertEqual(len(result.stdout), 3_000_000)
            self.assertEqual((result.done["full_output"], os.listdir(host.work)), ("", []))

    def test_no_output_at_all(self):
        with Host(output_limit=0) as host:
            result = host.run("print('abc')")
            self.assertEqual(result.done["stdout_cut"], 4)


class Flood(Case):
    def test_200_megabytes(self):
        self.good("kept = 41")
        result = self.good("s = 'x' * 999\nfor _ in range(200_000): print(s)")
        self.assertLess(len(result.stdout), 70_000)
        self.assertEqual(result.done["stdout_cut"] + 65536, 200_000_000)
        self.kept()


if __name__ == "__main__":
    unittest.main()
