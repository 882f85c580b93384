"""Tokens and their tags from two columns of a table: the cells of a row have one tag for each token."""

from __future__ import annotations

from tidegate.data.table import Table
from tidegate.errors import DataError

Words = list[list[str]]


def split_tokens(table: Table, tokens: str) -> Words:
    """Return the tokens of every row, divided at white space.

    Args:
        table: as `read_table` returns it, of a table or a CoNLL file.
        tokens: the name of the column of tokens.

    Raises:
        DataError: there is no such column, it does not hold text, or a row has no tokens; with file and line.

    >>> split_tokens(Table("t.csv", {"tokens": ["to new  york"]}, [2], ""), "tokens")
    [['to', 'new', 'york']]
    """
    rows = [cell.split() for cell in table.column(tokens)]
    for i, row in enumerate(rows):
        if not row:
            raise DataError(f"{table.locate(i)}: column {tokens!r} has no tokens; fill it in or leave the row out")
    return rows


def split_tags(table: Table, tokens: str, tags: str) -> tuple[Words, Words]:
    """Return the tokens and the tags of every row, both divided at white space.

    Args:
        table, tokens: as in `split_tokens`.
        tags: the name of the column of tags.

    Raises:
        DataError: as `split_tokens`; a row with more or fewer tags than tokens.

    >>> split_tags(Table("t.csv", {"tokens": ["to york"], "tags": ["O"]}, [2], ""), "tokens", "tags")
    Traceback (most recent call last):
        ...
    tidegate.errors.DataError: t.csv:2: column 'tokens' has 2 tokens, column 'tags' has 1 tag; give each token a tag
    """
    rows, tags_of = split_tokens(table, tokens), [cell.split() for cell in table.column(tags)]
    for i, (row, own) in enumerate(zip(rows, tags_of, strict=True)):
        if len(row) != len(own):
            raise DataError(
                f"{table.locate(i)}: column {tokens!r} has {_count(row, 'token')}, column {tags!r} has "
                f"{_count(own, 'tag')}; give each token a tag"
            )
    return rows, tags_of


def _count(words: list[str], noun: str) -> str:
    return f"{len(words)} {noun}" + "s" * (len(words) != 1)
