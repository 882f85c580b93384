"""A model file replayed on every target, against the oracle and a derived bound; see README.md."""

from .check import attach, make_check
from .replay import Result
from .targets import verify

__all__ = ["Result", "attach", "make_check", "verify"]
