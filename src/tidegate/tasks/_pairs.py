"""Encoders that learn from pairs of texts: partners get vectors near each other, and further from all others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from ..data.table import Table
from ..document.graph import GRAPH
from ..errors import DataError, OptionError
from ..layers import INPUT, Builder
from . import _classified_texts, _messages, _sizing, _unlabelled, classify
from ._classes import Prepared
from ._folds import split_rows
from ._holdout import hold_out, number_keys
from ._next_step import OUTPUT
from .base import Batch, Dropout, Fold, Forward, Indices, Predictions, Problem, Tensors

if TYPE_CHECKING:
    import torch

SHARPNESS: Final = "sharpness"  # the name of the logarithm of one by the temperature, which is trained
FIRST_TEMPERATURE: Final = 0.07
LEAST_TEMPERATURE: Final = 0.01
SAME: Final = 1e-6  # cosines that differ by less are equal
CHUNK: Final = 512  # rows whose cosines with all partners are in memory at once

Floats = npt.NDArray[np.float32]


class Pairs:
    """Rows of two texts; a batch has the first and the second of each row, one after the other.

    messages: the first texts of all rows, and then the second ones. targets: the number of each text, int64, equal for
    texts that the model cannot tell apart.
    """

    def __init__(self, messages: _messages.Messages) -> None:
        self.messages = messages
        self.lengths: Indices = messages.lengths.reshape(2, -1).sum(0)

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> Batch:
        """See `Rows`: two rows of the batch for each; training hides words as in `Messages`."""
        both = np.stack([rows, rows + len(self.lengths)], 1).ravel()
        return self.messages.batch(both, random)


@dataclass(frozen=True, kw_only=True)
class Contrast(Problem):
    """Pairs of texts, whose vectors are compared by their cosine."""

    metric: str = "mean_reciprocal_rank"

    def dropout(self, random: np.random.Generator) -> Dropout:
        return Dropout(self.options.drop_embed, self.options.drop_pool, random)

    def train_loss(self, network: Forward, batch: Batch, random: np.random.Generator) -> torch.Tensor:
        """Compute the loss of whole texts: no prefix is trained to be near a partner."""
        dropout = self.dropout(random)
        (outputs,) = network.outputs(network.run(batch, dropout), [batch.lengths], dropout)
        return self.loss(outputs, batch, network.tensors)

    def loss(self, outputs: Tensors, batch: Batch, tensors: Tensors | None = None) -> torch.Tensor:
        """Compute the contrastive loss of a batch: each text has to find its partner among those of the others.

        The temperature is trained. A partner is not compared with what equals it or the text itself, nor with the
        partners of an equal text: those are right, too.

        Source: InfoNCE, van den Oord et al. 2018 (arXiv:1807.03748), section 2.3; in both directions and with a trained
        temperature as in Radford et al. 2021 (arXiv:2103.00020), section 2.3.
        """
        import torch
        from torch.nn.functional import cross_entropy, normalize

        assert tensors is not None
        vectors = normalize(outputs[OUTPUT], dim=1)
        first, second = vectors[::2], vectors[1::2]
        factor = tensors[SHARPNESS].exp().clamp(max=1 / LEAST_TEMPERATURE)
        right = torch.from_numpy(find_partners(*batch.targets[OUTPUT].reshape(-1, 2).T))
        scores = (first @ second.T * factor).masked_fill(right & ~torch.eye(len(first), dtype=torch.bool), -torch.inf)
        own = torch.arange(len(first))
        return (cross_entropy(scores, own) + cross_entropy(scores.T, own)) / 2

    def measure(self, predictions: Predictions) -> dict[str, float]:
        vectors, numbers = predictions.outputs[OUTPUT], predictions.targets[OUTPUT]
        return measure_ranks(rank_partners(vectors[::2], vectors[1::2], numbers[::2], numbers[1::2]))


def find_partners(first: Indices, second: Indices) -> npt.NDArray[np.bool_]:
    """Return which second texts are right for which first ones, bool [n, n]. first, second: the numbers of the texts.

    >>> find_partners(np.array([0, 1, 0]), np.array([5, 6, 6])).tolist()
    [[True, False, True], [False, True, True], [True, True, True]]
    """
    same_first, same_second = first[:, None] == first, second[:, None] == second
    return np.asarray(same_first | same_second | (first[:, None] == second))


def rank_partners(questions: Floats, partners: Floats, first: Indices, second: Indices) -> Indices:
    """Return the rank of each row's partner among the different partners of all rows, by cosine, int64 [n] from 1.

    questions, partners: vectors [n, size]; NaN for a text without one, whose rank is 0: it is not found. first, second:
    the numbers of the texts. Of several partners of equal texts, the nearest one counts. What is as near as the
    partner counts as nearer, so that vectors that are all alike find nothing.

    >>> partners = np.eye(3, dtype=np.float32)
    >>> rank_partners(partners[[0, 2, 2]], partners, np.arange(3), np.arange(3) + 3).tolist()
    [1, 3, 1]
    """
    _, kept, number = np.unique(second, return_index=True, return_inverse=True)
    candidates, texts = unit(partners)[kept], unit(questions)
    right_of: dict[int, set[int]] = {}
    for text, candidate in zip(first.tolist(), number.tolist(), strict=True):
        right_of.setdefault(text, set()).add(candidate)
    ranks = np.zeros(len(first), np.int64)
    for start in range(0, len(first), CHUNK):
        cosines = texts[start : start + CHUNK] @ candidates.T
        cosines[np.isnan(cosines)] = -np.inf
        for i, row in enumerate(cosines, start):
            own = sorted(right_of[int(first[i])])
            best = row[own].max()
            if np.isfinite(best):
                ranks[i] = 1 + int((row >= best - SAME).sum()) - int((row[own] >= best - SAME).sum())
    return ranks


def unit(vectors: Floats) -> Floats:
    """Return vectors of length 1; those of length 0 stay as they are."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)


