"""The bench of hard texts: its typos, its halves, its draws, its thresholds, and a run of every part on a small set."""

from __future__ import annotations

import doctest
import importlib
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

WORDS = {
    "balance": ["money", "account", "left"],
    "card": ["lost", "stolen", "wallet"],
    "rent": ["landlord", "pay", "flat"],
}
ASKED = ["what about the {} please", "hello, is my {} {} fine", "{} and {} again today", "tell me of {} now"]
STRANGE = ["who won the match last night", "sing a song of winter", "is there snow on mars", "draw seven green cats"]


@pytest.fixture
def hard(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(root / "bench")
    pytest.importorskip("sklearn")
    pytest.importorskip("torch")
    yield importlib.import_module("hard_text")
    for name in [name for name in sys.modules if name == "hard_text" or name.split(".")[0] == "common"]:
        sys.modules.pop(name)


def make_rows(count: int, seed: int) -> list[tuple[str, str]]:
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        label = str(random.choice(sorted(WORDS)))
        rows.append((str(random.choice(ASKED)).format(*random.choice(WORDS[label], 2)), label))
    return rows


def test_the_examples_of_the_bench_hold(hard: Any) -> None:
    for module in (hard, *map(importlib.import_module, ("common.typos", "common.text_models"))):
        found = doctest.testmod(module)
        assert found.attempted
        assert not found.failed


def test_a_typo_is_one_mistake_in_one_long_word(hard: Any) -> None:
    typos = importlib.import_module("common.typos")
    texts = ["what is left on my account", "is it on me", "aaaa", "don't überweisen 12345"] * 50
    changed = typos.add_typos(texts, 0)
    assert changed == typos.add_typos(texts, 0) != typos.add_typos(texts, 1)
    for before, after in zip(texts, changed, strict=True):
        if before == "is it on me":  # no word of four letters
            assert after == before
            continue
        assert after != before
        old, new = before.split(), after.split()
        (place,) = [k for k, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
        assert old[place] in ("what", "left", "account", "aaaa", "überweisen")
        assert abs(len(new[place]) - len(old[place])) <= 1
    lengths = Counter(len(after) - len(before) for before, after in zip(texts, changed, strict=True))
    assert min(lengths[-1], lengths[1]) > 20  # dropped, doubled
    assert lengths[0] > 80  # replaced, swapped, or without such a word


def test_a_loss_is_that_of_the_same_rows(hard: Any) -> None:
    typos = importlib.import_module("common.typos")
    before, after = np.arange(1000) % 10 > 0, np.arange(1000) % 10 > 1
    own = typos.measure_loss(before, after)
    assert own["lost"] == pytest.approx(10.0)
    assert own["interval"][0] < 10 < own["interval"][1]
    assert 2 < own["interval"][1] - own["interval"][0] < 6  # twice two standard errors: 3.7
    same = typos.measure_loss(before, after, (before, after))
    assert same == {"lost": 0.0, "interval": [0.0, 0.0]}


def test_few_texts_of_each_label_are_drawn(hard: Any) -> None:
    labels = ["a"] * 30 + ["b"] * 30 + ["c"] * 4
    train = hard.Split([str(i) for i in range(64)], labels)
    few = hard.draw_few(train, 0)
    assert Counter(few.labels) == {"a": 10, "b": 10, "c": 4}
    assert all(labels[int(text)] == label for text, label in zip(*few, strict=True))
    assert few == hard.draw_few(train, 0) != hard.draw_few(train, 1)


def test_doubt_of_an_svm_is_little_where_a_label_is_far_ahead(hard: Any) -> None:
    scores = np.array([[2.0, -1.0, -0.5], [-0.9, -1.0, 0.5]])
    alone = SimpleNamespace(labels=["a", "b", "c"], score=lambda texts: scores)
    assert hard.measure_doubts(alone, ["", ""]).tolist() == [-2.0, -0.5]
    shown = SimpleNamespace(labels=["a", "b", "oos"], score=lambda texts: scores)
    assert hard.measure_doubts(shown, ["", ""]).tolist() == [-2.5, 1.4]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["nope"], "unknown data set 'nope'; .*choose a set of texts"),
        (["trec", "--parts", "scope"], "there is no set trec_oos, .*leave scope out"),
    ],
)
def test_a_set_that_has_not_what_a_part_needs_is_refused_before_any_fit(
    hard: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], found: str
) -> None:
    monkeypatch.setattr(hard, "read_split", lambda name, split: hard.Split(["a"], ["b"]))
    monkeypatch.setattr(sys, "argv", ["bench/hard_text.py", *arguments, "--out", str(tmp_path / "new")])
    with pytest.raises(SystemExit, match=found):
        hard.main()
    assert not (tmp_path / "new").exists()


@pytest.fixture
def small(hard: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The bench with a small set in place of clinc150, and with a pass over it where the default is many."""
    files: dict[str, dict[str, Path]] = {"clinc150": {}, "clinc150_oos": {}}
    for seed, (split, count) in enumerate({"train": 150, "val": 60, "test": 40}.items()):
        for name, strange in (("clinc150", 0), ("clinc150_oos", 20)):
            rows = make_rows(count, seed) + [(f"{STRANGE[i % 4]} {split} {i}", "oos") for i in range(strange)]
            files[name][split] = tmp_path / f"{name}-{split}.csv"
            hard.write_split(str(files[name][split]), hard.Split(*zip(*dict.fromkeys(rows), strict=True)))
    fit = hard.fit
    monkeypatch.setattr(hard.catalogue, "fetch", files.__getitem__)
    monkeypatch.setattr(
        hard, "fit", lambda kind, train, **given: fit(kind, train, epochs=1, hidden=8, embed=8, **given)
    )
    return hard


@pytest.mark.slow
def test_every_part_is_measured_and_others_are_kept(
    small: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in ([], ["--parts", "prefix", "--prefix-weight", "1"]):
        monkeypatch.setattr(sys, "argv", ["bench/hard_text.py", *arguments, "--out", str(tmp_path / "out")])
        small.main()
    found = json.loads((tmp_path / "out" / "hard_text.json").read_text("utf-8"))
    entries = [
        "clinc150 few",
        "clinc150 prefix",
        "clinc150 prefix --prefix-weight 1",
        "clinc150 scope",
        "clinc150 typos",
    ]
    assert list(found) == entries
    assert found["clinc150 few"]["command"] == "python bench/hard_text.py"
    assert found[entries[2]]["command"] == "python bench/hard_text.py --parts prefix --prefix-weight 1"
    models = {name: [run["model"] for run in entry["figures"]["runs"]] for name, entry in found.items()}
    assert models["clinc150 typos"] == models["clinc150 prefix"] == ["tidegate", "linear SVM on tf-idf"]
    assert models[entries[2]][0] == "tidegate --prefix 1"
    assert models["clinc150 few"][1] == "tidegate --from an encoder of all texts"
    runs = [run for entry in found.values() for run in entry["figures"]["runs"]]
    for run in runs:
        assert 0 <= run["accuracy"] <= 1
        assert min(run[key] for key in ("rows", "us_a_word", "state_bytes", "bytes", "cpu_seconds")) > 0
    scope = found["clinc150 scope"]["figures"]["runs"]
    assert [run["examples"][:3] for run in scope] == ["alo", "alo", "and", "and"]
    assert all(run["outside"] == 20 and 0 <= run["found"] <= 1 and 0 <= run["lost"] <= 1 for run in scope)
    out = capsys.readouterr().out
    assert "after half" in out
    assert "tidegate --prefix 1" in out
