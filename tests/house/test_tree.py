"""Rules for every file of the repository."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 400
DATA = {".txt", ".json", ".safetensors", ".csv", ".bin"}

# In pieces, so that this file does not break the rule itself.
PLACES = re.compile(
    "|".join(("/" + "work/", "/" + "root/", "/" + "home/[a-z]", "/" + "Users/[a-z]", "/" + "opt/wheels"))
)
HOSTS = re.compile(
    "|".join(("pypi" + r"\.org", "pythonhosted" + r"\.org", "download" + r"\.pytorch", "conda" + r"\.anaconda"))
)
UNFORMATTED = re.compile(r"#\s*" + "fmt" + r":\s*(skip|off)")


def list_files() -> list[Path]:
    """List the files that git tracks or would track."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        return []


def find_lines(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    return [
        f"{path.name}:{number}: {line.strip()[:80]}"
        for path in files
        for number, line in enumerate(lines(path), 1)
        if pattern.search(line)
    ]


def test_no_file_is_too_long() -> None:
    code = [p for p in list_files() if p.suffix not in DATA and p.name != "LICENSE"]
    assert [f"{p.name}: {n} lines" for p in code if (n := len(lines(p))) > LONGEST] == []


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in list_files() if path.name.startswith("test_") and path.suffix == ".py"]
    assert sorted(names) == sorted(set(names)), "pytest imports tests by their file's name alone"


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    assert find_lines(PLACES, list_files()) == []


def test_no_file_names_a_registrys_host() -> None:
    assert find_lines(HOSTS, list_files()) == []


def test_ruff_formats_every_line() -> None:
    assert find_lines(UNFORMATTED, list_files()) == []


def test_findings_can_be_found(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text("see /" + "root/x\nand https://pypi" + ".org/simple\nand a/home/ page\n")
    assert find_lines(PLACES, [file]) == ["a.md:1: see /" + "root/x"]
    assert find_lines(HOSTS, [file]) == ["a.md:2: and https://pypi" + ".org/simple"]


def test_every_room_explains_itself() -> None:
    rooms = [p.parent for p in (ROOT / "src" / "tidegate").glob("*/__init__.py")]
    assert rooms
    short = {room.name: len(lines(room / "README.md")) if (room / "README.md").is_file() else 0 for room in rooms}
    assert {name: count for name, count in short.items() if not 4 <= count <= 60} == {}
