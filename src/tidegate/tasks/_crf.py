"""A linear-chain CRF over the tags of a row: its entry in the model file, its first numbers, and its loss.

Source: Lafferty, McCallum, Pereira, Conditional Random Fields, 2001; on recurrent networks: Huang, Xu, Yu,
Bidirectional LSTM-CRF Models for Sequence Tagging, 2015.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from ..decode.viterbi import FORBIDDEN

if TYPE_CHECKING:
    import torch

NAME: Final = "path"  # of the decoder
TENSORS: Final = {role: f"decoders.{NAME}.{role}" for role in ("transitions", "start", "end")}
LOOK_AHEAD: Final = 8  # steps after which a tag is final at the latest
LEAST_SUM: Final = 1e-30  # of exponentials below 1, whose logarithm is taken

Array = npt.NDArray[Any]
Allowed = npt.NDArray[np.bool_]


def make_decoders(part: list[int] | None) -> dict[str, dict[str, Any]]:
    """Make the entry of the decoder. part: which numbers of the last node are those of the tags; None: all."""
    own = {} if part is None else {"part": part}
    return {NAME: {"kind": "viterbi", **own, "tensors": TENSORS, "options": {"look_ahead": LOOK_AHEAD}}}


def init_tensors(labels: Sequence[str], follows_bio: bool) -> dict[str, Array]:
    """Return the first numbers: zeros, and FORBIDDEN for the transitions and beginnings that BIO rules out.

    >>> init_tensors(["B-x", "I-x", "O"], True)["decoders.path.start"].tolist()
    [0.0, -1000000000.0, 0.0]
    """
    K = len(labels)
    transitions, start = np.zeros((K, K), np.float32), np.zeros(K, np.float32)
    for k, label in enumerate(labels):
        if follows_bio and label.startswith("I"):
            before = [other[0] in "BI" and other[1:] == label[1:] for other in labels]
            transitions[~np.array(before), k] = start[k] = FORBIDDEN
    return dict(zip(TENSORS.values(), (transitions, start, np.zeros(K, np.float32)), strict=True))


def hide_forbidden(targets: Array, lengths: Array, allowed: Allowed, may_begin: Allowed, hidden: int) -> Array:
    """Return targets in which each tag that may not follow the one before is `hidden`, as nothing is learnt from it.

    targets: int64 [N], of rows one after another; negative: unknown. lengths: of the rows [B]. allowed: [K, K];
    may_begin: [K].

    >>> allowed = np.array([[True, False], [True, True]])
    >>> hide_forbidden(np.array([0, 1, 1, 0]), np.array([2, 2]), allowed, np.array([True, True]), -1).tolist()
    [0, -1, 1, 0]
    """
    first = np.zeros(len(targets), bool)
    first[np.cumsum(lengths) - lengths] = True
    before = np.roll(targets, 1)
    follows = allowed[before, targets] | (before < 0)
    return np.where((targets >= 0) & ~np.where(first, may_begin[targets], follows), hidden, targets)


def loss(y: torch.Tensor, targets: Array, lengths: Array, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the negative log-likelihood of rows of tags, summed over them: a scalar with gradients.

    It is the difference of two runs of the forward algorithm in log space: over all paths, and over those with the
    known tags. So an unknown tag counts with every tag that it can be. Forbidden transitions stay so, without a
    gradient.

    y: scores [N, K], of rows one after another. targets: int64 [N], negative where unknown. lengths: int64 [B].
    tensors: those of the decoder, by name.
    """
    import torch

    transitions, start, end = (
        torch.where(t <= float(FORBIDDEN), float(FORBIDDEN), t) for t in (tensors[name] for name in TENSORS.values())
    )
    allowed, may_begin = ((t > float(FORBIDDEN)).detach().numpy() for t in (transitions, start))
    known = torch.from_numpy(hide_forbidden(targets, lengths, allowed, may_begin, -1))
    others = (known[:, None] >= 0) & (known[:, None] != torch.arange(y.shape[1]))
    count = torch.from_numpy(lengths)
    steps = torch.arange(int(count.max()))[:, None]
    place = (steps + count.cumsum(0) - count).clamp(max=len(y) - 1)  # what follows a row is not read
    scores = torch.cat([y[place], y.masked_fill(others, float(FORBIDDEN))[place]], 1)  # [T, 2 B, K]
    factors, length, sums = transitions.exp(), count.repeat(2), start + scores[0]
    for t in range(1, len(scores)):
        top = sums.max(1, keepdim=True).values.detach()
        following = ((sums - top).exp() @ factors + LEAST_SUM).log() + top + scores[t]
        sums = torch.where((t < length)[:, None], following, sums)
    everything, right = (sums + end).logsumexp(1).chunk(2)
    return (everything - right).sum()
