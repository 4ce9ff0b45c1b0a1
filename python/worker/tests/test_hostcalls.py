"""Host functions: native to Python, from every thread and every loop."""

import json
import threading
import time
import unittest

from host import NO_ANSWER, Case, Host, function

ROI = function(
    7, "calculate_roi", "investment: float", "final: float", "currency: str = \"EUR\"", "note: str = null",
    returns="float", doc="Return on investment.\n\nAs a percentage.",
)  # fmt: skip


class Functions(Case):
    config = {
        "namespaces": [
            {
                "module": "finance", "doc": "Money matters.",
                "functions": [ROI, function(8, "echo", "value: Any = null"), function(9, "fail", "kind: str"),
                              function(10, "count", "n: int", stream=True), function(11, "slow", "n: float"),
                              function(12, "odd", "class: str", "max-rows: int = 5", "last: int"),
                              function(13, "endless", stream=True), function(14, "broken", stream=True),
                              function(15, "noargs", returns="list[int]"), function(16, "meet"),
                              function(17, "held"), function(18, "release"), function(19, "stuck"), function(21, "is_stuck")],
                "objects": [{"name": "docs", "doc": "The documents.", "methods": [function(20, "search", "query: str", "limit: int = 3", returns="list[str]", doc="Find.")]}],
            },
        ],
    }  # fmt: skip

    def setUp(self):
        self.seen, self.gate, self.stuck = [], threading.Event(), threading.Event()
        self.functions = {
            7: lambda a: self.note(a) or 25.0,
            8: lambda a: a.get("value"),
            9: self.fail_as,
            10: lambda a: iter(range(a["n"])),
            11: lambda a: time.sleep(a["n"]) or a["n"],
            12: lambda a: self.note(a),
            13: self.endless,
            14: self.broken,
            15: lambda a: [1, 2],
            16: lambda a: self.all.wait(60),
            17: lambda a: self.gate.wait(60),
            18: lambda a: self.gate.set(),
            19: lambda a: self.stuck.set() or NO_ANSWER,
            21: lambda a: self.stuck.wait(60),
            20: lambda a: self.note(a) or ["hit"] * a.get("limit", 3),
        }
        super().setUp()

    def note(self, arguments):
        self.seen.append(arguments)

    def fail_as(self, arguments):
        raise type(arguments["kind"], (Exception,), {})("it broke")

    def endless(self, arguments):
        n = 0
        while True:
            yield n
            n += 1
            time.sleep(0.002)

    def broken(self, arguments):
        yield 1
        raise ValueError("no more")

    def test_a_span_is_refused_where_its_unit_could_be_mistaken(self):
        self.good("import datetime")
        for code in ("count(datetime.timedelta(seconds=30))", "odd(1, last=datetime.timedelta(1))"):
            self.assertIn("takes no timedelta for", self.bad(code, "TypeError").error["message"])
        self.assertEqual(self.good("slow(datetime.timedelta(0))").value, "0.0")

    def test_positional_keyword_and_defaults(self):
        for code, arguments in (
            ("calculate_roi(1000, 1250)", {"investment": 1000, "final": 1250}),
            ("calculate_roi(final=2, investment=1)", {"investment": 1, "final": 2}),
            ("calculate_roi(1, 2, 'USD', note='n')", {"investment": 1, "final": 2, "currency": "USD", "note": "n"}),
            ("calculate_roi(1, 2, note=None)", {"investment": 1, "final": 2}),
            ("calculate_roi(*[1], **{'final': 2})", {"investment": 1, "final": 2}),
        ):
            self.assertEqual(self.good(code).value, "25.0")
            self.assertEqual(self.seen.pop(), arguments)

    def test_wrong_arguments_are_type_errors_that_show_the_signature(self):
        for code, why in (
            ("calculate_roi(1)", "missing the argument 'final'"),
            ("calculate_roi(1, 2, 3, 4, 5)", "takes 4 positional arguments but 5 were given"),
            ("calculate_roi(1, 2, x=1)", "unexpected keyword argument 'x'"),
            ("calculate_roi(1, final=2, investment=1)", "multiple values for argument 'investment'"),
        ):
            message = self.bad(code, "TypeError").error["message"]
            self.assertIn(why, message)
            self.assertIn("it is calculate_roi(investment: float, final: float, currency: str = 'EUR', note: str = None) -> float", message)
        self.assertEqual(self.seen, [])

    def test_it_looks_native(self):
        code = """
import inspect, finance, typing
from finance import calculate_roi as f
assert f is calculate_roi and f is finance.calculate_roi
assert inspect.isfunction(f) and inspect.iscoroutinefunction(f.aio)
assert (f.__name__, f.__qualname__, f.__module__) == ('calculate_roi', 'calculate_roi', 'finance')
assert f.__doc__.startswith('Return on investment.') and finance.__doc__ == 'Money matters.'
assert inspect.signature(f).parameters['currency'].default == 'EUR'
assert f.__annotations__['investment'] is float and f.__annotations__['return'] is float
assert sorted(finance.__all__)[:2] == ['broken', 'calculate_roi']
str(inspect.signature(noargs)), str(inspect.signature(docs.search))
"""
        self.assertEqual(self.good(code).value, "('() -> list[int]', '(query: str, limit: int = 3) -> list[str]')")
        text = self.good("help(calculate_roi)").stdout
        self.assertIn("calculate_roi(investment: float, final: float, currency: str = 'EUR', note: str = None) -> float", " ".join(text.split()).replace("( ", "(").replace(" )", ")"))
        self.assertIn("As a percentage.", text)

    def test_names_that_python_cannot_write(self):
        self.good("odd('a', 7, last=1)")
        self.assertEqual(self.seen.pop(), {"class": "a", "max-rows": 7, "last": 1})
        self.good("odd(class_='a', max_rows=2, last=1)")
        self.assertEqual(self.seen.pop(), {"class": "a", "max-rows": 2, "last": 1})
        self.good("odd(**{'class': 'a', 'last': 1})")
        self.assertEqual(self.seen.pop(), {"class": "a", "last": 1})
        self.assertIn("class_: str, max_rows: int = 5, *, last: int", self.bad("odd()", "TypeError").error["message"])

    def test_objects(self):
        self.assertEqual(self.good("docs.search('x', limit=2)").value, "['hit', 'hit']")
        self.assertEqual(self.good("from finance import docs as d; d.search('x')").value, "['hit', 'hit', 'hit']")
        self.assertEqual(self.good("docs").value, "<docs: search(query: str, limit: int = 3) -> list[str]>")
        self.assertEqual(self.good("docs.__doc__").value, "'The documents.'")
        self.assertIn("docs.search() missing", self.bad("docs.search()", "TypeError").error["message"])
        self.assertEqual(self.good("await docs.search.aio('x', 1)").value, "['hit']")

    def test_errors_are_exceptions(self):
        self.assertEqual(self.bad("fail('ValueError')", "ValueError").error["message"], "it broke")
        self.assertEqual(self.good("try: fail('TimeoutError')\nexcept TimeoutError as e: print(e)").stdout, "it broke\n")
        error = self.bad("fail('NotFound')", "NotFound").error
        self.assertIn('File "<cell 3>", line 1', error["traceback"])
        self.assertNotIn("strands", error["traceback"])
        self.assertEqual(self.good("try: fail('NotFound')\nexcept RuntimeError as e: print(type(e).__name__)").stdout, "NotFound\n")
        for name in ("KeyboardInterrupt", "SystemExit", "UnicodeDecodeError", "ExceptionGroup", "print", "not a name", ""):
            result = self.host.run(f"try: fail({name!r})\nexcept Exception as e: print(e)")
            self.assertEqual(result.stdout, "it broke\n", name)

    def test_results_are_records(self):
        code = """
r = echo({'name': 'x', 'items': [{'n': 1}], 'deep': {'deeper': {'value': 3}}})
assert isinstance(r, dict) and r == {'name': 'x', 'items': [{'n': 1}], 'deep': {'deeper': {'value': 3}}}
assert r.name == 'x' and r.deep.deeper.value == 3 and r['items'][0].n == 1
import pickle, copy, json
assert type(pickle.loads(pickle.dumps(r))) is dict and copy.deepcopy(r) == r
json.dumps(r)
r.new = 5
assert r['new'] == 5 and 'name' in dir(r)
del r.new
repr(r)
"""
        self.assertIn("'name': 'x'", self.good(code).value)
        self.assertIn("no field 'nme'; there are: name, items, deep", self.bad("r.nme", "AttributeError").error["message"])

    def test_streams_are_generators(self):
        self.assertEqual(self.good("list(count(5))").value, "[0, 1, 2, 3, 4]")
        self.assertEqual(self.good("g = count(3); [next(g), next(g), next(g), next(g, 'end')]").value, "[0, 1, 2, 'end']")
        self.assertEqual(self.good("[x async for x in count.aio(3)]").value, "[0, 1, 2]")
        self.good("g = count(3)")
        self.assertEqual(self.good("list(g)").value, "[0, 1, 2]", "it starts when it is asked")
        self.bad("count('x', 2)", "TypeError")

    def test_a_stream_may_end_in_an_error(self):
        self.assertEqual(self.bad("for x in broken(): print(x)", "ValueError").stdout, "1\n")

    def test_a_stream_that_is_left_is_cancelled(self):
        self.good("for x in endless():\n  if x == 3: break\ndel x")
        self.assertEqual(len(self.host.cancelled), 1)
        self.good("g = endless(); next(g); g.close()")
        self.assertEqual(len(self.host.cancelled), 2)
        self.good("async for x in endless.aio():\n  if x == 3: break")
        self.good("echo(1)")

    def test_a_stream_of_an_earlier_run(self):
        self.good("g = endless(); next(g)")
        self.assertIn("has ended", self.bad("for i in g: pass", "RuntimeError").error["message"])
        self.assertEqual(self.good("echo(2)").value, "2")

    def test_threads_call_at_once(self):
        code = """
import threading
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    out = list(pool.map(echo, range(400)))
assert out == list(range(400)), out
assert list(ThreadPoolExecutor(4).map(lambda n: list(count(n)), [3, 4, 5, 6])) == [list(range(n)) for n in (3, 4, 5, 6)]
"""
        self.good(code)

    def test_slow_calls_overlap(self):
        self.all = threading.Barrier(9)  # no call returns before all are under way
        self.good("import threading\nts = [threading.Thread(target=meet) for _ in range(8)]\n[t.start() for t in ts]; meet(); [t.join() for t in ts]")
        self.all = threading.Barrier(8)
        self.good("import asyncio\nawait asyncio.gather(*[meet.aio() for _ in range(8)])")

    def test_main_thread_threads_and_coroutines_together(self):
        code = """
import asyncio, threading
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(3)
def work(n): return [echo(i) for i in range(n)]
async def main():
    futures = [pool.submit(work, 60) for _ in range(3)]
    out = await asyncio.gather(*[echo.aio(i) for i in range(60)])
    mixed = [echo(i) for i in range(20)]
    more = await asyncio.gather(*[echo.aio(i) for i in range(60)], asyncio.to_thread(work, 30))
    return out, mixed, more, [f.result() for f in futures]
out, mixed, more, threads = await main()
assert out == list(range(60)) and mixed == list(range(20)) and more[:60] == out and more[60] == list(range(30))
assert threads == [list(range(60))] * 3
"""
        for _ in range(5):
            self.good(code)

    def test_loops_in_other_threads(self):
        self.good("import asyncio, threading\nbox = []\nasync def f(): box.extend(await asyncio.gather(*[echo.aio(i) for i in range(20)]))\nts = [threading.Thread(target=lambda: asyncio.run(f())) for _ in range(3)]\n[t.start() for t in ts]; [t.join() for t in ts]\nassert sorted(box) == sorted(list(range(20)) * 3)")

    def test_a_cancelled_coroutine_drops_its_reply(self):
        code = "import asyncio\ntry: await asyncio.wait_for(held.aio(), 0.05)\nexcept asyncio.TimeoutError: print('late')\nrelease(); slow(0.5)"
        self.assertEqual(self.good(code).stdout, "late\n")

    def test_threads_of_a_run_that_is_over_get_an_error(self):
        code = """
import os, threading, time
box = []
def work():
    try: stuck()
    except RuntimeError as e: box.append(str(e))
t = threading.Thread(target=work); t.start(); is_stuck()
"""
        self.good(code)
        self.assertEqual(self.good("t.join(); box").value, "['the snippet that made this call has ended']")
        code = """
def work():
    while not os.path.exists('go'): time.sleep(0.01)
    try: echo(1)
    except RuntimeError as e: box.append(str(e))
    finally: os.mkdir('went')
t = threading.Thread(target=work); t.start()
"""
        self.good(code)
        self.host.between_runs("go", "went")
        self.assertIn("only while a snippet runs", self.good("t.join(); box[-1]").value)

    def test_the_next_run_is_read_past_a_thread_that_reads_for_all(self):
        code = """
import threading
def work():
    try: stuck()
    except RuntimeError: pass
t = threading.Thread(target=work); t.start(); is_stuck()
"""
        for _ in range(200):  # the end of a run and the next request are to meet in every way
            self.stuck.clear()
            self.good(code)
            self.good("t.join()")

    def test_text_printed_before_a_call_is_sent_before_it(self):
        result = self.good("for i in range(3000): print(i)\necho(1)\nprint('after')")
        order = [(k, b) for k, b in result.frames if k in b"ok"]
        at = next(i for i, (k, _) in enumerate(order) if k == b"k")
        self.assertTrue(order[at - 1][1].endswith(b"2999\n"))

    def test_big_arguments_and_results(self):
        self.assertEqual(self.good("s = 'x' * 5_000_000; echo(s) == s").value, "True")
        self.assertIn("the limit is", self.bad("echo('x' * 17_000_000)", "ValueError").error["message"])
        self.good("echo(1)")

    def test_a_call_in_repr_and_in_a_finalizer(self):
        self.assertEqual(self.good("class R:\n  def __repr__(self): return echo('shown')\nR()").value, "shown")
        self.good("class D:\n  def __del__(self): echo(1)\nd = D(); del d")


