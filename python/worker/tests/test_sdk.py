"""The package strands, as tool files import it."""

import asyncio
import datetime
import sys
import unittest
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from strands import Agent, ToolContext, _docstring, tool  # noqa: E402
from strands._inputs import normalized  # noqa: E402
from strands._serve import _result, _tools_of, _wrapped  # noqa: E402
from strands._types import Describer, Invalid, Unknown  # noqa: E402


@dataclass
class Point:
    x: int
    y: int = 0


def parsed(hint: Any, value: Any) -> Any:
    return Describer().describe(hint)[1](value)


class Types(unittest.TestCase):
    def test_coercion(self) -> None:
        for hint, given, want in [
            (int, "5", 5), (int, 5.0, 5), (int, "5.00", 5), (int, True, 1), (float, "1.5", 1.5), (float, 1, 1.0), (bool, "yes", True),
            (bool, 0, False), (bytes, "ä", "ä".encode()), (str, "x", "x"), (list[int], ["1", 2], [1, 2]), (set[int], [1, 1], {1}),
            (tuple[int, str], [1, "a"], (1, "a")), (tuple[int, ...], [1, 2], (1, 2)), (dict[str, int], {"a": "1"}, {"a": 1}),
            (Optional[int], None, None), (Union[int, str], "5", "5"), (Union[int, float], "1.5", 1.5), (Literal["a", 1], 1, 1),
            (datetime.date, "2026-01-02", datetime.date(2026, 1, 2)), (Point, {"x": "1", "z": 2}, {"x": 1, "y": 0}),
            (Annotated[int, "said"], "3", 3), (Any, {"a": 1}, {"a": 1}),
        ]:  # fmt: skip
            with self.subTest(hint=hint, given=given):
                got = parsed(hint, given)
                self.assertEqual(got, want)
                self.assertIs(type(got), type(want))

    def test_refusals(self) -> None:
        for hint, given, want in [
            (int, "x", "valid integer"), (int, 1.5, "fractional"), (int, float("inf"), "fractional"), (int, None, "valid integer"),
            (str, 5, "valid string"), (bool, "maybe", "valid boolean"), (bool, 2, "valid boolean"), (list[int], "ab", "valid list"),
            (tuple[int, str], [1], "2 items"), (Literal["a"], "b", "'a'"), (Literal[1], True, "1"), (Point, {}, "x\n  Field required"),
            (dict[str, int], {"k": "x"}, "k\n"), (list[Point], [{"x": 1}, {"x": "q"}], "1.x\n"), (datetime.date, "soon", "valid date"),
        ]:  # fmt: skip
            with self.subTest(hint=hint, given=given), self.assertRaises(Invalid) as caught:
                parsed(hint, given)
            self.assertIn(want, str(caught.exception))

    def test_unknown(self) -> None:
        with self.assertRaises(Unknown):
            Describer().describe(type("Strange", (), {}))


class Docstrings(unittest.TestCase):
    def test_styles(self) -> None:
        google = "Sum.\n\nArgs:\n    a (int): one\n        and more\n    b: two: three\n\nReturns:\n    it"
        self.assertEqual(_docstring.parameters(google), {"a": "one\nand more", "b": "two: three"})
        self.assertEqual(_docstring.description(google), "Sum.\n\nReturns:\n    it")
        self.assertEqual(_docstring.parameters("Sum.\n\n:param a: one\n:param int b: two"), {"a": "one", "b": "two"})
        numpy = "Sum.\n\nParameters\n----------\na : int\n    one\nb\n    two"
        self.assertEqual(_docstring.parameters(numpy), {"a": "one", "b": "two"})
        self.assertEqual(_docstring.parameters("Nothing."), {})
        self.assertEqual(_docstring.parameters(":broken"), {})


