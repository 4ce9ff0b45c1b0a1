"""What to add to an exception so that the model knows which limit it met."""

from strands_worker.private import BUILTINS as __builtins__
from strands_worker.private import own

import errno
import os

os = own(os)

try:
    import resource

    resource = own(resource)
except ImportError:  # Windows
    resource = None

_PROCESSES = ("fork", "spawn", "exec", "system", "popen", "Popen", "subprocess", "Process")
_NETWORK = ("socket", "connect", "urlopen", "request", "http")
_PROCESS_FILES = {"subprocess.py", "popen_fork.py", "popen_spawn_posix.py", "popen_forkserver.py", "pty.py"}
_NETWORK_FILES = {"socket.py", "ssl.py", "connection.py", "client.py"}


def hint(error: BaseException, place: tuple[set[str], str], workdir: str) -> str:
    """A sentence about an exception, or "".

    place is where it comes from: the base names of files on its way, and the
    innermost line of the model's code.
    """
    if isinstance(error, MemoryError):
        limit = _limit("RLIMIT_AS")
        return f"the session may use {limit >> 20} MiB of memory" if limit else ""
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        threads = _limit("RLIMIT_NPROC")
        return f"the session's limit of {f'{threads} ' if threads else ''}threads is reached; join or reuse threads"
    if not isinstance(error, OSError):
        return ""
    number = error.errno
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"the session's {_quota(workdir)} is used up; delete files"
    if number == errno.EFBIG:
        return f"a file may have at most {_limit('RLIMIT_FSIZE') >> 20} MiB here"
    if number == errno.EMFILE:
        return f"at most {_limit('RLIMIT_NOFILE')} files may be open; close some"
    if number in (errno.EPERM, errno.EACCES, errno.EAGAIN, errno.ENOSYS) and error.filename is None:
        return _forbidden(place)
    return ""


def _forbidden(place: tuple[set[str], str]) -> str:
    files, line = place
    if files & _PROCESS_FILES or any(word in line for word in _PROCESSES):
        return "processes are not allowed here; use Python libraries"
    if files & _NETWORK_FILES or any(word in line for word in _NETWORK):
        return "the network is not allowed here; use the functions offered"
    return ""


def _limit(name: str) -> int:
    if resource is None:
        return 0
    soft = resource.getrlimit(getattr(resource, name))[0]
    return soft if soft != resource.RLIM_INFINITY else 0


_OWN_INODES = 3  # of the folders themselves, which the quota has on top


def _quota(workdir: str) -> str:
    try:
        info = os.statvfs(workdir)
    except (OSError, AttributeError):
        return "disk quota"
    if info.f_files and not info.f_ffree:
        return f"quota of {info.f_files - _OWN_INODES} files"
    return f"disk quota of {info.f_blocks * info.f_frsize >> 20} MiB"