class Replies(unittest.TestCase):
    """Replies that come late, twice, out of order or to nobody."""

    config = {"namespaces": [{"functions": [function(1, "f", "x: int")]}]}

    def test_out_of_order(self):
        held = []

        def answer(arguments):
            return NO_ANSWER

        with Host(functions={1: answer}, **self.config) as host:
            run = []

            def on_frame(kind, body):
                if kind == b"k":
                    held.append((int.from_bytes(body[:4], "little"), json.loads(body[8:])["x"]))
                    if len(held) == 6:
                        for call, x in reversed(held):
                            host.reply(b"another!", call, 0, "wrong")
                            host.reply(run[0], call, 0, x * 10)
                            host.reply(run[0], call, 0, "twice")

            original = host.request
            host.request = lambda kind, body: run.append(original(kind, body)) or run[-1]
            result = host.run("import asyncio\nawait asyncio.gather(*[f.aio(i) for i in range(6)])", on_frame=on_frame)
            self.assertEqual(result.value, "[0, 10, 20, 30, 40, 50]")
            host.reply(run[0], held[0][0], 0, "after the end")
            self.assertEqual(host.run("1 + 1").value, "2")

    def test_no_json(self):
        with Host(functions={1: lambda a: NO_ANSWER}, **self.config) as host:
            run = host.request(b"E", b"f(1)")
            kind, body = host.receive()
            host.send(b"R", run + body[8:12] + b"\0" + b"{not json")
            while kind != b"d":
                kind, body = host.receive()
            self.assertIn(json.loads(body[8:])["error"]["type"], ("ValueError", "json.decoder.JSONDecodeError"))
            self.assertIsNone(host.run("1").error)

    def test_byte_by_byte(self):
        with Host(functions={1: lambda a: a["x"]}, **self.config) as host:
            whole = host.write

            def dribble(data):
                for i in range(len(data)):
                    whole(data[i : i + 1])

            host.write = dribble
            self.assertEqual(host.run("[f(i) for i in range(5)]").value, "[0, 1, 2, 3, 4]")


