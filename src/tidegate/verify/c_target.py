"""The C of `tidegate export` as a target: compiled with this machine's C compiler, loaded, and run step by step."""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from ..errors import TargetError
from ..formats.c import generate_code
from .replay import Array, Pair, Replay, Result, target_errors, to_bytes

if TYPE_CHECKING:
    from ..model import Model

COMPILERS: Final = ("cc", "gcc", "clang")
LEVEL: Final = "-O2"
NAME: Final = "model"
WAITING: Final = 3  # what a step returns while there is no answer
LARGEST: Final = 1 << 17  # numbers; larger tables are passed by address, as a million takes a compiler seconds
TIMEOUT_S: Final = 300


def verify_c(replay: Replay) -> Result:
    """Run the exported C, whole and with the state copied between steps.

    Its functions are those of the native target base, and so are its errors.
    """
    if because := replay.model.whole_window:
        return Result("c", "compiled", f"no steps, because {because}", ran=False)
    path = "compiled"
    try:
        command = find_compiler()
        if command is None:
            return Result("c", path, "no C compiler", ran=False)
        path = describe_command(command, LEVEL)
        with build_library(replay.model, command, LEVEL) as library:
            path += ", large tables by address" if library.tables else ""
            state = library.initial_state()
            whole = [library.run(state, x) for x in replay.x]
            steps = [library.run_steps(state, x) for x in replay.x]
            ends = [(pairs[-1][0], pairs[len(x) - 1][1]) for x, pairs in zip(replay.x, steps, strict=True)]
            chunks = list(map(to_bytes, whole)) == list(map(to_bytes, ends))
    except TargetError as error:
        return Result("c", path, str(error), ran=False, ok=False)
    answers, bounds = replay.to_answers(whole), replay.target_bounds("base")
    return replay.compare("c", path, answers, bounds, chunks, replay.bound_steps(steps, target_errors("base")))


class Library(NamedTuple):
    """A compiled model.

    init, step, flush: the C functions, flush only if answers are late. state_bytes: size of its state. outputs: number
    of floats that a step writes. tables: arrays that the library points into, kept alive. look_ahead: how many steps
    answers are late.
    """

    init: Any
    step: Any
    flush: Any
    state_bytes: int
    outputs: int
    tables: dict[str, Array]
    look_ahead: int = 0

    def initial_state(self) -> Array:
        """Return the state block before the first step, uint8 [state_bytes]."""
        block = copy_aligned(np.full(self.state_bytes, 0xA5, np.uint8))
        if status := self.init(block.ctypes.data):
            raise TargetError(f"the compiled C makes no state: it returned {status}; this is a bug in tidegate export")
        return block

    def run(self, state: Array, x: Array, pieces: bool = False) -> Pair:
        """Return output and state block after all steps of x, from a state block uint8 [state_bytes].

        pieces: whether to copy the state to another place before each step.
        """
        if pieces:
            pairs = self.run_steps(state, x)
            return pairs[-1][0], pairs[len(x) - 1][1]
        block, out = copy_aligned(state), np.empty(self.outputs, np.float32)
        for k in range(len(x)):
            self.run_step(block, x, k, out)
        for y in self.run_end(block):
            out = y
        return out, block

    def run_steps(self, state: Array, x: Array) -> list[Pair]:
        """Return output and state block after each step; the state is copied to another place before each.

        If answers are late, the first outputs are NaN, and those that follow the last step have pairs of their own.
        """
        pairs = []
        for k in range(len(x)):
            state, out = copy_aligned(state), np.empty(self.outputs, np.float32)
            self.run_step(state, x, k, out)
            pairs.append((out, state))
        return [*pairs, *((y, state) for y in self.run_end(state))]

    def run_end(self, block: Array) -> list[Array]:
        """Return the outputs that follow the last step; the state block stays as it is."""
        block, found = copy_aligned(block), []
        for n in range(1, self.look_ahead + 1):
            out = np.empty(self.outputs, np.float32)
            found.append(out if self.flush(block.ctypes.data, n, out.ctypes.data) == 0 else np.full_like(out, np.nan))
        return found

    def run_step(self, block: Array, x: Array, k: int, out: Array) -> None:
        value = int(x[k]) if x.ndim == 1 else x[k].ctypes.data
        status = self.step(block.ctypes.data, value, out.ctypes.data)
        if status == WAITING and k < self.look_ahead:
            out.fill(np.nan)
        elif status:
            raise TargetError(
                f"the compiled C refuses step {k}: it returned {status}; this is a bug in tidegate export"
            )


