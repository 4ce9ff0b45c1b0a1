"""Snippets: values, errors, state, the module they live in, initialization."""

import unittest

from host import Case, Host, function


class Values(Case):
    def test_last_expression_is_shown(self):
        self.assertEqual(self.good("x = 6\nx * 7").value, "42")
        self.assertIsNone(self.good("x").error)
        self.assertEqual(self.good("_ + 1").value, "7")

    def test_none_and_statements_show_nothing(self):
        self.assertIsNone(self.good("None").value)
        self.assertIsNone(self.good("y = 1").value)
        self.assertIsNone(self.good("").value)

    def test_underscore_is_the_models_own_when_it_assigns_it(self):
        self.good("_ = 'mine'\n5")
        self.assertEqual(self.good("_").value, "'mine'")

    def test_value_is_bounded(self):
        value = self.good("'é' * 200_000").value
        self.assertLess(len(value.encode()), 65536 + 100)
        self.assertRegex(value, r"\[\.\.\. \d+ bytes left out \.\.\.\]")
        self.assertTrue(value.endswith("é'"))

    def test_repr_that_raises_is_an_error_and_no_more(self):
        self.good("class Bad:\n  def __repr__(self): raise KeyboardInterrupt('no')\nkept = 41")
        self.bad("Bad()", "KeyboardInterrupt")
        self.kept()

    def test_surrogates(self):
        result = self.good("print('a\\ud800b'); '\\udfff'")
        self.assertEqual(result.stdout, "a\\ud800b\n")
        self.assertEqual(result.value, "'\\udfff'")


class Errors(Case):
    def test_traceback_names_cell_line_and_source(self):
        self.good("def f(n):\n    return 1 / n")
        text = self.bad("import json\n\nf(0)", "ZeroDivisionError").error["traceback"]
        self.assertIn('File "<cell 2>", line 3, in <module>\n    f(0)\n', text)
        self.assertIn('File "<cell 1>", line 2, in f\n    return 1 / n\n', text)
        self.assertNotIn("strands_worker", text)

    def test_frames_of_libraries_are_left_out(self):
        error = self.bad("import json\njson.loads('{')", "json.decoder.JSONDecodeError").error
        self.assertIn("line 2, in <module>", error["traceback"])
        self.assertNotIn("decoder.py", error["traceback"])
        self.assertIn("Expecting property name", error["message"])

    def test_chained_exceptions(self):
        text = self.bad("try: 1/0\nexcept ZeroDivisionError as e: raise ValueError('outer') from e", "ValueError")
        self.assertIn("ZeroDivisionError: division by zero", text.error["traceback"])
        self.assertIn("direct cause", text.error["traceback"])

    def test_syntax_error_runs_nothing(self):
        error = self.bad("print('ran')\nx = = 1", "SyntaxError")
        self.assertEqual(error.stdout, "")
        self.assertIn('File "<cell 1>", line 2', error.error["traceback"])

    def test_output_before_the_error_is_kept(self):
        self.assertEqual(self.bad("print('before'); 1/0", "ZeroDivisionError").stdout, "before\n")

    def test_own_exception_types(self):
        self.assertEqual(self.bad("class Oops(Exception): pass\nraise Oops('x')", "Oops").error["message"], "x")

    def test_system_exit_is_reported_and_state_kept(self):
        self.good("kept = 41")
        for code in ("import sys; sys.exit(3)", "raise SystemExit(3)", "exit(3)", "quit(3)"):
            self.assertEqual(self.bad(code, "SystemExit").error["message"], "3")
        self.kept()

    def test_huge_message_is_cut(self):
        error = self.bad("raise ValueError('x' * 10_000_000)", "ValueError").error
        self.assertLess(len(error["message"]), 40_000)
        self.assertLess(len(error["traceback"]), 80_000)

    def test_source_that_is_no_utf8_or_has_nulls(self):
        run = self.host.request(b"E", b"'\xff'\n")
        while True:
            kind, body = self.host.receive()
            if kind == b"d":
                break
        self.assertEqual(body[:8], run)
        self.assertIn(self.host.run("x = '\0'").error["type"], ("SyntaxError", "ValueError"))
        self.assertEqual(self.good("1 + 1").value, "2")

    def test_deeply_nested_source(self):
        self.good("kept = 41")
        result = self.host.run("(" * 5000 + ")" * 5000)
        self.assertIn(result.error["type"], ("SyntaxError", "MemoryError", "RecursionError"))
        result = self.host.run("-" * 100_000 + "1")
        self.assertIn(result.error["type"], ("SyntaxError", "MemoryError", "RecursionError"))
        self.kept()


