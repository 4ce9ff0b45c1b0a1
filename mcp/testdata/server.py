"""A server made with the official Python package, on standard input and output."""

from dataclasses import dataclass

from mcp.server import MCPServer

server = MCPServer("python", instructions="Ask for prices.")


@dataclass
class Price:
    product: str
    amount: float
    tags: list[str]


@server.tool()
def price(product: str, factor: float = 1.0) -> Price:
    """The price of a product.

    factor multiplies it.
    """
    return Price(product, 2.5 * factor, ["a", "b"])


@server.tool()
def total(amounts: list[float]) -> float:
    """The sum."""
    return sum(amounts)


@server.tool()
def fails() -> str:
    """Fails."""
    raise ValueError("no price today")


server.run("stdio")
