"""Encoders that learn from pairs of texts: a text's partner is near it, and other partners are not."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tidegate
from tidegate.cli import main
from tidegate.data.table import Table
from tidegate.errors import DataError, OptionError
from tidegate.model import Model
from tidegate.tasks import encode
from tidegate.tasks._pairs import Contrast, find_partners, measure_ranks, rank_partners
from tidegate.tasks.base import Batch
from tidegate.train.job import fit

TOPICS = {
    "cats": (["cat", "kitten", "purr", "meow"], ["feline", "whiskers", "paw"]),
    "cars": (["car", "wheel", "motor", "road"], ["vehicle", "engine", "driver"]),
    "food": (["bread", "soup", "rice", "cake"], ["dinner", "kitchen", "meal"]),
    "rain": (["cloud", "storm", "wet", "drop"], ["weather", "umbrella", "forecast"]),
}
FLAGS = ["--text", "ask", "--pairs", "reply", "--hidden", "16", "--size", "8", "--rate", "0.02", "--epochs", "12"]


def pairs(count: int, seed: int) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    chosen = [TOPICS[rng.choice(list(TOPICS))] for _ in range(count)]
    return [(" ".join(rng.sample(asked, 3)), " ".join(rng.sample(replied, 2))) for asked, replied in chosen]


def write_pairs(path: Path, rows: list[tuple[str, str]]) -> str:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("ask", "reply"), *rows])
    return str(path)


def table(rows: list[tuple[str, str]]) -> Table:
    columns = {"text": [a for a, _ in rows], "reply": [b for _, b in rows]}
    return Table("t.csv", columns, list(range(2, len(rows) + 2)), "a")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("pairs")
    train, out = write_pairs(folder / "train.csv", pairs(300, 1)), str(folder / "e.safetensors")
    assert main(["fit", "encode", train, *FLAGS, "--out", out]) == 0
    return out


# ---- ranks


def test_of_several_partners_the_nearest_counts_and_equal_partners_are_one_candidate() -> None:
    x = np.array([[1, 0], [0, 1], [-1, 0], [1, 0]], np.float32)
    asked, replied = np.array([0, 1, 0, 2]), np.array([5, 6, 7, 5])
    assert rank_partners(x, x, asked, replied).tolist() == [1, 1, 1, 1]
    nearer = np.array([[1, 0], [1, 0.1], [1, 0.2], [1, 0]], np.float32)
    assert rank_partners(x[:1].repeat(4, 0), nearer, asked, replied).tolist() == [1, 2, 1, 1]


def test_vectors_that_are_all_alike_find_nothing() -> None:
    x = np.ones((50, 4), np.float32)
    ranks = rank_partners(x, x, np.arange(50), np.arange(50) + 50)
    assert ranks.tolist() == [50] * 50
    assert measure_ranks(ranks)["recall_at_1"] == 0.0


def test_a_text_without_a_vector_finds_nothing_and_is_not_found() -> None:
    x = np.eye(3, dtype=np.float32)
    asked = x.copy()
    asked[1] = np.nan
    assert rank_partners(asked, x, np.arange(3), np.arange(3) + 3).tolist() == [1, 0, 1]
    assert rank_partners(x, asked, np.arange(3), np.arange(3) + 3).tolist() == [1, 0, 1]


def test_the_ranks_are_those_of_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 700, 5)).astype(np.float32)
    first, second = rng.integers(0, 500, 700), rng.integers(1000, 1300, 700)
    for i in range(700):  # equal texts have equal vectors
        a[i], b[i] = a[np.argmax(first == first[i])], b[np.argmax(second == second[i])]
    found = rank_partners(a, b, first, second)
    for i in (0, 5, 511, 512, 699):
        cosines = {
            int(n): float(a[i] @ v / np.linalg.norm(a[i]) / np.linalg.norm(v)) for n, v in zip(second, b, strict=True)
        }
        own = {int(n) for f, n in zip(first, second, strict=True) if f == first[i]}
        best = max(cosines[n] for n in own)
        assert found[i] == 1 + sum(c >= best for n, c in cosines.items() if n not in own)


# ---- the loss


def loss_of(vectors: Any, numbers: list[int], sharpness: float = 0.0) -> float:
    options = encode.Options(text="text", pairs="reply", hidden=4, size=4)
    problem = encode.prepare(table(pairs(40, 1)), None, options)
    assert isinstance(problem, Contrast)
    batch = Batch({}, np.ones(len(numbers), np.int64), {"vector": np.array(numbers)})
    tensors = {"sharpness": torch.tensor([sharpness])}
    return float(problem.loss({"vector": torch.tensor(vectors, dtype=torch.float32)}, batch, tensors))


def test_the_loss_is_that_of_a_choice_among_the_partners_of_the_batch() -> None:
    vectors = [[1, 0], [1, 1], [0, 1], [0, 2]]  # two pairs: their cosines are those of 0, 45 and 90 degrees
    cosines = np.array([[0.5**0.5, 0.0], [0.5**0.5, 1.0]])
    e = np.exp(cosines)
    wanted = -np.log([e[0, 0] / e[0].sum(), e[1, 1] / e[1].sum(), e[0, 0] / e[:, 0].sum(), e[1, 1] / e[:, 1].sum()])
    assert loss_of(vectors, [0, 10, 1, 11]) == pytest.approx(wanted.mean(), abs=1e-5)


@pytest.mark.parametrize("numbers", [[0, 10, 1, 10], [0, 10, 0, 11], [0, 1, 1, 0]])
def test_what_is_right_too_is_no_negative(numbers: list[int]) -> None:
    assert loss_of([[1, 0], [1, 1], [0, 1], [0, 2]], numbers) == pytest.approx(0.0, abs=1e-6)


def test_the_temperature_has_a_floor() -> None:
    vectors, numbers = [[1, 0], [1, 1], [0, 1], [0, 2]], [0, 10, 1, 11]
    assert loss_of(vectors, numbers, 5.0) == loss_of(vectors, numbers, 50.0)
    assert find_partners(np.array([0, 1]), np.array([2, 3])).tolist() == [[True, False], [False, True]]


# ---- a model


def test_partners_are_found_by_topic(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Model.load(model)
    assert "scoring" not in made.document["provenance"]
    assert [layer.kind for layer in made.layers] == ["embed", "recurrent", "pool", "dense"]
    one_each = [(" ".join(asked), " ".join(replied)) for asked, replied in TOPICS.values()]
    test = write_pairs(tmp_path / "test.csv", [*one_each, ("", "paw"), ("car", "")])
    assert main(["score", model, test, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["rows"], figures["candidates"], figures["empty"]) == (6, 6, 2)
    assert figures["recall_at_1"] == pytest.approx(4 / 6)
    assert main(["score", model, test]) == 0
    shown = capsys.readouterr().out
    assert "6 rows  6 different partners  recall@1 0.6667  mean reciprocal rank 0.6667" in shown
    assert "2 rows without a vector" in shown
    assert main(["predict", model, test, "--text", "reply", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["text"] == "feline whiskers paw"
    assert main(["verify", model]) == 0
    a, b, c = (one.values for one in tidegate.load(model).answers(["cat purr meow", "feline paw", "vehicle engine"]))
    assert a @ b / np.linalg.norm(b) > a @ c / np.linalg.norm(c)


def test_held_out_rows_have_texts_of_their_own() -> None:
    rows = pairs(60, 2) * 2
    problem = encode.prepare(table(rows), None, encode.Options(pairs="reply", hidden=4, size=4))
    held_out = {rows[i][0] for i in problem.valid_rows}
    assert held_out
    assert held_out.isdisjoint(rows[i][0] for i in problem.train_rows)
    batch = problem.rows.batch(np.array([3, 1]))
    numbers = problem.rows.batch(np.arange(len(rows))).targets["vector"]
    assert batch.targets["vector"].tolist() == [*numbers[6:8], *numbers[2:4]]
    assert len(batch.lengths) == 4


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            {"label": "x"},
            "label is 'x' and pairs is 'reply'; vectors are learnt from labels or from pairs",
        ),
        ({"text": "reply"}, "pairs is 'reply', the column of texts itself"),
        ({"conversation": "c", "turn": "t"}, "pairs are of single texts, and conversation is given"),
        ({"input": "series"}, "pairs are of texts, and these data are series"),
        ({"id": "i"}, "pairs are of texts, and these data are series"),
        ({"prefix": 0.5}, "prefix is for labels, and none are used"),
        ({"smoothing": 0.1}, "smoothing is for labels, and none are used"),
    ],
)
def test_options_that_make_no_sense_with_pairs_are_refused(options: dict[str, Any], why: str, tmp_path: Path) -> None:
    train = write_pairs(tmp_path / "train.csv", pairs(40, 1))
    with pytest.raises(OptionError, match=why):
        fit("encode", train, encode.Options(**{"text": "ask", "pairs": "reply", **options}), str(tmp_path / "e"))


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([(f"hello {i}", "the same") for i in range(30)], "the pairs have the same text on one side in all rows"),
        ([("hello", "you"), ("hi", "")], "t.csv:3: the text in column 'reply' is empty"),
        ([("hello", "you"), ("", "you")], "t.csv:3: the text in column 'text' is empty"),
        ([("hello", f"number {i}") for i in range(30)], "there are not two or more rows that differ"),
    ],
)
def test_pairs_that_nothing_can_be_learnt_from_are_refused(rows: list[tuple[str, str]], why: str) -> None:
    with pytest.raises(DataError, match=why):
        encode.prepare(table(rows), None, encode.Options(pairs="reply"))


def test_rows_without_one_of_the_texts_may_be_skipped() -> None:
    rows = [*pairs(40, 1), ("", "paw"), ("cat", " ")]
    problem = encode.prepare(table(rows), None, encode.Options(pairs="reply", hidden=4, size=4, skip_bad=True))
    assert len(problem.rows.lengths) == 40
    skipped = [note for note in problem.notes[0] if note.startswith("skipped")]
    assert skipped == [
        "skipped 1 of 42 rows, whose text is empty: line 42",
        "skipped 1 of 41 rows, whose text is empty: line 43",
    ]


def test_a_missing_column_of_partners_is_named(tmp_path: Path) -> None:
    train = write_pairs(tmp_path / "train.csv", pairs(40, 1))
    with pytest.raises(DataError, match="no column 'answer'; the file has 'ask', 'reply'"):
        fit("encode", train, encode.Options(text="ask", pairs="answer"), str(tmp_path / "e"))


def test_both_directions_may_be_read(tmp_path: Path) -> None:
    train = write_pairs(tmp_path / "train.csv", pairs(60, 1))
    options = encode.Options(text="ask", pairs="reply", direction="both", hidden=4, size=4, epochs=1)
    made = fit(
        "encode", train, options, str(tmp_path / "e.safetensors"), valid=write_pairs(tmp_path / "v.csv", pairs(20, 2))
    )
    assert made.keeps > 0
    assert "mean_reciprocal_rank" in made.document["provenance"]["final"]
