"""Several graphs in one network: what each message gives alone, and the conversation over these."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from tidegate import cells
from tidegate.document import assemble_levels
from tidegate.document.levels import GraphPlan
from tidegate.layers import Builder
from tidegate.model import Model
from tidegate.nn import Network, make_network
from tidegate.outputs import make_entry
from tidegate.reference import Reference
from tidegate.tasks._graph_builder import name_tensors
from tidegate.verify.samples import random_tensor

SPEAKERS = 3
MESSAGES = np.array([4, 1, 3])  # of each conversation


def make_model(pools: bool = True, second: bool = False) -> Model:
    """pools: whether messages end in a pool. second: whether the conversation reads another node of the words, too."""
    inner = Builder(None)
    inner.add("embed", rows=30, size=6)
    inner.recurrence(cells.load("gru"), 8)
    if pools:
        inner.add("pool", over=["last", "mean", "max", "attention"])
    reads = (f"words.{len(inner.layers) - 1}", *(["words.1"] if second and pools else []), "speaker")
    outer = Builder((inner.width or 0) + 8 * (second and pools) + SPEAKERS)
    outer.recurrence(cells.load("gru"), 10)
    outer.add("dense", size=4, activation="none", sources=(0, "x"))
    outer.add("softmax")
    graphs = {
        "words": GraphPlan("message", inner.layers),
        "talk": GraphPlan("conversation", name_tensors(outer.layers, "talk"), reads),
    }
    rng = np.random.default_rng(0)
    every = [layer for plan in graphs.values() for layer in plan.layers]
    tensors = {x.tensors[role]: random_tensor(rng, x, role, shape) for x in every for role, shape in x.shapes().items()}
    inputs = {
        "x": {"kind": "ids", "size": 30},
        "speaker": {"kind": "category", "size": SPEAKERS, "clock": "talk"},
    }
    outputs = {"label": {**make_entry(list("abcd"), "softmax"), "from": "talk.2"}}
    return Model(assemble_levels("classify", {}, inputs, graphs, outputs, {}), tensors)


def make_batch(seed: int = 1) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
    rng = np.random.default_rng(seed)
    inner = rng.integers(1, 7, MESSAGES.sum())
    x = rng.integers(0, 30, inner.sum())
    speaker = np.eye(SPEAKERS, dtype=np.float32)[rng.integers(0, SPEAKERS, len(inner))]
    inputs = {"x": torch.from_numpy(x), "speaker": torch.from_numpy(speaker)}
    return inputs, [torch.from_numpy(inner), torch.from_numpy(MESSAGES)]


def make_filled(model: Model) -> Any:
    network = make_network(model)
    network.load_tensors(dict(model.tensors))
    return network


def run_rows(model: Model, row: Any) -> Any:
    """The float64 outputs after every step of one row [T, ...]."""
    reference = Reference(model)
    state, found = reference.initial_state(1), []
    for step in row:
        y, state = reference.step(state, step[None])
        found.append(y[0])
    return np.stack(found)


def run_one_by_one(model: Model, inputs: Any, lengths: Any) -> Any:
    """The float64 outputs of the conversations, one message and one conversation after the other."""
    words, talk = model.levels["words"], model.levels["talk"]
    vectors = []
    for text in np.split(inputs["x"].numpy(), np.cumsum(lengths[0].numpy())[:-1]):
        last = run_rows(words.model, text)[-1]
        vectors.append(np.concatenate([words.model.outputs[name].select(last) for name in talk.reads[:-1]]))
    rows = np.concatenate([np.stack(vectors), inputs["speaker"].numpy()], 1)
    return np.concatenate([run_rows(talk.model, row) for row in np.split(rows, np.cumsum(MESSAGES)[:-1])])


@pytest.mark.parametrize(("pools", "second"), [(True, False), (False, False), (True, True)])
def test_a_packed_batch_gives_what_each_conversation_gives_alone(pools: bool, second: bool) -> None:
    model = make_model(pools, second)
    inputs, lengths = make_batch()
    network = make_filled(model)
    body = network.forward_inputs(inputs, lengths)
    wanted = run_one_by_one(model, inputs, lengths)
    logits = network.forward_steps(body)
    assert np.abs(logits.softmax(-1).detach().numpy() - wanted).max() < 1e-6
    (last,) = network.forward_heads(body, [lengths[1]], logits=False)
    assert np.abs(last.detach().numpy() - wanted[np.cumsum(MESSAGES) - 1]).max() < 1e-6


def test_gradients_flow_from_the_last_message_to_the_words_of_the_first() -> None:
    """Compared with differences in float64, in which torch runs its own code."""
    model = make_model()
    (inputs, lengths), network = make_batch(), make_filled(model).double()
    inputs["speaker"] = inputs["speaker"].double()

    def loss() -> Any:
        return network.forward_steps(network.forward_inputs(inputs, lengths))[MESSAGES[0] - 1].square().sum()

    table = network.named_tensors()["layers.0.weight"]
    network.zero_grad()
    loss().backward()
    first = int(inputs["x"][0])
    gradient, step = table.grad.to_dense()[first].clone(), 1e-6
    assert gradient.abs().max() > 1e-4
    with torch.no_grad():
        for k in range(3):
            table[first, k] += step
            up = float(loss())
            table[first, k] -= 2 * step
            down = float(loss())
            table[first, k] += step
            assert abs((up - down) / (2 * step) - float(gradient[k])) < 1e-5


def test_it_has_what_training_asks_of_a_network() -> None:
    model = make_model()
    network = make_filled(model)
    assert all(np.array_equal(array, model.tensors[name]) for name, array in network.tensors().items())
    assert set(network.tensors()) == set(model.tensors)
    assert len(list(network.named_parameters())) == len(network.named_tensors()) == len(model.tensors)
    assert len(network.matrices()) == 5  # W and R of two recurrences, and the last layer
    twin = copy.deepcopy(network)
    with torch.no_grad():
        next(iter(twin.named_tensors().values())).zero_()
    assert np.array_equal(network.tensors()["layers.0.weight"], model.tensors["layers.0.weight"])
    assert network.whole_window == ""
    assert isinstance(make_network(model.levels["words"].model), Network)


def test_scores_are_scaled_in_the_last_graph_alone() -> None:
    model = make_model()
    network = make_filled(model)
    network.scale_scores(2.0, None, 2)
    found = network.tensors()
    scaled = {name for name, array in model.tensors.items() if not np.array_equal(array, found[name])}
    assert scaled == {"talk.1.weight", "talk.1.bias"}
    assert np.array_equal(found["talk.1.weight"], 2 * model.tensors["talk.1.weight"])


def test_dropout_of_the_head_is_before_the_layer_that_gives_the_scores() -> None:
    """Also where that is followed by a softmax, which takes no dropout."""
    assert make_filled(make_model()).last.heads == {1}
