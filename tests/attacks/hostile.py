"""The valid model and state that attacks start from, functions to edit their bytes, and the measured process that loads
the model and restores the state.
"""

from __future__ import annotations

import io
import json
import runpy
import signal
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from forks import Forks
from tidegate import tensors as safetensors
from tidegate.model import Model
from tidegate.runtime import Predictor

HERE = Path(__file__).resolve().parent
SCRIPTS = sorted(
    path
    for path in HERE.glob("*.py")
    if path.stem not in ("hostile", "mutations") and not path.stem.startswith("test_")
)

CPU_S = 1.0
MEMORY_MB = 100

SECONDS = 60

IMPORTS = """
import resource, sys
from tidegate.errors import TidegateError
from tidegate.runtime import State, load
"""
LOAD = """
try:
    predictor = load(sys.argv[1])
    for path in sys.argv[2:]:
        with open(path, "rb") as file:
            predictor.pool().restore(0, State.from_bytes(file.read()))
except TidegateError as error:
    print(str(error).removeprefix(sys.argv[1] + ": "))
else:
    print("loaded")
used = resource.getrusage(resource.RUSAGE_SELF)
try:  # the peak of this process alone; ru_maxrss counts the parent's too
    peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
except OSError:
    peak = used.ru_maxrss // (1024 if sys.platform == "darwin" else 1)
print(used.ru_utime + used.ru_stime, peak / 1000)
"""


class Verdict(NamedTuple):
    """The result of loading a model or restoring a state: its error (or "loaded"), CPU time without that of the
    imports, and peak memory of the whole process.
    """

    sentence: str
    cpu_s: float
    memory_mb: float


class Ended(Exception):
    """The process that read a file crashed, hung or ended in a traceback."""


def start_loader() -> Forks:
    """Start the process whose forks load files, one file each."""
    return Forks(IMPORTS)


@cache
def valid(model: str = "classifier", **options: int) -> bytes:
    """Return the bytes of a small valid classifier, or of another model of tests/golden/models.py."""
    file = io.BytesIO()
    document, tensors = model_parts(model, **options)
    safetensors.write(file, tensors, {"tidegate": json.dumps(document, ensure_ascii=False)})
    return file.getvalue()


