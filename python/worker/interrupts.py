"""SIGINT raises KeyboardInterrupt in the model's code, and nowhere else.

A frame is the worker's when its builtins are the private ones, the model's
when its builtins are the model's; the rest are libraries. Only libraries and
the model may see the exception: thrown into the worker it could tear a frame
on the channel or lose a reply.
"""

from strands_worker.private import BUILTINS as __builtins__
from strands_worker.private import BUILTINS

import _signal
import sys
from types import CodeType, FrameType
from typing import Any, Callable

SIGNALS: tuple[int, ...] = tuple(
    getattr(_signal, name) for name in ("SIGINT", "SIGBREAK") if hasattr(_signal, name)
)
_pthread_sigmask = getattr(_signal, "pthread_sigmask", None)
_signal_signal = _signal.signal
_settrace = sys.settrace
_setprofile = sys.setprofile
_INTERRUPT = KeyboardInterrupt


def _tripwire() -> Callable[[FrameType, str, Any], Any]:
    """A trace function in C that makes SIGINT due, and is not unset by it.

    A trace function that raises is removed by the interpreter, so it would
    stop the first line only. This one returns, and the handler, which runs at
    the next chance, raises.
    """
    try:
        import ctypes

        trip = ctypes.pythonapi["PyErr_SetInterrupt"]
        trip.argtypes = (ctypes.py_object,) * 3
        trip.restype = None
    except (ImportError, AttributeError, OSError):

        def trip(frame: FrameType, event: str, arg: Any) -> Any:
            raise _INTERRUPT

    return trip  # type: ignore[return-value]


_trip = _tripwire()


class Interrupts:
    """The handler, and what it knows of the present run."""

    def __init__(self, model_builtins: dict[str, Any]) -> None:
        self._model = model_builtins
        self._waits: set[CodeType] = set()  # functions of ours that only wait
        self._running = False
        self._signals = 0
        self._armed = False
        self._storm = False
        self.raised = False

    def may_interrupt(self, function: Callable[..., Any]) -> None:
        """Let a signal end function, which must do nothing but wait."""
        self._waits.add(function.__code__)

    def checkpoint(self) -> None:
        """Raise what became due while our code ran, before it waits."""
        if self._armed:
            self.calm()
            self.raised = True
            raise _INTERRUPT

    def begin(self) -> None:
        """Take the signals back from whatever the last run made of them."""
        self._signals = 0
        self._armed = self._storm = self.raised = False
        for number in SIGNALS:
            _signal_signal(number, self._handle)
        if _pthread_sigmask is not None:
            _pthread_sigmask(_signal.SIG_UNBLOCK, SIGNALS)
        self._running = True

    def end(self) -> None:
        """From here on a signal means nothing."""
        self._running = False

    def calm(self) -> None:
        """Drop trace and profile functions, the model's and ours."""
        _settrace(None)
        _setprofile(None)
        self._armed = self._storm = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._running or frame is None:
            return
        ours = frame.f_builtins is BUILTINS and frame.f_code not in self._waits
        due = self._armed and not self._storm  # it was the tripwire, not the host
        if not due and not self._storm:
            self._signals += 1
            self._storm = self._signals > 1
        if ours:
            if not self._armed:
                self._arm(frame)
            return
        if self._storm:
            self._arm(frame)
        elif due:
            _settrace(None)
            self._disarm(frame)
        self.raised = True
        raise _INTERRUPT

    def _arm(self, frame: FrameType | None) -> None:
        """Make every line that the model's frames go on with trip the wire."""
        self._armed = True
        while frame is not None:
            if frame.f_builtins is self._model:
                frame.f_trace = _trip
            frame = frame.f_back
        _settrace(self._entered)

    def _disarm(self, frame: FrameType | None) -> None:
        self._armed = False
        while frame is not None:
            if frame.f_trace is _trip:
                frame.f_trace = None
            frame = frame.f_back

    def _entered(self, frame: FrameType, event: str, arg: Any) -> Any:
        return _trip if frame.f_builtins is self._model else None
