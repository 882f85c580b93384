"""Run a model in NumPy float64 by its layers' own equations: slow, readable, and the reference for every target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import OptionError
from .layers import Layer, add_each, name_states, select_states, walk
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
        self.layers, self.schema, self.whole_window = model.layers, model.state_schema, model.whole_window
        self.weights = [
            {role: np.asarray(v, np.float64) for role, v in layer.select(model.tensors).items()}
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
        """Return output and next state of one step. x: ids int [rows] or [rows, ids], or numbers [rows, features].

        Raises OptionError for a model with a whole-window layer.
        """
        if self.whole_window:
            raise OptionError(f"the model has no steps, because {self.whole_window}; run it whole")
        steps = state["steps"] + 1
        following: dict[str, Any] = {"steps": steps}

        def run(i: int, layer: Layer, x: Any) -> Any:
            own = select_states(i, layer, state)
            y, last = self.step_layer(layer, self.xp, self.weights[i], own, x, steps)
            following.update(name_states(i, last))
            return y

        outputs = walk(self.layers, x, run)
        return outputs[len(self.layers) - 1], following

    def step_layer(self, layer: Layer, *arguments: Any) -> tuple[Any, dict[str, Any]]:
        """Compute a step of a layer; see `Layer.step`."""
        return layer.step(*arguments)

    def run(
        self, x: npt.NDArray[Any], lengths: npt.NDArray[Any] | None = None, state: Arrays | None = None
    ) -> tuple[npt.NDArray[np.float64], Arrays]:
        """Return the outputs of every step [T, rows, outputs] and the last states.

        A row stops changing after its length, and its outputs from there on are NaN.

        x: ids [T, rows] or [T, rows, ids], or numbers [T, rows, features].
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
        outputs = np.full((T, rows, self.layers[-1].width), np.nan)
        for length in sorted(set(lengths.tolist()) - {0}):
            these = np.flatnonzero(lengths == length)
            outputs[:length, these] = np.stack(self.run_layers(list(x[:length, these])))
        return outputs, {"steps": np.array(lengths, np.int64)[:, None]}

    def run_layers(self, xs: list[Any]) -> list[Any]:
        """Return the output after each step of rows of one length, layer by layer; any model can run in this way.

        xs: one step after the other, each ids int [rows] or [rows, ids], or numbers [rows, features].
        """
        return walk(self.layers, xs, self.run_layer, add_each)[len(self.layers) - 1]

    def run_layer(self, i: int, layer: Layer, xs: list[Any]) -> list[Any]:
        """Run a layer over all steps, from its initial state."""
        return layer.whole(self.xp, self.weights[i], xs, self.step_layer)
