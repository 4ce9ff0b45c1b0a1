"""Questions to a person."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Interrupt:
    """A question, and the answer when there is one."""

    id: str
    name: str
    reason: Any = None
    response: Any = None


class InterruptException(Exception):
    """Ends a call that waits for a person."""

    def __init__(self, interrupt: Interrupt) -> None:
        super().__init__(interrupt.name)
        self.interrupt = interrupt
