"""Every module of tidegate.nn, and its reference: the same in float64, which runs the tape step by step."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch

from tidegate import nn

Tensor = torch.Tensor
MODULES: dict[str, Callable[[], torch.nn.Module]] = {
    "GRU": lambda: nn.GRU(3, 2),
    "GRU before": lambda: nn.GRU(3, 2, reset="before"),
    "GRU replace, both ways": lambda: nn.GRU(3, 2, update="replace", bidirectional=True),
    "GRU norm": lambda: nn.GRU(3, 4, norm=True),
    "LSTM of two layers": lambda: nn.LSTM(3, 2, 2),
    "LSTM peepholes": lambda: nn.LSTM(3, 2, peepholes=True),
    "LSTM projected": lambda: nn.LSTM(3, 4, proj_size=2),
    "RNN": lambda: nn.RNN(3, 2),
    "MinGRU": lambda: nn.MinGRU(3, 2),
    "GRUCell": lambda: nn.GRUCell(3, 2),
    "GRUCell before": lambda: nn.GRUCell(3, 2, reset="before"),
    "LSTMCell": lambda: nn.LSTMCell(3, 2),
    "RNNCell norm": lambda: nn.RNNCell(3, 4, norm=True),
    "FinalStates": lambda: nn.Sequential(nn.LSTM(3, 2, bidirectional=True), nn.FinalStates(), torch.nn.Linear(4, 2)),
    "Sequential": lambda: nn.Sequential(torch.nn.Linear(3, 3), nn.GRU(3, 2), torch.nn.Linear(2, 2)),
    "Scale": lambda: nn.Scale([0.0, 1.0, 2.0], [1.0, 2.0, 3.0]),
}


class FirstOutput(torch.nn.Module):
    """A module that returns only the outputs, or the first state of a cell."""

    def __init__(self, part: torch.nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        y = self.part(x)
        while isinstance(y, tuple):
            y = y[0]
        return y


def make_module(name: str) -> Any:
    torch.manual_seed(1)
    return FirstOutput(MODULES[name]())


def make_reference(module: Any) -> Any:
    """Return the same in float64, running the tape step by step."""
    reference = copy.deepcopy(module).double()
    for part in reference.modules():
        part.fused = False
    return reference


def random_input(name: str, steps: int = 2, rows: int = 2, seed: int = 0) -> Tensor:
    shape = (rows, 3) if "Cell" in name else (steps, rows, 3)
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def longer_input(name: str) -> Tensor:
    """Return another input than the one for tracing, with more steps and rows."""
    return random_input(name, steps=7, rows=3, seed=1)


def assert_near(found: Any, right: Any) -> None:
    torch.testing.assert_close(found.detach().double(), right.detach(), rtol=1e-3, atol=1e-4)
