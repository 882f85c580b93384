"""A fitted model with a linear branch: resumed runs, streams, every target, both directions, a cell of one's own."""

from __future__ import annotations

import signal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model import Model
from tidegate.runtime import Predictor, State
from tidegate.tasks._linear_text import LinearText
from tidegate.train import Progress, fit
from tidegate.train.loop import Run
from tidegate.verify import verify

SMALL: dict[str, Any] = {"hidden": 6, "embed": 5, "epochs": 2, "batch": 16, "refit_epochs": 0, "subwords": 4}
WORDS = {"weather": "rain storm sun cloud", "music": "song band tune día", "money": "bank bill 日本 tax"}
CELL = """
GATES, RECURRENT, STATE = ("f", "c"), ("f", "c"), {"h": ("H",)}
def step(op, x, R, p, s):
    f = op.sigmoid(x.f + R.f(s.h))
    h = f * s.h + (1 - f) * op.tanh(x.c + R.c(s.h))
    return h, s.replace(h=h)
"""


def write_rows(folder: Path, several: bool = False) -> Path:
    """Write rows of three labels; a network of two passes knows less of them than a linear model."""
    rng, lines = np.random.default_rng(0), ["text,label"]
    for i in range(150):
        label = list(WORDS)[i % 3]
        words = rng.permutation(["the", "a", *rng.choice(WORDS[label].split(), 2)])
        lines.append(f"{' '.join(words)} {i % 7},{label}{'|any' if several and i % 2 else ''}")
    path = folder / "train.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def has_branch(model: Model) -> bool:
    return (
        "branch" in model.document["outputs"]["label"]["calibration"]
        and [layer.kind for layer in model.layers if layer.fitted_apart] == ["running_bag"] * 2
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("branch")
    fit("classify", write_rows(folder), out=folder / "m.safetensors", **SMALL)
    return folder


def test_the_file_records_the_branch(made: Path) -> None:
    model = Model.load(made / "m.safetensors")
    assert has_branch(model)
    provenance = model.document["provenance"]
    assert provenance["linear_model"]["accuracy"] == 1.0
    assert provenance["metrics"]["held_out"]["log_loss"] < 0.3
    entry = model.document["inputs"]["x"]["ngrams"]
    assert entry["hash"] == "crc32"
    assert set(entry["tables"].values()) <= set(model.tensors)


@pytest.mark.parametrize("values", [{}, {"weights": "bf16"}, {"compute": "bf16"}], ids=str)
def test_every_target_runs_a_fitted_model(made: Path, values: dict[str, str]) -> None:
    results = verify(made / "m.safetensors", **values)
    assert {result.target for result in results if result.ran} >= ({"oracle"} if values else {"oracle", "torch"})
    assert [result for result in results if result.ran and not result.ok] == []


@cache
def load(path: Path) -> Predictor:
    return Predictor(Model.load(path))


@given(
    st.lists(st.sampled_from([*["the", "a", ",\t", "日", "í"], *" ".join(WORDS.values()).split()]), min_size=1),
    st.integers(1, 9),
    st.booleans(),
)
def test_a_stream_has_the_answer_of_the_whole_text_at_every_prefix(
    made: Path, words: list[str], size: int, save: bool
) -> None:
    predictor = load(made / "m.safetensors")
    data = " ".join(words).encode()
    stream = predictor.stream()
    for at in range(0, len(data), size):
        stream.push(data[at : at + size])
        if save:
            saved, stream = stream.state.to_bytes(), predictor.stream()
            stream.restore(State.from_bytes(saved))
        (expected,) = predictor.answers([data[: at + size].decode("utf-8", "ignore")])
        try:
            data[: at + size].decode()
        except UnicodeDecodeError:
            continue
        ended = predictor.stream()
        ended.restore(stream.state)
        found = ended.end()
        assert (found.values is None) == (expected.values is None)
        assert found.values is None or found.values.tobytes() == expected.values.tobytes()


def test_a_pool_has_the_answers_of_whole_texts_also_from_rows_of_ids(made: Path) -> None:
    predictor = load(made / "m.safetensors")
    text = "the storm día 日本 tax"
    (expected,) = predictor.answers([text])
    pool = predictor.pool()
    rows = predictor.model.inputs["x"].read_whole(text)[0].rows
    assert (rows < 0).any()
    for row in rows:
        scores = pool.step(["a", "b"], np.stack([row, row]))
    assert scores[0].tobytes() == scores[1].tobytes() == expected.values.tobytes()
    answers = pool.push([("c", text[:7]), ("c", text[7:], True)])
    assert answers[-1].values.tobytes() == expected.values.tobytes()


@pytest.mark.parametrize("refit", [0, 1])
@pytest.mark.parametrize("stop", [(1, 3), (2, 2)])
def test_a_resumed_run_gives_the_bytes_of_an_unbroken_one(tmp_path: Path, stop: tuple[int, int], refit: int) -> None:
    values = SMALL | {"refit_epochs": refit}
    table, out = write_rows(tmp_path), tmp_path / "m.safetensors"
    whole = fit("classify", table, out=tmp_path / "whole.safetensors", **values)
    assert has_branch(whole)

    def press(progress: Progress) -> None:
        if (progress.epoch, progress.step) == stop:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit("classify", table, out=out, progress=press, **values)
    assert not out.exists()
    resumed = fit("classify", table, out=out, resume=True, **values)
    assert resumed.weights_hash == whole.weights_hash
    assert sorted(resumed.tensors) == sorted(whole.tensors)
    assert all(array.tobytes() == whole.tensors[name].tobytes() for name, array in resumed.tensors.items())
    assert resumed.document["outputs"] == whole.document["outputs"]
    assert resumed.document["provenance"]["linear_model"] == whole.document["provenance"]["linear_model"]


def test_a_run_that_ended_before_its_file_was_written_is_finished_with_the_same_branch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, out = write_rows(tmp_path), tmp_path / "m.safetensors"
    whole = fit("classify", table, out=tmp_path / "whole.safetensors", **SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(Model, "save", lambda *args, **more: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fit("classify", table, out=out, **SMALL)
    monkeypatch.setattr(Run, "train_step", lambda *args: pytest.fail("a step was learnt again"))
    resumed = fit("classify", table, out=out, resume=True, **SMALL)
    assert resumed.weights_hash == whole.weights_hash


@pytest.mark.parametrize("values", [{"direction": "both"}, {"cell": "own"}, {"label_separator": "|"}], ids=str)
def test_other_models_have_a_branch_and_run_everywhere(tmp_path: Path, values: dict[str, Any]) -> None:
    if "cell" in values:
        path = tmp_path / "own.py"
        path.write_text(CELL)
        values = {"cell": str(path)}
    model = fit(
        "classify", write_rows(tmp_path, "label_separator" in values), out=tmp_path / "m.safetensors", **SMALL, **values
    )
    assert has_branch(model)
    predictor = Predictor(Model.load(tmp_path / "m.safetensors"))
    text = "the band día rain"
    (expected,) = predictor.answers([text])
    stream = predictor.stream()
    for byte in text.encode():
        stream.push(bytes([byte]))
        saved, stream = stream.state.to_bytes(), predictor.stream()
        stream.restore(State.from_bytes(saved))
    assert stream.end().values.tobytes() == expected.values.tobytes()
    assert [result for result in verify(predictor) if result.ran and not result.ok] == []


def test_a_branch_of_noise_leaves_a_model_without_n_grams_of_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predict(self: LinearText, batch: Any, rows: Any) -> dict[str, Any]:
        return {"label": 1e-9 * np.random.default_rng(0).normal(size=(len(rows), 3))}

    monkeypatch.setattr(LinearText, "predict", predict)
    model = fit("classify", write_rows(tmp_path), out=tmp_path / "m.safetensors", **SMALL)
    assert not any(layer.fitted_apart for layer in model.layers)
    assert set(model.document["outputs"]["label"]["calibration"]) == {"factor"}
