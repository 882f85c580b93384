"""Training that begins with vectors of words: the first values, the rows that stay frozen, and what is refused."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate import tasks
from tidegate.cli import main
from tidegate.data.table import Table
from tidegate.errors import DataError, OptionError
from tidegate.model import Model
from tidegate.train import checkpoint, fit
from tidegate.train.job import TrainingJob
from tidegate.train.word_vectors import DEVIATION, choose_width

TINY: dict[str, Any] = {"hidden": 6, "epochs": 3, "batch": 8, "refit_epochs": 0}
KNOWN = {"rain": [5.0, 0.0, -5.0], "sun": [3.0, 1.0, 2.0], "play": [-4.0, 4.0, 0.5], "other": [1.0, 1.0, 1.0]}


def table() -> Table:
    random = np.random.default_rng(0)
    words = {"weather": ["rain", "sun"], "music": ["play", "song"]}
    labels = [["weather", "music"][i % 2] for i in range(40)]
    texts = [" ".join(random.choice(["the", "A", *words[label]], 4)) for label in labels]
    return Table("t.csv", {"text": texts, "label": labels}, list(range(2, 42)), "0" * 64)


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "v.txt"
    file.write_text("".join(f"{word} {' '.join(map(str, row))}\n" for word, row in KNOWN.items()))
    return str(file)


def make(path: str, task: str = "classify", source: Any = None, **values: Any) -> TrainingJob:
    module = tasks.load(task)
    options = choose_width(module.Options(**{**TINY, "vectors": path, **values}))
    return TrainingJob(module, options, module.read(source or table(), options), None, 1)


def rows(job: TrainingJob, table: Any) -> dict[bytes, Any]:
    weights = {**job.problem.init_weights(), **job.problem.loss_tensors}
    return dict(zip(job.draft(weights, {}, {}).inputs["x"].tokens or (), table, strict=True))


def test_the_words_that_were_found_have_their_vectors_on_the_scale_of_an_embedding(path: str) -> None:
    job = make(path)
    first = rows(job, job.run(None).tensors()["layers.0.weight"])
    found = np.array([KNOWN[word] for word in ("rain", "sun", "play")])
    assert set(first) == {b"", b"rain", b"sun", b"play", b"song", b"the", b"a"}
    for word in ("rain", "sun", "play"):
        assert first[word.encode()] == pytest.approx(np.array(KNOWN[word]) * DEVIATION / found.std(), rel=1e-6)
    assert 0.02 < np.std([first[b"song"], first[b"the"], first[b"a"], first[b""]]) < 3 * DEVIATION
    assert job.options.embed == 3
    assert job.first_notes == [(path, "vectors: 3 of 6 words found (50.0 %)")]
    entry = job.problem.provenance["vectors"]
    assert (entry["file"], entry["width"], entry["found"], entry["of"]) == ("v.txt", 3, 3, 6)


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_they_are_frozen_for_some_epochs_and_then_tuned(path: str, average: float) -> None:
    job = make(path, freeze_vectors=2, average=average)
    run = job.run(None)
    weights = run.network.named_tensors()["layers.0.weight"]
    first, seen = weights.detach().numpy().copy(), []
    for _ in run.run():
        seen.append((run.epoch, rows(job, weights.detach().numpy() != first)))
    frozen = [changed for epoch, changed in seen[:-1] if epoch < 2]
    assert frozen
    assert not any(changed[word].any() for changed in frozen for word in (b"rain", b"sun", b"play"))
    assert all(frozen[-1][word].all() for word in (b"song", b"the", b""))
    assert all(seen[-2][1][word].all() for word in (b"rain", b"sun", b"play"))


def test_a_run_that_is_resumed_ends_with_the_same_bits(path: str, tmp_path: Path) -> None:
    whole = make(path, freeze_vectors=1)
    run = whole.run(None)
    moments = sum(1 for _ in run.run())
    for after in (2, moments // 2):
        first = make(path, freeze_vectors=1)
        stopped = first.run(None)
        for _ in itertools.islice(stopped.run(), after):
            pass
        saved = str(tmp_path / "c.checkpoint")
        checkpoint.save(saved, stopped, first.identity())
        second = make(path, freeze_vectors=1)
        again = second.run(None)
        checkpoint.load(saved, again, second.identity(), type(second.options))
        for _ in again.run():
            pass
        assert all(np.array_equal(a, run.state()[0][name]) for name, a in again.state()[0].items())
    Path(path).write_text("rain 1 2 3\n")
    other = make(path, freeze_vectors=1)
    changed = other.run(None)
    with pytest.raises(OptionError, match=r"vectors was '[0-9a-f]{64}' and is '[0-9a-f]{64}' now; a resumed run"):
        checkpoint.load(saved, changed, other.identity(), type(other.options))


def test_a_tagger_and_an_encoder_have_them_too(path: str) -> None:
    texts = table().columns["text"]
    tags = [" ".join("B-x" if word == "rain" else "O" for word in text.split()) for text in texts]
    tagged = Table("t.csv", {"tokens": texts, "tags": tags}, list(range(2, 42)), "1" * 64)
    tagger = make(path, "tag", tagged)
    first = rows(tagger, tagger.run(None).tensors()["layers.0.weight"])
    assert first[b"rain"][0] == -first[b"rain"][2] > 0
    assert tagger.problem.provenance["vectors"]["of"] == 6  # features of words are no words
    assert not tagger.problem.frozen["layers.0.weight"].rows[[b" " in token for token in first]].any()
    encoder = make(path, "encode", size=4)
    assert rows(encoder, encoder.run(None).tensors()["layers.0.weight"])[b"rain"][1] == 0


def test_the_file_is_recorded_by_its_name_and_scored_without_it(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    source = table()
    lines = [f"{text},{label}" for text, label in zip(source.columns["text"], source.columns["label"], strict=True)]
    Path("t.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    assert main(["fit", "classify", "t.csv", "--vectors", path, "--out", "m", "--hidden", "6", "--epochs", "1"]) == 0
    assert f"{path}: vectors: 3 of 6 words found (50.0 %)" in capsys.readouterr().err
    assert Model.load("m").document["task"]["options"]["vectors"] == "v.txt"
    Path(path).unlink()
    assert main(["score", "m", "t.csv"]) == 0


def test_vectors_that_do_not_fit_are_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"v\.txt: its vectors have 3 numbers, and --embed is 8; leave --embed out"):
        make(path, embed=8)
    values = np.random.default_rng(0).standard_normal((20, 5, 2))
    with pytest.raises(OptionError, match="has vectors of words, and this model reads series of numbers; leave --vec"):
        make(path, "encode", list(values)).run(None)
    with pytest.raises(OptionError, match="is an input of this command"):
        fit("classify", table(), out=path, vectors=path, **TINY)
    Path(path).write_text("pluie 1 2 3\n")
    with pytest.raises(DataError, match=r"v\.txt: has none of the 6 words of the training rows; give vectors of the"):
        make(path).run(None)
    Path(path).write_text("pluie 1 2 3\nsun 1 2\n")
    with pytest.raises(DataError, match=r"v\.txt:2: has 2 numbers behind its word, and the vectors have 3"):
        fit("classify", table(), out=str(tmp_path / "m"), vectors=path, **TINY)
