"""`tidegate data NAME --out DIR`: which files it writes, and which it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidegate.cli import main
from tidegate.data import catalogue


@pytest.fixture
def trec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Provide a data set whose files come from a local folder."""
    cached = {split: tmp_path / f"cached-{split}.csv" for split in ("train", "test")}
    for split, path in cached.items():
        path.write_text(f"text,label\nwho,{split}\n")
    monkeypatch.setattr(catalogue, "fetch", lambda name: cached)


@pytest.mark.usefixtures("trec")
def test_a_file_of_somebody_else_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        assert main(["data", "trec", "--out", str(out)]) == 0
    (out / "test.csv").write_text("mine")
    (out / "train.csv").unlink()
    assert main(["data", "trec", "--out", str(out)]) == 2
    assert "test.csv already exists and is not the file of the data set" in capsys.readouterr().err
    assert [path.read_text() for path in out.iterdir()] == ["mine"]
    assert main(["data", "trec", "--out", str(out), "--force"]) == 0
    assert {path.name: path.read_text() for path in out.iterdir()} == {
        f"{split}.csv": f"text,label\nwho,{split}\n" for split in ("train", "test")
    }


@pytest.mark.usefixtures("trec")
def test_what_cannot_be_written_is_said_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalogue, "fetch", lambda name: pytest.fail("it was fetched"))
    (tmp_path / "out" / "test.csv").mkdir(parents=True)
    assert main(["data", "trec", "--out", str(tmp_path / "out")]) == 2
    assert "it is a folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["data", "trec"], ["demo"]])
def test_a_file_in_the_place_of_the_folder_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    monkeypatch.setattr(catalogue, "fetch", lambda name: pytest.fail("it was fetched"))
    (tmp_path / "mine.csv").write_text("mine")
    for out, said in (("mine.csv", "is a file; give the path of a folder"), ("mine.csv/sub", "cannot make the folder")):
        assert main([*command, "--out", str(tmp_path / out)]) == 2
        assert said in capsys.readouterr().err
    assert (tmp_path / "mine.csv").read_text() == "mine"
