"""Big data: what is packed, and what is read, where nothing else is installed."""

import ctypes
import os
import socket
import sys
import threading
import types
import unittest

from host import modules


def worker_module(name):
    """The module, made as in a worker, for these tests only."""
    made = {}
    for full, source in modules():
        module = types.ModuleType(full)
        made[full] = sys.modules[full] = module
        exec(compile(source, f"<{full}>", "exec", dont_inherit=True), module.__dict__)
        if full == name:
            break
    for full in made:
        del sys.modules[full]
    return made[name]


bulk = worker_module("strands_worker.bulk")


class Pack(unittest.TestCase):
    def test_small_arguments_are_plain(self):
        self.assertEqual(bulk.pack({"a": b"x", "b": 1}, frozenset()), b'{"a":"eA==","b":1}')

    def test_scalars_take_the_same_form_on_the_short_way(self):
        class Text(str):
            pass

        for value in (1, "é\ud800", 1.5, True, None, float("nan"), Text("t"), 10**30, [1]):
            with self.subTest(value=value):
                short = bulk.pack({"a": value, "$b": 2}, frozenset())
                self.assertEqual(short, bulk.encode({"a": value, "$b": 2}))
        self.assertIsNone(bulk.scalars({"a": float("inf")}))
        self.assertIsNone(bulk.scalars({"a": Text("t")}))
        with self.assertRaisesRegex(ValueError, "infinity"):
            bulk.pack({"a": float("inf")}, frozenset())

    def test_long_bytes_lie_aside(self):
        big = bytes(range(256)) * 256
        parcel = bulk.pack({"a": big, "b": bytearray(big), "c": 2}, frozenset())
        self.assertEqual(parcel.size, 2 * len(big))
        self.assertEqual(
            parcel.arguments(b"\1" * 8),
            b'{"a":{"$attached":["0101010101010101",0,65536,"application/octet-stream"]},'
            b'"b":{"$attached":["0101010101010101",65536,65536,"application/octet-stream"]},"c":2}',
        )
        self.assertEqual(b"".join(parcel.pieces()), big * 2)

    def test_parts_are_aligned(self):
        parcel = bulk.pack({"a": bytes(65537), "b": b"\1" * 65537}, frozenset())
        data = b"".join(parcel.pieces())
        self.assertEqual(parcel.size, len(data))
        self.assertEqual(data[65600:], b"\1" * 65537)
        self.assertEqual(data[65537:65600], bytes(63))

    def test_a_file_is_filled_and_closed(self):
        read, write = os.pipe()
        os.close(read)
        with self.assertRaises(OSError):
            bulk.pack({"a": bytes(70_000)}, frozenset()).save_to(bulk.Descriptor(write))
        with self.assertRaises(OSError):
            os.fstat(write)

    def test_tables_without_pyarrow(self):
        self.addCleanup(setattr, bulk, "HAS_ARROW", bulk.HAS_ARROW)
        bulk.HAS_ARROW = False
        rows = [{"a": 1}, {"a": None}]
        self.assertEqual(bulk.pack({"t": rows}, frozenset(["t"])), b'{"t":[{"a":1},{"a":null}]}')
        self.assertEqual(
            bulk.pack({"t": {"a": [1, 2], "b": ["x", "y"]}}, frozenset(["t"])),
            b'{"t":{"columns":[["a",""],["b",""]],"rows":[[1,"x"],[2,"y"]]}}',
        )


class Read(unittest.TestCase):
    def test_behind_the_json(self):
        body = b"head" + (2).to_bytes(4, "little") + b"{}" + b"0123456789"
        data = bulk.behind(body, 4)
        self.assertEqual((bytes(data.text), data.copy(2, 3)), (b"{}", b"234"))
        view = data.view(0, 4)
        view[0] = 65  # it is ours to change
        self.assertEqual((bytes(view), body[10:14]), (b"A123", b"0123"))

    def test_a_descriptor_that_was_lost(self):
        data = bulk.Beside(b"head" + bytes(8), 4, bulk.Descriptor(-1))
        for use in (data.copy, data.view):
            with self.assertRaisesRegex(OSError, "too many files"):
                use(0, 1)

    def test_new_bytes_with_and_without_ctypes(self):
        def fill(into):
            into[:1], into[-1:] = b"a", b"z"

        for size in (2, 70_000, 5 << 20):
            with self.subTest(size=size):
                made = bulk._bytes(size, fill)
                self.assertEqual((type(made), len(made), made[:1], made[-1:]), (bytes, size, b"a", b"z"))
        self.assertIsInstance(bulk._new_bytes, bulk._NewBytes)
        self.addCleanup(setattr, bulk, "_new_bytes", bulk._new_bytes)
        bulk._new_bytes = None
        self.assertEqual(bulk._bytes(3, fill), b"a\0z")

    def test_a_ctypes_that_the_model_replaced(self):
        self.addCleanup(setattr, bulk, "_new_bytes", bulk._new_bytes)
        self.addCleanup(sys.modules.__setitem__, "ctypes", ctypes)
        sys.modules["ctypes"] = types.SimpleNamespace(pythonapi=None, c_void_p=1, c_ssize_t=1)
        bulk._new_bytes = False
        self.assertEqual(bulk._bytes(2, lambda into: into.__setitem__(0, 65)), b"A\0")
        self.assertIsNone(bulk._new_bytes)

    def test_more_than_there_is_memory_for(self):
        for make in (bulk._memory, lambda n: bulk._bytes(n, lambda into: None)):
            with self.assertRaises(MemoryError):
                make(1 << 60)


@unittest.skipUnless(hasattr(os, "readv"), "no descriptor is passed here")
class Through(unittest.TestCase):
    """Big data through a socket."""

    def message(self, data, announced=None):
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        sender = threading.Thread(target=lambda: (ours.sendall(data), ours.close()))
        sender.start()
        self.addCleanup(sender.join)
        body = b"head" + (announced or len(data)).to_bytes(8, "little") + b"[1]"
        return bulk.Beside(body, 4, bulk.Descriptor(theirs.detach()))

    def test_parts_in_order_with_gaps(self):
        first, second, third = os.urandom(70_001), os.urandom(5 << 20), os.urandom(65_536)
        data = self.message(first + bytes(-70_001 % 64) + second + third)
        self.assertEqual(bytes(data.text), b"[1]")
        self.assertEqual(data.copy(0, 70_001), first)
        view = data.view(70_016, 5 << 20)
        view[0] ^= 255
        self.assertEqual((view[0] ^ 255, view[1:]), (second[0], second[1:]))
        self.assertEqual(data.copy(70_016 + (5 << 20), 65_536), third)
        data.close()
        self.assertEqual(data.socket.fd, -1)

    def test_fetched(self):
        sent = os.urandom(3_000_000)
        data = self.message(sent)
        fetched = data.fetch()
        self.assertEqual(data.socket.fd, -1)
        self.assertEqual((bytes(fetched.text), fetched.copy(10, 2_000_000)), (b"[1]", sent[10:2_000_010]))
        view = fetched.view(64, 100)
        view[:1] = b"x"

    def test_data_that_ends_early(self):
        for use in (lambda d: d.copy(0, 100), lambda d: d.view(0, 100), lambda d: d.fetch().text):
            with self.assertRaisesRegex(OSError, "of 100 bytes from the host 7 came"):
                use(self.message(b"1234567", 100))


if __name__ == "__main__":
    unittest.main()
