"""The problem of a tagger: rows of words with tags, perhaps with an intent each; its loss and its held-out figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from .. import decode
from .. import outputs as output_room
from ..document.decoders import attach_decoders
from ..outputs.base import Output
from ..outputs.tags import BIO
from ..text_tables import format_count
from . import _crf
from ._calibration import fit_logit_scale
from ._messages import Messages
from ._spans import follows_scheme, span_f1
from .base import Batch, Calibration, Dropout, Forward, Indices, Predictions, Problem, Tensors

if TYPE_CHECKING:
    import torch

TAGS: Final = "tags"  # the names of a tagger's outputs
LABEL: Final = "label"
UNSEEN: Final = "B-(unseen)"  # stands for a tag that training did not have
NO_TARGET: Final = -1  # a tag or label that training did not have
MOST_SHOWN: Final = 8  # of the names that training did not have
LEGAL_SHARE: Final = 0.99  # of the tags I-x that follow B-x or I-x, for the scheme BIO
Entries = dict[str, dict[str, Any]]


class Sentences(Messages):
    """Rows of word ids with a tag each, and perhaps a label a row. tags: int64 [T] of each row. labels: int64 [n]."""

    def __init__(self, ids: list[Any], tags: list[Indices], labels: Indices | None, hide: Any) -> None:
        super().__init__(ids, LABEL, np.zeros(len(ids), np.int64) if labels is None else labels, hide)
        self.tags, self.has_labels = tags, labels is not None

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> Batch:
        batch = super().batch(rows, random)
        labels = batch.targets if self.has_labels else {}
        return replace(batch, targets={TAGS: np.concatenate([self.tags[i] for i in rows]), **labels})


@dataclass(frozen=True, kw_only=True)
class Tagging(Problem):
    """Rows with a tag for each word: targets int64 [N], outputs [N, tags]; and perhaps a label each."""

    metric: str = "span_f1"

    def dropout(self, random: np.random.Generator) -> Dropout:
        return Dropout(self.options.drop_embed, self.options.drop_pool, random)

    def train_loss(self, network: Forward, batch: Batch, random: np.random.Generator) -> torch.Tensor:
        """Compute the loss of all tags, and of the labels of the whole rows and of a random prefix of each.

        As for a classifier, the prefix teaches the model to give the label early.
        """
        dropout, weight = self.dropout(random), self.options.prefix
        body, tensors = network.run(batch, dropout), network.tensors
        if LABEL not in self.outputs or not weight:
            return self.loss(network.outputs(body, [batch.lengths], dropout)[0], batch, None, tensors)
        shorter = random.integers(1, batch.lengths + 1)
        if network.whole_window:
            (whole,) = network.outputs(body, [batch.lengths], dropout)
            (prefix,) = network.outputs(network.run(batch.shorten(shorter), dropout), [shorter], dropout)
        else:
            whole, prefix = network.outputs(body, [batch.lengths, shorter], dropout)
        return self.loss(whole, batch, prefix, tensors)

    def loss(
        self, outputs: Tensors, batch: Batch, prefix: Tensors | None = None, tensors: Tensors | None = None
    ) -> torch.Tensor:
        """Compute the mean cross-entropy of the tags, or that of a CRF, and with label smoothing that of the labels.

        prefix: the outputs after a prefix of each row, which count for the labels with a weight of their own. tensors:
        those of the decoder, if the tags have a CRF. What training did not have is left out.
        """
        import torch
        from torch.nn.functional import cross_entropy

        def mean(y: torch.Tensor, targets: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
            total = cross_entropy(y, targets, ignore_index=NO_TARGET, label_smoothing=smoothing, reduction="sum")
            return total / max(1, int((targets != NO_TARGET).sum()))

        tags = batch.targets[TAGS]
        if self.decoders:
            total = _crf.loss(outputs[TAGS], tags, batch.lengths, tensors or {}) / max(
                1, int((tags != NO_TARGET).sum())
            )
        else:
            total = mean(outputs[TAGS], torch.from_numpy(tags))
        if LABEL not in self.outputs:
            return total
        labels, weight = torch.from_numpy(batch.targets[LABEL]), self.options.prefix
        of_label = mean(outputs[LABEL], labels, self.options.smoothing)
        if prefix is not None:
            of_label = (of_label + weight * mean(prefix[LABEL], labels, self.options.smoothing)) / (1 + weight)
        both: torch.Tensor = total + self.options.label_weight * of_label
        return both

    def measure(self, predictions: Predictions) -> dict[str, float]:
        """Compute the figures of held-out rows: of spans if the tags mark some, of tags, of labels, of whole rows."""
        names = [*self.outputs[TAGS]["labels"], UNSEEN]
        output = make_output(self.outputs[TAGS], self.decoders, predictions.tensors)
        cuts = np.flatnonzero(np.diff(predictions.row[TAGS])) + 1
        codes = [choose_tags(output, y) for y in np.split(predictions.outputs[TAGS], cuts)]
        truth = np.split(predictions.targets[TAGS], cuts)
        right = np.concatenate(codes) == np.concatenate(truth)
        row_is_right = np.array([np.array_equal(a, b) for a, b in zip(codes, truth, strict=True)])
        figures = {"tag_accuracy": float(right.mean())}
        if follows_scheme(names[:-1]):
            figures = {"span_f1": span_f1(name_tags(codes, names), name_tags(truth, names)), **figures}
        if LABEL in self.outputs:
            label_is_right = predictions.outputs[LABEL].argmax(1) == predictions.targets[LABEL]
            figures["accuracy"] = float(label_is_right.mean())
            row_is_right &= label_is_right
        return {**figures, "sentence_accuracy": float(row_is_right.mean())}

    def rank(self, figures: dict[str, float]) -> tuple[float, float]:
        ranked = [figures[name] for name in (self.metric, "accuracy") if name in figures]
        return sum(ranked) / len(ranked), figures["sentence_accuracy"]

    def tolerance(self, best: float, figures: dict[str, float]) -> float:
        """Return one standard error, as for a classifier."""
        return float((best * (1 - best) / len(self.valid_rows)) ** 0.5)

    def calibrate(self, predictions: Predictions) -> Calibration:
        if LABEL not in self.outputs:
            return {}
        known = predictions.targets[LABEL] != NO_TARGET
        if not known.any():
            return {}
        return {
            LABEL: {"factor": fit_logit_scale(predictions.outputs[LABEL][known], predictions.targets[LABEL][known])}
        }


def describe_unseen(what: str, names: Iterable[str], known: Sequence[str]) -> list[str]:
    """Say how many tags or labels of validation rows training did not have, and which; an empty list for none.

    >>> describe_unseen("tag", ["O", "B-gate", "O", "B-gate"], ["B-city", "O"])
    ["2 of 4 tags do not occur in training ('B-gate'): they count as wrong, and nothing is learnt from them"]
    """
    counts = Counter(names)
    unseen = [name for name, _ in counts.most_common() if name not in set(known)]
    if not unseen:
        return []
    number = sum(counts[name] for name in unseen)
    shown = ", ".join(map(repr, unseen[:MOST_SHOWN])) + ", ..." * (len(unseen) > MOST_SHOWN)
    does, they = ("does", "it counts") if number == 1 else ("do", "they count")
    return [
        f"{number:,} of {format_count(counts.total(), what)} {does} not occur in training ({shown}): {they} as wrong, "
        f"and nothing is learnt from {'it' if number == 1 else 'them'}"
    ]


def make_output(entry: dict[str, Any], decoders: dict[str, Any], tensors: dict[str, Any]) -> Output:
    """Return the output of tags alone, without the numbers of others, with its decoder of these tensors."""
    own, width = {"from": "", **entry}, len(entry["labels"])
    own.pop("part", None)
    output = output_room.parse(TAGS, own, width, {})
    parsed = {
        name: decode.parse(f"decoders.{name}", {"reads": "", **of, "part": [0, width]}, width, tensors)
        for name, of in decoders.items()
    }
    attach_decoders({TAGS: output}, {TAGS: own}, parsed)
    return output


def choose_tags(output: Output, values: npt.NDArray[Any]) -> Indices:
    """Return the index of each step's tag, int64 [T], as the output chooses it. values: [T, tags]."""
    return np.asarray(values.argmax(-1) if output.decoder is None else output.decoder.decode(values))


