"""Run a model in NumPy float64 by its layers' own equations: slow, readable, and the reference for every target."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import OptionError
from .layers import Layer, add_each, join_each, name_states, output_delays, select_states, walk
from .tape import NumpyOps

if TYPE_CHECKING:
    from .model import Model

Arrays = dict[str, npt.NDArray[Any]]


class Reference:
    """A model's layers over a namespace of operations, by default NumPy in float64.

    xp: the operations; weights are passed to them as float64 arrays.
    """

    def __init__(self, model: Model, xp: Any = NumpyOps) -> None:
        self.xp, self.ports = xp, model.ports
        self.layers, self.schema, self.whole_window = model.layers, model.state_schema, model.whole_window
        self.look_ahead, self.delays = model.look_ahead, output_delays(model.layers)
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

        If the layers look ahead, the rows have had equally many steps, and the output is that of an earlier step, or
        None if there is none yet. Raises OptionError for a model with a whole-window layer.
        """
        if self.whole_window:
            raise OptionError(f"the model has no steps, because {self.whole_window}; run it whole")
        return self.advance(state, x, 0)

    def flush(self, state: dict[str, Any]) -> list[Any]:
        """Return the outputs that are still to come when rows end in a state: those of their last steps, in order."""
        found = []
        for late in range(1, self.look_ahead + 1):
            y, state = self.advance(state, None, late)
            found.append(y)
        return [y for y in found if y is not None]

    def advance(self, state: dict[str, Any], x: Any, late: int) -> tuple[Any, dict[str, Any]]:
        """Do `step`; or with `late` above 0, what follows the end of a row so many steps after its last one.

        A layer whose input is d steps late waits for the first d of them, and then runs d steps longer. One that looks
        ahead gets zeros after that, for the steps that are absent.
        """
        steps = state["steps"] + (late == 0)
        following: dict[str, Any] = {**state, "steps": steps}
        count = int(steps.flat[0]) + late if self.look_ahead else 0

        def run(i: int, layer: Layer, x: Any) -> Any:
            delay = self.delays[i] - layer.look_ahead
            own = select_states(i, layer, state)
            if count and (count <= delay or late > self.delays[i]):
                return None
            if late > delay:
                x = np.zeros((len(steps), layer.input_width))
            y, last = self.step_layer(layer, self.xp, self.weights[i], own, x, steps + late - delay)
            following.update(name_states(i, last))
            return None if count and count <= self.delays[i] else y

        def plus(y: Any, added: Any) -> Any:
            return None if y is None else y + added

        def join(xs: list[Any]) -> Any:
            return None if xs[0] is None else self.xp.concat(xs)

        inputs = {name: None if x is None else select_port(x, at) for name, at in self.ports.items()}
        return walk(self.layers, inputs, run, join, plus)[len(self.layers) - 1], following

    def step_layer(self, layer: Layer, *arguments: Any) -> tuple[Any, dict[str, Any]]:
        """Compute a step of a layer; see `Layer.step`."""
        return layer.step(*arguments)

    def run(
        self, x: npt.NDArray[Any], lengths: npt.NDArray[Any] | None = None, state: Arrays | None = None
    ) -> tuple[npt.NDArray[np.float64], Arrays]:
        """Return the outputs of every step [T, rows, outputs] and the last states.

        A row stops changing after its length, and its outputs from there on are NaN. If the layers look ahead, rows end
        after their length, so that every step has its output, and the states are those before the end.

        x: ids [T, rows] or [T, rows, ids], or numbers [T, rows, features].
        """
        T, rows = x.shape[:2]
        lengths = np.full(rows, T) if lengths is None else lengths
        if self.whole_window:
            return self.run_whole_window(x, lengths, state)
        if self.look_ahead:
            return self.run_late(x, lengths, state)
        state = self.initial_state(rows) if state is None else state
        outputs = []
        for k in range(T):
            on = lengths > k
            y, following = self.step(state, np.where(on.reshape(-1, *[1] * (x.ndim - 2)), x[k], 0))
            state = {n: np.where(on.reshape(-1, *[1] * (v.ndim - 1)), v, state[n]) for n, v in following.items()}
            outputs.append(np.where(on[:, None], y, np.nan))
        return np.stack(outputs), state

    def run_late(
        self, x: npt.NDArray[Any], lengths: npt.NDArray[Any], state: Arrays | None
    ) -> tuple[npt.NDArray[np.float64], Arrays]:
        """Run a model that looks ahead, row by row, as each waits for its own steps."""
        T, rows = x.shape[:2]
        outputs, last = np.full((T, rows, self.layers[-1].width), np.nan), []
        if state is not None and state["steps"].any():
            raise OptionError("a row of a model that looks ahead is run from its first step to its end; start it anew")
        for b in range(rows):
            one, found = self.initial_state(1), []
            for k in range(int(lengths[b])):
                y, one = self.step(one, x[k, b : b + 1])
                found += [] if y is None else [y]
            found += self.flush(one)
            if found:
                outputs[: len(found), b] = np.concatenate(found)
            last.append(one)
        return outputs, {name: np.concatenate([one[name] for one in last]) for name in last[0]}

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
        inputs = {name: [select_port(x, at) for x in xs] for name, at in self.ports.items()}
        outputs = walk(self.layers, inputs, self.run_layer, partial(join_each, join=self.xp.concat), add_each)
        return outputs[len(self.layers) - 1]

    def run_layer(self, i: int, layer: Layer, xs: list[Any]) -> list[Any]:
        """Run a layer over all steps, from its initial state."""
        return layer.whole(self.xp, self.weights[i], xs, self.step_layer)


def select_port(x: Any, at: Any) -> Any:
    """Return the columns of a port, which stand at this index of a row."""
    return x if at is Ellipsis else x[at]
