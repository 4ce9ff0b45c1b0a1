"""The file system of the warm parent: the interpreter, read-only, and nothing else of the host."""

import os
from typing import Any

import _sandbox_kernel as kernel

DEVICES = ("null", "zero", "full", "random", "urandom")

# The new root is put together on a tmpfs over one of these folders.
PLACES = ("/tmp", "/mnt", "/srv", "/run")


def make_point(path: str, folder: bool) -> None:
    """Makes a mount point for a folder or a file."""
    if folder:
        os.makedirs(path, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def mount_proc(target: str) -> None:
    kernel.mount("proc", target, "proc", kernel.NOSUID | kernel.NODEV | kernel.NOEXEC, "subset=pid")


def _fill(new: str, old: str, plan: "dict[str, Any]") -> None:
    for path, target in plan["links"]:
        os.makedirs(os.path.dirname(new + path), exist_ok=True)
        os.symlink(target, new + path)
    for path in plan["binds"]:
        make_point(new + path, os.path.isdir(old + path))
        kernel.mount(old + path, new + path, "", kernel.BIND | kernel.REC)
        kernel.read_only(new + path)
    for name in DEVICES:
        make_point(f"{new}/dev/{name}", False)
        kernel.mount(f"{old}/dev/{name}", f"{new}/dev/{name}", "", kernel.BIND)
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(f"/proc/self/{target}", f"{new}/dev/{name}")
    for name in ("proc", "tmp", "work", "mnt"):
        os.makedirs(f"{new}/{name}", exist_ok=True)


def build(plan: "dict[str, Any]") -> str:
    """Moves this process into the root that plan describes. /tmp in it is a tmpfs to be unmounted.

    Returns why there is no /proc; "" when there is.
    """
    kernel.mount("", "/", "", kernel.REC | kernel.PRIVATE)
    place = next((p for p in PLACES if os.path.isdir(p)), "/")
    kernel.mount("tmpfs", place, "tmpfs", kernel.NOSUID | kernel.NODEV, "size=4m,mode=755")
    os.chdir(place)
    os.mkdir("new", 0o755)
    os.mkdir("old", 0o755)
    kernel.mount("new", "new", "", kernel.BIND)
    kernel.pivot_root(".", "old")
    os.chdir("/")
    _fill("/new", "/old", plan)
    no_proc = ""
    try:
        mount_proc("/new/proc")
    except kernel.StepError as e:
        no_proc = str(e)
    kernel.mount("tmpfs", "/new/tmp", "tmpfs", kernel.NOSUID | kernel.NODEV | kernel.NOEXEC, "size=512m,mode=1777")
    kernel.unmount("/old")
    os.chdir("/new")
    kernel.pivot_root(".", ".")
    kernel.unmount(".")
    os.chdir("/")
    flags = kernel.BIND | kernel.REMOUNT | kernel.RDONLY | kernel.NOSUID | kernel.NODEV
    kernel.mount("", "/", "", flags)
    return no_proc