class Pipes(unittest.TestCase):
    """The channel of systems without sockets, tried where there are both."""

    def test_everything_works_over_pipes(self):
        with Host(functions={1: lambda a: a["x"], 2: lambda a: iter([1, 2])}, pipes=True,
                  namespaces=[{"functions": [function(1, "f", "x: Any"), function(2, "s", stream=True)]}]) as host:  # fmt: skip
            for code, value in (
                ("1 + 1", "2"), ("f(5)", "5"), ("list(s())", "[1, 2]"), ("f('x' * 300_000) == 'x' * 300_000", "True"),
                ("import asyncio\nawait asyncio.gather(*[f.aio(i) for i in range(20)]) == list(range(20))", "True"),
                ("[x async for x in s.aio()]", "[1, 2]"),
                ("from concurrent.futures import ThreadPoolExecutor\nlist(ThreadPoolExecutor(4).map(f, range(50))) == list(range(50))", "True"),
            ):  # fmt: skip
                result = host.run(code)
                self.assertEqual(result.value, value, result.error)

    def test_interrupts(self):
        with Host(functions={1: lambda a: NO_ANSWER}, pipes=True, namespaces=[{"functions": [function(1, "f")]}]) as host:
            host.run("kept = 41")
            for code in ("while True: pass", "f()", "import asyncio; await f.aio()"):
                result = host.run(code, interrupts=[0.2, 0.3])
                self.assertEqual(result.error["type"], "KeyboardInterrupt", code)
                self.assertEqual(host.run("kept").value, "41")

    def test_the_end(self):
        host = Host(pipes=True)
        host.run("x = 1")
        self.assertEqual(host.close(), 0)


if __name__ == "__main__":
    unittest.main()
