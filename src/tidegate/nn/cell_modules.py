"""One step as a module, with the arguments, weights and answers of torch.nn's GRUCell, LSTMCell and RNNCell."""

from __future__ import annotations

from typing import Any

import torch

from .. import cells
from ..errors import WrongValue
from . import arguments, dialects, recurrent, transforms
from .modules import gru_dialect, lstm_dialect, rnn_dialect

Tensor = torch.Tensor


class CellModule(dialects.DialectMixin):
    """What the modules of this file have in common; make one of those. fused: as in `modules.Recurrent`."""

    fused = True

    def __init__(
        self, cell: str, dialect: dict[str, str], input_size: int, hidden_size: int, bias: bool, device: Any, dtype: Any
    ) -> None:
        super().__init__()
        arguments.whole("input_size", input_size)
        arguments.whole("hidden_size", hidden_size, 0)
        arguments.flag("bias", bias)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        self._cell = (cell, tuple(sorted({**dialect, "bias": "yes" if bias else "no"}.items())))
        for name, shape in dialects.weights(self.cell, input_size, hidden_size, hidden_size).items():
            self.register_parameter(name, torch.nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        for name in () if bias else ("bias_ih", "bias_hh"):
            self.register_parameter(name, None)
        self.reset_parameters()

    @property
    def cell(self) -> cells.Cell:
        """The equation, in the module's dialect."""
        return recurrent.cell_of(*self._cell)

    @property
    def engine(self) -> str:
        """Which code runs: see `tidegate.nn.engine`."""
        return recurrent.engine(self.cell.tape, native=False) if self.fused else "tape"

    def dialect_entry(self) -> dict[str, str]:
        return dialects.spoken(self.cell)

    def reset_parameters(self) -> None:
        """Draws all weights anew: uniform within 1 / sqrt(hidden_size); a norm's gain is 1 and its bias 0."""
        dialects.reset(dict(self.named_parameters()), self.hidden_size)

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """The next state [B, hidden_size]; an LSTM's is (h, c).

        input: [B, input_size], or [input_size] for one row, where states have no batch axis either. hx: the state
        before; zeros if None.

        Raises WrongShape (a RuntimeError), WrongValue (a ValueError), WrongType (a TypeError).
        """
        name, weight = type(self).__name__, self.weight_ih
        assert isinstance(weight, Tensor)
        arguments.vector(input, self.input_size, weight.dtype, name)
        x = input if input.dim() == 2 else input[None]
        state = self.first(hx, input) or {n: x.new_zeros(x.shape[0], self.hidden_size) for n in self.cell.tape.state}
        following = self.step(x, state)
        final = tuple(v if input.dim() == 2 else v[0] for v in following.values())
        return final if len(final) > 1 else final[0]

    def first(self, hx: Any, input: Tensor) -> dict[str, Tensor]:
        """The given state, name -> [B, hidden_size]; empty for none."""
        if hx is None:
            return {}
        names, name = tuple(self.cell.tape.state), type(self).__name__
        for k, v in enumerate(hx if len(names) > 1 else (hx,)):
            if isinstance(v, Tensor) and v.dim() not in (1, 2):
                which = f"hx[{k}]" if len(names) > 1 else "hidden"
                raise WrongValue(f"{name}: Expected {which} to be 1D or 2D, got {v.dim()}D instead")
        given = arguments.states(hx, names, input, input.dim(), name)
        arguments.sizes(given, [(*input.shape[:-1], self.hidden_size)] * len(names), name)
        return {n: v if input.dim() == 2 else v[None] for n, v in zip(names, given, strict=True)}

    def step(self, x: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
        tape = self.cell.tape
        t = dialects.tensors(self.cell, lambda name: getattr(self, name, None))
        if self.fused and not transforms.by_tape() and (kernel := recurrent.kernel_of(tape)):
            return recurrent.step_by_kernel(kernel, t, x, state)
        return recurrent.step_by_tape({"size": self.hidden_size}, tape, t, x, state)

    def extra_repr(self) -> str:
        own = {} if self.bias else {"bias": False}
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            own["nonlinearity"] = self.nonlinearity  # type: ignore[assignment]
        said = {**own, **self.dialect_entry(), "engine": self.engine}
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *(f"{k}={v}" for k, v in said.items())])


class GRUCell(CellModule):
    """The next state of a gated recurrent unit, in place of torch.nn.GRUCell; reset, update, norm: as `GRU`.

    Raises WrongValue, WrongType (a ValueError, a TypeError).

    >>> GRUCell(3, 4)(torch.zeros(2, 3)).shape
    torch.Size([2, 4])

    Source: the equations of `tidegate.cells.gru`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        reset: str = "after",
        update: str = "keep",
        norm: bool = False,
    ) -> None:
        super().__init__("gru", gru_dialect(reset, update, norm), input_size, hidden_size, bias, device, dtype)
        self.reset, self.update, self.norm = reset, update, norm


class LSTMCell(CellModule):
    """The next states (h, c) of a long short-term memory, in place of torch.nn.LSTMCell; peepholes, norm: as `LSTM`.

    Raises WrongValue, WrongType (a ValueError, a TypeError).

    >>> h, c = LSTMCell(3, 4)(torch.zeros(2, 3))
    >>> h.shape, c.shape
    (torch.Size([2, 4]), torch.Size([2, 4]))

    Source: the equations of `tidegate.cells.lstm`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        peepholes: bool = False,
        norm: bool = False,
    ) -> None:
        super().__init__("lstm", lstm_dialect(peepholes, norm), input_size, hidden_size, bias, device, dtype)
        self.peepholes, self.norm = peepholes, norm


class RNNCell(CellModule):
    """The next state of a plain recurrent network, in place of torch.nn.RNNCell; norm: as `RNN`.

    Raises WrongValue, WrongType (a ValueError, a TypeError).

    >>> RNNCell(3, 4, nonlinearity="relu")(torch.zeros(3)).shape
    torch.Size([4])

    Source: the equation of `tidegate.cells.rnn`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
        *,
        norm: bool = False,
    ) -> None:
        super().__init__("rnn", rnn_dialect(nonlinearity, norm), input_size, hidden_size, bias, device, dtype)
        self.nonlinearity, self.norm = nonlinearity, norm
