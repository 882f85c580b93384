"""Run a model in NumPy float64 by its layers' own equations: slow, readable, and the reference for every target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import layers
from .errors import OptionError
from .tape import NumpyOps

if TYPE_CHECKING:
    from .model import Model

Arrays = dict[str, npt.NDArray[Any]]


class Reference:
    """A model's layers over a namespace of operations, by default NumPy in float64.

    xp: the operations; weights are passed to them as float64 arrays.
    """

    def __init__(self, model: Model, xp: Any = NumpyOps) -> None:
        self.xp = xp
        self.layers, self.tapes, self.schema = model.layers, model.tapes, model.state_schema
        self.features: int | None = model.input_section.get("features")
        self.whole_window = layers.whole_window(self.layers)
        self.layer_modules = [layers.load(layer["kind"]) for layer in self.layers]
        self.weights = [
            {role: np.asarray(model.tensors[name], np.float64) for role, name in layer["tensors"].items()}
            for layer in self.layers
        ]

    def initial_state(self, rows: int) -> Arrays:
        """Return the state of `rows` new streams: name -> [rows, *shape]; steps int64, the rest float64."""
        state: Arrays = {}
        for array in self.schema:
            kind = np.int64 if array["dtype"] == "int64" else np.float64
            state[array["name"]] = np.full((rows, *array["shape"]), np.asarray(array.get("fill", 0), np.float64), kind)
        return state

    def step(self, state: dict[str, Any], x: Any) -> tuple[Any, dict[str, Any]]:
        """Return output and next state of one step. x: ids int [rows] or numbers [rows, features].

        Raises OptionError for a model with a whole-window layer.
        """
        if self.whole_window:
            raise OptionError(f"the model has no steps, because {self.whole_window}; run it whole")
        steps = state["steps"] + 1
        following: dict[str, Any] = {"steps": steps}
        outputs: list[Any] = []
        for i, (layer, module, weights) in enumerate(zip(self.layers, self.layer_modules, self.weights, strict=True)):
            own = {name: state[f"layers.{i}.{name}"] for name in module.state(layer, self.tapes)}
            x, last = module.step(self.xp, layer, self.tapes, weights, own, x, steps)
            following.update({f"layers.{i}.{name}": v for name, v in last.items()})
            if layer.get("add") is not None:
                x = x + outputs[layer["add"]]
            outputs.append(x)
        return x, following

    def run(
        self, x: npt.NDArray[Any], lengths: npt.NDArray[Any] | None = None, state: Arrays | None = None
    ) -> tuple[npt.NDArray[np.float64], Arrays]:
        """Return the outputs of every step [T, rows, outputs] and the last states.

        A row stops changing after its length, and its outputs from there on are NaN.

        x: ids [T, rows] or numbers [T, rows, features].
        """
        T, rows = x.shape[:2]
        lengths = np.full(rows, T) if lengths is None else lengths
        if self.whole_window:
            return self.run_whole_window(x, lengths, state)
        state = self.initial_state(rows) if state is None else state
        outputs = []
        for k in range(T):
            on = lengths > k
            y, following = self.step(state, np.where(on.reshape(-1, *[1] * (x.ndim - 2)), x[k], 0))
            state = {n: np.where(on.reshape(-1, *[1] * (v.ndim - 1)), v, state[n]) for n, v in following.items()}
            outputs.append(np.where(on[:, None], y, np.nan))
        return np.stack(outputs), state

    def run_whole_window(
        self, x: npt.NDArray[Any], lengths: npt.NDArray[Any], state: Arrays | None
    ) -> tuple[npt.NDArray[np.float64], Arrays]:
        """Run a model with a whole-window layer, rows of equal length together."""
        if state is not None:
            raise OptionError(f"the model cannot continue from a state, because {self.whole_window}; run it whole")
        T, rows = x.shape[:2]
        width = layers.output_widths(self.layers, self.features, self.tapes)[-1]
        outputs = np.full((T, rows, width), np.nan)
        for length in sorted(set(lengths.tolist()) - {0}):
            these = np.flatnonzero(lengths == length)
            outputs[:length, these] = np.stack(self.run_layers(list(x[:length, these])))
        return outputs, {"steps": np.array(lengths, np.int64)[:, None]}

    def run_layers(self, xs: list[Any]) -> list[Any]:
        """Return the output after each step of rows of one length, layer by layer; any model can run in this way.

        xs: one step after the other, each ids int [rows] or numbers [rows, features].
        """
        outputs: list[list[Any]] = []
        for i, layer in enumerate(self.layers):
            xs = self.run_layer(i, xs)
            if layer.get("add") is not None:
                xs = [x + y for x, y in zip(xs, outputs[layer["add"]], strict=True)]
            outputs.append(xs)
        return xs

    def run_layer(self, i: int, xs: list[Any]) -> list[Any]:
        """Run layer i over all steps, from its initial state."""
        layer, module, weights = self.layers[i], self.layer_modules[i], self.weights[i]
        if layers.is_whole_window(layer):
            return list(module.whole(self.xp, layer, self.tapes, weights, xs))
        rows, out = xs[0].shape[0], []
        s: dict[str, Any] = {n: np.full((rows, *shape), v) for n, (shape, v) in module.state(layer, self.tapes).items()}
        for k, x in enumerate(xs):
            y, s = module.step(self.xp, layer, self.tapes, weights, s, x, np.full((rows, 1), k + 1))
            out.append(y)
        return out
