"""Stacked recurrent modules with the arguments, weights and answers of torch.nn's GRU, LSTM and RNN, and a minimal GRU.

Each layer and direction goes through `recurrent.last`; the module's repr says which code that runs.
"""

from __future__ import annotations

from typing import Any, Final, cast

import torch

from .. import cells
from . import arguments, dialects, recurrent, transforms
from .native import is_traced
from .packing import Rows

Tensor = torch.Tensor
FROZEN: Final = "the number of steps, or of rows, of the example would be that of every later input"


class Recurrent(dialects.DialectMixin):
    """What the modules of this file have in common; make one of those.

    fused: False runs every layer step by step by its tape (for tests). native: False leaves float32 on the CPU to
    torch's kernels too, and lets torch.compile take the steps into its graph.
    """

    fused, native = True, True

    def __init__(
        self,
        cell: str,
        dialect: dict[str, str],
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        proj_size: int,
        residual: bool,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        arguments.whole("input_size", input_size)
        arguments.whole("hidden_size", hidden_size)
        arguments.projection(proj_size, hidden_size)
        for name, value in (("bias", bias), ("batch_first", batch_first), ("residual", residual)):
            arguments.flag(name, value)
        arguments.stack(num_layers, dropout, residual)
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size, self.residual = bidirectional, proj_size, residual
        said = {**dialect, "bias": "yes" if bias else "no"} | ({"projection": "yes"} if proj_size else {})
        self._cell = (cell, tuple(sorted(said.items())))
        for layer in range(num_layers):
            width = input_size if layer == 0 else self.width * len(self.directions)
            for direction in self.directions:
                for name, shape in dialects.weights(self.cell, width, hidden_size, self.width).items():
                    empty = torch.empty(shape, device=device, dtype=dtype)
                    self.register_parameter(f"{name}_l{layer}{direction}", torch.nn.Parameter(empty))
        self.reset_parameters()

    @property
    def cell(self) -> cells.Cell:
        """The equation, in the module's dialect."""
        return recurrent.cell_of(*self._cell)

    @property
    def width(self) -> int:
        """The width of one direction's output."""
        return self.proj_size or self.hidden_size

    @property
    def directions(self) -> tuple[str, ...]:
        """What the names of a direction's weights end with."""
        return ("", "_reverse") if self.bidirectional else ("",)

    @property
    def engine(self) -> str:
        """Which code runs: see `tidegate.nn.engine`."""
        if not self.fused:
            return "tape"
        where, native = cast(Tensor, self.weight_ih_l0).device.type, self.native and not is_traced()
        return recurrent.engine(self.cell.tape, self.dtype, where, native)

    @property
    def all_weights(self) -> list[list[torch.nn.Parameter]]:
        """The weights of each layer and direction, in the order of their names in torch.nn."""
        names = list(dialects.weights(self.cell, self.input_size, self.hidden_size, self.width))
        ends = [f"_l{layer}{direction}" for layer in range(self.num_layers) for direction in self.directions]
        return [[getattr(self, name + end) for name in names] for end in ends]

    def weights(self, layer: int, direction: str = "") -> dict[str, Tensor]:
        """The weights of one layer and direction ("" or "_reverse") by the roles of a model file's recurrent layer."""
        return dialects.tensors(self.cell, lambda name: getattr(self, f"{name}_l{layer}{direction}", None))

    def dialect_entry(self) -> dict[str, str]:
        return dialects.spoken(self.cell, self.residual)

    def reset_parameters(self) -> None:
        """Draws all weights anew: uniform within 1 / sqrt(hidden_size); a norm's gain is 1 and its bias 0."""
        dialects.reset(dict(self.named_parameters()), self.hidden_size)

    def flatten_parameters(self) -> None:
        """Nothing: weights are read where they lie. It is there because code for torch.nn calls it."""

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Outputs and last states.

        input: [T, B, input_size] ([B, T, input_size] with batch_first), [T, input_size] for one row, or a
        PackedSequence. hx: first states [D * num_layers, B, width] ([D * num_layers, width] for one row), D the number
        of directions; an LSTM's is (h_0, c_0); zeros if None. Outputs are D * width wide, in the layout of the input.

        Raises WrongShape (a RuntimeError), WrongValue (a ValueError), WrongType (a TypeError).
        """
        if self.fused and self.native and transforms.compiling():
            return cast(tuple[Any, Any], transforms.outside(self, input, hx))
        name = type(self).__name__
        arguments.sequence(input, self.input_size, self.dtype, name)
        rows = Rows.of(input, self.batch_first)
        if transforms.tracing() and not (self.fused and rows.sizes is None and recurrent.kernel_of(self.cell.tape)):
            transforms.refuse(self, "traced", FROZEN)
        arguments.steps(rows.x, name)
        y, last = self.run(rows, None if hx is None else self.first(hx, rows))
        final = tuple(rows.leave(torch.stack([state[n] for state in last])) for n in self.cell.tape.state)
        return rows.output(y), final if len(final) > 1 else final[0]

    def first(self, hx: Any, rows: Rows) -> dict[str, Tensor]:
        """The given first states, name -> [D * num_layers, B, width], in the order of the rows."""
        name, shapes = type(self).__name__, self.cell.tape.state
        given = arguments.states(hx, tuple(shapes), rows.x, 2 if rows.batch is None else 3, name)
        each = [(self.width if shape == ("P",) else self.hidden_size) for shape in shapes.values()]
        batch = () if rows.batch is None else (rows.count,)
        layers = self.num_layers * len(self.directions)
        arguments.sizes(given, [(layers, *batch, width) for width in each], name)
        return dict(zip(shapes, map(rows.enter, given), strict=True))

    def run(self, rows: Rows, first: dict[str, Tensor] | None) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """The last layer's outputs, and the last states of each layer and direction."""
        x = rows.x
        last: list[dict[str, Tensor]] = []
        for layer in range(self.num_layers):
            outputs = []
            for direction in self.directions:
                state = None if first is None else {name: v[len(last)] for name, v in first.items()}
                y, final = recurrent.last(
                    {"size": self.hidden_size, "inputs": x.shape[-1], "project": self.proj_size or None},
                    self.cell.tape,
                    self.weights(layer, direction),
                    x,
                    rows.sizes,
                    state,
                    direction != "",
                    self.fused,
                    self.native,
                )
                outputs.append(y)
                last.append(final)
            above = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
            x = above + x if self.residual and layer else above
            if self.dropout and layer < self.num_layers - 1:
                x = torch.nn.functional.dropout(x, self.dropout, self.training)
        return x, last

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return cast(Tensor, self.weight_ih_l0).dtype

    def extra_repr(self) -> str:
        defaults = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0,
            "bidirectional": False,
        }
        said = {k: getattr(self, k) for k, default in defaults.items() if getattr(self, k) != default}
        said |= {**self.dialect_entry(), "engine": self.engine}
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *(f"{k}={v}" for k, v in said.items())])


