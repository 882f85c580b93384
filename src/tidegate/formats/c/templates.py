"""Templates of C text."""

from __future__ import annotations

import re


def substitute(text: str, values: dict[str, object]) -> str:
    """Replace each @key@ of a text by its value, once: values that contain @key@ stay as they are.

    >>> substitute("@a@ @b@", {"a": "@b@", "b": 1})
    '@b@ 1'
    """
    return re.sub("@(" + "|".join(values) + ")@", lambda match: str(values[match[1]]), text)
