"""Texts with places for values."""

from __future__ import annotations

import re


def substitute(text: str, values: dict[str, object]) -> str:
    """Replace each @key@ of a text once: what a value holds stays as it is.

    >>> substituted("@a@ @b@", {"a": "@b@", "b": 1})
    '@b@ 1'
    """
    return re.sub("@(" + "|".join(values) + ")@", lambda found: str(values[found[1]]), text)
