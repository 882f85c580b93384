"""`predict --nearest K FILE`: the rows of a corpus that are most similar to each input."""

from __future__ import annotations

import csv
import itertools
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate
from tidegate import cli
from tidegate.cli import build_parser

WORDS = {"cats": ["cat", "kitten", "purr", "meow"], "cars": ["car", "wheel", "motor", "road"]}
FLAGS = ["--hidden", "8", "--embed", "8", "--size", "5", "--rate", "0.02", "--epochs", "6"]
CORPUS = ["motor road", "cat\npurr", " ", "kitten meow", "cat\npurr", "wheel car"]


def texts(count: int, seed: int) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    labels = [rng.choice(list(WORDS)) for _ in range(count)]
    return [(" ".join(rng.sample(WORDS[label], 2)), label) for label in labels]


def write(path: Path, head: list[str], rows: list[Any]) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return str(path)


def fit(folder: Path, train: str, *flags: str) -> str:
    out = str(folder / "e.safetensors")
    assert cli.main(["fit", "encode", train, *FLAGS, *flags, "--out", out]) == 0
    return out


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("encoder")
    return fit(folder, write(folder / "train.csv", ["text", "label"], texts(120, 1)), "--label", "label")


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    """A table whose first cell stands on line 2, the next one on lines 3 and 4, and so on."""
    return write(tmp_path / "corpus.csv", ["text", "more"], [(text, i) for i, text in enumerate(CORPUS)])