class Main(Case):
    def test_it_is_a_real_module(self):
        code = """
import sys, pickle, dataclasses, typing
@dataclasses.dataclass
class Point:
    x: int
    y: "Point | None" = None
assert sys.modules["__main__"].__dict__ is globals()
assert __name__ == "__main__" and Point.__module__ == "__main__"
assert pickle.loads(pickle.dumps(Point(3))) == Point(3)
assert typing.get_type_hints(Point)["x"] is int
"""
        self.good(code)
        self.assertEqual(self.good("pickle.loads(pickle.dumps([Point(1)]))").value, "[Point(x=1, y=None)]")

    def test_source_of_functions_can_be_read(self):
        self.good("def twice(x):\n    return 2 * x")
        self.assertEqual(self.good("import inspect; inspect.getsource(twice)").value, repr("def twice(x):\n    return 2 * x"))

    def test_nothing_of_the_worker_is_in_sight(self):
        self.assertEqual(self.good("import sys; [m for m in sys.modules if 'strands' in m]").value, "[]")
        self.assertEqual(self.good("sorted(n for n in globals() if not n.startswith('__'))").value, "['sys']")


class Await(Case):
    def test_top_level_await(self):
        result = self.good("import asyncio\nawait asyncio.sleep(0, 'a')")
        self.assertEqual(result.value, "'a'")
        self.assertEqual(self.good("x = await asyncio.sleep(0, 'b')\nx").value, "'b'")
        self.assertEqual(self.good("async def agen():\n  yield 1\n[v async for v in agen()]").value, "[1]")

    def test_the_loop_and_its_tasks_live_on(self):
        self.good("import asyncio\nbox = []\nasync def later():\n  await asyncio.sleep(0.01)\n  box.append(1)")
        first = self.good("async def start():\n  global t\n  t = asyncio.create_task(later())\nawait start()")
        self.assertTrue(any("task" in w for w in first.done["warnings"]), first.done)
        self.assertEqual(self.good("await t\nbox").value, "[1]")

    def test_asyncio_run_works_in_plain_cells(self):
        self.assertEqual(self.good("import asyncio\nasync def f(): return 5\nasyncio.run(f())").value, "5")
        self.assertEqual(self.good("await asyncio.sleep(0, 6)").value, "6")

    def test_errors_in_coroutines_name_the_cell(self):
        error = self.bad("import asyncio\nasync def f():\n    1/0\nawait f()", "ZeroDivisionError").error
        self.assertIn('File "<cell 1>", line 3, in f', error["traceback"])


class Initialization(unittest.TestCase):
    def test_runs_once_before_the_first_snippet(self):
        with Host(init=["count = 0", "count += 1\nprint('init')"], guard=True) as host:
            first = host.run("count")
            self.assertEqual((first.stdout, first.value), ("init\n", "1"))
            second = host.run("count")
            self.assertEqual((second.stdout, second.value), ("", "1"))

    def test_its_imports_are_authorised(self):
        with Host(init=["import colorsys\nfrom xml.dom import minidom"], guard=True) as host:
            for code in ("colorsys.__name__", "import colorsys", "from xml.dom import minidom", "import xml.dom.minidom"):
                self.assertIsNone(host.run(code).error, code)
            self.assertEqual(host.run("import os").error["type"], "ImportError")

    def test_an_error_is_reported_until_it_is_gone(self):
        with Host(init=["import nothing_of_that_name"]) as host:
            for _ in range(2):
                error = host.run("1").error
                self.assertEqual((error["type"], error["stage"]), ("ModuleNotFoundError", "initialization"))
                self.assertIn("<init 1>", error["traceback"])

    def test_modules(self):
        modules = [
            {"name": "fin.roi", "source": "import fin.base\nRATE = 1\ndef roi(x):\n  return fin.base.f(x)\ndef _h(): pass\n", "package": False},
            {"name": "fin.base", "source": "def f(x): return x * 2", "package": False},
            {"name": "pack", "source": "from pack.inner import thing\n__all__ = ['thing']", "package": True},
            {"name": "pack.inner", "source": "thing = 9\ndef hidden(): return 1/0", "package": False},
        ]  # fmt: skip
        with Host(modules=modules, guard=True) as host:
            for code, value in (
                ("roi(4)", "8"), ("fin.base.f(1)", "2"), ("thing", "9"), ("'_h' in globals()", "False"),
                ("'RATE' in globals()", "False"), ("'hidden' in globals()", "False"),
                ("from pack.inner import hidden; hidden.__module__", "'pack.inner'"),
            ):  # fmt: skip
                result = host.run(code)
                self.assertEqual(result.value, value, result.error)
            error = host.run("hidden()").error
            self.assertIn('File "<module pack.inner>", line 2, in hidden\n    def hidden()', error["traceback"])

    def test_a_broken_module_is_an_initialization_error(self):
        with Host(modules=[{"name": "bad", "source": "x = (", "package": False}]) as host:
            error = host.run("1").error
            self.assertEqual((error["type"], error["stage"]), ("SyntaxError", "initialization"))

    def test_names_of_namespaces_are_there(self):
        spaces = [{"module": "acme.money", "doc": "Money.", "functions": [function(1, "pay")], "objects": []}]
        with Host(namespaces=spaces, functions={1: lambda a: "paid"}, guard=True) as host:
            for code in ("pay()", "import acme.money; acme.money.pay()", "from acme.money import pay; pay()"):
                self.assertEqual(host.run(code).value, "'paid'")
            self.assertEqual(host.run("acme.money.__doc__").value, "'Money.'")


if __name__ == "__main__":
    unittest.main()
