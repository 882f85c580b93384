"""The process that loads hostile files: it forks for each, so that a crash, a hang or a flood of memory is one file's.

`Loader` starts it, sends the paths of a model and of states, and gets a verdict for each. The fork has the interpreter,
NumPy and the engine loaded already; their CPU seconds and memory count as if it had loaded them itself.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any, NamedTuple

SECONDS = 60


class Verdict(NamedTuple):
    """What loading a model, or restoring a state, said and took."""

    sentence: str
    cpu_s: float
    memory_mb: float


class Ended(Exception):
    """The process that read a file ended in a traceback, crashed or hung."""


class Loader:
    """The process. before: Python code that each fork runs first (for tests of this file)."""

    def __init__(self, before: str = "", seconds: int = SECONDS) -> None:
        command = [sys.executable, __file__, before, str(seconds)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def load(self, model: Path, *states: Path) -> Verdict:
        """Load a model, and restore states into it. Raises Ended, with the last file's name, where this ended it."""
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps([str(path) for path in (model, *states)]), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline() or '{"ended": "the loading process itself is gone"}')
        if "ended" in answer:
            raise Ended(f"{(model, *states)[-1]}: {answer['ended']}")
        return Verdict(**answer)


def main(before: str, seconds: int) -> None:
    """Read the paths of a model and of its states, line by line; print a verdict on each line."""
    import tidegate.runtime  # noqa: F401  the forks have it

    used = cpu_s()
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            signal.alarm(seconds)  # ends the fork wherever it hangs, in C too
            os.write(writing, json.dumps(answer(before, json.loads(line), used)).encode())
            os._exit(0)
        os.close(writing)
        with open(reading, "rb") as pipe:
            content = pipe.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        ended = f"it hung for {seconds} s" if status == -signal.SIGALRM else f"its process ended with status {status}"
        print(content.decode() or json.dumps({"ended": ended}), flush=True)


def answer(before: str, paths: list[str], used: float) -> dict[str, Any]:
    """A verdict, or the traceback, of this fork. used: the CPU seconds of the process before it."""
    from tidegate.errors import TidegateError
    from tidegate.runtime import State, load

    try:
        exec(before, {})
        try:
            predictor = load(paths[0])
            for path in paths[1:]:
                predictor.pool().restore(0, State.from_bytes(Path(path).read_bytes()))
            sentence = "loaded"
        except TidegateError as error:
            sentence = str(error).removeprefix(paths[0] + ": ")
        return {"sentence": sentence, "cpu_s": used + cpu_s(), "memory_mb": memory_mb()}
    except BaseException:
        return {"ended": traceback.format_exc()}


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def memory_mb() -> float:
    """The peak of this process alone; ru_maxrss counts the parent's too."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1000
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1_024_000 if sys.platform == "darwin" else 1000)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
