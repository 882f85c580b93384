"""Parse data sets with three files per split, line by line: texts, labels, and the tags of the tokens."""

from collections.abc import Mapping

from tidegate.data.split_files import SplitFile, csv_from_rows

COLUMNS = ("text", "label", "tokens", "tags")


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the file of each split, with the columns text, label, tokens and tags; one space separates tokens.

    >>> lines = {"text": b"to  york\\n", "tags": b"O B-city\\n", "label": b"flight\\n"}
    >>> parse({f"train {part}": line for part, line in lines.items()})["train"].data
    b'text,label,tokens,tags\\nto  york,flight,to york,O B-city\\n'
    """
    splits = [key.removesuffix(" text") for key in files if key.endswith(" text")]
    return {split: _make_file(*(files[f"{split} {part}"] for part in ("text", "label", "tags"))) for split in splits}


def _make_file(*parts: bytes) -> SplitFile:
    lines = zip(*(part.decode().split("\n") for part in parts), strict=True)
    rows = [(text.strip(), label.strip(), *_align(text.split(), tags.split())) for text, label, tags in lines if text]
    return csv_from_rows(COLUMNS, rows, frozenset(label for _, label, _, _ in rows))


def _align(tokens: list[str], tags: list[str]) -> tuple[str, str]:
    assert len(tokens) == len(tags), (tokens, tags)
    return " ".join(tokens), " ".join(tags)
