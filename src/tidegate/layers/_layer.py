"""What every layer is and can be asked; each other file of this folder has one layer."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import ModelFileError, OptionError
from ..tape import Program, Tape, lower

V = TypeVar("V")
Use = Literal["matrix", "table", "vector", "fixed"]
Shape = tuple[int, ...]
States = dict[str, tuple[Shape, Any]]  # name -> shape and first value, a number or nested lists of that shape
Step = Callable[..., tuple[Any, dict[str, Any]]]
Source = int | str  # the index of an earlier node; or an input, "x", or one of its ports, "x.name"
INPUT = "x"
MOST_RECORDED = 512


class Outside(NamedTuple):
    """What a layer reads of another graph: the numbers of a node, so many wide.

    most: how many of that graph's latest steps there can be; 0: it reads the last step alone.
    """

    width: int
    most: int = 0


RECORDED: dict[tuple[Any, ...], tuple[dict[str, Tape], Program]] = {}  # class, step and options -> tapes, program


@dataclass(frozen=True, kw_only=True)
class Layer(ABC):
    """One layer: its options as fields, and what follows from them.

    tensors: role -> name of a tensor in the model file. sources: what the layer reads; several are joined side by side,
    in order. None: the layer before, or the input for the first one. add: the index of an earlier layer whose output is
    added to this layer's own; None: nothing is added. In equations, `xp` is a namespace of operations, `t` has the
    tensors by role, and `s` the states by name, [B, *shape] each.
    """

    kind: ClassVar[str]  # the name of the layer's file
    input_option: ClassVar[str] = "size"  # the option that is the width of the input; "" for token ids
    uses: ClassVar[Mapping[str, Use]] = {}  # of tensors that are not vectors, by role
    is_affine: ClassVar[bool] = False  # whether the output, before an activation, is W x + b of one step
    is_pool: ClassVar[bool] = False  # whether an output combines all steps so far, so that training needs only the last
    both_directions: ClassVar[bool] = False  # whether it reads each row from its first step and from its last
    repeats: ClassVar[bool] = False  # whether a row has the same output after every step
    copies: ClassVar[bool] = False  # whether its output is its input, of this step or a later one
    gathers: ClassVar[bool] = False  # whether its output only copies numbers of the latest steps, as `gather` does
    skips_absent: ClassVar[bool] = False  # whether a negative token id stands for none
    looked_up: ClassVar[tuple[str, ...]] = ()  # roles of fixed tensors whose rows token ids select, as those of a table
    fitted_apart: ClassVar[bool] = False  # whether its weights are fitted at once, beside a network in training
    held: ClassVar[tuple[str, ...]] = ()  # the states that steps only read, which stand last in a block

    tensors: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[Source, ...] | None = None
    add: int | None = None

    def __post_init__(self) -> None:
        for f in fields(self):
            object.__setattr__(self, f.name, freeze(getattr(self, f.name)))

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, (type(self), {f.name: thaw(getattr(self, f.name)) for f in fields(self)})

    def __init_subclass__(cls) -> None:
        cls.kind = cls.__module__.rpartition(".")[2]

    @classmethod
    @abstractmethod
    def parse(cls, node: dict[str, Any], width: int | None, tapes: Mapping[str, Tape]) -> Self:
        """Check the options in a JSON object and return the layer.

        width: of the input; None: token ids. tapes: those of the file. Raises OptionError with the option, what was
        found and what was expected.
        """

    def options(self) -> dict[str, Any]:
        """Return the options as they stand in the model file."""
        return {f.name: thaw(getattr(self, f.name)) for f in fields(self) if f.name not in GRAPH_FIELDS}

    def to_json(self) -> dict[str, Any]:
        """Return what the model file says about the layer, besides its kind and its sources."""
        added = {} if self.add is None else {"add": self.add}
        return {**self.options(), "tensors": dict(self.tensors), **added}

    @property
    @abstractmethod
    def width(self) -> int:
        """The width of the output."""

    @property
    def input_width(self) -> int:
        """The width of what its sources give together; of token ids, how many a step has."""
        width: int = self.ids or getattr(self, self.input_option)
        return width

    @property
    def ids(self) -> int:
        """How many token ids a step has; 0 if the layer takes numbers."""
        return 0

    @property
    def vocabulary_size(self) -> int:
        """How many different token ids there are; 0 if the layer takes numbers."""
        return 0

    @property
    def tapes(self) -> dict[str, Tape]:
        """The tapes that the layer runs, by name; empty for a layer without a recurrence."""
        return {}

    @property
    def longest_sum(self) -> int:
        """How many terms the longest sum of the recurrence has; 0 for a layer without one."""
        return 0

    @property
    def registers(self) -> int:
        """How many numbers a step computes besides the output."""
        return 0

    @property
    def operations(self) -> int:
        """How many operations the model file gives the layer; 0 for a layer whose step is here."""
        return 0

    @property
    def ends_in(self) -> str:
        """The function that the output ends in, if it makes probabilities: "softmax" or "sigmoid"; else ""."""
        return ""

    def resembles(self, other: Layer) -> bool:
        """Return whether another layer computes the same with the same weights; what both read may differ.

        A table may have other rows, for other token ids.
        """
        return type(self) is type(other) and (self.options(), self.tapes) == (other.options(), other.tapes)

    def describe(self) -> str:
        """Describe the sizes and options in a few words."""
        return f"of {self.width}"

    # --- tensors

    def shapes(self) -> dict[str, Shape]:
        """Return the shape of each tensor by role."""
        return {}

    def use(self, role: str) -> Use:
        """Tell how a tensor is used.

        matrix: it multiplies, so weight decay applies to it. table: its rows are looked up. vector: everything else
        that is trained. fixed: training does not change it.
        """
        return self.uses.get(role, "vector")

    def select(self, tensors: Mapping[str, V]) -> dict[str, V]:
        """Select the layer's own tensors from those of a model: role -> tensor."""
        return {role: tensors[name] for role, name in self.tensors.items()}

    def init(self, rng: np.random.Generator, role: str, params: Mapping[str, float]) -> npt.NDArray[np.float32]:
        """Draw the first values of a tensor: matrices by Xavier, tables from a narrow normal, vectors zero.

        params: the first values of a cell's own parameters by name; zero for those that are missing.
        """
        shape, use = self.shapes()[role], self.use(role)
        if use == "matrix":
            return draw_xavier(rng, shape, shape[0])
        if use == "table":
            return (rng.standard_normal(shape) * 0.1).astype(np.float32)
        return np.zeros(shape, np.float32)

    # --- states and equations

    def state(self) -> States:
        """Return the states that a stream keeps."""
        return {}

    def carried(self) -> States:
        """Return the states that a run over one row carries from step to step; in a stream, these are `state`."""
        return self.state()

    def initial_state(self, rows: int) -> dict[str, npt.NDArray[Any]]:
        """Return the states before the first step, name -> [rows, *shape]."""
        return {name: np.full((rows, *shape), first) for name, (shape, first) in self.state().items()}

    @property
    def outside(self) -> Outside | None:
        """What the layer reads of another graph, which whoever starts a row puts into the states in `held`; or None."""
        return None

    def hold(self, rows: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Return the states in `held`, name -> its shape. rows: what `outside` gives [steps, width]."""
        raise OptionError(f"{self.kind} reads no other graph")

    def fill(self, shapes: Mapping[str, Shape], rows: Sequence[Sequence[float]]) -> States:
        """Return the states in `held` with what these rows of another graph make of them; zeros without rows."""
        if not rows:
            return {name: (shape, 0.0) for name, shape in shapes.items()}
        values = self.hold(np.array(rows, np.float32))
        return {name: (shape, values[name].tolist()) for name, shape in shapes.items()}

    @cached_property
    def program(self) -> Program:
        """The step as operations, recorded from `step`. Raises CellError if the step cannot be recorded.

        Recording takes longer than all else of loading a small model, so the latest programs are kept.
        """
        kind = type(self)
        key = kind, kind.step, json.dumps(self.options(), sort_keys=True)
        tapes, program = RECORDED.get(key, (None, None))
        if program is None or tapes != self.tapes:
            inputs = self.vocabulary_size or self.input_width
            states = {name: shape for name, (shape, _) in self.state().items()}
            program = lower(self.step, inputs, self.ids, self.shapes(), states)
            if len(RECORDED) >= MOST_RECORDED:
                RECORDED.clear()
            RECORDED[key] = self.tapes, program
        return program

    @cached_property
    def reshapes(self) -> bool:
        """Whether a step reshapes: then x must have one axis in front of its width, that of rows, which stays."""
        return any(ins.name == "reshape" for ins in self.program.instructions)

    @property
    def look_ahead(self) -> int:
        """How many later steps the output of a step reads; a stream waits for them."""
        return 0

    @property
    def whole_window(self) -> str:
        """Why the layer needs whole rows and has no step; "" if it runs step by step."""
        return ""

    def step(self, xp: Any, t: dict[str, Any], s: dict[str, Any], x: Any, steps: Any) -> tuple[Any, dict[str, Any]]:
        """Compute one step: return the output and the next states.

        x: [B, width], or ids [B], or [B, ids] if a step has several. steps: the number of steps of each row so far,
        with this one, [B, 1]. The output of a layer that looks ahead is that of the step `look_ahead` steps before x,
        and means nothing if there is none; after the last step of a row, x is zeros as often.
        """
        raise OptionError(f"{self.kind} has no steps, because {self.whole_window}; run it whole")

    def whole(self, xp: Any, t: dict[str, Any], xs: list[Any], step: Step | None = None) -> list[Any]:
        """Return the output after each step of rows of one length, from the initial state.

        xs: the input of each step. step: computes a step of a given layer, in place of the layer's own.
        """
        step = run_step if step is None else step
        s: dict[str, Any] = self.initial_state(xs[0].shape[0])
        out = []
        for k, x in enumerate(xs):
            y, s = step(self, xp, t, s, x, np.full((x.shape[0], 1), k + 1))
            out.append(y)
        return out

    def gather(self, x: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the output after the last step of rows, [B, width], of a layer that `gathers`.

        x: [T, B, width], from the first step of each row. lengths: the number of its steps [B], at least 1.
        """
        raise OptionError(f"{self.kind} computes its output; run its steps")

    def logits(self, xp: Any, t: dict[str, Any], x: Any) -> Any:
        """Return what `ends_in` turns into probabilities. Raises OptionError for a layer that makes none."""
        raise OptionError(f"{self.kind} gives no probabilities, so it has no logits")


GRAPH_FIELDS = ("tensors", "sources", "add")  # which say how a layer stands in its graph


def freeze(value: Any) -> Any:
    """Return JSON's lists and objects as tuples and read-only mappings; anything else as it is."""
    if isinstance(value, dict):
        return MappingProxyType({key: freeze(v) for key, v in value.items()})
    return tuple(map(freeze, value)) if isinstance(value, list) else value


def thaw(value: Any) -> Any:
    """Undo `freeze`.

    >>> thaw(freeze({"over": ["mean", "max"]}))
    {'over': ['mean', 'max']}
    """
    if isinstance(value, MappingProxyType):
        return {key: thaw(v) for key, v in value.items()}
    return list(map(thaw, value)) if isinstance(value, tuple) else value


def restore(cls: type[Layer], values: dict[str, Any]) -> Layer:
    """Make the copy of a layer that was pickled."""
    return cls(**values)


def run_step(layer: Layer, *arguments: Any) -> tuple[Any, dict[str, Any]]:
    """Compute a step of a layer by its own equation; see `Layer.step`."""
    return layer.step(*arguments)


def draw_xavier(rng: np.random.Generator, shape: Shape, outputs: int) -> npt.NDArray[np.float32]:
    """Draw a matrix uniformly between the limits for its numbers of outputs and inputs.

    Source: Glorot and Bengio 2010, equation 16.
    """
    limit = math.sqrt(6 / (outputs + shape[1]))
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def choose(table: Mapping[type[Layer], V], layer: Layer, what: str) -> V:
    """Return the entry of a layer's class in the table of a backend.

    what: what the backend cannot do with a layer that it does not know, for the error. Raises ModelFileError.

    >>> from .softmax import Softmax
    >>> choose({}, Softmax(size=2), "cannot be drawn")
    Traceback (most recent call last):
        ...
    tidegate.errors.ModelFileError: softmax cannot be drawn; choose one of none
    """
    if type(layer) not in table:
        known = ", ".join(sorted(cls.kind for cls in table)) or "none"
        raise ModelFileError(f"{layer.kind} {what}; choose one of {known}")
    return table[type(layer)]
