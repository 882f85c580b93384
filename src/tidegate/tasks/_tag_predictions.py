"""What `predict` prints and writes of tags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..text_tables import escape_breaks
from ._spans import find_spans, follows_scheme


@dataclass(frozen=True)
class TagPrediction:
    """The prediction for one text.

    text: as it was given. words: of the text. first: of each word the number of its first step. tags: the answer about
    the tags of all steps. label: that about the label, Scores, or None if the model gives none.
    """

    text: str
    words: list[str]
    first: list[int]
    tags: Any
    label: Any

    def label_name(self) -> str | None:
        """Return the label; None without an answer."""
        name: str | None = None if self.label is None else self.label.label
        return name

    def word_tags(self) -> list[str] | None:
        """Return the tag of each word; None without an answer."""
        return None if self.tags.tags is None else [self.tags.tags[i] for i in self.first]

    def spans(self) -> list[dict[str, Any]]:
        """Return the spans of words: type, the first word's number, the number after the last, and their text."""
        tags = self.word_tags()
        if not tags or not follows_scheme(self.tags.labels):
            return []
        found = find_spans([tags])
        triples = zip(found.types.tolist(), found.starts.tolist(), found.ends.tolist(), strict=True)
        return [
            {"type": found.names[k], "start": a, "end": b + 1, "text": " ".join(self.words[a : b + 1])}
            for k, a, b in triples
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return an object for JSON; without an answer its tags are null, and `reason` says why."""
        tags, scores = self.word_tags(), self.tags.scores
        result: dict[str, Any] = {"text": self.text, "tokens": self.words, "tags": tags}
        result["scores"] = None if scores is None else [scores[i] for i in self.first]
        if follows_scheme(self.tags.labels):
            result["spans"] = self.spans()
        if self.label is not None:
            result |= self.label.as_dict(all_scores=False)
        return result if tags is not None else {**result, "reason": self.tags.reason}

    def as_row(self) -> list[Any]:
        """Return the cells of a table: text, tokens and tags, and the label with its score if the model gives one."""
        one = self.as_dict()
        tags = None if one["tags"] is None else " ".join(one["tags"])
        return [self.text, " ".join(self.words), tags, *([] if self.label is None else [one["label"], one["score"]])]

    def format(self) -> str:
        """Format the label, if there is one, and the words with the spans in brackets, or with a tag each."""
        tags = self.word_tags()
        if tags is None:
            return f"(none: {self.tags.reason})"
        words = [escape_breaks(word) for word in self.words]
        if follows_scheme(self.tags.labels):
            for span in self.spans():
                words[span["start"]] = f"[{span['type']}: {words[span['start']]}"
                words[span["end"] - 1] += "]"
        else:
            words = [f"{word}/{tag}" for word, tag in zip(words, tags, strict=True)]
        if self.label is None:
            return " ".join(words)
        label = self.label.as_dict(all_scores=False)
        return f"{escape_breaks(label['label'])} {label['score']:.3f}\t{' '.join(words)}"


@dataclass(frozen=True)
class TagPredictions:
    """The predictions for all texts. labelled: whether each has a label too."""

    predictions: Sequence[TagPrediction]
    labelled: bool
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()

    @property
    def columns(self) -> dict[str, type]:
        label = {"label": str, "score": float} if self.labelled else {}
        return {"text": str, "tokens": str, "tags": str, **label}

    def rows(self) -> Iterator[list[Any]]:
        return (one.as_row() for one in self.predictions)

    def records(self) -> Iterator[dict[str, Any]]:
        return (one.as_dict() for one in self.predictions)

    def format(self, width: int | None, unicode: bool) -> Iterator[str]:
        return (one.format() for one in self.predictions)