def run(*argv: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert cli.main(["predict", *argv]) == code
    said = capsys.readouterr()
    return said.out, said.err


def test_the_neighbours_are_those_of_the_vectors(model: str, corpus: str, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["kitten purr", "", "wheel"]
    out, err = run(
        model, *itertools.chain(*(["--message", t] for t in ask)), "--nearest", "3", corpus, "--json", capsys=capsys
    )
    records = [json.loads(line) for line in out.splitlines()]
    predictor = tidegate.load(model)
    found = tidegate.find_nearest(predictor.vectors(ask), predictor.vectors(CORPUS), 3)
    lines = [2, 3, 5, 6, 7, 9]
    assert records[1]["nearest"] is None
    assert (records[1]["label"], records[1]["reason"]) == (None, "the message has no word")
    for i in (0, 2):
        assert [one["row"] for one in records[i]["nearest"]] == [lines[row] for row in found.rows[i]]
        assert [one["text"] for one in records[i]["nearest"]] == [CORPUS[row] for row in found.rows[i]]
        assert [one["similarity"] for one in records[i]["nearest"]] == pytest.approx(found.similarities[i].tolist())
    twins = [one["row"] for one in records[0]["nearest"] if one["text"] == "cat\npurr"]
    assert twins == [3, 7]  # equally near: in the order of the file
    assert f"{corpus}: 1 row of 6 without a vector is left out, line 5" in err


def test_people_read_them_below_each_input(model: str, corpus: str, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(model, "--message", "kitten purr", "--message", " ", "--nearest", "2", corpus, capsys=capsys)
    first, *near, last = out.splitlines()
    assert first.startswith("cats 0.")
    assert len(near) == 2
    assert all(line.startswith("   ") and "  line " in line and len(line) < 80 for line in near)
    assert last.startswith("(none: the message has no word)")


def test_a_corpus_of_vectors(model: str, corpus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vectors = str(tmp_path / "v.npy")
    run(model, corpus, "--vectors", vectors, capsys=capsys)
    out, err = run(model, "--message", "kitten purr", "--nearest", "9", vectors, "--json", capsys=capsys)
    near = json.loads(out)["nearest"]
    assert {tuple(one) for one in near} == {("row", "similarity")}
    assert sorted(one["row"] for one in near) == [1, 2, 4, 5, 6]
    assert "v.npy: 1 row of 6 without a vector is left out, row 3" in err
    assert "--nearest asks for 9 rows, but" in err
    assert "has 5 with a vector; each input gets all of them" in err
    of_texts, _ = run(model, "--message", "kitten purr", "--nearest", "9", corpus, "--json", capsys=capsys)
    assert [one["similarity"] for one in json.loads(of_texts)["nearest"]] == [one["similarity"] for one in near]
    shown, _ = run(model, "--message", "kitten purr", "--nearest", "1", vectors, capsys=capsys)
    assert shown.splitlines()[1].endswith(f"row {near[0]['row']}")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_table_has_a_row_for_each_neighbour(
    model: str, corpus: str, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"o{suffix}"
    argv = [model, "--message", "kitten purr", "--message", " ", "--nearest", "2", corpus]
    for _ in range(2):  # the second time over a file of its own kind
        run(*argv, "--out", str(out), capsys=capsys)
    told = [json.loads(line) for line in run(*argv, "--json", capsys=capsys)[0].splitlines()]
    if suffix == ".jsonl":
        assert [json.loads(line) for line in out.read_text("utf-8").splitlines()] == told
        return
    rows: list[dict[str, Any]]
    if suffix == ".parquet":
        table = pytest.importorskip("pyarrow.parquet").read_table(out)
        assert [str(table.schema.field(name).type) for name in ("rank", "row", "similarity")] == [
            "int64",
            "int64",
            "double",
        ]
        rows = table.to_pylist()
    else:
        rows = list(csv.DictReader(out.read_text("utf-8").splitlines(keepends=True)))
    assert list(rows[0]) == ["text", "label", "score", "rank", "row", "similarity", "nearest"]
    assert [row["text"] for row in rows] == ["kitten purr", "kitten purr", " "]
    assert [(int(row["rank"]), int(row["row"]), row["nearest"]) for row in rows[:2]] == [
        (rank, one["row"], one["text"]) for rank, one in enumerate(told[0]["nearest"], 1)
    ]
    assert rows[2]["rank"] in (None, "")


def test_series_have_their_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        (f"s{i}", t, f"{np.sin(t * (1 + i % 2)) + i / 100:.4f}", ["slow", "fast"][i % 2])
        for i in range(24)
        for t in range(8)
    ]
    file = write(tmp_path / "s.csv", ["beat", "t", "x", "kind"], rows)
    columns = ["--id", "beat", "--values", "x", "--label", "kind"]
    model = fit(tmp_path, file, *columns)
    out, _ = run(model, file, "--nearest", "2", file, "--json", capsys=capsys)
    records = [json.loads(line) for line in out.splitlines()]
    assert len(records) == 24
    for record in records:
        assert all(set(one) == {"row", "similarity", "series"} for one in record["nearest"])
        assert all(one["series"] == f"s{one['row'] - 1}" for one in record["nearest"])
        assert record["nearest"][0]["similarity"] == 1.0
    shown, _ = run(model, file, "--nearest", "2", file, capsys=capsys)
    assert shown.splitlines()[1].split()[0] == "1.0000"
    _, err = run(model, file, "--nearest", "2", file, "--text", "x", capsys=capsys, code=2)
    assert "--text is for messages, but this model takes series" in err


def test_conversations_are_compared_as_they_are_so_far(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(f"d{i % 20}", i // 20, text, label) for i, (text, label) in enumerate(texts(80, 2))]
    head = ["talk", "turn", "text", "label"]
    model = fit(
        tmp_path,
        write(tmp_path / "t.csv", head, rows),
        *["--label", "label", "--conversation", "talk", "--turn", "turn"],
    )
    corpus = write(tmp_path / "c.csv", head[:3], [row[:3] for row in rows])
    out, _ = run(model, corpus, "--nearest", "1", corpus, "--json", capsys=capsys)
    nearest = [json.loads(line)["nearest"][0] for line in out.splitlines()]
    assert sum(one["row"] == i + 2 for i, one in enumerate(nearest)) > 60  # itself, or an equal one before it
    assert all(one["similarity"] == 1.0 for one in nearest)
    one, _ = run(model, "--message", "cat purr", "--nearest", "1", corpus, "--json", capsys=capsys)
    assert json.loads(one)["nearest"][0]["text"]


WRONG: list[tuple[list[str], str]] = [
    (["--nearest", "0", "corpus.csv"], "'0' is not a number from 1; give --nearest K FILE, the number first"),
    (["--nearest", "corpus.csv", "3"], "'corpus.csv' is not a number from 1; give --nearest K FILE"),
    (["--nearest", "3", "no.csv"], "no.csv: there is no such file"),
    (["--nearest", "3", "corpus.csv", "--text", "body"], "corpus.csv: no column 'body'"),
    (["--nearest", "3", "blank.csv"], "blank.csv: none of its 2 rows has a vector; give others"),
    (["--nearest", "3", "wide.npy"], "wide.npy: its vectors have 6 numbers, but those of this model have 5"),
    (["--nearest", "3", "double.npy"], "double.npy: holds float64; expected float32"),
    (["--nearest", "3", "flat.npy"], "flat.npy: has the shape [5]; expected a row for each vector, [n, 5]"),
    (["--nearest", "3", "none.npy"], "none.npy: holds no vector; expected one or more"),
    (["--nearest", "3", "cut.npy"], "cut.npy: is [4, 5] according to its beginning, but holds 40 bytes of numbers"),
    (["--nearest", "3", "notes.npy"], "notes.npy: is not a .npy file, or its beginning is damaged"),
    (["--nearest", "3", "objects.npy"], "objects.npy: holds object; expected float32"),
    (["--nearest", "3", "inf.npy"], "inf.npy, row 2: holds an infinite number"),
    (["--nearest", "3", "good.npy", "--vectors", "good.npy"], "good.npy is an input of this command"),
    (["--nearest", "3", "corpus.csv", "--out", "corpus.csv"], "corpus.csv is an input of this command"),
]


@pytest.mark.parametrize(("flags", "sentence"), WRONG, ids=[flags[2] + str(len(flags)) for flags, _ in WRONG])
def test_what_is_refused(
    model: str,
    corpus: str,
    flags: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    ones = np.ones((4, 5), np.float32)
    for name, array in (("good", ones), ("wide", np.ones((4, 6), np.float32)), ("double", np.ones((4, 5)))):
        np.save(f"{name}.npy", array)
    np.save("flat.npy", ones[0])
    np.save("none.npy", ones[:0])
    np.save("inf.npy", np.array([[1] * 5, [np.inf] * 5], np.float32))
    np.save("objects.npy", np.full((2, 5), None), allow_pickle=True)
    Path("cut.npy").write_bytes(Path("good.npy").read_bytes()[:-40])
    Path("notes.npy").write_text("mine")
    Path("blank.csv").write_text('text\n" "\n"  "\n')
    _, err = run(model, "--message", "cat purr", *flags, capsys=capsys, code=2)
    assert sentence in err
    assert err.count("\n") == 1 or err.splitlines()[-1].startswith("tidegate: ")


def test_a_fortran_array_and_columns_of_another_name(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors = tidegate.load(model).vectors(["kitten purr", "road"])
    np.save(tmp_path / "f.npy", np.asfortranarray(vectors))
    out, _ = run(model, "--message", "road", "--nearest", "1", str(tmp_path / "f.npy"), "--json", capsys=capsys)
    assert json.loads(out)["nearest"] == [{"row": 2, "similarity": 1.0}]
    other = write(tmp_path / "other.csv", ["body"], [["road"], ["cat purr"]])
    out, _ = run(model, "--message", "road", "--nearest", "1", other, "--text", "body", "--json", capsys=capsys)
    assert json.loads(out)["nearest"] == [{"row": 2, "similarity": 1.0, "text": "road"}]


@pytest.mark.parametrize("flag", [["--vectors", "v.npy"], ["--nearest", "3", "c.csv"]])
def test_a_classifier_says_that_it_gives_no_vectors(
    flag: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "t.csv", ["text", "label"], texts(40, 1))
    assert cli.main(["fit", "classify", "t.csv", "--hidden", "4", "--epochs", "1", "--out", "c.safetensors"]) == 0
    _, err = run("c.safetensors", "--message", "cat", *flag, capsys=capsys, code=2)
    assert err == (
        f"tidegate: {flag[0]} is for vectors, but this model predicts labels; train one that gives vectors with "
        "tidegate fit encode\n"
    )
    with pytest.raises(tidegate.TidegateError, match="this model gives no vectors; train one that does with tidegate"):
        tidegate.load("c.safetensors").vectors(["cat"])


def test_flags_and_files_come_in_any_order() -> None:
    parts = [["m.safetensors"], ["--nearest", "3", "corpus.jsonl"], ["--json"], ["--vectors", "v.npy"]]
    for order in itertools.permutations([*parts, ["new.csv"]]):
        words = [word for part in order for word in part]
        if words.index("m.safetensors") > words.index("new.csv"):
            continue
        args = build_parser(["predict"]).parse(["predict", *words])
        assert (args.model, args.file, args.vectors, args.json) == ("m.safetensors", "new.csv", "v.npy", True)
        assert args.nearest == (3, "corpus.jsonl")
    for order in itertools.permutations(parts):
        args = build_parser(["predict"]).parse(["predict", *(word for part in order for word in part)])
        assert (args.model, args.file) == ("m.safetensors", None)


@pytest.mark.parametrize(("command", "dest"), [("info", "model"), ("data", "name")])
def test_a_positional_that_may_be_missing_may_come_last(command: str, dest: str) -> None:
    parser = build_parser([command])
    flags = {"info": ["--json"], "data": ["--out", "folder"]}[command]
    for words in ([*flags, "trec"], ["trec", *flags]):
        assert getattr(parser.parse([command, *words]), dest) == "trec"
    assert getattr(parser.parse([command, *flags]), dest) is None
