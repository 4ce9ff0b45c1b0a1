"""Exceptions that tool files may name."""


class ToolProviderException(Exception):
    """A provider of tools could not do its work."""
