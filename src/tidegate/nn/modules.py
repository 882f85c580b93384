"""GRU, LSTM and RNN with the arguments, weights and outputs of torch.nn, and MinGRU.

Each layer and direction runs through `recurrent.run_final_states`; the repr of a module names the code that runs it.
"""

from __future__ import annotations

from typing import Any, Final, cast

import torch

from .. import cells
from . import arguments, dialects, recurrent, transforms
from .native import is_traced
from .packing import ModuleInput

Tensor = torch.Tensor
FROZEN_LENGTHS: Final = "the number of steps and rows of the example would be frozen"


class RecurrentModule(dialects.DialectMixin):
    """Base of the modules of this file; do not create it directly.

    Attributes: fused: False runs the tape step by step, for tests. native: False runs float32 on the CPU in torch's
    kernels, too, and lets torch.compile include the steps in its graph.
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
        arguments.check_integer("input_size", input_size)
        arguments.check_integer("hidden_size", hidden_size)
        arguments.check_projection(proj_size, hidden_size)
        for name, value in (("bias", bias), ("batch_first", batch_first), ("residual", residual)):
            arguments.check_bool(name, value)
        arguments.check_stack(num_layers, dropout, residual)
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size, self.residual = bidirectional, proj_size, residual
        choices = {**dialect, "bias": "yes" if bias else "no"} | ({"projection": "yes"} if proj_size else {})
        self._cell = (cell, tuple(sorted(choices.items())))
        recurrent.bare_layer(self._cell, input_size, hidden_size, proj_size)
        for layer in range(num_layers):
            width = input_size if layer == 0 else self.width * len(self.directions)
            for direction in self.directions:
                for name, shape in dialects.weight_shapes(self.cell, width, hidden_size, self.width).items():
                    empty = torch.empty(shape, device=device, dtype=dtype)
                    self.register_parameter(f"{name}_l{layer}{direction}", torch.nn.Parameter(empty))
        self.reset_parameters()

    @property
    def cell(self) -> cells.Cell:
        """The equation, in the module's dialect."""
        return recurrent.load_cell(*self._cell)

    @property
    def width(self) -> int:
        """The width of one direction's output."""
        return self.proj_size or self.hidden_size

    @property
    def directions(self) -> tuple[str, ...]:
        """The suffix of the weights of each direction."""
        return ("", "_reverse") if self.bidirectional else ("",)

    @property
    def engine(self) -> str:
        """The code that runs the module; see `tidegate.nn.engine`."""
        if not self.fused:
            return "tape"
        device, native = cast(Tensor, self.weight_ih_l0).device.type, self.native and not is_traced()
        return recurrent.engine(self.cell.tape, self.dtype, device, native)

    @property
    def all_weights(self) -> list[list[torch.nn.Parameter]]:
        """The weights of each layer and direction, in the order of torch.nn."""
        names = list(dialects.weight_shapes(self.cell, self.input_size, self.hidden_size, self.width))
        ends = [f"_l{layer}{direction}" for layer in range(self.num_layers) for direction in self.directions]
        return [[getattr(self, name + end) for name in names] for end in ends]

    def weights(self, layer: int, direction: str = "") -> dict[str, Tensor]:
        """Return the weights of a layer and direction ("" or "_reverse") by their roles in a model file."""
        return dialects.weights_by_role(self.cell, lambda name: getattr(self, f"{name}_l{layer}{direction}", None))

    def dialect_entry(self) -> dict[str, str]:
        return dialects.entry_choices(self.cell, self.residual)

    def reset_parameters(self) -> None:
        """Initialise all weights: uniform within 1 / sqrt(hidden_size); the gain of a norm is 1 and its bias 0."""
        dialects.reset_weights(dict(self.named_parameters()), self.hidden_size)

    def flatten_parameters(self) -> None:
        """Do nothing. It exists because code for torch.nn calls it; there is no need for one block of weights."""

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Return the outputs of the last layer at every step, and the final states of each layer and direction.

        Args:
            input: [T, B, input_size] ([B, T, input_size] with batch_first), [T, input_size] for one sequence, or a
                PackedSequence.
            hx: initial states [D * num_layers, B, width] ([D * num_layers, width] for one sequence), where D is the
                number of directions and width is hidden_size, or proj_size if given; (h_0, c_0) for an LSTM; None for
                zeros.

        Outputs are D * width wide, in the layout of the input; the final states have the shapes of hx.

        Raises WrongShape (a RuntimeError), WrongValue (a ValueError) or WrongType (a TypeError).
        """
        if self.fused and self.native and transforms.is_compiling():
            return cast(tuple[Any, Any], transforms.run_outside_graph(self, input, hx))
        name = type(self).__name__
        arguments.check_sequence(input, self.input_size, self.dtype, name)
        rows = ModuleInput.from_user(input, self.batch_first)
        if transforms.is_jit_tracing() and not (
            self.fused and rows.batch_sizes is None and recurrent.find_kernel(self.cell.tape)
        ):
            transforms.refuse(self, "traced", FROZEN_LENGTHS)
        arguments.check_steps(rows.x, name)
        y, last = self.run(rows, None if hx is None else self.prepare_states(hx, rows))
        final = tuple(rows.restore_state(torch.stack([state[n] for state in last])) for n in self.cell.tape.state)
        return rows.restore_output(y), final if len(final) > 1 else final[0]

    def prepare_states(self, hx: Any, rows: ModuleInput) -> dict[str, Tensor]:
        """Check hx and return it as name -> [D * num_layers, B, width], in the order of the rows."""
        name, shapes = type(self).__name__, self.cell.tape.state
        states = arguments.check_states(hx, tuple(shapes), rows.x, 2 if rows.batch_axis is None else 3, name)
        widths = [(self.width if shape == ("P",) else self.hidden_size) for shape in shapes.values()]
        batch = () if rows.batch_axis is None else (rows.batch_size,)
        layers = self.num_layers * len(self.directions)
        arguments.check_sizes(states, [(layers, *batch, width) for width in widths], name)
        return dict(zip(shapes, map(rows.sort_state, states), strict=True))

    def run(self, rows: ModuleInput, initial: dict[str, Tensor] | None) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """Return the outputs of the last layer, and the final states of each layer and direction."""
        x, one = rows.x, recurrent.bare_layer(self._cell, self.input_size, self.hidden_size, self.proj_size)
        last: list[dict[str, Tensor]] = []
        for layer in range(self.num_layers):
            outputs = []
            for direction in self.directions:
                state = None if initial is None else {name: v[len(last)] for name, v in initial.items()}
                y, final = recurrent.run_final_states(
                    one,
                    self.weights(layer, direction),
                    x,
                    rows.batch_sizes,
                    state,
                    direction != "",
                    self.fused,
                    self.native,
                )
                outputs.append(y)
                last.append(final)
            y = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
            x = y + x if self.residual and layer else y
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
        changed = {k: getattr(self, k) for k, default in defaults.items() if getattr(self, k) != default}
        shown = {**changed, **self.dialect_entry(), "engine": self.engine}
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *(f"{k}={v}" for k, v in shown.items())])


class GRU(RecurrentModule):
    """A multi-layer gated recurrent unit (GRU), a drop-in replacement for torch.nn.GRU.

    Args up to `dtype` are those of torch.nn.GRU. By keyword only:
        reset: apply the reset gate "after" the recurrent product (torch's choice) or "before" it, to the state.
        update: the update gate weights "keep", the old state (torch's choice), or "replace", the candidate.
        norm: True applies a layer norm to each input part and each recurrent product.
        residual: True adds its input to the output of each layer above the first.

    Inputs and outputs: see `forward`. Raises WrongValue (a ValueError) or WrongType (a TypeError).

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
        arguments.refuse_projection(proj_size, "GRU")
        stack = input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, residual
        super().__init__("gru", gru_dialect(reset, update, norm), "GRU", *stack, device, dtype)
        self.reset, self.update, self.norm = reset, update, norm


class LSTM(RecurrentModule):
    """A multi-layer long short-term memory (LSTM), a drop-in replacement for torch.nn.LSTM.

    Args up to `dtype` are those of torch.nn.LSTM. By keyword only:
        peepholes: True lets the gates i, f and o see the cell state, through the weights weight_ch_l{k}.
        norm, residual: as in `GRU`.

    Inputs and outputs: see `forward`. Raises WrongValue (a ValueError) or WrongType (a TypeError).

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


class RNN(RecurrentModule):
    """A multi-layer Elman RNN, a drop-in replacement for torch.nn.RNN.

    Args up to `dtype` are those of torch.nn.RNN. By keyword only:
        norm, residual: as in `GRU`.

    Inputs and outputs: see `forward`. Raises WrongValue (a ValueError) or WrongType (a TypeError).

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
        arguments.refuse_projection(proj_size, "RNN")
        stack = input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, residual
        super().__init__("rnn", rnn_dialect(nonlinearity, norm), f"RNN_{nonlinearity.upper()}", *stack, device, dtype)
        self.nonlinearity, self.norm = nonlinearity, norm


class MinGRU(RecurrentModule):
    """A multi-layer minimal GRU, whose gates see only the input.

    It is linear in its state, so a scan runs all steps at once, except for float32 on the CPU, which runs in the native
    engine. Args are those of `GRU`, without `reset` and `update`. There are no recurrent weights, only weight_ih_l{k}
    [2 * hidden_size, inputs] and bias_ih_l{k}, for the gates z and n.

    Inputs and outputs: see `forward`. Raises WrongValue (a ValueError) or WrongType (a TypeError).

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
        arguments.refuse_projection(proj_size, "MinGRU")
        stack = input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, residual
        super().__init__("mingru", norm_dialect(norm), "MINGRU", *stack, device, dtype)
        self.norm = norm


def norm_dialect(norm: Any) -> dict[str, str]:
    arguments.check_bool("norm", norm)
    return {"norm": "layer" if norm else "none"}


def gru_dialect(reset: Any, update: Any, norm: Any) -> dict[str, str]:
    arguments.check_choice("reset", reset, ("after", "before"))
    arguments.check_choice("update", update, ("keep", "replace"))
    return {"reset": reset, "update": update, **norm_dialect(norm)}


def lstm_dialect(peepholes: Any, norm: Any) -> dict[str, str]:
    arguments.check_bool("peepholes", peepholes)
    return {"peepholes": "yes" if peepholes else "no", **norm_dialect(norm)}


def rnn_dialect(nonlinearity: Any, norm: Any) -> dict[str, str]:
    arguments.check_choice("nonlinearity", nonlinearity, ("tanh", "relu"))
    return {"activation": nonlinearity, **norm_dialect(norm)}