class Decorator(unittest.TestCase):
    def test_stays_a_function(self) -> None:
        @tool
        def add(a: int, b: int = 2) -> int:
            """Add."""
            return a + b

        self.assertEqual(add(1), 3)
        self.assertEqual((add.__name__, add.__doc__, add.tool_name, add.tool_type), ("add", "Add.", "add", "function"))
        self.assertEqual(add.tool_spec["inputSchema"]["json"]["required"], ["a"])

    def test_methods(self) -> None:
        class Counter:
            def __init__(self) -> None:
                self.n = 0

            @tool
            def step(self, by: int = 1) -> int:
                """Step."""
                self.n += by
                return self.n

        one, two = Counter(), Counter()
        self.assertEqual((one.step(), one.step(by=3), two.step()), (1, 4, 1))
        self.assertEqual(list(one.step.tool_spec["inputSchema"]["json"]["properties"]), ["by"])

    def test_context(self) -> None:
        @tool(context=" ctx ")
        def fine(ctx: ToolContext, agent: Any, *args: Any, n: int = 1, **kwargs: Any) -> None: ...

        self.assertEqual(list(fine.tool_spec["inputSchema"]["json"]["properties"]), ["n"])
        for context, want in [(False, "write @tool"), (" ", "names no parameter"), ("other", "must be the parameter 'other'")]:
            with self.subTest(context=context), self.assertRaisesRegex(ValueError, want):

                @tool(context=context)
                def wrong(ctx: ToolContext) -> None: ...

    def test_names_and_specs(self) -> None:
        with self.assertRaises(ValueError):
            tool(name=5)(lambda: None)  # type: ignore[arg-type]

        @tool
        def f(a: int) -> None:
            """F."""

        changed = {**f.tool_spec, "description": "G."}
        f.tool_spec = changed
        self.assertEqual(f.tool_spec["description"], "G.")
        for bad in ({**changed, "name": "g"}, {"name": "f", "description": ""}):
            with self.assertRaises(ValueError):
                f.tool_spec = bad
        with self.assertRaisesRegex(RuntimeError, "Go program"):
            Agent()

    def test_normalized(self) -> None:
        made = normalized({"properties": {"a": 1, "b": {}, "c": {"anyOf": []}, "d": {"type": "object", "properties": {"e": {}}}}})
        self.assertEqual(made["properties"]["a"], {"type": "string", "description": "Property a"})
        self.assertEqual(made["properties"]["b"], {"type": "string", "description": "Property b"})
        self.assertNotIn("type", made["properties"]["c"])
        self.assertEqual(made["properties"]["d"]["properties"]["e"]["type"], "string")
        deep: dict[str, Any] = {}
        for _ in range(100):
            deep = {"type": "object", "properties": {"x": deep}}
        with self.assertRaises(ValueError):
            normalized(deep)


class Serving(unittest.TestCase):
    def test_results(self) -> None:
        for value, want in [
            ("x", "x"), (None, "null"), ({"ä": 1}, '{"ä": 1}'), ({"status": 1}, '{"status": 1}'), (float("nan"), "NaN"), (Point(1), "Point(x=1, y=0)"),
        ]:  # fmt: skip
            with self.subTest(value=value):
                self.assertEqual(_wrapped(value)["content"], [{"text": want}])
        given = {"status": "error", "content": [{"json": {"a": datetime.date(2026, 1, 2)}}]}
        self.assertEqual(_wrapped(given), {"status": "error", "content": [{"json": '{"a": "2026-01-02"}'}]})

    def test_generators(self) -> None:
        async def items() -> Any:
            yield 1
            await asyncio.sleep(0)
            yield 2

        seen: list[Any] = []
        self.assertEqual(_result(items(), lambda op, body: seen.append(body["content"][0]["text"])), 2)
        self.assertEqual(seen, ["1", "2"])

    def test_what_is_no_tool_file(self) -> None:
        import types

        for names, want in [({}, "no TOOL_SPEC"), ({"TOOL_SPEC": {"name": "m"}}, "no function m"), ({"TOOL_SPEC": {"a": 1}, "m": 5}, "not a function")]:
            module = types.ModuleType("m")
            module.__dict__.update(names)
            with self.subTest(names=names), self.assertRaisesRegex((AttributeError, TypeError), want):
                _tools_of(module, "m", "")


if __name__ == "__main__":
    unittest.main()
