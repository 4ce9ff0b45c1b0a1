"""The output folder and figures."""

import json
import os
import struct
import time
import unittest

from host import Case, Host


class Files(Case):
    def names(self, code):
        return sorted(f["name"] for f in self.good(code).files)

    def test_new_and_changed_files_are_told_once(self):
        result = self.good("open('a.csv', 'w').write('1,2'); import os; os.makedirs('d/e'); open('d/e/p.PNG', 'wb').write(b'x' * 5); None")
        self.assertEqual(
            sorted(result.files, key=lambda f: f["name"]),
            [{"name": "a.csv", "mime": "text/csv", "size": 3}, {"name": "d/e/p.PNG", "mime": "image/png", "size": 5}],
        )
        self.assertEqual(self.names("pass"), [])
        self.assertEqual(self.names("open('a.csv', 'a').write('3')"), ["a.csv"])
        self.assertEqual(self.names("open('d/e/new.weird', 'w').close()"), ["d/e/new.weird"])
        self.assertEqual(self.names("os.remove('a.csv')"), [])

    def test_changes_in_the_same_instant_are_seen(self):
        for i in range(60):
            self.assertEqual(self.names(f"f = open('f{i}', 'w'); f.close()"), [f"f{i}"])
        # What a clock of few ticks would do, done by hand.
        self.good("import os; open('a', 'w').close(); tick = os.stat('.').st_mtime_ns")
        self.assertEqual(self.names("open('b', 'w').close(); os.utime('.', ns=(tick, tick))"), ["b"])

    def test_a_quiet_folder_stays_cheap_and_is_still_watched(self):
        self.good("import os; os.mkdir('sub')")
        time.sleep(0.1)
        self.good("pass")
        self.good("pass")
        self.assertEqual(self.names("open('sub/x', 'w').close()"), ["sub/x"])
        time.sleep(0.1)
        self.good("pass")
        self.assertEqual(self.names("open('sub/x', 'w').write('more')"), ["sub/x"])

    def test_files_after_an_error_and_an_interrupt(self):
        self.assertEqual(self.bad("open('e', 'w').close(); 1/0", "ZeroDivisionError").files[0]["name"], "e")
        result = self.host.run("open('i', 'w').close()\nwhile True: pass", interrupts=[0.2])
        self.assertEqual(result.files[0]["name"], "i")

    def test_links_and_other_things_are_no_files(self):
        self.assertEqual(self.names("import os; os.symlink('/etc/passwd', 'link'); os.symlink('/etc', 'dir'); os.mkfifo('fifo')"), [])
        self.assertEqual(self.list(), [])

    def test_too_many_files_are_cut_off(self):
        result = self.good("for i in range(5000): open(f'n{i}', 'w').close()")
        self.assertEqual(len(result.files), 4096)

    def test_strange_names(self):
        self.host.run("import os\nopen(b'\\xff\\xfe', 'w').close(); open('a\\nb', 'w').close(); open('x' * 250, 'w').close()")
        self.assertEqual(len(self.list()), 3)

    # --- requests

    def answer(self, kind, body):
        run = self.host.request(kind, body)
        answered, body = self.host.receive()
        self.assertEqual(body[:8], run)
        return answered, body[8:]

    def list(self):
        kind, body = self.answer(b"L", b"")
        self.assertEqual(kind, b"l")
        return json.loads(body)

    def read(self, name):
        run = self.host.request(b"G", name.encode())
        data = b""
        while True:
            kind, body = self.host.receive()
            self.assertEqual(body[:8], run)
            if kind == b"x":
                raise OSError(json.loads(body[8:])["message"])
            self.assertEqual(kind, b"g")
            self.assertLessEqual(len(body), 1 << 20)
            if len(body) == 8:
                return data
            data += body[8:]

    def write(self, name, *pieces):
        for i, piece in enumerate(pieces):
            place = (1 if i == 0 else 0) | (2 if i == len(pieces) - 1 else 0)
            encoded = name.encode()
            kind, body = self.answer(b"W", struct.pack("<BH", place, len(encoded)) + encoded + piece)
            if kind == b"x":
                raise OSError(json.loads(body)["message"])
            self.assertEqual((kind, body), (b"w", b""))

    def test_read_write_list(self):
        big = os.urandom(3_000_000)
        self.write("in/put.bin", big[:1_000_000], big[1_000_000:2_000_000], big[2_000_000:])
        self.write("small", b"abc")
        self.write("empty", b"")
        self.assertEqual({f["name"]: f["size"] for f in self.list()}, {"in/put.bin": 3_000_000, "small": 3, "empty": 0})
        self.assertEqual(self.read("in/put.bin"), big)
        self.assertEqual(self.read("empty"), b"")
        result = self.good("len(open('in/put.bin', 'rb').read())")
        self.assertEqual((result.value, result.files), ("3000000", []), "what the host wrote is no news")
        self.write("small", b"z")
        self.assertEqual(self.read("small"), b"z")
        self.assertEqual(self.names("open('small', 'a').write('!')"), ["small"])

    def test_names_do_not_leave_the_folder(self):
        self.good("import os; os.symlink('/etc', 'etc'); os.symlink('/etc/passwd', 'passwd'); os.mkfifo('fifo'); os.mkdir('dir')")
        for name in ("/etc/passwd", "../boot.json", "a/../../boot.json", "etc/passwd", "passwd", "fifo", "dir", "", ".", "./x", "a//b", "nothing", "x\0y", "\\etc"):
            with self.assertRaises(OSError, msg=name):
                self.read(name)
        for name in ("/tmp/evil", "../evil", "etc/evil", "passwd", "dir", "", "a/./b"):
            with self.assertRaises(OSError, msg=name):
                self.write(name, b"x")
        self.assertFalse(os.path.exists(os.path.join(self.host.dir.name, "evil")))
        self.good("1")

    def test_pieces_out_of_order(self):
        encoded = b"late"
        kind, body = self.answer(b"W", struct.pack("<BH", 0, len(encoded)) + encoded + b"data")
        self.assertEqual(kind, b"x")
        self.assertIn("not begun", json.loads(body)["message"])

    def test_the_folder_is_gone(self):
        self.keep()
        self.good("import os, shutil; shutil.rmtree(os.getcwd())")
        self.assertEqual(self.list(), [])
        self.kept()


