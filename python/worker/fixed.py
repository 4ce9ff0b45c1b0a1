"""A clock and random numbers that are the same in every run.

For replaying recorded runs: time begins where the host says and moves on a
millisecond at each look, and random generators begin with a seed. Guidance
for honest code, no protection: whoever looks for the true time finds it.
time.monotonic stays true, since event loops and locks wait by it. Code that
was imported before has the old names: pandas is told apart, because it is.

datetime and random are imported when they are needed only: they cost time,
and random a descriptor.
"""

from strands_worker.private import BUILTINS as __builtins__

import os
import sys
import time
from typing import Any

_STEP = 1_000_000  # nanoseconds a look takes


class _Clock:
    """Nanoseconds since the epoch."""

    def __init__(self, start: float) -> None:
        self._now = int(start * 1e9)

    def look(self) -> int:
        self._now += _STEP
        return self._now

    def seconds(self) -> float:
        return self.look() / 1e9


def install(seed: int, start: float) -> None:
    """Replace what tells the time and draws numbers, for the whole process."""
    clock = _Clock(start)
    _fix_time(clock)
    _fix_datetime(clock)
    _fix_random(seed)


def _fix_time(clock: _Clock) -> None:
    begin = clock.look()
    time.time, time.time_ns = clock.seconds, clock.look
    time.perf_counter = time.process_time = time.thread_time = lambda: (clock.look() - begin) / 1e9
    time.perf_counter_ns = time.process_time_ns = time.thread_time_ns = lambda: clock.look() - begin
    for name in ("localtime", "gmtime", "ctime"):
        setattr(time, name, _seconds_default(getattr(time, name), clock))
    strftime, asctime, localtime = time.strftime, time.asctime, time.localtime
    time.strftime = lambda format, t=None: strftime(format, localtime() if t is None else t)
    time.asctime = lambda t=None: asctime(localtime() if t is None else t)


def _seconds_default(true: Any, clock: _Clock) -> Any:
    def fixed(seconds: float | None = None) -> Any:
        return true(clock.seconds() if seconds is None else seconds)

    fixed.__name__ = true.__name__
    return fixed


def _fix_datetime(clock: _Clock) -> None:
    import datetime

    true_datetime, true_date = datetime.datetime, datetime.date

    class AnyDate(type):
        """What Python and its libraries make are instances of the true types."""

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, cls.__mro__[1])

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, cls.__mro__[1])

    class FixedDatetime(true_datetime, metaclass=AnyDate):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return true_datetime.fromtimestamp(clock.seconds(), tz)

        @classmethod
        def today(cls) -> datetime.datetime:
            return cls.now()

        @classmethod
        def utcnow(cls) -> datetime.datetime:
            return cls.now(datetime.timezone.utc).replace(tzinfo=None)

    class FixedDate(true_date, metaclass=AnyDate):
        @classmethod
        def today(cls) -> datetime.date:
            return true_date.fromtimestamp(clock.seconds())

    for fixed, true in ((FixedDatetime, true_datetime), (FixedDate, true_date)):
        fixed.__name__ = fixed.__qualname__ = true.__name__
        fixed.__module__ = true.__module__
    datetime.datetime, datetime.date = FixedDatetime, FixedDate
    if pandas := sys.modules.get("pandas"):
        _fix_timestamp(pandas.Timestamp, clock)


def _fix_timestamp(timestamp: Any, clock: _Clock) -> None:
    def now(cls: Any, tz: Any = None) -> Any:
        return cls(clock.look() // 1000 * 1000, unit="ns", tz=tz or None)

    def utcnow(cls: Any) -> Any:
        return now(cls, "UTC")

    try:
        timestamp.now = timestamp.today = classmethod(now)
        timestamp.utcnow = classmethod(utcnow)
    except TypeError:
        pass  # a pandas that lets nobody change it: its clock stays true


def _fix_random(seed: int) -> None:
    import random

    source = random.Random(seed)
    true_random = random.Random

    class FixedRandom(true_random):
        """Unseeded generators are seeded too: their own way asks the kernel."""

        def __init__(self, x: Any = None) -> None:
            super().__init__(source.getrandbits(64) if x is None else x)

        def seed(self, a: Any = None, version: int = 2) -> None:
            super().seed(source.getrandbits(64) if a is None else a, version)

    FixedRandom.__name__ = FixedRandom.__qualname__ = "Random"
    FixedRandom.__module__ = "random"
    random.Random = FixedRandom
    random.seed(source.getrandbits(64))
    module_seed = random.seed
    random.seed = lambda a=None, version=2: module_seed(source.getrandbits(64) if a is None else a, version)
    os.urandom = random._urandom = lambda size: source.randbytes(size)
    if hasattr(os, "getrandom"):
        os.getrandom = lambda size, flags=0: source.randbytes(size)
    if tempfile := sys.modules.get("tempfile"):
        tempfile._Random = FixedRandom
    if numpy := sys.modules.get("numpy.random"):
        numpy.seed(source.getrandbits(32))