def measure_ranks(ranks: Indices) -> dict[str, float]:
    """Compute the share of rows whose partner is the nearest, and the mean of one by its rank; rank 0: not found.

    >>> measure_ranks(np.array([1, 2, 0, 4]))
    {'recall_at_1': 0.25, 'mean_reciprocal_rank': 0.4375}
    """
    found = np.where(ranks > 0, 1 / np.maximum(ranks, 1), 0.0)
    return {"recall_at_1": float((ranks == 1).mean()), "mean_reciprocal_rank": float(found.mean())}


# ---- training data


def check_options(source: Any, options: Any) -> None:
    """Raise OptionError for data that have no pairs of texts."""
    if options.pairs == options.text:
        raise OptionError(f"pairs is {options.pairs!r}, the column of texts itself; name the column of their partners")
    if options.conversation is not None:
        raise OptionError("pairs are of single texts, and conversation is given; leave one of them out")
    if classify.find_input(source, options) is not _classified_texts:
        raise OptionError(
            "pairs are of texts, and these data are series; learn from their labels with --label, or leave --pairs out "
            "to learn from their steps"
        )


def summary(source: Table, options: Any) -> str:
    """Describe how a source and its columns are read."""
    texts = set(source.column(options.pairs))
    return f"{_unlabelled.summary(source, options)}; pairs: column {options.pairs!r}, {len(texts):,} different"


def split_folds(source: Table, options: Any, count: int) -> list[Fold]:
    """Split a table of pairs into folds; rows with equal first texts stay in one. Raises DataError."""
    source, _ = skip_empty(source, options)
    together, what = _classified_texts.number_together(source, options)
    return split_rows(source, count, together, seed=options.seed, what=what)


