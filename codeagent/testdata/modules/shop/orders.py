from dataclasses import dataclass


@dataclass(frozen=True)
class Order:
    """One order."""

    id: int
    total: float = 0.0


def load(path: str) -> list[Order]:
    """Read orders from a CSV file."""
    import csv

    with open(path) as f:
        return [Order(int(r["id"]), float(r["total"])) for r in csv.DictReader(f)]
