"""Return figures."""
from __future__ import annotations

import math

DAYS = 365


def annualised(
    roi: float,  # percent
    days: int = DAYS,
) -> float:
    """Annualise a return.

    Args:
        roi: percent over the whole time
        days: length of that time
    """
    return (math.pow(1 + roi / 100, DAYS / days) - 1) * 100


class Position:
    """A holding."""

    symbol: str

    def __init__(self, symbol: str, price: float = 0.0) -> None:
        self.symbol, self.price = symbol, price

    def value(self, shares: int) -> float:
        "What it is worth."
        return self.price * shares

    def _cache(self): ...


def _private():
    ...
