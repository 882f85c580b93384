"""GRUCell, LSTMCell and RNNCell with the arguments, weights and outputs of torch.nn: one step of a recurrence."""

from __future__ import annotations

from typing import Any

import torch

from .. import cells
from ..errors import WrongValue
from . import arguments, dialects, recurrent, transforms
from .modules import gru_dialect, lstm_dialect, rnn_dialect

Tensor = torch.Tensor


class CellModule(dialects.DialectMixin):
    """Base of the modules of this file; do not create it directly. fused: as in `modules.RecurrentModule`."""

    fused = True

    def __init__(
        self, cell: str, dialect: dict[str, str], input_size: int, hidden_size: int, bias: bool, device: Any, dtype: Any
    ) -> None:
        super().__init__()
        arguments.check_integer("input_size", input_size)
        arguments.check_integer("hidden_size", hidden_size, 0)
        arguments.check_bool("bias", bias)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        self._cell = (cell, tuple(sorted({**dialect, "bias": "yes" if bias else "no"}.items())))
        recurrent.bare_layer(self._cell, input_size, hidden_size)
        for name, shape in dialects.weight_shapes(self.cell, input_size, hidden_size, hidden_size).items():
            self.register_parameter(name, torch.nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        for name in () if bias else ("bias_ih", "bias_hh"):
            self.register_parameter(name, None)
        self.reset_parameters()

    @property
    def cell(self) -> cells.Cell:
        """The equation, in the module's dialect."""
        return recurrent.load_cell(*self._cell)

    @property
    def engine(self) -> str:
        """The code that runs the module; see `tidegate.nn.engine`."""
        return recurrent.engine(self.cell.tape, native=False) if self.fused else "tape"

    def dialect_entry(self) -> dict[str, str]:
        return dialects.entry_choices(self.cell)

    def reset_parameters(self) -> None:
        """Initialise all weights: uniform within 1 / sqrt(hidden_size); the gain of a norm is 1 and its bias 0."""
        dialects.reset_weights(dict(self.named_parameters()), self.hidden_size)

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """Return the next state [B, hidden_size]; (h, c) for an LSTM.

        Args:
            input: [B, input_size], or [input_size] for one row, whose states have no batch axis either.
            hx: the previous state; None for zeros.

        Raises WrongShape (a RuntimeError), WrongValue (a ValueError) or WrongType (a TypeError).
        """
        name, weight = type(self).__name__, self.weight_ih
        assert isinstance(weight, Tensor)
        arguments.check_cell_input(input, self.input_size, weight.dtype, name)
        x = input if input.dim() == 2 else input[None]
        state = self.prepare_states(hx, input) or {
            n: x.new_zeros(x.shape[0], self.hidden_size) for n in self.cell.tape.state
        }
        following = self.step(x, state)
        final = tuple(v if input.dim() == 2 else v[0] for v in following.values())
        return final if len(final) > 1 else final[0]

    def prepare_states(self, hx: Any, input: Tensor) -> dict[str, Tensor]:
        """Check hx and return it as name -> [B, hidden_size]; empty for None."""
        if hx is None:
            return {}
        names, name = tuple(self.cell.tape.state), type(self).__name__
        for k, v in enumerate(hx if len(names) > 1 else (hx,)):
            if isinstance(v, Tensor) and v.dim() not in (1, 2):
                which = f"hx[{k}]" if len(names) > 1 else "hidden"
                raise WrongValue(f"{name}: Expected {which} to be 1D or 2D, got {v.dim()}D instead")
        states = arguments.check_states(hx, names, input, input.dim(), name)
        arguments.check_sizes(states, [(*input.shape[:-1], self.hidden_size)] * len(names), name)
        return {n: v if input.dim() == 2 else v[None] for n, v in zip(names, states, strict=True)}

    def step(self, x: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
        tape = self.cell.tape
        t = dialects.weights_by_role(self.cell, lambda name: getattr(self, name, None))
        if self.fused and not transforms.needs_tape() and (kernel := recurrent.find_kernel(tape)):
            return recurrent.step_with_kernel(kernel, t, x, state)
        layer = recurrent.bare_layer(self._cell, self.input_size, self.hidden_size)
        return recurrent.step_with_tape(layer, t, x, state)

    def extra_repr(self) -> str:
        changed = {} if self.bias else {"bias": False}
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            changed["nonlinearity"] = self.nonlinearity  # type: ignore[assignment]
        shown = {**changed, **self.dialect_entry(), "engine": self.engine}
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *(f"{k}={v}" for k, v in shown.items())])


class GRUCell(CellModule):
    """A gated recurrent unit (GRU) cell, a drop-in replacement for torch.nn.GRUCell.

    Args up to `dtype` are those of torch.nn.GRUCell. By keyword only:
        reset, update, norm: as in `GRU`.

    Input and output: see `forward`. Raises WrongValue (a ValueError) or WrongType (a TypeError).

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
    """A long short-term memory (LSTM) cell, a drop-in replacement for torch.nn.LSTMCell.

    Args up to `dtype` are those of torch.nn.LSTMCell. By keyword only:
        peepholes, norm: as in `LSTM`.

    Input and output: see `forward`. Raises WrongValue (a ValueError) or WrongType (a TypeError).

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
    """An Elman RNN cell, a drop-in replacement for torch.nn.RNNCell.

    Args up to `dtype` are those of torch.nn.RNNCell. By keyword only:
        norm: as in `GRU`.

    Input and output: see `forward`. Raises WrongValue (a ValueError) or WrongType (a TypeError).

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