class GRU(Recurrent):
    """Outputs and last state of a gated recurrent unit, in place of torch.nn.GRU.

    Arguments up to `dtype` as torch.nn.GRU has them. reset: "after" or "before" the recurrent product; update: what the
    update gate weighs, "keep" (the old state) or "replace" (the candidate); norm: layer norm of the input parts and the
    recurrent products; residual: each layer above the first adds its input.

    Raises WrongValue, WrongType (a ValueError, a TypeError).

    >>> module = GRU(3, 4, num_layers=2, update="replace")
    >>> module
    GRU(3, 4, num_layers=2, update=replace, engine=native gru replace)
    >>> y, h = module(torch.zeros(5, 2, 3))
    >>> y.shape, h.shape
    (torch.Size([5, 2, 4]), torch.Size([2, 2, 4]))

    Source: the equations of `tidegate.cells.gru`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        reset: str = "after",
        update: str = "keep",
        norm: bool = False,
        residual: bool = False,
        proj_size: None = None,
    ) -> None:
        arguments.no_projection(proj_size, "GRU")
        stack = input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, residual
        super().__init__("gru", gru_dialect(reset, update, norm), "GRU", *stack, device, dtype)
        self.reset, self.update, self.norm = reset, update, norm


class LSTM(Recurrent):
    """Outputs and last states of a long short-term memory, in place of torch.nn.LSTM.

    Arguments up to `dtype` as torch.nn.LSTM has them. peepholes: gates see the cell state, by weights weight_ch_l{k} of
    the gates i, f, o; norm, residual: as `GRU`.

    Raises WrongValue, WrongType (a ValueError, a TypeError).

    >>> y, (h, c) = LSTM(3, 4, proj_size=2)(torch.zeros(5, 2, 3))
    >>> y.shape, h.shape, c.shape
    (torch.Size([5, 2, 2]), torch.Size([1, 2, 2]), torch.Size([1, 2, 4]))

    Source: the equations of `tidegate.cells.lstm`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        peepholes: bool = False,
        norm: bool = False,
        residual: bool = False,
    ) -> None:
        stack = input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, residual
        super().__init__("lstm", lstm_dialect(peepholes, norm), "LSTM", *stack, device, dtype)
        self.peepholes, self.norm = peepholes, norm


