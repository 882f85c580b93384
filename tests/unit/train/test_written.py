"""A task whose answers are written by a graph that a decoder drives: trained by its targets, it writes them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tidegate
from driven_models import driven_model
from tidegate import tasks
from tidegate.model import Model
from tidegate.nn import make_network
from tidegate.reference import Reference
from tidegate.train import fit
from tidegate.verify import verify

FOLDER = Path(__file__).parents[2] / "toy_tasks"
WORDS = ["the", "model", "reads", "some", "of", "these", "words", "and", "writes", "them", "again", "in", "order"]


@pytest.fixture
def backwards(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(FOLDER)])
    return tasks.load("backwards")


def write_messages(path: Path, seed: int, rows: int) -> None:
    random = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for _ in range(rows):
            writer.writerow([" ".join(random.choice(WORDS, random.integers(2, 6))), "-"])


@pytest.mark.slow
def test_what_is_learnt_is_written_and_verified(tmp_path: Path, backwards: Any) -> None:
    train, test, out = (tmp_path / name for name in ("train.csv", "test.csv", "b.safetensors"))
    write_messages(train, 0, 600)
    write_messages(test, 1, 100)
    fit("backwards", str(train), backwards.Options(epochs=30, rate=0.01, batch=16), str(out))
    predictor = tidegate.load(out)
    score = backwards.score(predictor, str(test), {})
    assert score.right >= 90
    stream = predictor.stream()
    stream.push("writes the mod")
    assert stream.push("el", end=True).tokens == ["model", "the", "writes"]
    assert all(result.ok for result in verify(out) if result.ran)


@pytest.mark.parametrize(("talk", "history"), [(False, 0), (True, 0), (True, 4)])
def test_training_computes_what_the_reference_does_with_what_is_held(talk: bool, history: int) -> None:
    """The numbers of each step of a driven graph, whose fed back steps are the targets, row by row."""
    model = driven_model(2, talk=talk, history=history)
    random = np.random.default_rng(0)
    words, replies = np.array([3, 1, 5, 2]), np.array([2, 4, 1, 3])
    x, previous = random.integers(0, 20, words.sum()), random.integers(0, 8, replies.sum())
    inputs = {"x": torch.from_numpy(x), "previous": torch.from_numpy(previous)}
    lengths = [torch.from_numpy(words)]
    turns = np.array([3, 1])
    if talk:
        inputs["speaker"] = torch.eye(3)[[0, 1, 0, 2]]
        lengths.append(torch.from_numpy(turns))
    network = make_network(model)
    network.load_tensors(model.tensors)
    body = network.forward_inputs(inputs, [*lengths, torch.from_numpy(replies)])
    found = network.forward_steps(body).detach().numpy()
    expected = run_reference(model, np.split(x, words.cumsum()[:-1]), np.split(previous, replies.cumsum()[:-1]), turns)
    np.testing.assert_allclose(found, np.concatenate(expected), atol=2e-5)


def run_reference(model: Model, texts: list[Any], fed: list[Any], turns: Any) -> list[Any]:
    """Run a model's graphs in float64, one message after another."""
    speakers, found = np.eye(3)[[0, 1, 0, 2]], []
    first, graph = model.first, model.driven["reply"]
    part = {name: output.part or slice(None) for name, output in first.outputs.items()}
    starts = [0, *turns.cumsum()]
    talk = model.levels.get("talk")
    for m, ids in enumerate(texts):
        steps = Reference(first).run(ids[:, None])[0][:, 0]
        given = {"words.2": steps[:, part["words.2"]], "words.3": steps[:, part["words.3"]]}
        if talk is not None:
            row = np.concatenate([given["words.3"][-1], speakers[m]])
            if m in starts:
                above = Reference(talk.model).initial_state(1)
                ticks = []
            y, above = Reference(talk.model).step(above, row[None])
            ticks.append(y[0])
            for name, output in talk.model.outputs.items():
                given[name] = np.array(ticks)[:, output.part or slice(None)]
        reference = Reference(graph.model)
        state = reference.initial_state(1)
        for i, node in zip(graph.readers, graph.reads, strict=True):
            for name, values in graph.model.layers[i].hold(given[node]).items():
                state[f"layers.{i}.{name}"] = np.asarray(values, np.float64)[None]
        for k in fed[m]:
            y, state = reference.step(state, np.array([k]))
            found.append(y)
    return found
