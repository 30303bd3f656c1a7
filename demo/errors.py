"""What the demo says when it cannot go on."""

from __future__ import annotations


class DemoError(Exception):
    """One clear message for the person at the terminal; the program ends with exit status 1."""