def prepare(source: Table, valid: Table | None, options: Any) -> Contrast:
    """Make the `Problem` of a table of pairs. valid: rows that select the weights. Raises DataError, OptionError."""
    check_options(source, options)
    tables = [source] if valid is None else [source, valid]
    skipped = [skip_empty(each, options) for each in tables]
    tables = [each for each, _ in skipped]
    if valid is not None and options.refit_epochs is None:
        options = replace(options, refit_epochs=0)  # a validation file is only trained on where the user says so
    made, targets = make_rows(tables, options)
    layers, _ = classify.add_layers(made, options.size)
    check_targets(targets[:, made.train_rows], source.path)
    return Contrast(
        options=replace(made.options, smoothing=None, prefix=None),
        rows=made.rows,
        train_rows=made.train_rows,
        valid_rows=made.valid_rows,
        inputs={INPUT: made.section},
        arrays=made.arrays,
        features=None,
        layers=layers,
        outputs={OUTPUT: {"kind": "vector", "at": "end", "from": f"{GRAPH}.{len(layers) - 1}"}},
        summaries=[summary(each, options) for each in tables],
        notes=[own + part for (_, own), part in zip(skipped, made.part.notes, strict=True)],
        groups=made.groups,
        provenance=made.provenance,
        loss_tensors={SHARPNESS: np.array([-np.log(FIRST_TEMPERATURE)], np.float32)},
    )


def skip_empty(table: Table, options: Any) -> tuple[Table, list[str]]:
    """Leave out the rows of which a text has no token, if the options say so; return the table and notes about them."""
    table, notes = _messages.skip_empty(table, options)
    table, more = _messages.skip_empty(table, replace(options, text=options.pairs))
    return table, notes + more


def make_rows(tables: list[Table], options: Any) -> tuple[Prepared, Indices]:
    """Make the rows and the input of pairs; return also the numbers of their texts, int64 [2, n]. Raises DataError.

    Rows with equal first texts stay on one side of the hold-out.
    """
    sides = [replace(options, text=column) for column in (options.text, options.pairs)]
    tokens = [[row for table in tables for row in _messages.tokenize_rows(table, side)] for side in sides]
    count, several = len(tables[0]), len(tokens[0])
    options = _sizing.resolve_classifier(
        replace(options, input=_classified_texts.KIND, batch=options.batch or _sizing.default_batch_of_pairs(count)),
        _sizing.resolve_for_text,
        [len(a) + len(b) for a, b in zip(*(side[:count] for side in tokens), strict=True)],
        1,
    )
    both = tokens[0] + tokens[1]
    learnt = np.arange(several if options.refit_epochs else count)
    parts, ids = build(options, both, learnt, several)
    numbers = number_keys(row.tobytes() for row in ids).reshape(2, -1)
    part = hold_out(
        options, tables[0], tables[1] if tables[1:] else None, np.zeros(several, np.int64), [""], numbers[0]
    )
    if not options.refit_epochs:
        parts, ids = build(options, both, part.train_rows, several)
        numbers = number_keys(row.tobytes() for row in ids).reshape(2, -1)
    section, arrays, vocabulary, hide_rates = parts
    builder = Builder(None)
    builder.add("embed", rows=len(vocabulary), size=options.embed)
    made = Prepared(
        options,
        Pairs(_messages.Messages(ids, OUTPUT, numbers.ravel(), hide_rates)),
        part,
        part.train_rows,
        part.valid_rows,
        part.groups,
        numbers[0][part.train_rows],
        section,
        arrays,
        builder,
        conv_width=options.embed or 0,
        provenance={"judged_on": part.description},
    )
    return made, numbers


def build(options: Any, tokens: list[list[bytes]], rows: Indices, several: int) -> Any:
    """Build the input from both texts of some rows, and return it with the ids of all texts."""
    return _messages.build_input_and_ids(options, [tokens[i] for i in (*rows, *(rows + several))], tokens)


def check_targets(numbers: Indices, path: str) -> None:
    """Raise DataError where no pair can be told from another one. numbers: of the texts of each row, [2, n]."""
    first, second = numbers
    if (first == first[0]).all() or (second == second[0]).all():
        raise DataError(
            f"{path}: the pairs have the same text on one side in all rows; learning from pairs needs rows that differ"
        )