def find_compiler() -> list[str] | None:
    """Return the command of a C compiler: $CC if it is set, else the first of cc, gcc and clang; None without one.

    Raises: TargetError if $CC is not the command of a program.
    """
    variable = os.environ.get("CC", "")
    try:
        words = shlex.split(variable)
    except ValueError as error:
        raise TargetError(f"CC is {variable[:80]!r}, which is not a command: {error}") from error
    if words:
        if not shutil.which(words[0]):
            raise TargetError(f"CC is {words[0]!r}, but there is no such program")
        return words
    return next(([name] for name in COMPILERS if shutil.which(name)), None)


def describe_command(command: list[str], *flags: str) -> str:
    """Return a compiler's command without its folder, such as `gcc -O2`."""
    return " ".join([os.path.basename(command[0]), *command[1:], *flags])


@contextmanager
def build_library(model: Model, command: list[str], *flags: str) -> Iterator[Library]:
    """Compile and load a model; its files are removed afterwards.

    command: the compiler. flags: further flags, beside those for a shared library.

    Raises: TargetError with the compiler's first error; ModelFileError for a model that does not stream.
    """
    code = generate_code(model, NAME, NAME + ".h", largest=LARGEST)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        loaded = load_library(compile_library(folder, code.c, code.h, [*command, *flags]), command)
        for name, values in code.external_tables.items():
            ctypes.c_void_p.in_dll(loaded, name).value = values.ctypes.data
        init, step = loaded[f"{NAME}_init"], loaded[f"{NAME}_step"]
        flush = loaded[f"{NAME}_flush"] if model.look_ahead else None
        if flush is not None:
            flush.argtypes, flush.restype = [ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p], ctypes.c_int
        init.argtypes, init.restype = [ctypes.c_void_p], ctypes.c_int
        step.argtypes = [
            ctypes.c_void_p,
            ctypes.c_int32 if code.program.ids == 1 else ctypes.c_void_p,
            ctypes.c_void_p,
        ]
        step.restype = ctypes.c_int
        try:
            made = init, step, flush, model.state_bytes, code.program.outputs, code.external_tables
            yield Library(*made, model.look_ahead)
        finally:
            unload_library(loaded)


def compile_library(folder: str, c: str, h: str, command: list[str]) -> str:
    """Compile these texts in a folder; return the path of the shared library."""
    source, suffix = os.path.join(folder, NAME + ".c"), {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
    for path, text in ((source, c), (os.path.join(folder, NAME + ".h"), h)):
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    out = os.path.join(folder, NAME + suffix)
    kind = ["-dynamiclib"] if sys.platform == "darwin" else ["-shared"]
    position = [] if sys.platform == "win32" else ["-fPIC"]
    words = [*command, "-std=c99", "-ffp-contract=off", *kind, *position, "-o", out, source, "-lm"]
    status, output = run_compiler(words)
    if status:
        raise TargetError(first_error(status, output).replace(folder + os.sep, ""))
    if not os.path.exists(out):
        raise TargetError(f"{describe_command(command)} reported success but wrote no file; is it a C compiler?")
    return out


def run_compiler(command: list[str]) -> tuple[int, str]:
    """Return a compiler's exit code and output. One that takes too long is killed with all processes it started.

    Raises: TargetError if it does not start or does not end.
    """
    pipe, none = subprocess.PIPE, subprocess.DEVNULL
    try:
        process = subprocess.Popen(
            command,
            stdin=none,
            stdout=pipe,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise TargetError(f"{describe_command(command[:1])} does not start: {error.strerror}") from error
    with process:
        try:
            output, _ = process.communicate(timeout=TIMEOUT_S)
        except BaseException as error:
            kill(process)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise TargetError(f"{describe_command(command[:1])} did not end within {TIMEOUT_S} s") from error
    return process.returncode, output


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a compiler and the processes that it started, which would go on alone."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def first_error(status: int, output: str) -> str:
    """Return the first line that mentions an error, else the first line."""
    lines = [line for line in output.splitlines() if line.strip()]
    lines.append(f"the compiler exited with {status}")
    return next((line for line in lines if "error" in line), lines[0])


def load_library(path: str, command: list[str]) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(path)
    except OSError as error:  # it is for another machine, or no library at all
        reason = str(error).removeprefix(f"{path}: ")
        raise TargetError(f"the library from {describe_command(command)} does not load here: {reason}") from error


def unload_library(loaded: ctypes.CDLL) -> None:
    """Unload a library, so that its file can be removed and its memory is freed."""
    if sys.platform == "win32":
        ctypes.WinDLL("kernel32").FreeLibrary(ctypes.c_void_p(loaded._handle))
    else:
        import _ctypes

        _ctypes.dlclose(loaded._handle)


def copy_aligned(block: Array) -> Array:
    """Copy a block to an address that is a multiple of 8 bytes, as the C struct needs."""
    copy = np.empty(block.size // 8, np.int64).view(np.uint8)
    copy[:] = block
    return copy
