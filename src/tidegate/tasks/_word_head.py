"""A head that predicts words from a vector, by the embedding table of the words that are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from ..document import scoring
from .base import Array, Indices

if TYPE_CHECKING:
    import torch

PROJECTION, BIAS = "projection", "bias"  # names of its tensors
NO_WORD: Final = 0  # the id of unknown words, which are never predicted
MOST_VECTORS: Final = 512  # of a training step that count, drawn anew at each one
MOST_CANDIDATES: Final = 8192  # words that a training step compares; of a larger vocabulary some are drawn
CHUNK: Final = 1024  # vectors whose scores are in memory at once


def first_tensors(counts: Indices, size: int, embed: int, seed: int) -> dict[str, Array]:
    """Return the first values of the head's tensors: at first it predicts each word by its share in training.

    counts: of each id in training, int64 [V]. size: of a vector. embed: the width of the embedding table.
    """
    random = np.random.default_rng([seed, 0x3EAD])
    shares = (counts + 1) / (counts + 1).sum()
    projection = random.standard_normal((embed, size)) / np.sqrt(size)
    return {PROJECTION: projection.astype(np.float32), BIAS: np.log(shares).astype(np.float32)}


def load_tensors(
    provenance: Mapping[str, Any], tensors: Mapping[str, Array], size: int, table: tuple[int, ...]
) -> dict[str, Array]:
    """Return the head's tensors in a model file. size: of a vector; table: the shape of the embedding table.

    Raises ModelFileError for a file without them.
    """
    return scoring.load(provenance, tensors, {PROJECTION: (table[1], size), BIAS: (table[0],)})


def loss(
    vectors: torch.Tensor,
    words: Indices,
    table: torch.Tensor,
    tensors: Mapping[str, torch.Tensor],
    random: np.random.Generator,
) -> torch.Tensor:
    """Return the mean cross-entropy of the words that vectors should predict, over vectors, a scalar of torch.

    vectors: [n, size]. words: [n, K], `NO_WORD` where there is none. table: [V, embed]. At most `MOST_VECTORS` vectors
    count, which are drawn. Of a vocabulary of over `MOST_CANDIDATES` words, each is compared with as many drawn evenly
    and with the words of the batch, whose scores are corrected for it.

    Source: sampled softmax, Jean et al. 2015 (arXiv:1412.2007), section 3.
    """
    import torch

    counted = np.flatnonzero((words != NO_WORD).any(1))
    if not len(counted):
        return vectors.sum() * 0
    if len(counted) > MOST_VECTORS:
        counted = np.sort(random.choice(counted, MOST_VECTORS, replace=False))
    words, rows, bias = words[counted], len(table), tensors[BIAS]
    hidden = vectors[torch.from_numpy(counted)] @ tensors[PROJECTION].T
    if rows > MOST_CANDIDATES:
        drawn = random.choice(rows - 1, MOST_CANDIDATES, replace=False) + 1
        own = np.unique(words[words != NO_WORD])
        candidates = np.union1d(drawn, own)
        correction = np.where(np.isin(candidates, own), 0.0, np.log((rows - 1) / MOST_CANDIDATES)).astype(np.float32)
        index = torch.from_numpy(candidates)
        scores = hidden @ table[index].T + bias[index] + torch.from_numpy(correction)
        places = np.searchsorted(candidates, words)
    else:
        scores = hidden @ table.T + bias
        scores[:, NO_WORD] = -torch.inf
        places = words
    weights = torch.from_numpy((words != NO_WORD).astype(np.float32))
    places = np.where(words == NO_WORD, 0 if rows > MOST_CANDIDATES else 1, places)
    losses = -scores.log_softmax(1).gather(1, torch.from_numpy(places)) * weights
    return (losses.sum(1) / weights.sum(1)).mean()


def surprise(
    vectors: npt.NDArray[Any], words: Indices, table: npt.NDArray[Any], tensors: Mapping[str, Array]
) -> npt.NDArray[np.float64]:
    """Return the cross-entropy of each word over the whole vocabulary, float64 [n, K], 0 where there is none."""
    found = np.zeros(words.shape)
    for start in range(0, len(vectors), CHUNK):
        part = slice(start, start + CHUNK)
        hidden = vectors[part].astype(np.float32) @ tensors[PROJECTION].T
        scores = hidden @ table.T + tensors[BIAS]
        scores[:, NO_WORD] = -np.inf
        top = scores.max(1, keepdims=True)
        total = top[:, 0] + np.log(np.exp(scores - top).sum(1, dtype=np.float64))
        own = np.take_along_axis(scores, words[part], 1)
        found[part] = np.where(words[part] == NO_WORD, 0.0, total[:, None] - own)
    return found
