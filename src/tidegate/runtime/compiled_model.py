"""What the streams and pools of one model share: engine, input, outputs, initial state. It never changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .. import _native
from ..errors import DataError, OptionError, StateError, error_context
from ..inputs.base import Input, Steps
from ..model import Model
from .decoding import Decoding, find_decoder
from .driven import compile_driven, find_most, place_memories
from .engine import resolve_target
from .growing import GrowingArray
from .kept_steps import keep_steps, place_kept
from .last_step import make_last_runner
from .level_input import LevelInput, Plan, count_ended, describe_unknown_side, level_words
from .precision import resolve_precision
from .state import MAX_STEPS, State, make_initial, read_step_count, write_step_count
from .threads import resolve_threads
from .upper_graphs import describe_upper, place_upper

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
WINDOW_NUMBERS: Final = 1 << 21  # of the windows that run together
MOST_STEPS: Final = (1 << 31) - 1  # of one native run


class CompiledModel:
    """A model compiled for one target and precision, from the arguments of `Predictor`.

    If it has several graphs, this is the first one, in a block that has room for those above it, `upper`; `reader` are
    the inputs of all, and `levels` the words for what their rows are.

    A copy is the same object. A pickle contains the model and the arguments, so a target that was not named is
    selected again when the pickle is loaded.

    runner: runs whole inputs. engine: runs step by step; it is the runner if the layers do, and missing otherwise.
    initial: uint8 [state_bytes], the state before the first step; initial_row: the part of it that whole inputs need.
    source: the input; step_shape: of one of its steps; takes_one_id: each is one id.
    outputs: by name. output: the only one, or None if there are several; plain_output: the same if it answers from its
    numbers alone. width: how many numbers the last layer gives.
    look_ahead: how many steps the answers of a stream are late, as the layers read as many later ones. kept: where a
    stream keeps its steps until the end of the message, as the layers read whole rows; None: it keeps none. delay: how
    many steps an answer can wait for, for one of these reasons. growing: all arrays that grow, in order, at the end of
    a block; fixed_bytes: where they begin.
    feeds_back: an answer runs the layers beyond the last step, from the state then. decodings: what a stream remembers
    of the decoders of outputs, behind the state of the layers, by the output's name. late_decoding: that of the decoder
    that decides later, or None. ends_late: whether the end of a message brings results about its last steps.
    driven: the graphs that decoders drive, by the name of the output that says what they write. memories: what a stream
    keeps of steps for them. most_attended: how many steps of the first graph there can be for them, or None. follows:
    whether a stream is told of each step of the first graph, for them or for decoders. fixed_bytes: where the arrays
    begin that grow with a stream.
    """

    __slots__ = (
        "arguments",
        "decodings",
        "delay",
        "driven",
        "ends_late",
        "engine",
        "feeds_back",
        "fixed_bytes",
        "follows",
        "growing",
        "initial",
        "initial_row",
        "kept",
        "late_decoding",
        "levels",
        "look_ahead",
        "memories",
        "model",
        "most_attended",
        "output",
        "outputs",
        "plain_output",
        "precision",
        "reader",
        "runner",
        "schema",
        "source",
        "step_shape",
        "takes_one_id",
        "target",
        "threads",
        "upper",
        "width",
    )
    engine: _native.Engine

    def __init__(
        self,
        model: Model,
        target: str | None = None,
        threads: int | None = None,
        weights: str | None = None,
        compute: str | None = None,
    ) -> None:
        self.arguments = target, threads, weights, compute
        self.model, self.precision = model, resolve_precision(weights, compute)
        self.target = resolve_target(target, self.precision)
        first, self.levels = model.first, level_words(model)
        (source,), self.outputs = first.inputs.values(), {k: v for k, v in first.outputs.items() if k in model.outputs}
        self.upper = tuple(place_upper(model, self.compile_part))
        size = self.upper[-1].latest.stop if self.upper else first.state_bytes
        self.decodings = dict[str, Decoding]()
        for name, output in self.outputs.items():
            if find_decoder(output) is not None:
                self.decodings[name] = decoding = Decoding(output, size)
                size = decoding.end
        self.late_decoding = next((one for one in self.decodings.values() if one.late), None)
        steps = None if self.upper else source.rows
        self.runner = make_last_runner(first, steps, self.target, weights, compute, size - first.state_bytes)
        self.source, self.threads = source.prepare(), resolve_threads(threads)
        self.reader: Input | LevelInput = LevelInput(model, self.source) if self.upper else self.source
        self.takes_one_id = source.features is None and source.ids == 1
        numbers = source.ids if source.features is None else source.features
        self.step_shape = () if self.takes_one_id else (numbers,)
        if isinstance(self.runner, _native.Engine):
            self.engine = self.runner
        self.driven = {one.name: one for one in compile_driven(model, self.compile_part)}
        alone = len(self.outputs) == 1 and not self.upper and not self.driven
        self.output = next(iter(self.outputs.values())) if alone else None
        is_plain = self.output is not None and not self.output.scales and not self.decodings
        self.plain_output = self.output if is_plain else None
        self.feeds_back = any(output.feeds_back for output in self.outputs.values())
        self.width = int(self.runner.outputs)
        self.look_ahead = self.runner.look_ahead if source.rows is None else 0  # rows that run anew end each time
        own = model.state_schema[: len(first.state_schema)]
        memories = [array for one in self.decodings.values() for array in one.describe()]
        self.schema = [*own, *(array for graph in self.upper for array in describe_upper(graph)), *memories]
        self.initial_row = make_initial([*own, *memories], size)
        self.kept = place_kept(model.keeps, self.step_shape, self.step_dtype, size) if model.keeps else None
        counts_at = [0, *(graph.at.start for graph in self.upper)]
        self.memories = place_memories(model, counts_at, self.kept.end if self.kept else size, self.levels)
        arrays = (self.kept, *(memory.array for memory in self.memories))
        self.growing: tuple[GrowingArray, ...] = tuple(array for array in arrays if array is not None)
        self.fixed_bytes, self.most_attended = size, find_most(model)
        self.schema += [array.describe() for array in self.growing]
        self.follows = bool(self.decodings) or any(memory.graph == 0 for memory in self.memories)
        self.delay = model.keeps or self.look_ahead
        self.ends_late = self.delay > 0 or self.late_decoding is not None
        end = self.growing[-1].end if self.growing else size
        self.initial = make_initial(self.schema, end) if self.growing or self.upper else self.initial_row
        self.initial.flags.writeable = self.initial_row.flags.writeable = False  # streams share it

    def compile_part(self, model: Model) -> CompiledModel:
        """Compile another graph of the model in the same way."""
        return CompiledModel(model, *self.arguments)

    @property
    def step_dtype(self) -> str:
        """The type of what a step consists of: ids or numbers."""
        return "int32" if self.source.features is None else "float32"

    def __copy__(self) -> CompiledModel:
        return self

    def __deepcopy__(self, memo: Any) -> CompiledModel:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return recompile, (self.model, *self.arguments)

    def require_streams(self) -> None:
        """Raise OptionError, with the reason that the file gives, if the model cannot stream."""
        yes, because = self.model.streams
        if not yes:
            raise OptionError(f"streams: no, because {because}; predict takes whole inputs")

    def count_ended(self, end: Any) -> int:
        """Return how many levels `end` ends. Raises DataError for a word that is no level."""
        return count_ended(self.levels, end)

    def take_sides(self, state: Any, sides: Any) -> Any:
        """Return the state of a stream's inputs that was given side inputs. Raises DataError."""
        if isinstance(self.reader, LevelInput):
            return self.reader.take(state, sides)
        if sides:
            raise DataError(describe_unknown_side(next(iter(sides)), {}))
        return state

    def plan(self, state: Any, counts: list[int], number: int, ended: int) -> Plan | None:
        """Return what so many steps and ends do to the graphs above the first; None if there are none.

        counts: of the steps before. Other arguments: see `LevelInput.plan`.
        """
        if not isinstance(self.reader, LevelInput):
            return None
        counts = [counts[0] + number, *counts[1:]]
        plan = self.reader.plan(state, counts, ended)
        for memory in self.memories:
            k = memory.graph
            if k:
                memory.array.require_room(counts[k] + plan.ticks[k - 1])
        return plan

    def read_counts(self, block: Bytes) -> list[int]:
        """Return how many steps each graph has had."""
        return [read_step_count(block), *[read_step_count(block, graph.at.start) for graph in self.upper]]

    def convert(self, convert_one: Any) -> Any:
        """Return what a function of an output gives: for the only output, or by name if there are several."""
        if self.output is not None:
            return convert_one(self.output)
        return {name: convert_one(output) for name, output in self.outputs.items()}

    # ---- runs

    def advance(self, block: Bytes, values: Floats, steps: Steps, state: Any) -> tuple[Bytes, Floats, Any]:
        """Return a stream's block and last values after steps, and what the input gives outputs if it made rows anew.

        A single step is stepped, several are run as a batch of one, with the same bits. A restart is run from the
        initial state, and the block only counts its steps. Layers that read whole rows run at the end of the message,
        so until then the block keeps its steps. state: that of the input after them. Raises DataError for too many
        steps.
        """
        rows, number, restart = steps
        if self.kept is not None or self.most_attended is not None:
            self.require_room(read_step_count(block) + number, state)
        if self.kept is not None:
            return keep_steps(self.kept, block, rows) if number else block, values, None
        if restart is None and number == 1:  # first, as a stream waits for it
            block, values = block.copy(), values.copy()
            own = block[: self.fixed_bytes] if self.memories else block
            self.engine.step(rows if self.takes_one_id else rows[0], own, values)
            if self.follows and (not self.look_ahead or read_step_count(block) > self.look_ahead):
                self.follow(block, values[None])
                self.remember(block, values[None])
            return block, values, None
        if not number:
            return block, values, None
        before, block = block, block.copy()
        if restart is not None:
            write_step_count(block, read_step_count(block) + number)
            if not restart:
                return block, values, None
            ((x, lengths, scaling),) = self.source.make_rows(restart)
            return block, self.run_windows(x, lengths)[0], scaling
        if number > MOST_STEPS:
            raise DataError(f"{number} steps in one piece; push fewer at once")
        if self.follows:
            return block, self.run_each(block, rows, values), None
        values = values.copy()
        before, own = before[None, : self.fixed_bytes], block[None, : self.fixed_bytes]
        self.engine.run(as_batch(rows), length_of_one(number), before, own, values[None], False, 1)
        return block, values, None

    def require_room(self, steps: int, state: Any) -> None:
        """Raise DataError unless a message of so many steps can be kept or attended to.

        state: that of the input after them, whose end may complete more. Does nothing for a model without a limit.
        """
        if self.kept is not None or self.most_attended is not None:
            steps += self.source.pending_steps(state)
        if self.kept is not None:
            self.kept.require_room(steps)
        if self.most_attended is not None and steps > self.most_attended:
            raise DataError(
                f"the {self.levels[0]} would have {steps:,} steps, and this model attends to at most "
                f"{self.most_attended:,} of one; end it before, or leave a part out"
            )

    def remember(self, block: Bytes, values: Floats) -> None:
        """Write into a whole block what it keeps of steps of the first graph after these: values [T, width]."""
        for memory in self.memories:
            if memory.graph == 0:
                memory.array.write(block, values[:, memory.part], read_step_count(block) - len(values))

    def remember_tick(self, block: Bytes, k: int, values: Floats) -> None:
        """Write into a whole block what it keeps of a tick of the k-th graph: values [width]. It is counted already."""
        for memory in self.memories:
            if memory.graph == k:
                memory.array.write(block, values[None, memory.part], memory.array.count(block) - 1)

    def run_each(self, block: Bytes, rows: npt.NDArray[Any], values: Floats) -> Floats:
        """Run steps of one stream, changing its block, and return the last values; outputs follow each step.

        values: those before, which stay the last ones while there are no others.
        """
        most = max(1, WINDOW_NUMBERS // self.width)
        for at in range(0, len(rows), most):
            x = as_batch(rows[at : at + most])
            out = np.empty((len(x), 1, self.width), np.float32)
            first, own = self.first_answer(read_step_count(block), len(x)), block[None, : self.fixed_bytes]
            self.engine.run(x, np.array([len(x)], np.int32), own.copy(), own, out, True, 1)
            if first < len(x):
                self.follow(block, out[first:, 0])
                self.remember(block, out[first:, 0])
                values = out[-1, 0].copy()
        return values

    def first_answer(self, before: int, steps: int) -> int:
        """Return the first of some steps that gives an answer, after `before` others; as many as there are for none."""
        return min(steps, max(0, self.look_ahead - before))

    def follow(self, block: Bytes, values: Floats) -> None:
        """Write into a block what a stream remembers of decoders after further steps. values: of each [T, width]."""
        for one in self.decodings.values():
            one.follow(block, values)

    def follow_each(self, blocks: Bytes, rows: npt.NDArray[np.int64], values: Floats) -> None:
        """Do `follow` for one step of each of some rows of blocks; one may occur several times. values: [n, width]."""
        for one in self.decodings.values():
            one.follow_each(blocks, rows, values)

    def finish(self, block: Bytes) -> None:
        """Write into a block what decoders decide at the end of its message."""
        for one in self.decodings.values():
            one.finish(block)

    def run_restarts(self, restart: Sequence[Any]) -> Iterator[tuple[Floats, Any]]:
        """Yield the last values [B, width] of restarts, and what the input gives outputs, in batches."""
        for rows, lengths, scaling in self.source.make_rows(restart) if restart else ():
            yield self.run_windows(rows, lengths), scaling

    def run_windows(self, rows: Floats, lengths: npt.NDArray[np.int64]) -> Floats:
        """Run rows [B, K, features], each from the initial state, and return the last values [B, width].

        lengths: how many rows of each to run [B].
        """
        B, K, F = rows.shape
        out = np.empty((B, self.width), np.float32)
        if B == 1:
            block = self.initial_row[None]
            steps = np.ascontiguousarray(rows.reshape(K, 1, F))
            self.runner.run(steps, lengths.astype(np.int32), block, block.copy(), out, False, self.threads, True)
            return out
        for at in range(0, B, most := max(1, WINDOW_NUMBERS // (K * F))):
            x = np.ascontiguousarray(rows[at : at + most].swapaxes(0, 1))
            states = self.initial_row[None].repeat(x.shape[1], 0)
            counts = lengths[at : at + most].astype(np.int32)
            self.runner.run(x, counts, states, np.empty_like(states), out[at : at + most], False, self.threads, True)
        return out

    # ---- saved states

    def make_state(self, block: Bytes, output: Floats, input_state: Any) -> State:
        """Copy what a stream remembers into a State."""
        model, data = self.model, self.reader.to_bytes(input_state)
        return State(block.copy(), self.schema, output.copy(), data, model.schema_hash, model.weights_hash)

    def read_input_state(self, state: State) -> Any:
        """Return the input's part of a state of this model. Raises StateError for a state of another model."""
        if not isinstance(state, State):
            raise StateError(f"expected a State, got {type(state).__name__}; State.from_bytes reads one from bytes")
        if state.schema_hash != self.model.schema_hash:
            raise StateError(
                "the state has another shape: it comes from a model with other layers; use it with that model"
            )
        if state.weights_hash not in (self.model.weights_hash, self.model.former_weights_hash):
            raise StateError("the state comes from a model with other weights; use it with that model")
        if state.block.nbytes != len(self.initial) or len(state.output) != self.width:
            raise StateError("the state has another shape: the size of its block or output is not this model's")
        if state.schema != self.schema:
            raise StateError("the state has another shape: its arrays do not match its schema_hash")
        self.check_memories(state.block)
        for graph in self.upper:
            if not 0 <= (count := read_step_count(state.block, graph.at.start)) <= MAX_STEPS:
                raise StateError(f"the state's {graph.name}.steps is {count}; expected 0 to {MAX_STEPS}")
            graph.compiled.check_memories(state.block[graph.at])
        input_state = self.reader.from_bytes(state.input_state, state.steps)
        for array in self.growing:
            is_counted_first = array is self.kept or any(one.array is array and not one.graph for one in self.memories)
            pending = self.reader.pending_steps(input_state) if is_counted_first else 0
            array.check(state.block, pending, self.source.ports.values() if array is self.kept else ())
        return input_state

    def check_memories(self, block: Bytes) -> None:
        """Raise StateError unless a block remembers of each output what can be remembered."""
        for one in self.decodings.values():
            if wrong := one.check(block):
                raise StateError(f"the state's {wrong}")


def recompile(model: Model, *arguments: Any) -> CompiledModel:
    """Compile a model from a pickle."""
    with error_context("the pickled model"):
        return CompiledModel(model, *arguments)


@lru_cache
def length_of_one(steps: int) -> npt.NDArray[np.int32]:
    """Return the lengths of a batch of one row, int32 [1], which is not to be written to."""
    lengths = np.array([steps], np.int32)
    lengths.flags.writeable = False
    return lengths


def as_batch(steps: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return steps [T, ...] of one stream as a batch of one, [T, 1, ...], for the engine."""
    return np.ascontiguousarray(steps[:, None])
