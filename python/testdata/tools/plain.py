"""The simple things: hints, defaults, docstrings in Google's style."""

from strands import tool


@tool
def greet(name: str, count: int = 1, loud: bool = False, weight: float = 0.5) -> str:
    """Greet somebody.

    The greeting is repeated. It may take more than one line to say
    what happens.

    Args:
        name: Whom to greet.
        count: How often; a description may
            go on in the next line.
        loud (bool): In capitals. Defaults to False.
        weight: Weight: with a colon.

    Returns:
        The greeting.

    Raises:
        ValueError: never.
    """
    text = " ".join([f"Hello {name}"] * count)
    return text.upper() if loud else text


@tool
def bare(a, b=2):
    return [a, b]


@tool
def nothing() -> None:
    """Does nothing."""


@tool
def only_args(x: int) -> int:
    """
    Args:
        x: The number.
    """
    return x


@tool(name="renamed-tool", description="Another description.")
def original(x: int) -> int:
    """This text is not used.

    Parameters:
        x: A number.
    """
    return x * 2


@tool(inputSchema={"type": "object", "properties": {"q": {"type": "string"}, "n": {"anyOf": [{"type": "integer"}]}, "odd": 3}})
def given_schema(q: str, n: int = 1, odd: str = "") -> str:
    """With a schema of its own."""
    return q * n


@tool(inputSchema={"json": {"type": "object", "properties": {"q": {}}, "required": ["q"]}})
def wrapped_schema(q: str) -> str:
    """The schema is wrapped already."""
    return q
