"""Values across the border, both ways."""

import unittest

from host import Case, function


class Values(Case):
    config = {"namespaces": [{"functions": [function(1, "send", "value: Any"), function(2, "get", "what: str")]}]}

    def setUp(self):
        self.sent = None
        self.answer = None
        self.functions = {1: self.take, 2: lambda a: self.answer}
        super().setUp()

    def take(self, arguments):
        self.sent = arguments["value"]

    def crosses(self, code, expected):
        self.good(code)
        self.assertEqual(self.sent, expected, code)
        self.assertEqual(type(self.sent), type(expected), code)

    def test_plain_values(self):
        for code, expected in (
            ("send(1)", 1), ("send(2.5)", 2.5), ("send('é\\n')", "é\n"), ("send(True)", True), ("send([])", []),
            ("send((1, 2))", [1, 2]), ("send({'a': {'b': [None]}})", {"a": {"b": [None]}}), ("send({1: 2})", {"1": 2}),
            ("send(10**30)", 10**30), ("send('\\ud800')", "\ud800"), ("send({})", {}), ("send({'a': (1, {2: 3})})", {"a": [1, {"2": 3}]}),
        ):  # fmt: skip
            self.crosses(code, expected)

    def test_types_of_the_standard_library(self):
        self.good("import datetime as dt, decimal, enum, dataclasses, pathlib, collections, uuid")
        for code, expected in (
            ("send(b'\\x00\\xff')", "AP8="), ("send(bytearray(b'a'))", "YQ=="), ("send(memoryview(b'a'))", "YQ=="),
            ("send(dt.datetime(2026, 11, 21, 4, 5, 6))", "2026-11-21T04:05:06Z"),
            ("send(dt.datetime(2026, 11, 21, 4, 5, 6, 7, dt.timezone(dt.timedelta(hours=2))))", "2026-11-21T04:05:06.000007+02:00"),
            ("send(dt.date(2026, 11, 21))", "2026-11-21"), ("send(dt.time(4, 5))", "04:05:00"), ("send(dt.timedelta(seconds=90))", 90.0),
            ("send(decimal.Decimal('1.10'))", "1.10"), ("send(decimal.Decimal('nan'))", None),
            ("send(pathlib.Path('a/b'))", "a/b"), ("send({3, 1, 2})", [1, 2, 3]), ("send(frozenset('a'))", ["a"]), ("send(range(3))", [0, 1, 2]),
            ("class C(enum.Enum):\n  RED = 'red'\nsend(C.RED)", "red"), ("class I(enum.IntEnum):\n  ONE = 1\nsend([I.ONE])", [1]),
            ("@dataclasses.dataclass\nclass P:\n  x: int\n  y: 'P' = None\nsend(P(1, P(2)))", {"x": 1, "y": {"x": 2, "y": None}}),
            ("send(collections.OrderedDict(a=1))", {"a": 1}), ("send(collections.deque([1]))", [1]), ("send({'a': 1}.keys())", ["a"]),
            ("send(collections.namedtuple('N', 'a b')(1, 2))", [1, 2]), ("send({dt.date(2026, 1, 2): 1})", {"2026-01-02": 1}),
            ("class S(str):\n  def __str__(self): return 'other'\nsend([S('own')])", ["own"]),
            ("class F(float): pass\nsend([F(1.5)])", [1.5]), ("send(uuid.UUID(int=1))", "00000000-0000-0000-0000-000000000001"),
        ):  # fmt: skip
            self.crosses(code, expected)

    def test_numbers_that_are_none(self):
        for code, expected in (("send(float('nan'))", None), ("send([1.5, float('nan')])", [1.5, None]), ("send({'a': {'b': float('nan')}})", {"a": {"b": None}})):
            self.crosses(code, expected)
        self.assertIn("infinity cannot be sent", self.bad("send(float('inf'))", "ValueError").error["message"])
        self.bad("send([1, [-float('inf')]])", "ValueError")

    def test_shapes_of_numpy_and_pandas(self):
        code = """
class Kind:
    def __init__(self, kind): self.kind = kind
class Array:
    __module__ = 'numpy'
    def __init__(self, data, kind='i'): self.data, self.dtype = data, Kind(kind)
    def __len__(self): return len(self.data)
    def __iter__(self): raise AssertionError
    def __getitem__(self, i): raise AssertionError
    def astype(self, name): return Array([('as', name)], 'O')
    def tolist(self): return self.data
class Frame:
    columns = ['a']
    def to_dict(self, orient): return [{'a': 1.5, 'b': NAType()}, {'a': float('nan'), 'b': 2}] if orient == 'records' else 1/0
    def __len__(self): return 2
    def __iter__(self): raise AssertionError
class NAType:
    def __eq__(self, other): raise TypeError
    def __bool__(self): raise TypeError
"""
        self.good(code)
        for code, expected in (
            ("send(Array([1, 2]))", [1, 2]), ("send(Array(5))", 5), ("send({'x': Array([[1.0, float('nan')]])})", {"x": [[1.0, None]]}),
            ("send(Array([1], 'M'))", [["as", "datetime64[us]"]]), ("send(Array([1], 'm'))", [["as", "timedelta64[us]"]]),
            ("send(Frame())", [{"a": 1.5, "b": None}, {"a": None, "b": 2}]), ("send(NAType())", None),
        ):  # fmt: skip
            self.crosses(code, expected)

    def test_depth_is_bounded(self):
        self.crosses("v = 1\nfor _ in range(60): v = [v]\nsend(v) or None", self.nested(60))
        self.assertIn("64 levels", self.bad("v = 1\nfor _ in range(70): v = [v]\nsend(v)", "ValueError").error["message"])
        self.bad("v = []; v.append(v); send(v)", "ValueError")
        self.bad("v = {}; v['v'] = v; send(v)", "ValueError")
        self.bad("v = 1\nfor _ in range(10**5): v = (v,)\nsend(v)", "ValueError")
        self.good("del v")

    @staticmethod
    def nested(levels):
        value = 1
        for _ in range(levels):
            value = [value]
        return value

    def test_what_has_no_form_is_refused(self):
        for value in ("object()", "len", "(x for x in 'a')", "1j", "[object()]", "{'a': len}", "{(1, 2): 3}", "open"):
            self.assertIn("cannot be sent", self.bad(f"send({value})", "TypeError").error["message"])
        self.bad("class P:\n  def __fspath__(self): return 1 / 0\nsend(P())", "ZeroDivisionError")
        self.assertIsNone(self.sent)

    def test_tags_from_the_host(self):
        for answer, shown in (
            ({"$bytes": "AP8="}, "b'\\x00\\xff'"),
            ({"$date": "2026-11-21"}, "datetime.date(2026, 11, 21)"),
            ({"$datetime": "2026-11-21T04:05:06.123456789Z"}, "datetime.datetime(2026, 11, 21, 4, 5, 6, 123456, tzinfo=datetime.timezone.utc)"),
            ({"$datetime": "2026-11-21T04:05:06.5+02:00"}, "datetime.datetime(2026, 11, 21, 4, 5, 6, 500000, tzinfo=datetime.timezone(datetime.timedelta(seconds=7200)))"),
            ({"$datetime": "2026-11-21T04:05:06Z"}, "datetime.datetime(2026, 11, 21, 4, 5, 6, tzinfo=datetime.timezone.utc)"),
            ({"$decimal": "1.10"}, "Decimal('1.10')"),
            ({"$$bytes": 1}, "{'$bytes': 1}"),
            ({"$other": 1}, "{'$other': 1}"),
            ({"$bytes": "AA==", "b": 1}, "{'$bytes': 'AA==', 'b': 1}"),
            ([{"d": {"$date": "2026-01-01"}}], "[{'d': datetime.date(2026, 1, 1)}]"),
            ("é\ud800", "'é\\ud800'"),
            (10**30, str(10**30)),
        ):
            self.answer = answer
            self.assertEqual(self.good("get('x')").value, shown)


if __name__ == "__main__":
    unittest.main()
