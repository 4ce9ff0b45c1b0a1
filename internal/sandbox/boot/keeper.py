"""Keepers: the first process of each session's pid namespace.

A keeper runs nothing of a session and takes no input. With its end the kernel ends every process of the namespace, and
forks whose parent has gone become its children. It is forked by a process that has imported nothing, the maker: a fork of
the warm parent would cost what a session costs. One keeper is always ready, so that no session waits for it, nor for the
other namespaces that it comes with: to make one for the network the kernel may wait until others have been taken down.
"""

import os
import signal
import socket
import struct
import time
from typing import NoReturn

import _sandbox_kernel as kernel
import _sandbox_share as share

ALL = kernel.NEWPID | kernel.READY_MADE
LINGER = 0.25  # seconds that the host has to see how a process ended, where the kernel does not remember it


class Keepers:
    """The warm parent's end."""

    def __init__(self, remembered: bool) -> None:
        """remembered: the kernel tells of processes that were buried. Raises StepError or OSError when this machine has no keepers."""
        self._channel, theirs = socket.socketpair()
        if os.fork() == 0:
            _make(theirs.detach(), remembered)
        theirs.close()
        self._spare = self._receive()

    def take(self) -> int:
        """A pidfd of the next keeper, which is the caller's to close. Another one is made meanwhile."""
        keeper, self._spare = self._spare, -1
        if keeper < 0:
            keeper = self._receive()
        self._channel.send(b"k")
        return keeper

    def _receive(self) -> int:
        said, ancillary, _, _ = self._channel.recvmsg(1000, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                return struct.unpack("=i", data)[0]
        raise OSError(said.decode() or "the maker of keepers has ended")


def _make(channel_fd: int, remembered: bool) -> NoReturn:
    """Makes a keeper now, and another for each byte that comes."""
    try:
        own = kernel.pidfd_open(os.getppid())
        os.dup2(own, 3)
        os.dup2(channel_fd, 4)
        kernel.close_from(5)
        channel = socket.socket(fileno=4)
        kernel.set_name("python-maker")
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries keepers
        first = True
        while True:
            try:
                kernel.unshare(ALL, "unsharing the session's namespaces")
                pid = os.fork()
                if pid == 0:
                    _keep(remembered)
                kernel.setns(3, ALL, "returning to the warm parent's namespaces")
                keeper = kernel.pidfd_open(pid)
            except (kernel.StepError, OSError) as e:
                channel.send(str(e).encode()[:1000])
                os._exit(1)
            channel.sendmsg([b"k"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("=i", keeper))])
            os.close(keeper)
            if first:
                share.share()
                first = False
            if not channel.recv(1):
                os._exit(0)
    finally:
        os._exit(1)


def _keep(remembered: bool) -> NoReturn:
    """Never returns. The signals of the session's processes do nothing: they are blocked, and it is their namespace's init."""
    try:
        kernel.set_name("python-keeper")
        if not remembered:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        os.setsid()
        os.chdir("/")
        kernel.close_from(0)
        kernel.bound_capabilities(0)
        kernel.set_capabilities(0)
        kernel.prctl(kernel.SET_DUMPABLE, 0)
        kernel.check(kernel.prctl(kernel.SET_NO_NEW_PRIVS, 1), "no_new_privs")
        while remembered:
            time.sleep(1 << 20)  # the kernel buries those whose end nobody wants to know
        while True:
            signal.sigwait({signal.SIGCHLD})
            time.sleep(LINGER)
            _reap()
    finally:
        os._exit(1)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
