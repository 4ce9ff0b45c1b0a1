"""SIGINT raises KeyboardInterrupt in the model's code, and nowhere else.

A frame is the worker's when its builtins are the private ones, the model's
when its builtins are the model's; the rest are libraries. Only libraries and
the model may see the exception: thrown into the worker it could tear a frame
on the channel or lose a reply. What arrives while the worker is on top of the
stack is due at the model's next line.
"""

from strands_worker.private import BUILTINS as __builtins__
from strands_worker.private import BUILTINS

import _signal
import _thread
import sys
from types import CodeType, FrameType
from typing import Any, Callable, Protocol

SIGNALS: tuple[int, ...] = tuple(
    getattr(_signal, name) for name in ("SIGINT", "SIGBREAK") if hasattr(_signal, name)
)
_pthread_sigmask = getattr(_signal, "pthread_sigmask", None)
_signal_signal = _signal.signal
_get_ident = _thread.get_ident
_getframe = sys._getframe
_settrace = sys.settrace
_setprofile = sys.setprofile
_INTERRUPT = KeyboardInterrupt


class _Wire(Protocol):
    """Makes the lines of the model's code raise."""

    trips: bool  # by means of a signal

    def arm(self, frame: FrameType | None) -> None:
        """From now on; frame is on top of the stack."""

    def disarm(self) -> None: ...


class _Monitor:
    """With sys.monitoring, whose callbacks may raise as often as they like."""

    trips = False

    def __init__(self, model: dict[str, Any], thread: int, due: Callable[[], None]) -> None:
        monitoring = sys.monitoring
        self._set_events, self._line = monitoring.set_events, monitoring.events.LINE
        self._tool = next(i for i in (4, 3, 2, 1, 0) if monitoring.get_tool(i) is None)
        monitoring.use_tool_id(self._tool, "strands")

        def line(code: CodeType, number: int) -> None:
            if _get_ident() == thread and _getframe(1).f_builtins is model:
                due()

        self._listen = lambda: monitoring.register_callback(self._tool, self._line, line)

    def arm(self, frame: FrameType | None) -> None:
        self._listen()
        self._set_events(self._tool, self._line)

    def disarm(self) -> None:
        self._set_events(self._tool, 0)


class _Tracer:
    """With a trace function, before CPython 3.12.

    A trace function that raises is removed by the interpreter, so it would
    stop the first line only. This one is a function in C that makes SIGINT
    due and returns; the handler raises at the next chance.
    """

    trips = True

    def __init__(self, model: dict[str, Any]) -> None:
        import ctypes

        trip = ctypes.pythonapi["PyErr_SetInterrupt"]
        trip.argtypes = (ctypes.py_object,) * 3
        trip.restype = None
        self._model, self._trip = model, trip
        self._entered = lambda frame, event, arg: trip if frame.f_builtins is model else None
        self._frames: list[FrameType] = []

    def arm(self, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_builtins is self._model:
                frame.f_trace = self._trip
                self._frames.append(frame)
            frame = frame.f_back
        _settrace(self._entered)

    def disarm(self) -> None:
        _settrace(None)
        for frame in self._frames:
            frame.f_trace = None
        self._frames.clear()


class Interrupts:
    """The handler, and what it knows of the present run."""

    def __init__(self, model_builtins: dict[str, Any]) -> None:
        self._thread = _get_ident()  # the one that gets signals
        self._wire: _Wire
        if hasattr(sys, "monitoring"):
            self._wire = _Monitor(model_builtins, self._thread, self._due)
        else:
            self._wire = _Tracer(model_builtins)
        self._waits: set[CodeType] = set()  # functions of ours that only wait
        self._running = False
        self._signals = 0
        self._storm = False  # the second signal came: every line raises
        self.armed = False  # the model's next line raises
        self.raised = False

    def may_interrupt(self, function: Callable[..., Any]) -> None:
        """Let a signal end function, which must do nothing but wait."""
        self._waits.add(function.__code__)

    def checkpoint(self) -> None:
        """Raise what became due while our code ran.

        To be called, when armed, before our code waits and where it returns
        to the model's.
        """
        if self.armed and _get_ident() == self._thread:
            self._due()

    def begin(self) -> None:
        """Take the signals back from whatever the last run made of them."""
        self._signals = 0
        self.raised = False
        for number in SIGNALS:
            _signal_signal(number, self._handle)
        if _pthread_sigmask is not None:
            _pthread_sigmask(_signal.SIG_UNBLOCK, SIGNALS)
        self._running = True

    def calm(self) -> None:
        """The model's code is off the stack."""
        if self.armed:
            self._disarm()
        self._storm = False

    def end(self) -> None:
        """From here on a signal means nothing."""
        self._running = False
        self.calm()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._running or frame is None:
            return
        if not (self.armed and self._wire.trips):  # then it is not the host's
            self._signals += 1
        self._storm = self._signals > 1
        if frame.f_builtins is BUILTINS and frame.f_code not in self._waits:
            self._arm(frame)
        else:
            if self._storm:
                self._arm(frame)
            self._due()

    def _arm(self, frame: FrameType) -> None:
        self.armed = True
        self._wire.arm(frame)

    def _disarm(self) -> None:
        self.armed = False
        self._wire.disarm()

    def _due(self) -> None:
        if self.armed and not self._storm:
            self._disarm()
        self.raised = True
        raise _INTERRUPT
