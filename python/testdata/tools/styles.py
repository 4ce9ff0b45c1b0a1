"""Docstrings in the other styles, and odd ones."""

from strands import tool


@tool
def rest_style(path: str, limit: int = 10) -> str:
    """Read a file.

    :param path: where it is
    :param int limit: how many lines,
        at most
    :type path: str
    :returns: the text
    """
    return path


@tool
def numpy_style(values: list[float], axis: int = 0) -> float:
    """Add numbers up.

    Parameters
    ----------
    values : list of float
        The numbers.
    axis : int, optional
        Which way.
        In two lines.

    Returns
    -------
    float
        The sum.
    """
    return sum(values)


@tool
def sections(a: str, b: str) -> str:
    """First line.

    Example:
        sections("a", "b")

    Arguments:
        a: The first.
          It goes on, deeper.
        b: The second.

    Note:
        Text after the arguments stays.

    See also:
        nothing
    """
    return a + b


@tool
def partly(a: str, b: str, c: str = "c") -> str:
    """Only one is described.

    Args:
        b (str, optional): This one.
    """
    return a + b + c


@tool
def no_colon(a: str) -> str:
    """The list is no list.

    Args:
        just words without structure
    """
    return a


@tool
def two_styles(a: str, b: str) -> str:
    """Both.

    :param a: as reST

    Args:
        b: as Google
    """
    return a + b