def name_tags(rows: Sequence[Indices], names: list[str]) -> list[list[str]]:
    """Return the tags of rows by name; the last name is that of a tag that training did not have."""
    return [[names[k] for k in row.tolist()] for row in rows]


def find_scheme(rows: Sequence[Sequence[str]]) -> str | None:
    """Return "bio" if tags follow it: I-x stands after B-x or I-x, but for a hundredth of its occurrences; else None.

    >>> find_scheme([["O", "B-city", "I-city"]]), find_scheme([["O", "I-city"]]), find_scheme([["NN"]])
    ('bio', None, None)
    """
    distinct = {tag for row in rows for tag in row}
    if not follows_scheme(distinct) or any(tag[0] not in "OBI" for tag in distinct):
        return None
    pairs = [pair for row in rows for pair in zip(["O", *row], row, strict=False) if pair[1][0] == "I"]
    legal = sum(before[0] in "BI" and before[1:] == tag[1:] for before, tag in pairs)
    return BIO if legal >= LEGAL_SHARE * len(pairs) else None


def spread_tag(tag: str, pieces: int, known: set[str]) -> list[str]:
    """Return the tags of a word's pieces, if it is so long that it is read in several steps: the first has its tag.

    >>> spread_tag("B-link", 2, {"B-link", "I-link"}), spread_tag("O", 2, {"O"})
    (['B-link', 'I-link'], ['O', 'O'])
    """
    inner = "I" + tag[1:]
    return [tag, *[inner if tag.startswith("B") and inner in known else tag] * (pieces - 1)]


def make_outputs(names: list[str], scheme: str | None, labels: list[str], has_crf: bool) -> tuple[Entries, Entries]:
    """Make the entries of the outputs, the tags and, if there are labels, these too; and those of the decoders.

    has_crf: whether the tags are those of the best path of a CRF, which then knows the scheme.
    """
    cut, end = len(names), len(names) + len(labels)
    part = [0, cut] if labels else None
    tags: dict[str, Any] = {"kind": "tags", "at": "step", "labels": names, "scores": "logits", "scheme": scheme}
    if has_crf:
        tags |= {"from": _crf.NAME, "scheme": None}
    elif part:
        tags["part"] = part
    decoders = _crf.make_decoders(part) if has_crf else {}
    if not labels:
        return {TAGS: tags}, decoders
    label = {"kind": "labels", "at": "end", "labels": labels, "scores": "logits", "calibration": None}
    return {TAGS: tags, LABEL: {**label, "part": [cut, end]}}, decoders


def first_steps(pieces: Sequence[Sequence[bytes]]) -> list[int]:
    """Return the number of the first step of each word.

    >>> first_steps([[b"a"], [b"b", b"c"], [b"d"]])
    [0, 1, 3]
    """
    counts = np.array([len(word) for word in pieces], np.int64)
    starts: list[int] = (np.cumsum(counts) - counts).tolist()
    return starts
