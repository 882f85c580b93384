"""Read CoNLL files: one token per line with its columns, the tag last, and an empty line after each sentence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from tidegate.data.columns import check_column
from tidegate.errors import DataError

Rows = tuple[list[str], list[list[str]], list[int]]

EXTENSIONS = (".conll", ".bio", ".iob")
COLUMNS = ["tokens", "tags"]
BOUNDARY = "-DOCSTART-"  # the first column of a line that begins a document and is no token


def read_conll(text: str, path: str, columns: Sequence[str] | None = None, *, for_series: bool = False) -> Rows:
    """Return the columns tokens and tags, a row for each sentence, and the line on which each sentence begins.

    A line holds a token, any number of other columns, which are ignored, and the tag, separated by tabs or, in a line
    without tabs, by spaces. A cell holds the tokens or the tags of a sentence, separated by spaces. Lines that begin
    with -DOCSTART- separate sentences too.

    Args:
        text: the content of the file.
        path: its name in messages.
        columns: columns that must exist.
        for_series: without effect; a CoNLL file holds no series.

    Raises:
        DataError: a line with a single column, or with more or fewer columns than the first; a token or tag that is
            empty or contains a space; no token at all.

    >>> read_conll("to TO O\\nnew JJ B-city\\nyork NN I-city\\n\\nbye UH O\\n", "t.conll")
    (['tokens', 'tags'], [['to new york', 'O B-city I-city'], ['bye', 'O']], [1, 5])
    """
    for wanted in columns or ():
        check_column(path, wanted, COLUMNS)
    numbered = list(enumerate((line.strip() for line in text.split("\n")), 1))
    sentences = [list(group) for is_token, group in groupby(numbered, key=lambda item: _is_token(item[1])) if is_token]
    if not sentences:
        raise DataError(f"{path} has no tokens; expected a token and its tag on each line")
    start = sentences[0][0]
    width = len(_split_line(start[1]))
    rows = []
    for sentence in sentences:
        cells = [_read_cells(line, f"{path}:{number}", width, start[0]) for number, line in sentence]
        rows.append([" ".join(tokens) for tokens in zip(*cells, strict=True)])
    return COLUMNS, rows, [sentence[0][0] for sentence in sentences]


def _is_token(line: str) -> bool:
    return bool(line) and not line.startswith(BOUNDARY)


def _split_line(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()


def _read_cells(line: str, place: str, width: int, first: int) -> tuple[str, str]:
    """Return the token and the tag of a line. width: the number of columns of the line `first`."""
    cells = _split_line(line)
    if len(cells) == 1:
        raise DataError(f"{place}: a single column, {cells[0][:40]!r}; expected a token and its tag on each line")
    if len(cells) != width:
        raise DataError(
            f"{place}: {len(cells)} columns, and line {first} has {width}; every line needs the same columns, the tag "
            "last; remove comments, and leave a line empty after each sentence"
        )
    token, tag = cells[0], cells[-1]
    for what, cell in (("token", token), ("tag", tag)):
        if len(cell.split()) != 1:
            fault = f"contains white space ({cell[:40]!r})" if cell else "is empty"
            raise DataError(f"{place}: the {what} {fault}; expected one word")
    return token, tag
