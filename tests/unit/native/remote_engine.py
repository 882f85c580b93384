"""The interface of `_native`, for a program at the end of a pipe (native/remote) that may run on another CPU."""

from __future__ import annotations

import shlex
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shared
from tidegate import _native
from tidegate.runtime.precision import PRECISIONS

CELLS = (
    "gru",
    "gru replace",
    "lstm",
    "rnn tanh",
    "rnn relu",
    "mingru",
    "gru before",
    "gru before replace",
    "lstm peepholes",
)
NORMED = 256
ERRORS_BY_STATUS: dict[int, type[Exception]] = {1: ValueError, 2: MemoryError, 3: SystemError}


def cell_number(name: str) -> int:
    return CELLS.index(name.removesuffix(" norm")) + (NORMED if name.endswith(" norm") else 0)


def encode(value: Any) -> bytes:
    """Encode an argument as the program reads it."""
    if value is None:
        return struct.pack("<q", -1)
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, str | bytes | np.ndarray):
        raw = (
            value.encode()
            if isinstance(value, str)
            else bytes(np.ascontiguousarray(value))
            if not isinstance(value, bytes)
            else value
        )
        return struct.pack("<q", len(raw)) + raw
    return struct.pack("<q", int(value))


class Remote:
    """The program, which runs until `close`.

    Raises the errors of its replies, and AssertionError with its log if it ends early.
    """

    def __init__(self, command: list[str], log: Path) -> None:
        self.log = log
        with log.open("wb") as errors:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)

    def call(self, name: str, *arguments: Any) -> None:
        """Send a request; read what the function wrote with `number` and `array` afterwards."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(b"".join(map(encode, (name, *arguments))))
            self.process.stdin.flush()
        except BrokenPipeError:
            self.fail_with_log()
        status, message = self.number(), self.array(np.uint8).tobytes().decode()
        if status:
            raise ERRORS_BY_STATUS[status](message)

    def read(self, count: int) -> bytes:
        assert self.process.stdout is not None
        found = self.process.stdout.read(count)
        return found if len(found) == count else self.fail_with_log()

    def fail_with_log(self) -> Any:
        raise AssertionError(f"the program ended with {self.process.wait()}: {self.log.read_text('utf-8')[-3000:]}")

    def number(self) -> int:
        return int(struct.unpack("<q", self.read(8))[0])

    def text(self) -> str:
        return self.array(np.uint8).tobytes().decode()

    def array(self, dtype: Any) -> np.ndarray:
        return np.frombuffer(self.read(max(0, self.number())), dtype)

    def read_into(self, *arrays: np.ndarray | None) -> None:
        """Read what the function wrote into the caller's arrays."""
        for array in arrays:
            found = self.array(np.uint8 if array is None else array.dtype)
            if array is not None:
                array[...] = found.reshape(array.shape)

    def close(self) -> str:
        """End the program and return its log."""
        self.process.communicate(timeout=60)
        code, log = self.process.returncode, self.log.read_text("utf-8")
        assert code == 0, f"the program ended with {code}: {log[-3000:]}"
        return log

    def targets(self, precision: str = "float32") -> tuple[list[str], list[str]]:
        """Return the targets of its build, and those that its CPU can run."""
        self.call("targets", PRECISIONS.index(precision))
        return self.text().split(), self.text().split()


class Engine:
    """`_native.Engine` in the program."""

    remote: Remote

    def __init__(self, target: str, state_bytes: int, fused: bool = True, precision: str = "float32") -> None:
        self.target, self.state_bytes = target, state_bytes
        self.remote.call("open", PRECISIONS.index(precision), target, state_bytes, fused)
        self.handle = self.remote.number()

    def call(self, name: str, *arguments: Any) -> None:
        self.remote.call(name, self.handle, *arguments)

    def add(
        self,
        code: Any,
        joined: Any,
        consts: Any,
        tensors: Any,
        inputs: int,
        ids: int,
        output: int,
        next: Any,
        state_offsets: Any,
        state_sizes: Any,
        ahead: int = 0,
        sources: Sequence[int] = (),
        first_column: int = 0,
        add: int = -1,
    ) -> None:
        lists = (code, joined, consts, next, state_offsets, state_sizes)
        graph = (np.array(sources, np.int32), first_column, add)
        self.call("add", inputs, ids, ahead, output, *lists, len(tensors), *tensors, *graph)

    def finish(self) -> None:
        self.call("finish")
        self.call("about")
        self.inputs, self.outputs, self.look_ahead = (self.remote.number() for _ in range(3))
        self.fused_layers = [int(i) for i in self.remote.text().split()]

    def run(
        self,
        x: Any,
        lengths: Any,
        state_in: Any,
        state_out: Any,
        out: Any,
        per_step: bool,
        threads: int,
        ends: bool = False,
    ) -> None:
        self.call("run", *x.shape[:2], x, lengths, state_in, state_out, out, per_step, ends, threads)
        self.remote.read_into(state_out, out)

    def step(self, x: Any, state: Any, out: Any, count: int = 1, spoil: bool = False) -> int:
        """Run `count` steps; return the number of allocations of all but the first.

        spoil: make one more allocation in between.
        """
        self.call("step", count, x, state, out, spoil)
        self.remote.read_into(state, out)
        return self.remote.number()

    def step_many(
        self, ids: Any, x: Any, states: Any, out: Any, threads: int, count: int = 1, spoil: bool = False
    ) -> int:
        self.call("step_many", count, ids, x, states, out, len(states), threads, spoil)
        self.remote.read_into(states, out)
        return self.remote.number()

    def step_from(
        self,
        x: Any,
        parents: Any,
        states_in: Any,
        owners: Any,
        held: Any,
        states_out: Any,
        out: Any,
        threads: int,
        count: int = 1,
        spoil: bool = False,
    ) -> int:
        sizes = len(states_in), states_in.shape[1], len(held)
        arrays = x, parents, states_in, owners, held, states_out, out
        self.call("step_from", count, *arrays, *sizes, threads, spoil)
        self.remote.read_into(states_out, out)
        return self.remote.number()


