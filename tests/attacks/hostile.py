"""The valid file that attacks start from, ways to edit its bytes, and the measured process that loads it."""

from __future__ import annotations

import io
import json
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tidegate import tensors as safetensors

HERE = Path(__file__).resolve().parent
SCRIPTS = sorted(p for p in HERE.glob("*.py") if p.stem != "hostile" and not p.stem.startswith("test_"))

CPU_S = 1.0
MEMORY_MB = 100

LOAD = """
import resource, sys
from tidegate.errors import TidegateError
from tidegate.model import Model
try:
    Model.load(sys.argv[1])
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
    """What loading a file said and took."""

    sentence: str
    cpu_s: float
    memory_mb: float


def valid() -> bytes:
    """The bytes of a small valid classifier."""
    models = runpy.run_path(str(HERE.parent / "golden" / "models.py"))
    document, tensors = models["with_empty_check"](models["classifier"]())
    file = io.BytesIO()
    safetensors.write(file, tensors, {"tidegate": json.dumps(document, ensure_ascii=False)})
    return file.getvalue()


def split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The header as JSON, and the data."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join(header: dict[str, Any] | bytes, data: bytes) -> bytes:
    """A file of a header, JSON or bytes, with a true length and padding."""
    text = header if isinstance(header, bytes) else json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def with_document(content: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The file with its document changed in place by `change`."""
    document = json.loads(document_text(content))
    change(document)
    return with_text(content, json.dumps(document, ensure_ascii=False))


def with_text(content: bytes, text: str) -> bytes:
    """The file with this text for its document."""
    header, data = split(content)
    header["__metadata__"]["tidegate"] = text
    return join(header, data)


def document_text(content: bytes) -> str:
    return str(split(content)[0]["__metadata__"]["tidegate"])


def load(path: Path) -> Verdict:
    """Load a file in a process of its own; raises CalledProcessError when that ends in a traceback."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    sentence, figures = done.stdout.rstrip("\n").rsplit("\n", 1)
    cpu_s, memory_mb = map(float, figures.split())
    return Verdict(sentence, cpu_s, memory_mb)


def run(attack: Callable[[bytes], bytes], refused: str) -> None:
    """Print the verdict of one attack; exit 1 when it was not refused as it must be."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hostile.safetensors"
        path.write_bytes(attack(valid()))
        verdict = load(path)
    held = refused in verdict.sentence and verdict.cpu_s < CPU_S and verdict.memory_mb < MEMORY_MB
    figures = f"{verdict.cpu_s:.2f} s, {verdict.memory_mb:.0f} MB"
    print(f"{'refused' if held else 'NOT HELD'}: {verdict.sentence} ({figures})")
    sys.exit(not held)
