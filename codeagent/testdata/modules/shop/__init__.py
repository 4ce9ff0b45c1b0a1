"""Orders of the shop."""
from .orders import Order, load as load_orders

__all__ = ["Order", "load_orders"]
