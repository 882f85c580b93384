"""The fuzz targets under the sanitizers: a few seconds of each find nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from remote_engine import build

import shared

pytestmark = pytest.mark.slow  # they build the engine under the sanitizers
SECONDS = 5
TARGETS = ("engine_fuzz", "training_fuzz")
FLAGS = ["-fsanitize=address,undefined"]


def run_command(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a compiler whose programs run under the sanitizers."""
    folder = tmp_path_factory.mktemp("compiler")
    (folder / "a.cc").write_text("int main() {}\n")
    if shutil.which("cmake") is None:
        pytest.skip("no cmake here")
    for name in ("clang++", "g++", "c++"):
        commands = ((name, *FLAGS, "a.cc", "-o", "a"), ("./a",))
        if shutil.which(name) and all(run_command(*command, cwd=folder).returncode == 0 for command in commands):
            return name
    pytest.skip("no compiler here whose programs run under the sanitizers")


@pytest.fixture(scope="module")
def fuzzers(tmp_path_factory: pytest.TempPathFactory, root: Path, compiler: str) -> Path:
    folder = shared.folder(tmp_path_factory, "sanitized") / compiler
    build(root, folder, ["-DTIDEGATE_FUZZ=ON", f"-DCMAKE_CXX_COMPILER={compiler}"], *TARGETS)
    return folder / "native" / "fuzz"


@pytest.mark.parametrize("target", TARGETS)
def test_a_few_seconds_find_nothing(target: str, fuzzers: Path, tmp_path: Path) -> None:
    limits = (f"-max_total_time={SECONDS}", "-max_len=1024", "-len_control=0", "-seed=1")
    done = run_command(fuzzers / target, *limits, cwd=tmp_path)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-4000:]
    runs = next(int(line.split()[1]) for line in output.splitlines() if line.startswith("Done "))
    assert runs > 100
    assert list(tmp_path.iterdir()) == []