def model_parts(model: str, **options: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the document and tensors of a model. options: H and seed, for another model than the valid one."""
    models = runpy.run_path(str(HERE.parent / "golden" / "models.py"))
    model_and_tensors: tuple[dict[str, Any], dict[str, Any]] = models["with_empty_check"](models[model](**options))
    return model_and_tensors


@cache
def valid_state(model: str = "classifier", **options: int) -> bytes:
    """Return a state of the valid classifier in the middle of a word, or of another model after three steps."""
    predictor = Predictor(Model(*model_parts(model, **options)))
    if model == "stations":
        stream = predictor.stream("south")
        stream.push([1.0, 2.0, 3.0])
    elif model == "seasonal":
        stream = predictor.stream()
        stream.push([[60.0, 11.0, 0.0]] * 3, time=["2026-01-01T00", "2026-01-01T01", "2026-01-01T02"])
    elif model == "finals":
        stream = predictor.stream()
        stream.push([1, 2, 3])
    else:
        stream = predictor.stream()
        stream.push("the gate opens, the wat")
    return stream.state.to_bytes()


def split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Split a file into its header, parsed, and its data."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join(header: dict[str, Any] | bytes, data: bytes) -> bytes:
    """Build a file from a header (JSON or bytes) and data, with a correct length and padding."""
    text = header if isinstance(header, bytes) else json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def with_document(content: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return the file with its document changed in place by `change`."""
    document = json.loads(document_text(content))
    change(document)
    return with_text(content, json.dumps(document, ensure_ascii=False))


def with_program(content: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return the file with the node of its first layer `program` changed in place by `change`."""

    def change_node(document: dict[str, Any]) -> None:
        nodes = document["graphs"]["layers"]["nodes"]
        change(next(node for node in nodes if node["layer"] == "program"))

    return with_document(content, change_node)


def with_text(content: bytes, text: str) -> bytes:
    """Return the file with this text as its document."""
    header, data = split(content)
    header["__metadata__"]["tidegate"] = text
    return join(header, data)


def document_text(content: bytes) -> str:
    return str(split(content)[0]["__metadata__"]["tidegate"])


def split_state(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Split a state into its header, parsed, and the bytes of its block, output and unfinished word."""
    end = 24 + int.from_bytes(content[20:24], "little")
    return json.loads(content[24:end]), content[end:-32]


def join_state(header: dict[str, Any] | bytes, data: bytes, version: int | None = None) -> bytes:
    """Build a state from a header (JSON or bytes) and data, with a correct length and checksum.

    version: None: the one that the header's arrays ask for.
    """
    if version is None:
        arrays = header["arrays"] if isinstance(header, dict) else None
        version = 2 if isinstance(arrays, list) and any("counted_at" in array for array in arrays) else 1
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    sizes = version.to_bytes(4, "little") + len(text).to_bytes(4, "little")
    return append_sum(b"tidegatestate\0\0\0" + sizes + text + data)


def append_sum(body: bytes) -> bytes:
    """Append the checksum of the bytes."""
    return body + sha256(body).digest()


def with_fields(content: bytes, **fields: Any) -> bytes:
    """Return the state with other fields in its header."""
    header, data = split_state(content)
    return join_state({**header, **fields}, data)


def with_array(content: bytes, index: int, **changed: Any) -> bytes:
    """Return the state with changes to one of the arrays in its header."""
    arrays = split_state(content)[0]["arrays"]
    arrays[index].update(changed)
    return with_fields(content, arrays=arrays)


def load(forks: Forks, model: Path, *states: Path, before: str = "", seconds: int = SECONDS) -> Verdict:
    """Load a model and restore states into it, in a process of its own.

    before: code that the process runs first. Raises Ended, with the name of the last file, if the process fails.
    """
    done = forks.run(before + LOAD, *map(str, (model, *states)), timeout=seconds)
    if done.returncode:
        how = f"hung for {seconds} s" if done.returncode == -signal.SIGALRM else f"ended with status {done.returncode}"
        raise Ended(f"{(model, *states)[-1]}: the process that loaded it {how}\n{done.stderr}")
    sentence, figures = done.stdout.rstrip("\n").rsplit("\n", 1)
    cpu_s, memory_mb = map(float, figures.split())
    return Verdict(sentence, cpu_s, memory_mb)


def measure(
    forks: Forks, attack: Callable[[bytes], bytes], of_state: bool, folder: Path, name: str = "classifier"
) -> Verdict:
    """Load what an attack makes of a valid model, or of its valid state, and return the verdict."""
    model, state = folder / "model.safetensors", folder / "state"
    if not of_state:
        model.write_bytes(attack(valid(name)))
        return load(forks, model)
    model.write_bytes(valid(name))
    state.write_bytes(attack(valid_state(name)))
    return load(forks, model, state)


def attacks_state(script: Path) -> bool:
    """Tell whether a script attacks a stream's state (state_*.py) rather than a model file."""
    return script.stem.startswith("state_")


def run(attack: Callable[[bytes], bytes], refused: str, model: str = "classifier") -> None:
    """Run one attack, the script itself, and print its verdict; exit 1 if it was not refused as it must be."""
    with tempfile.TemporaryDirectory() as folder, start_loader() as forks:
        verdict = measure(forks, attack, attacks_state(Path(sys.argv[0])), Path(folder), model)
    ok = refused in verdict.sentence and verdict.cpu_s < CPU_S and verdict.memory_mb < MEMORY_MB
    figures = f"{verdict.cpu_s:.2f} s, {verdict.memory_mb:.0f} MB"
    print(f"{'refused' if ok else 'NOT REFUSED'}: {verdict.sentence} ({figures})")
    sys.exit(not ok)
