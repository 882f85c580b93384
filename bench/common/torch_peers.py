"""torch.nn's recurrent modules and cells: float32, and the same weights where they have the same equation."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import tidegate
from tidegate.model import Model

from .cases import Case
from .interleaved import Work
from .ours import Float

MODULES = {
    "gru": "GRU",
    "lstm": "LSTM",
    "rnn": "RNN",
    "mingru": "GRU",
}  # torch.nn has no minimal GRU: a GRU of the same width


def make_module(case: Case, of: Model) -> torch.nn.Module:
    """Make torch.nn's module with the case's weights, or with random ones where its equation differs."""
    if case.cell == "mingru":
        return torch.nn.GRU(case.inputs, case.size).eval()
    return tidegate.to_torch(of)


def make_works(case: Case, of: Model, x: Float, threads: int = 1) -> dict[str, Work]:
    """Make the works by name; torch's own cell modules only for single rows."""
    if case.dialect:
        return {}
    torch.set_num_threads(threads)
    kind, whole = MODULES[case.cell], make_module(case, of)
    works = {f"torch.nn.{kind}": make_work(case, whole, x, (1, len(x[0])))}
    if case.kind == "step":
        alone = getattr(torch.nn, f"{kind}Cell")(case.inputs, case.size).eval()
        alone.load_state_dict({name.removesuffix("_l0"): value for name, value in whole.state_dict().items()})
        works[f"torch.nn.{kind}Cell"] = make_work(case, lambda row, h: (None, alone(row[0], h)), x, (1,))
    return works


def make_work(case: Case, module: Callable[..., Any], x: Float, batch: tuple[int, ...]) -> Work:
    """Make the work of a module that maps an input and a state to an output and the next state.

    batch: the shape of a state before H.
    """
    zeros: Any = torch.zeros(*batch, case.size)
    zeros = (zeros, zeros) if case.cell == "lstm" else zeros
    rows = itertools.cycle(torch.from_numpy(x).split(1 if case.stepwise else len(x)))
    now: dict[str, Any] = {"out": None, "h": zeros}

    @torch.inference_mode()
    def call() -> None:
        now["out"], h = module(next(rows), now["h"])
        if case.stepwise:
            now["h"] = h

    def left() -> np.ndarray[Any, Any]:
        h = now["h"][0] if case.cell == "lstm" else now["h"]
        return h.reshape(case.rows, -1).numpy() if case.stepwise else now["out"].numpy()

    return Work(call, left)
