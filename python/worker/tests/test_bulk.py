"""Big data: what is packed, and what is read, where nothing else is installed."""

import os
import sys
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
        text, data = bulk.unpack(body, 4, None)
        self.assertEqual((bytes(text), data.copy(2, 3)), (b"{}", b"234"))
        view = data.view(0, 4)
        view[0] = 65  # it is ours to change
        self.assertEqual((bytes(view), body[10:14]), (b"A123", b"0123"))

    def test_a_descriptor_that_was_lost(self):
        with self.assertRaisesRegex(OSError, "too many files"):
            bulk.unpack(b"head" + bytes(8), 4, bulk.Descriptor(-1))


if __name__ == "__main__":
    unittest.main()
