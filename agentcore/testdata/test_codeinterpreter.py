"""Tests of codeinterpreter.py, outside of a sandbox."""

import contextlib
import importlib.util
import io
import json
import os
import sys
import tempfile
import time
import unittest

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "codeinterpreter.py")


def load(folder):
    os.chdir(folder)  # which it takes for the working directory
    spec = importlib.util.spec_from_file_location("_codeinterpreter", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Session(unittest.TestCase):
    def setUp(self):
        before = os.getcwd()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, before)
        self.addCleanup(lambda: [t.close() for t in self.module._tasks.values()])
        self.folder = os.path.realpath(folder.name)
        self.module = load(self.folder)
        os.chdir(before)

    def call(self, function, *args):
        """Returns what is printed to both streams, and the exit status."""
        out, err, status = io.StringIO(), io.StringIO(), None
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                getattr(self.module, function)(*args)
            except SystemExit as e:
                status = e.code
        return out.getvalue(), err.getvalue(), status

    def ask(self, function, *args):
        out, err, status = self.call(function, *args)
        self.assertEqual((err, status), ("", None))
        return json.loads(out)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text=""):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as f:
            f.write(text)

    def test_listing_is_one_level_deep(self):
        self.write("a.txt", "abc")
        self.write(".hidden")
        self.write("sub/inner.txt")
        os.symlink("/etc", self.path("link"))
        self.assertEqual([(e["name"], e["directory"], e["size"]) for e in self.ask("listing", "")],
                         [(".hidden", False, 0), ("a.txt", False, 3), ("sub", True, 0)])  # fmt: skip
        self.assertEqual([e["name"] for e in self.ask("listing", "sub")], ["sub/inner.txt"])
        for path in ("missing", "link", "a.txt"):
            out, err, status = self.call("listing", path)
            self.assertEqual((out, status), ("", 1), path)
            self.assertIn(path, err)

    def test_listing_leaves_no_descriptor(self):
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            self.ask("listing", "")
            self.call("listing", "missing/deep")
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_remove(self):
        self.write("a.txt")
        self.write("sub/deep/b.txt")
        outside = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, outside)
        os.symlink(outside, self.path("link"))
        failed = self.ask("remove", ["a.txt", "sub", "missing", "link/x", "link"])
        self.assertEqual([f.partition(":")[0] for f in failed], ["missing", "link/x"])
        self.assertEqual(os.listdir(self.folder), [])
        self.assertTrue(os.path.isdir(outside))

    def test_command(self):
        self.assertEqual(self.call("command", "echo out; echo err >&2; exit 3"), ("out\n", "err\n", 3))
        self.assertEqual(self.call("command", "pwd"), (self.folder + "\n", "", 0))
        self.assertEqual(self.call("command", "printf '\\xff\\303'; printf '\\244'")[0], "\ufffd\u00e4")
        self.assertEqual(self.call("command", "kill -9 $$")[2], 137)

    def test_command_does_not_wait_for_what_it_leaves(self):
        begin = time.monotonic()
        out, _, status = self.call("command", "sleep 300 & echo $!")
        os.kill(int(out), 9)
        self.assertEqual(status, 0)
        self.assertLess(time.monotonic() - begin, 120)

    def test_tasks(self):
        self.ask("start", "t1", "echo x; exit 2")
        told = self.wait("t1")
        self.assertEqual((told["status"], told["stdout"], told["exitCode"]), ("failed", "x\n", 2))
        self.assertEqual(self.ask("start", "t2", "exec sleep 100")["status"], "working")
        told = self.ask("task", "t2", True)
        self.assertEqual((told["status"], told["exitCode"]), ("canceled", 137))
        self.assertEqual(self.ask("task", "t1", True)["status"], "failed")
        self.assertIn("no task t3", self.call("task", "t3", False)[1])

    def end_scripts(self):
        with self.module._scripts.process as p:
            self.module._kill(p)

    def wait(self, name):
        while (told := self.ask("task", name, False))["status"] == "working":
            time.sleep(0.01)
        return told

    def test_long_output_of_a_task(self):
        self.ask("start", "t", "head -c 3000000 /dev/zero | tr '\\0' x")
        text = self.wait("t")["stdout"]
        self.assertLess(len(text), 1 << 21)
        self.assertIn("bytes left out", text)

    def test_finished_tasks_make_room(self):
        for i in range(70):
            self.ask("start", f"t{i}", "true")
            self.wait(f"t{i}")
        self.assertLessEqual(len(self.module._tasks), 64)

    def test_clear(self):
        names = sys.modules["__main__"].__dict__
        kept = dict(names)
        self.addCleanup(names.update, kept)
        names["of_the_user"] = 1
        self.module.clear()
        self.assertNotIn("of_the_user", names)
        self.assertIn("__name__", names)

    def test_scripts(self):
        worker = self.path("worker")
        self.write("worker", f"""#!{sys.executable}
import json, os, sys
n = 0
for line in sys.stdin:
    request = json.loads(line)
    if request["code"] == "die": os.kill(os.getpid(), 9)
    n += 1
    print(json.dumps({{"stdout": f"{{n}} {{request['code']}}", "stderr": "e", "exitCode": 4, "lost": False}}), flush=True)
""")  # fmt: skip
        os.chmod(worker, 0o755)
        self.addCleanup(self.end_scripts)

        def run(code):
            return self.call("script", [worker], json.dumps({"code": code}))

        self.assertEqual(run("a"), ("1 a", "e", 4))
        self.assertEqual(run("b"), ("2 b", "e", 4))
        out, err, status = run("die")
        self.assertEqual((out, status), ("", 1))
        self.assertIn("SIGKILL", err)
        self.assertEqual(run("c"), ("1 c", "e", 4))


if __name__ == "__main__":
    unittest.main()
