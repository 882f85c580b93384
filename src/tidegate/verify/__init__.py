"""Replay the check of a model file on every target, within proven error bounds; see README.md."""

from .check import attach, make_check
from .replay import Result
from .targets import verify

__all__ = ["Result", "attach", "make_check", "verify"]
