"""The C of `tidegate export` as a target: compiled by this machine's C compiler, loaded, and run step by step."""

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
LARGEST: Final = 1 << 17  # numbers; a larger table goes by its address, as a compiler reads a million in seconds
TIMEOUT_S: Final = 300


def verify_c(replay: Replay) -> Result:
    """The check replayed by the exported C, whole and with the state copied between steps. Its functions are those of
    the native target base, so its errors are too."""
    if because := replay.model.whole_window:
        return Result("c", "compiled", f"no steps, because {because}", ran=False)
    path = "compiled"
    try:
        command = find_compiler()
        if command is None:
            return Result("c", path, "no C compiler", ran=False)
        path = describe_command(command, LEVEL)
        with build_library(replay.model, command, LEVEL) as built:
            path += ", large tables by address" if built.tables else ""
            begin = built.initial_state()
            whole = [built.run(begin, x) for x in replay.x]
            made = [built.run_steps(begin, x) for x in replay.x]
            chunks = list(map(to_bytes, whole)) == [to_bytes(pairs[-1]) for pairs in made]
    except TargetError as error:
        return Result("c", path, str(error), ran=False, ok=False)
    steps = replay.bound_steps(made, target_errors("base"))
    return replay.compare("c", path, replay.to_answers(whole), replay.bounds_on("base"), chunks, steps)


class Library(NamedTuple):
    """A compiled model. init, step: the C functions. state_bytes: of its state. outputs: how many floats it writes.
    keep: what it points into."""

    init: Any
    step: Any
    state_bytes: int
    outputs: int
    tables: dict[str, Array]

    def initial_state(self) -> Array:
        """The state block before the first step, uint8 [state_bytes]."""
        block = copy_aligned(np.full(self.state_bytes, 0xA5, np.uint8))
        if status := self.init(block.ctypes.data):
            raise TargetError(f"the compiled C refuses to make a state with {status}; this is a bug of tidegate export")
        return block

    def run(self, state: Array, x: Array, pieces: bool = False) -> Pair:
        """Output and state block after all steps of x from a state block uint8 [state_bytes]. pieces: each step has
        the state copied out and back."""
        if pieces:
            return self.run_steps(state, x)[-1]
        block, out = copy_aligned(state), np.empty(self.outputs, np.float32)
        for k in range(len(x)):
            self.run_step(block, x, k, out)
        return out, block

    def run_steps(self, state: Array, x: Array) -> list[Pair]:
        """The same after each step, before which the state is copied to another place."""
        pairs = []
        for k in range(len(x)):
            state, out = copy_aligned(state), np.empty(self.outputs, np.float32)
            self.run_step(state, x, k, out)
            pairs.append((out, state))
        return pairs

    def run_step(self, block: Array, x: Array, k: int, out: Array) -> None:
        value = int(x[k]) if x.ndim == 1 else x[k].ctypes.data
        if status := self.step(block.ctypes.data, value, out.ctypes.data):
            raise TargetError(f"the compiled C refuses step {k} with {status}; this is a bug of tidegate export")


def find_compiler() -> list[str] | None:
    """The command of a C compiler: $CC if it is set, else the first of cc, gcc, clang that there is; None without one.

    Raises: TargetError where $CC names none.
    """
    named = os.environ.get("CC", "")
    try:
        words = shlex.split(named)
    except ValueError as error:
        raise TargetError(f"CC is {named[:80]!r}, and no command: {error}") from error
    if words:
        if not shutil.which(words[0]):
            raise TargetError(f"CC is {words[0]!r}, and there is no such program")
        return words
    return next(([name] for name in COMPILERS if shutil.which(name)), None)


def describe_command(command: list[str], *flags: str) -> str:
    """`gcc -O2` and the like: a compiler without its folder."""
    return " ".join([os.path.basename(command[0]), *command[1:], *flags])


@contextmanager
def build_library(model: Model, command: list[str], *flags: str) -> Iterator[Library]:
    """The model compiled and loaded; the files are gone afterwards.

    command: the compiler. flags: what it is given beside what a shared library needs.

    Raises: TargetError with the compiler's first line; ModelFileError for a model that does not stream.
    """
    text = generate_code(model, NAME, NAME + ".h", largest=LARGEST)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        loaded = load_library(compile_library(folder, text.c, text.h, [*command, *flags]), command)
        for name, values in text.external_tables.items():
            ctypes.c_void_p.in_dll(loaded, name).value = values.ctypes.data
        init, step = loaded[f"{NAME}_init"], loaded[f"{NAME}_step"]
        init.argtypes, init.restype = [ctypes.c_void_p], ctypes.c_int
        step.argtypes = [ctypes.c_void_p, ctypes.c_int32 if text.program.takes_ids else ctypes.c_void_p, ctypes.c_void_p]
        step.restype = ctypes.c_int
        try:
            yield Library(init, step, model.state_bytes, text.program.outputs, text.external_tables)
        finally:
            unload_library(loaded)


def compile_library(folder: str, c: str, h: str, command: list[str]) -> str:
    """The path of a shared library made of these texts in a folder."""
    source, suffix = os.path.join(folder, NAME + ".c"), {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
    for path, text in ((source, c), (os.path.join(folder, NAME + ".h"), h)):
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    out = os.path.join(folder, NAME + suffix)
    kind = ["-dynamiclib"] if sys.platform == "darwin" else ["-shared"]
    position = [] if sys.platform == "win32" else ["-fPIC"]
    words = [*command, "-std=c99", "-ffp-contract=off", *kind, *position, "-o", out, source, "-lm"]
    status, said = run_compiler(words)
    if status:
        raise TargetError(first_error(status, said).replace(folder + os.sep, ""))
    if not os.path.exists(out):
        raise TargetError(f"{describe_command(command)} ended well and wrote nothing; is it a C compiler?")
    return out


def run_compiler(command: list[str]) -> tuple[int, str]:
    """The exit code of a compiler, and what it said. One that takes too long is ended with all that it started.

    Raises: TargetError for one that does not start or does not end.
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
        raise TargetError(f"{describe_command(command[:1])} does not run: {error.strerror}") from error
    with process:
        try:
            said, _ = process.communicate(timeout=TIMEOUT_S)
        except BaseException as error:
            kill(process)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise TargetError(f"{describe_command(command[:1])} did not end within {TIMEOUT_S} s") from error
    return process.returncode, said


def kill(process: subprocess.Popen[str]) -> None:
    """Compilers start others, which would go on alone."""
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def first_error(status: int, said: str) -> str:
    """The first line that speaks of an error, else the first one."""
    lines = [line for line in said.splitlines() if line.strip()]
    lines.append(f"the compiler ended with {status}")
    return next((line for line in lines if "error" in line), lines[0])


def load_library(path: str, command: list[str]) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(path)
    except OSError as error:  # for another machine, or no library at all
        why = str(error).removeprefix(f"{path}: ")
        raise TargetError(f"what {describe_command(command)} made does not load here: {why}") from error


def unload_library(loaded: ctypes.CDLL) -> None:
    """So that its file can be removed, and memory is given back."""
    if sys.platform == "win32":
        ctypes.WinDLL("kernel32").FreeLibrary(ctypes.c_void_p(loaded._handle))
    else:
        import _ctypes

        _ctypes.dlclose(loaded._handle)


def copy_aligned(block: Array) -> Array:
    """A copy at a multiple of 8 bytes, as the C's struct needs."""
    copy = np.empty(block.size // 8, np.int64).view(np.uint8)
    copy[:] = block
    return copy
