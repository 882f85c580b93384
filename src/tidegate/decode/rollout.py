"""Rollout: sample many possible futures step by step, and feed them back, as autoregressive forecasts need.

A step is sampled from the model's quantiles, each target independently: interpolated linearly between two quantiles,
and cut off at the outermost ones. The first step ahead has the model's own quantiles, later ones those of the paths, or
NaN once a path exceeds the largest number allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..features.steps import LARGEST
from .base import VALUES, Array, Context, Decoder, Memory, Update, check_common

DRAWN: Final = 1 << 12  # numbers that are drawn at once

Floats = npt.NDArray[np.float64]


def parse(place: str, entry: Mapping[str, Any], width: int, tensors: Mapping[str, Array]) -> Rollout:
    """Make the decoder of an entry, whose output has checked the quantiles. Raises ModelFileError."""
    check_common(place, entry, width, "quantiles")
    return Rollout(place, entry, width)


class Rollout(Decoder):
    """Quantiles of the steps ahead, of `paths` futures of each of n streams. All streams get the same draws.

    `decided` has the quantiles of one step, float64 [n, 1, targets, quantiles]. `next` has the targets of each future,
    then what is known of the step after: float64 [n x paths, targets + known columns]; the targets of a future that is
    lost are NaN. Its memory: the seed, the number of the step, draws for it and the next ones, which futures are lost,
    and what is known.

    >>> rollout = Rollout("outputs.forecast", {"options": {"quantiles": [0.5]}}, 1)
    >>> memory = rollout.start(1, Context(seed=0, paths=2))
    >>> update = rollout.update(memory, np.array([[[1.0]], [[3.0]]]))
    >>> update.decided.tolist(), update.next.tolist()
    ([[[[1.0]]]], [[1.0], [3.0]])
    """

    kind = "rollout"
    gives = VALUES
    drives = True

    def __init__(self, place: str, entry: Mapping[str, Any], width: int) -> None:
        super().__init__(place, entry, width)
        self.levels = np.array(entry["options"]["quantiles"])

    def start(self, n: int, context: Context | None = None) -> Memory:
        seed, paths, known = context or Context()
        return {
            "seed": np.array(seed, np.int64),
            "step": np.array(0, np.int64),
            "shares": np.empty((0, paths, 0)),
            "lost": np.zeros((n, paths), bool),
            "known": np.empty((n, 0, 0)) if known is None else known,
        }

    def update(self, memory: Memory, y: Array) -> Update:
        """Return what a step ahead changes.

        y: its quantiles for each future, float64 [n x paths, targets, quantiles].
        """
        step, (n, paths), known = int(memory["step"]), memory["lost"].shape, memory["known"]
        shares = memory["shares"]
        if not len(shares):
            shares = draw_shares(int(memory["seed"]), step, (paths, y.shape[1]))
        values = sample(y, self.levels, np.tile(shares[0], (n, 1)))
        lost = memory["lost"].reshape(-1) | is_too_large(values)
        values[lost] = np.nan  # from here on the path is lost, and so is its stream
        quantiles = y[::paths]
        if step:
            quantiles = np.quantile(values.reshape(n, paths, -1), self.levels, axis=1).transpose(1, 2, 0)
        following = values
        if step + 1 < known.shape[1]:
            following = np.concatenate([values, np.repeat(known[:, step + 1], paths, 0)], 1)
        after = {"step": memory["step"] + 1, "shares": shares[1:], "lost": lost.reshape(n, paths)}
        return Update({**memory, **after}, quantiles[:, None], following)


def draw_shares(seed: int, step: int, shape: tuple[int, int]) -> Floats:
    """Return the draws of this step and of some that follow, [steps, *shape]: the same wherever they begin.

    >>> [draw_shares(0, step, (1, 1))[0, 0].round(2).tolist() for step in (0, 1)], draw_shares(0, 0, (1, 1))[1].round(2)
    ([[0.64], [0.27]], array([[0.27]]))
    """
    size = shape[0] * shape[1]
    random = np.random.Generator(np.random.PCG64(seed).advance(step * size))
    return random.random((max(1, DRAWN // size), *shape))


def is_too_large(y: Floats) -> npt.NDArray[np.bool_]:
    """Return which rows of y [n, targets] have a number that is too large for a step, or NaN."""
    return np.asarray(~(np.abs(y) <= LARGEST).all(1))


@np.errstate(invalid="ignore", over="ignore")
def sample(values: Floats, levels: Floats, shares: Floats) -> Floats:
    """Return the quantiles at these shares [n, k] of distributions with quantiles `values` [n, k, levels] at `levels`.

    >>> sample(np.array([[[1.0, 3.0]]]), np.array([0.25, 0.75]), np.array([[0.5]])).tolist()
    [[2.0]]
    >>> sample(np.array([[[1.0, 3.0]]]), np.array([0.25, 0.75]), np.array([[0.9]])).tolist()
    [[3.0]]
    """
    if len(levels) == 1:
        return values[..., 0].copy()
    position = np.interp(shares, levels, np.arange(len(levels)))
    low = np.minimum(position.astype(np.int64), len(levels) - 2)
    below, above = (np.take_along_axis(values, at[..., None], -1)[..., 0] for at in (low, low + 1))
    return np.asarray(below + (position - low) * (above - below))
