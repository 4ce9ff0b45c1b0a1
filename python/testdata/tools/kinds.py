"""Types, from the plain to the nested."""

import datetime
import enum
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Dict, List, Literal, Optional, Tuple, TypedDict, Union

from strands import tool


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    """How bad."""

    LOW = 1
    HIGH = 2


class Only(enum.Enum):
    ONE = "one"


@dataclass
class Point:
    x: int
    y: int = 0
    tags: list[str] = field(default_factory=list)
    color: Color = Color.RED


class Address(TypedDict, total=False):
    """Where somebody lives."""

    street: str
    number: int


class Node(TypedDict):
    value: int
    children: List["Node"]


@tool
def containers(
    a: list, b: list[int], c: dict, d: dict[str, int], e: set[str], f: tuple[int, str], g: tuple[int, ...],
    h: List[Dict[str, Any]], i: Tuple[str], j: Sequence[str], k: Mapping[str, float], l: dict[str, list[int]],
) -> str:
    """All kinds of containers."""
    return repr((a, b, c, d, e, f, g, h, i, j, k, l))


@tool
def unions(
    a: Optional[str], b: int | str, c: Union[int, float, None], d: Optional[int] = None, e: str | None = "x",
    f: int | str | None = None, g: list[int] | None = None, h: dict[str, int] | None = None,
) -> str:
    """Unions, with null and without."""
    return repr((a, b, c, d, e, f, g, h))


@tool
def literals(a: Literal["x", "y"], b: Literal["only"], c: Literal[1, 2], d: Literal["a", 1], e: Literal["p", "q"] = "p") -> str:
    """Literals."""
    return repr((a, b, c, d, e))


@tool
def enums(color: Color, level: Level, only: Only, other: Color = Color.GREEN, maybe: Optional[Color] = None) -> str:
    """Enumerations."""
    return repr((color, level, only, other, maybe))


@tool
def moments(a: datetime.datetime, b: datetime.date, c: datetime.time, d: uuid.UUID, e: Path, f: bytes) -> str:
    """What JSON has as text only."""
    return repr((a, b, c, d, e, f))


@tool
def nested(point: Point, address: Address, points: list[Point], tree: Node, also: Optional[Address] = None) -> str:
    """Objects.

    Args:
        point: A point.
        tree: A tree.
    """
    return repr((point, address, points, tree, also))


@tool
def annotated(
    a: Annotated[str, "from the hint"], b: Annotated[int, "first", "second"] = 3, c: Annotated[Optional[str], "may be null"] = None,
    d: Annotated[str, ""] = "", e: Annotated[list[str], 5] = [],  # noqa: B006
) -> str:
    """Annotated.

    Args:
        a: from the docstring
        e: from the docstring
    """
    return repr((a, b, c, d, e))


@tool
def anything(a: Any, b: object, c: Any = None, d: None = None) -> str:
    """What could be anything."""
    return repr((a, b, c, d))
