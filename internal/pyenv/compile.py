# Compiles every module below argv[1] as if it lay in argv[2]. A file that is
# no valid Python (packages ship templates and tests of old syntax) is left out.
import compileall
import py_compile
import sys


def compile_all(workers):
    compileall.compile_dir(
        sys.argv[1],
        maxlevels=40,
        quiet=2,
        workers=workers,
        stripdir=sys.argv[1],
        prependdir=sys.argv[2],
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


if __name__ == "__main__":
    try:
        compile_all(0)
    except (OSError, ImportError):  # no semaphores on this machine, so no pool
        compile_all(1)
