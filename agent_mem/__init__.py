"""Memory that LLM agents keep."""

__version__ = "0.1.0"