def redirect_native(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send every call of `_native` to the program until monkeypatch is undone."""

    def saved_size(target: str, cell: str, size: int) -> int:
        remote.call("train_saved_size", target, cell_number(cell), size)
        return remote.number()

    def train(name: str, target: str, cell: str, given: dict[str, Any], written: list[str], read: list[str]) -> None:
        both = [given[key] for key in ("x", "batch_sizes", "initial_states", "W", "b", "R", "c", "params")]
        rest = [given[key] for key in (*read, *written)]
        sizes = (given["x"].shape[1], given["initial_states"].shape[2])
        remote.call(name, target, cell_number(cell), *sizes, *both, *rest, given["threads"])
        remote.read_into(*(given[key] for key in written))

    def forward(target: str, cell: str, **given: Any) -> None:
        train("train_forward", target, cell, given, ["y", "final_states", "saved"], [])

    def backward(target: str, cell: str, **given: Any) -> None:
        written = ["dx", "dinitial_states", "dW", "db", "dR", "dc", "dparams"]
        train("train_backward", target, cell, given, written, ["y", "saved", "dy", "dfinal_states"])

    def pool_call(name: str, target: str, given: dict[str, Any], read: list[str], written: list[str]) -> None:
        x, ends = given["x"], given["ends"]
        rest = [given[key] for key in (*read, *written)]
        remote.call(
            name,
            target,
            x.shape[1],
            x,
            given["batch_sizes"],
            len(ends),
            ends,
            given["over"],
            given["score"],
            float(given["score_bias"]),
            *rest,
            given["threads"],
        )
        remote.read_into(*(given[key] for key in written))

    def pool_forward(target: str, **given: Any) -> None:
        pool_call("train_pool_forward", target, given, [], ["out"])

    def pool_backward(target: str, **given: Any) -> None:
        pool_call("train_pool_backward", target, given, ["out", "dout"], ["dx", "dscore", "dbias"])

    def embed_forward(table: Any, ids: Any, random: Any, level: int, out: Any) -> None:
        remote.call("train_embed_forward", *table.shape, table, ids, random, level, out)
        remote.read_into(out)

    def embed_backward(slots: Any, random: Any, level: int, dout: Any, values: Any) -> None:
        remote.call("train_embed_backward", *values.shape, slots, random, level, dout, values)
        remote.read_into(values)

    def adamw(
        weights: Any, mean: Any, square: Any, row_ids: Any, gradient: Any, factor: float, step: int, *rates: float
    ) -> None:
        settings = [float(v) for v in (*rates, factor)]
        remote.call(
            "train_adamw", *weights.shape, step, *settings, weights, mean, square, row_ids, len(gradient), gradient
        )
        remote.read_into(weights, mean, square)

    own = type("Engine", (Engine,), {"remote": remote})
    errors = dict.fromkeys(
        remote.targets("compute=bf16")[0], _native.ERRORS["base"]
    )  # bounds of the activations, which all targets share
    replacements = {
        "Engine": own,
        "targets": lambda precision="float32": remote.targets(precision)[1],
        "compiled_targets": lambda precision="float32": remote.targets(precision)[0],
        "default_target": lambda precision="float32": remote.targets(precision)[1][0],
        "ERRORS": errors,
        "train_saved_size": saved_size,
        "train_forward": forward,
        "train_backward": backward,
        "train_pool_forward": pool_forward,
        "train_pool_backward": pool_backward,
        "train_embed_forward": embed_forward,
        "train_embed_backward": embed_backward,
        "train_adamw": adamw,
    }
    for name, replacement in replacements.items():
        monkeypatch.setattr(_native, name, replacement)


def build_program(root: Path, folder: Path, program: str, *options: str) -> Path:
    """Build a program of native/remote in the folder."""
    build(root, folder, ["-DTIDEGATE_PYTHON=OFF", *options], program)
    return folder / "native" / "remote" / program


def build(root: Path, folder: Path, options: Sequence[str], *targets: str) -> None:
    """Build targets in the folder. Other processes may build there at the same time or before."""
    configure = ["cmake", "-S", str(root), "-B", str(folder), *options]
    with shared.locked(folder):
        for command in (configure, ["cmake", "--build", str(folder), "-j", "2", "--target", *targets]):
            done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
            assert done.returncode == 0, done.stdout + done.stderr


def write_script(path: Path, command: list[str]) -> Path:
    """Write a script that runs the command with its arguments, for where only a single word is possible."""
    path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    path.chmod(0o755)
    return path
