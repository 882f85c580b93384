"""Runs of a pool: a step of each of many streams, or batches of events, in one native call each."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import error_context
from ..inputs.base import Round
from ..outputs.base import Answer, Output
from .answers import make_answer, make_step_answers
from .compiled_model import Floats
from .ends import make_end_answer, make_end_answers, run_ends, run_kept
from .events import Event
from .rows import Indices, Rows
from .state import write_step_count
from .ticks import Moment, find_reason, finish_block, join_answers, run_upper


class PoolRuns(Rows):
    """The rows of a pool, and how steps change them. `_require_room` and all other checks come before."""

    # ---- one step of each of many streams

    def _require_room(self, keys: Sequence[Hashable], rounds: Iterable[Round]) -> None:
        """Raise DataError unless streams can keep the steps of these rounds, if they keep any."""
        if self._compiled.kept is None:
            return
        counts: dict[Hashable, int] = {}
        for one in rounds:
            for k in one.keep.tolist():
                id = keys[one.positions[k]]
                counts[id] = (counts[id] if id in counts else self._read_counts(id)[0]) + 1
                state = one.states[k] if one.states is not None else self._find_input_state(id)
                with error_context(f"stream {id!r}"):
                    self._compiled.require_room(counts[id], state)

    def _apply_round(self, one: Round, rows: Indices, answers: Any) -> None:
        """Apply a round of steps to these rows [n], and put the answers of the ready ones into `answers`."""
        source = self._compiled.source
        for row, state in zip(rows.tolist(), one.states or (), strict=False):
            self._input_states[row] = state
        stepped, is_done = rows[one.keep], np.zeros(len(rows), bool)
        if self._compiled.delay:
            self._step(stepped, one.rows)
            ready = np.flatnonzero(self._count_steps(rows) > self._compiled.delay)
            self._put_answers(answers, one.positions[ready], rows[ready], None)
            return
        if one.restart is None:
            runs: Iterable[tuple[Floats, Any]] = [(self._step(stepped, one.rows), None)]
            to_run = np.arange(len(one.keep))
        else:
            to_run = np.flatnonzero(self._add_steps(stepped) >= source.steps_needed)
            runs = self._compiled.run_restarts([one.restart[i] for i in to_run.tolist()])
        at = 0
        for values, scaling in runs:
            part = one.keep[to_run[at : at + len(values)]]
            self._outputs[rows[part]], is_done[part], at = values, True, at + len(values)
            self._put_answers(answers, one.positions[part], rows[part], scaling)
        left = np.flatnonzero((self._count_steps(rows) >= source.steps_needed) & ~is_done)  # their step was dropped
        self._put_answers(answers, one.positions[left], rows[left], None)

    def _put_answers(self, answers: Any, positions: Indices, rows: Indices, scaling: Any) -> None:
        """Put the answers of these rows into arrays, at these positions. scaling: theirs, if the caller has it."""
        if not len(rows):
            return
        compiled, values = self._compiled, self._outputs[rows]
        states = [self._input_states[row] for row in rows.tolist()] if scaling is None else []

        def put(output: Output) -> None:
            array = answers if compiled.output is not None else answers[output.name]
            if output.feeds_back:
                self._put_rollouts(array, positions, rows)
            elif output.scales:
                array[positions] = output.convert(
                    values, compiled.source.context(states) if scaling is None else scaling
                )
            else:
                array[positions] = output.convert(values)

        compiled.convert(put)

    def _put_rollouts(self, array: Any, positions: Indices, rows: Indices) -> None:
        """Put forecasts that are fed back into an array, all but those that cannot be continued yet."""
        from .rollout import roll_out

        states = [self._input_states[row] for row in rows.tolist()]
        ready = [i for i, state in enumerate(states) if not self._compiled.source.not_continued_reason(state)]
        if ready:
            these = rows[ready]
            blocks, values = self._blocks[these], self._outputs[these]
            array[positions[ready]] = roll_out(self._compiled, blocks, values, [states[i] for i in ready])

    def _count_steps(self, rows: Indices) -> Indices:
        """Return how many steps streams have had."""
        counts: Indices = self._blocks[rows, :8].view(np.int64)[:, 0]
        return counts

    def _add_steps(self, rows: Indices) -> Indices:
        """Count one more step for each stream, and return the new counts."""
        counts = self._count_steps(rows) + 1
        self._blocks[rows, :8] = counts[:, None].view(np.uint8)
        return counts

    # ---- events of one round

    def _apply(self, batch: list[Event], answers: list[tuple[int, Answer]]) -> None:
        """Apply events of one round in one native call, and append their answers with their positions."""
        compiled, rows = self._compiled, [self._rows[event.id] for event in batch]
        row_array = np.array(rows, np.int64)
        totals = dict(zip(rows, self._count_steps(row_array).tolist(), strict=True))
        latest = {
            row: self._outputs[row].copy() for row, event in zip(rows, batch, strict=True) if not event.steps.number
        }
        restarts = batch[0].steps.restart is not None
        found = self._run_restarts(batch) if restarts else self._run_steps(batch, row_array)
        ends = self._run_ends(batch, row_array) if compiled.ends_late else {}
        is_single = not compiled.upper
        found_answers: list[tuple[int, Answer]] = answers if is_single else []
        every_values, every_count = list[Floats](), list[int]()
        for i, (event, row) in enumerate(zip(batch, rows, strict=True)):
            position, _, steps, state, end, is_silent, per_step, _ = event
            if not is_single:
                position, state = i, state.first
            count = totals[row] = totals[row] + steps.number
            values, scaling = found[i] if i in found else (latest[row] if row in latest else self._outputs[row], None)
            latest[row] = values
            block = self._read_block(row) if end and compiled.memories else self._blocks[row]
            if restarts:
                self._outputs[row] = values
                write_step_count(block, count)
            each: list[Answer] = []
            if per_step and not is_silent and (steps.number or (compiled.late_decoding is None and i not in ends)):
                each = make_step_answers(
                    compiled, values, count, state, block, end and i not in ends, scaling, compiled.delay
                )
            if i in ends and per_step:
                each += make_end_answers(compiled, block, values, ends[i], state)
            elif i in ends:
                each = [make_end_answer(compiled, block, values, ends[i], state)]
            elif not per_step and not is_silent:
                each = [make_answer(compiled, values, count, state, block, end, scaling)]
            found_answers += [(position, answer) for answer in each]
            if not is_single:
                every_values.append(ends[i][-1] if i in ends and len(ends[i]) else values)
                every_count.append(count)
            elif end:
                self._reset(row)
        if not is_single:
            answers += self._tick(batch, rows, every_count, every_values, found_answers, ends)

    def _tick(
        self,
        batch: list[Event],
        rows: list[int],
        counts: list[int],
        values: list[Floats],
        firsts: list[tuple[int, Answer]],
        ends: Mapping[int, Floats],
    ) -> list[tuple[int, Answer]]:
        """Run the graphs above the first after events, and return the answers with their positions.

        counts, values: how many steps the first graph has had after each event, and its values. firsts: its answers, by
        the indices of their events. ends: see `_run_ends`.
        """
        compiled, answered = self._compiled, dict(enumerate(firsts))
        lasts = {i: k for k, (i, _) in answered.items()}  # the last answer of each event
        ending = [i for i, event in enumerate(batch) if event.end]
        asked = [*(i for i, _ in firsts), *(i for i in ending if i not in lasts)]
        moments = []
        for k, i in enumerate(asked):
            is_end = batch[i].end and lasts.get(i, k) == k
            plan = batch[i].plan
            assert plan is not None, "a model with several graphs"
            reason = find_reason(compiled, counts[i], is_end)
            block = self._read_block(rows[i]) if is_end and compiled.memories else self._blocks[rows[i]]
            every = ends.get(i) if is_end and compiled.kept is not None else None
            moments.append(Moment(block, values[i], reason, plan if is_end else plan.as_preview(), every))
        ticks = run_upper(compiled, moments)
        found = [
            (batch[i].position, join_answers(compiled, first, moment, one))
            for (i, first), moment, one in zip(firsts, moments, ticks, strict=False)
        ]
        for i, moment, one in zip(asked, moments, ticks, strict=True):
            if moment.plan.ended:
                self._write_end(rows[i], finish_block(compiled, moment, one))
                self._outputs[rows[i]] = 0.0
        return found

    def _run_steps(self, batch: list[Event], rows: Indices) -> dict[int, tuple[Floats, Any]]:
        """Run the steps of events; return the last values after each event that has one, by its index."""
        counts = [event.steps.number for event in batch]
        pieces = [event.steps.rows for event in batch]
        out = self._step(
            rows.repeat(counts), np.ascontiguousarray(pieces[0]) if len(pieces) == 1 else np.concatenate(pieces)
        )
        ends = np.cumsum(counts).tolist()
        return {i: (out[ends[i] - 1], None) for i, count in enumerate(counts) if count}

    def _run_ends(self, batch: list[Event], rows: Indices) -> dict[int, Floats]:
        """Return the values that follow the end of messages whose answers are late, by the indices of their events."""
        ending = [i for i, event in enumerate(batch) if event.end]
        counts = self._count_steps(rows[ending])
        ending = [i for i, count in zip(ending, counts.tolist(), strict=True) if count]
        if not ending:
            return {}
        if (kept := self._compiled.kept) is not None:
            found = run_kept(self._compiled, self._read_growing(kept, rows[ending]))
        else:
            found = run_ends(self._compiled, self._blocks[rows[ending]])
        return dict(zip(ending, found, strict=True))

    def _run_restarts(self, batch: list[Event]) -> dict[int, tuple[Floats, Any]]:
        """Run the restarts of events, as `_run_steps` does; their scalings come with the values."""
        source = self._compiled.source
        order = [i for i, event in enumerate(batch) if event.steps.restart]
        restart = [one for i in order for one in batch[i].steps.restart or ()]
        found: dict[int, tuple[Floats, Any]] = {}
        for values, scaling in self._compiled.run_restarts(restart):
            for k, one in enumerate(values):
                found[order[len(found)]] = one, source.select_context(scaling, k)
        return found