class RNN(Recurrent):
    """Outputs and last state of a plain recurrent network, in place of torch.nn.RNN.

    Arguments up to `dtype` as torch.nn.RNN has them; norm, residual: as `GRU`.

    Raises WrongValue, WrongType (a ValueError, a TypeError).

    >>> RNN(3, 4, 1, "relu")
    RNN(3, 4, engine=native rnn relu)

    Source: the equation of `tidegate.cells.rnn`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        norm: bool = False,
        residual: bool = False,
        proj_size: None = None,
    ) -> None:
        arguments.no_projection(proj_size, "RNN")
        stack = input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, residual
        super().__init__("rnn", rnn_dialect(nonlinearity, norm), f"RNN_{nonlinearity.upper()}", *stack, device, dtype)
        self.nonlinearity, self.norm = nonlinearity, norm


class MinGRU(Recurrent):
    """Outputs and last state of a minimal GRU, whose gates see the input alone.

    Float32 on the CPU goes through the native engine, else all steps at once through a scan. Arguments as `GRU`.
    There are no recurrent weights: weight_ih_l{k} [2 * hidden_size, inputs] and bias_ih_l{k}, gates z, n.

    Raises WrongValue, WrongType (a ValueError, a TypeError).

    >>> sorted(MinGRU(3, 4).state_dict())
    ['bias_ih_l0', 'weight_ih_l0']

    Source: the equation of `tidegate.cells.mingru`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        norm: bool = False,
        residual: bool = False,
        proj_size: None = None,
    ) -> None:
        arguments.no_projection(proj_size, "MinGRU")
        stack = input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, residual
        super().__init__("mingru", normed(norm), "MINGRU", *stack, device, dtype)
        self.norm = norm


def normed(norm: Any) -> dict[str, str]:
    arguments.flag("norm", norm)
    return {"norm": "layer" if norm else "none"}


def gru_dialect(reset: Any, update: Any, norm: Any) -> dict[str, str]:
    arguments.choice("reset", reset, ("after", "before"))
    arguments.choice("update", update, ("keep", "replace"))
    return {"reset": reset, "update": update, **normed(norm)}


def lstm_dialect(peepholes: Any, norm: Any) -> dict[str, str]:
    arguments.flag("peepholes", peepholes)
    return {"peepholes": "yes" if peepholes else "no", **normed(norm)}


def rnn_dialect(nonlinearity: Any, norm: Any) -> dict[str, str]:
    arguments.choice("nonlinearity", nonlinearity, ("tanh", "relu"))
    return {"activation": nonlinearity, **normed(norm)}
