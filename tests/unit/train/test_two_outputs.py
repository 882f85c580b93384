"""A task in one file, outside the package, whose network has an output per step and one per row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tidegate import tasks
from tidegate.cli import main
from tidegate.data.table import Table
from tidegate.document.graph import join_outputs
from tidegate.model import Model
from tidegate.nn import Network
from tidegate.runtime import Predictor
from tidegate.tasks.base import Batch
from tidegate.train import job
from tidegate.train.forward import NetworkOutputs
from tidegate.train.loop import Run

FOLDER = Path(__file__).parents[2] / "toy_tasks"
TEXTS = ["please open the window", "open it", "please wait", "the weather is unsure", "please", "quickly now"] * 8


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(FOLDER)])
    return tasks.load("polite")


def make_run(toy: Any, **options: Any) -> Run:
    table = Table("t.csv", {"text": TEXTS, "label": ["-"] * len(TEXTS)}, list(range(2, len(TEXTS) + 2)), "")
    problem = toy.prepare(table, None, toy.Options(**options))
    layers, _ = join_outputs(problem.layers, problem.output_nodes().values())
    network = Network(layers)
    network.load_tensors(problem.init_weights())
    return Run(network, problem)


def test_both_outputs_are_learnt_at_once_and_a_resumed_run_has_the_same_bits(toy: Any) -> None:
    assert "polite" in tasks.names()
    whole, half, again = (make_run(toy, epochs=20, rate=0.02, average=0.5) for _ in range(3))
    for _ in whole.run():
        pass
    assert whole.kept_figures == {"accuracy": 1.0, "word_accuracy": 1.0}
    for _, _ in zip(range(33), half.run(), strict=False):
        pass
    again.restore(*half.state())
    for _ in again.run():
        pass
    assert all(
        a.tobytes() == b.tobytes() for a, b in zip(whole.state()[0].values(), again.state()[0].values(), strict=True)
    )
    assert whole.history == again.history


def test_words_that_a_mask_leaves_out_are_not_measured(toy: Any) -> None:
    run = make_run(toy)
    predictions = run.predict(run.valid_rows)
    words = [len(TEXTS[i].split()) - ("unsure" in TEXTS[i]) for i in run.sort_by_length(run.valid_rows)]
    assert np.bincount(predictions.row["long"]).tolist() == words
    assert predictions.row["polite"].tolist() == list(range(len(words)))
    assert len(predictions.outputs["long"]) == sum(words)
    half = predictions.select(np.arange(len(words)) % 2 == 0)
    assert len(half.outputs["long"]) == sum(words[::2])


def test_outputs_of_every_step_and_of_the_end_are_those_of_a_stream(toy: Any) -> None:
    run, lengths = make_run(toy), np.array([2, 5, 1])
    x = np.random.default_rng(0).integers(0, 5, (5, 3))
    packed = np.concatenate([x[:n, b] for b, n in enumerate(lengths)])
    batch = Batch({"x": packed}, lengths, {})
    steps, _ = run.network.run(torch.from_numpy(x), torch.from_numpy(lengths))
    network = NetworkOutputs(run.network, run.problem, run.loss_tensors)
    early = np.array([1, 3, 1])
    whole, shorter = network.outputs(network.run(batch), [lengths, early])
    wanted = torch.cat([steps[:n, b] for b, n in enumerate(lengths)])
    assert torch.allclose(whole["long"].softmax(-1), wanted[:, :2], atol=1e-6)
    assert torch.allclose(shorter["long"].softmax(-1), wanted[:, :2], atol=1e-6)
    for found, ends in ((whole, lengths), (shorter, early)):
        last = torch.stack([steps[n - 1, b] for b, n in enumerate(ends)])
        assert torch.allclose(found["polite"], last[:, 2:], atol=1e-6)


def test_a_model_file_has_both_outputs_and_a_stream_answers_both(toy: Any, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("text,label\n" + "".join(f"{text},-\n" for text in TEXTS))
    model = job.fit(toy.KIND, str(table), toy.Options(epochs=30, rate=0.02), str(tmp_path / "m"), threads=1)
    predictor = Predictor(Model.load(tmp_path / "m"))
    assert predictor.model.weights_hash == model.weights_hash
    (whole,) = predictor.answers(["please wait"])
    assert whole["polite"].label == "yes"
    assert whole["long"].as_dict(False)["tags"] == ["long", "short"]
    stream = predictor.stream()
    for word in ("please ", "wait"):
        last = stream.push(word)
    last = stream.end()
    assert last["polite"].values.tobytes() == whole["polite"].values.tobytes()


def test_the_commands_run_on_it(toy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, file, told = (str(tmp_path / name) for name in ("t.csv", "m.safetensors", "told.csv"))
    Path(table).write_text("text,label\n" + "".join(f"{text},-\n" for text in TEXTS))
    assert main(["fit", "polite", table, "--out", file, "--epochs", "30", "--rate", "0.02", "--threads", "1"]) == 0
    assert "1.00 right; next: tidegate score" in capsys.readouterr().out
    assert main(["score", file, table, "--strict", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"right": len(TEXTS), "rows": len(TEXTS)}
    assert main(["predict", file, "--message", "please wait"]) == 0
    assert capsys.readouterr().out == "please wait\tyes\tlong short\n"
    for _ in range(2):  # the second time over a file of predictions, which is known by its first line
        assert main(["predict", file, table, "--out", told]) == 0
    assert Path(told).read_text().startswith("text,polite,long\nplease open the window,yes,long short short long\n")
    capsys.readouterr()
    assert main(["score", file, table, "--unseen", "wrong"]) == 2
    assert "but this model tells politeness" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    assert toy.EXAMPLES in capsys.readouterr().out
