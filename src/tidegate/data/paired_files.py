"""Parse data sets with two files per split: one of texts and one of labels, line by line."""

from collections.abc import Mapping

from tidegate.data.dataset import Pairs


def parse(files: Mapping[str, bytes]) -> dict[str, Pairs]:
    """Return (text, label) pairs by split.

    >>> parse({"train text": b"show flights\\n", "train label": b"atis_flight\\n"})
    {'train': [('show flights', 'atis_flight')]}
    """
    splits = [key.removesuffix(" text") for key in files if key.endswith(" text")]
    return {split: _rows(files[f"{split} text"], files[f"{split} label"]) for split in splits}


def _rows(texts: bytes, labels: bytes) -> Pairs:
    pairs = zip(texts.decode().split("\n"), labels.decode().split("\n"), strict=True)
    return [(text.strip(), label.strip()) for text, label in pairs if text]
