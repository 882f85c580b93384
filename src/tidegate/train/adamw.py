"""The optimiser: AdamW with clipped gradients, run by the native engine in one pass over a weight and its moments."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from .. import _native
from ..errors import OptionError

BETAS, EPS = (0.9, 0.99), 1e-8
MAX_NORM = 1.0  # of all gradients together; larger ones are scaled down to it


class AdamW:
    """AdamW over named parameters, with weight decay on some. mean, square: its moments by name, initially zero.

    A gradient may be sparse and cover some rows of a table; its other rows then count as zero.

    Source: Loshchilov and Hutter 2019 (arXiv:1711.05101), algorithm 2.
    """

    def __init__(self, parameters: Mapping[str, torch.nn.Parameter], decayed: list[torch.nn.Parameter], decay: float):
        own = {id(p) for p in decayed}
        self.parameters = parameters
        self.decay = {name: decay if id(p) in own else 0.0 for name, p in parameters.items()}
        self.mean = {name: torch.zeros_like(p) for name, p in parameters.items()}
        self.square = {name: torch.zeros_like(p) for name, p in parameters.items()}

    @torch.no_grad()
    def step(self, rate: float, step: int) -> None:
        """Take step number `step`, counted from 1, in place on the parameters that have a gradient.

        Raises OptionError for gradients that are not finite, before anything is changed.
        """
        raw = {name: p.grad for name, p in self.parameters.items() if p.grad is not None and p.numel()}
        gradients = {name: g.coalesce() if g.is_sparse else g for name, g in raw.items()}
        values = {name: g.values() if g.is_sparse else g for name, g in gradients.items()}
        norm = math.sqrt(sum(float(torch.linalg.vector_norm(v, dtype=torch.float64)) ** 2 for v in values.values()))
        if not math.isfinite(norm):
            wrong = [name for name, v in values.items() if not bool(v.isfinite().all())]
            raise OptionError(
                f"step {step}: the gradient of {wrong[0] if wrong else 'all weights'} is NaN or infinite; "
                "choose a lower learning rate (--rate), or look for very large numbers in the data"
            )
        factor = min(1.0, MAX_NORM / (norm + 1e-6))
        for name, g in gradients.items():
            rows = g.indices()[0].numpy() if g.is_sparse else None
            p, m, v = (as_rows(t[name]) for t in (self.parameters, self.mean, self.square))
            _native.train_adamw(p, m, v, rows, as_rows(values[name]), factor, step, rate, *BETAS, EPS, self.decay[name])
            torch.autograd.graph.increment_version(
                self.parameters[name]
            )  # so that backward through an older graph fails


def as_rows(v: torch.Tensor) -> npt.NDArray[np.float32]:
    """Return a view of the tensor's memory as rows."""
    array: npt.NDArray[np.float32] = v.detach().numpy()
    return array.reshape(len(array), -1)
