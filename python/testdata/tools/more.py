"""What is rarer: many defaults in one function, odd docstrings, keyword-only parameters."""

import datetime
import enum
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Literal, NewType, Optional, Tuple, Union

from strands import tool

UserId = NewType("UserId", int)


class F(enum.Enum):
    A = 1.5
    B = "x"
class S(str, enum.Enum):
    """Doc."""
    A = "a"
    B = "b"
@dataclass
class P:
    """A point."""
    a: Optional[int]
    b: int = 1
    c: str | None = "x"


@tool
def many(u: UserId, f: F, s: S, p: P, ls: list[S], ds: dict[S, int], dp: dict[str, P], di: dict[int, str], fs: frozenset[int], t: tuple, it: Iterable[int], lo: list[Optional[int]], un: Union[P, str, None] = None, d: datetime.date = datetime.date(2020,1,2), ll: list[int] = [1,2], tt: tuple[int,int] = (1,2), sd: S = S.A, o: Optional[Literal["a","b"]] = None, dd: dict = {}, x: object = 3, lf: float = 1, ob: bool = None, od: Optional[datetime.datetime] = None, ou: Optional[List[P]] = None, de: Dict[str, dict[str, Any]] = None, se: set = None, to: Optional[Tuple[int, ...]] = None):
    """T1

    Args:
        u: a
        f (F): b. Defaults to F.A.

            second paragraph
        s: c

    Args2:
        x: y
    """


@tool
def short(a: int, b):
    '''Short.
    Args:
        a: first
        b: second
    More text here.
    '''


@tool
def keyword_only(a: int, *, b: str = "x", c: float):
    """Keyword only.

    Args:
        a (int): integer
        *b: star
        c (float, optional): f: g
    Attributes:
        z: none
    Raises:
        ValueError: if bad
    """


@tool
def rest_alone(a: int = 1):
    """:param a: the a
    """


@tool
def numpy_bare(a):
    """x

    Parameters
    ----------
    a
        The a.

    Notes
    -----
    foo
    """


@tool
def two_spaces(a, b):
    """x

    Args:
      a: two spaces
        more
      b: t
    """
