"""The loss of a random prefix of each row never sees what comes after it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tidegate import tasks
from tidegate.data.table import Table
from tidegate.tasks.base import Batch
from tidegate.train.forward import NetworkOutputs
from tidegate.train.job import TrainingJob

LENGTHS = np.array([12, 3, 1, 8])
SMALL = {
    "hidden": 6,
    "embed": 5,
    "epochs": 1,
    "batch": 4,
    "drop_embed": 0.0,
    "drop_pool": 0.0,
    "linear": "off",
    "subwords": 0,
}


def run_of(**values: Any) -> Any:
    """Make a run of a small network, and padded ids [12, 4] of LENGTHS."""
    task = tasks.load("classify")
    texts = ["the rain and the storm", "play a song", "pay the bill", "a band", "sun", "bank"] * 4
    table = Table(
        "t.csv",
        {"text": texts, "label": ["weather", "music", "money", "music", "weather", "money"] * 4},
        list(range(2, 26)),
        "",
    )
    run = TrainingJob(task, task.Options(**SMALL, **values), table, None, 1).run(None)
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.integers(1, 9, (12, 4)))
    return run, x.masked_fill(torch.arange(12)[:, None] >= torch.from_numpy(LENGTHS), 0)


@pytest.mark.parametrize(("direction", "conv"), [("causal", 0), ("causal", 3), ("both", 0), ("both", 2)])
def test_a_prefix_is_scored_as_if_it_were_the_row(direction: str, conv: int) -> None:
    run, x = run_of(direction=direction, conv=conv, prefix=0.5)
    problem, network = run.problem, NetworkOutputs(run.network, run.problem, run.loss_tensors)
    packed = torch.cat([x[:n, i] for i, n in enumerate(LENGTHS)]).numpy()
    batch = Batch({"x": packed}, LENGTHS, {"label": np.array([0, 1, 2, 1])})
    found = problem.train_loss(network, batch, np.random.default_rng(7))
    shorter = np.random.default_rng(7).integers(1, LENGTHS + 1)
    assert (shorter < LENGTHS).any()
    whole = run.network(x, torch.from_numpy(LENGTHS))
    alone = [run.network(x[:n, i : i + 1], torch.tensor([n])) for i, n in enumerate(shorter.tolist())]
    losses = [problem.loss({"label": logits}, batch) for logits in (whole, torch.cat(alone))]
    assert torch.allclose(found, (losses[0] + 0.5 * losses[1]) / 1.5, atol=1e-6)


def test_a_model_that_does_not_stream_has_no_such_loss_unless_asked() -> None:
    assert run_of()[0].problem.options.prefix == 0.3
    assert run_of(direction="both")[0].problem.options.prefix == 0.0
    assert run_of(direction="both", prefix=0.2)[0].problem.options.prefix == 0.2
    assert run_of(prefix=0.0)[0].problem.options.prefix == 0.0