MATPLOTLIB = [
    {"name": "matplotlib", "source": "", "package": True},
    {"name": "matplotlib._pylab_helpers", "package": False, "source": """
class Figure:
    def __init__(self, num): self.num, self.canvas, self.figure, self.bad = num, self, self, None
    def savefig(self, target, format, bbox_inches):
        if self.bad: raise self.bad
        assert format == 'png'
        target.write(b'PNG %d' % self.num)
class Gcf:
    figs = {}
    @classmethod
    def get_all_fig_managers(cls): return list(cls.figs.values())
    @classmethod
    def destroy(cls, manager): del cls.figs[manager.num]
def figure():
    f = Figure(len(Gcf.figs) + 1); Gcf.figs[f.num] = f; return f
"""},
]  # fmt: skip


class Figures(Case):
    """With a stand-in for matplotlib, which is no part of a bare interpreter."""

    config = {"modules": MATPLOTLIB}
    prepare = "from matplotlib._pylab_helpers import figure, Gcf\n"

    def test_open_figures_are_captured_and_closed(self):
        self.assertEqual(self.good(self.prepare + "figure(); figure()").pictures, [b"PNG 1", b"PNG 2"])
        again = self.good("len(Gcf.figs)")
        self.assertEqual((again.pictures, again.value), ([], "0"))

    def test_after_an_exception_and_an_interrupt(self):
        self.assertEqual(self.bad(self.prepare + "figure(); 1/0", "ZeroDivisionError").pictures, [b"PNG 1"])
        result = self.host.run("figure()\nwhile True: pass", interrupts=[0.2])
        self.assertEqual((result.pictures, result.done["interrupted"]), ([b"PNG 1"], True))

    def test_a_figure_that_cannot_be_drawn(self):
        result = self.good(self.prepare + "figure().bad = ValueError('no font'); figure(); figure().bad = KeyboardInterrupt()")
        self.assertEqual(result.pictures, [b"PNG 2"])
        self.assertIn("a figure could not be drawn: ValueError: no font", result.done["warnings"])
        self.assertEqual(self.good("len(Gcf.figs)").value, "0")

    def test_drawing_that_hangs_is_interrupted(self):
        self.keep()
        code = self.prepare + "f = figure()\ndef hang(*a, **k):\n  while True: pass\nf.savefig = hang"
        result = self.host.run(code, interrupts=[0.3, 0.3])
        self.assertTrue(result.done["interrupted"])
        self.kept()

    def test_a_broken_matplotlib(self):
        self.keep()
        self.host.run("import sys; sys.modules['matplotlib._pylab_helpers'] = 5")
        self.kept()

    def test_switched_off(self):
        with Host(figures=False, modules=MATPLOTLIB) as host:
            self.assertEqual(host.run(self.prepare + "figure()").pictures, [])

    def test_matplotlib_is_not_imported_for_it(self):
        with Host() as host:
            self.assertEqual(host.run("import sys; [m for m in sys.modules if 'matplotlib' in m]").value, "[]")
            self.assertEqual(host.run("import os; os.environ['MPLBACKEND']").value, "'Agg'")


if __name__ == "__main__":
    unittest.main()
