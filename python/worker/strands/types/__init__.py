"""The shapes that the SDK gives names to."""
