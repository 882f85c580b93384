"""FinalStates, and from_torch with like=: the model and the module that its parts are from have the same outputs."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

import tidegate
from tidegate import nn
from tidegate.errors import ModuleError, WrongShape, WrongType
from tidegate.verify import verify

Tensor = torch.Tensor


def logits(scores: Tensor) -> Tensor:
    return scores


class Classifier(torch.nn.Module):
    """A module as people write it: a head over what `read` selects from outputs and final states."""

    def __init__(
        self,
        read: Callable[[Tensor, Any], Tensor],
        kind: Any = torch.nn.GRU,
        batch_first: bool = True,
        both: bool = True,
        end: Callable[[Tensor], Tensor] = logits,
        outputs: int = 2,
        **options: Any,
    ) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.embedding = torch.nn.Embedding(9, 3, padding_idx=0)
        self.recurrence = kind(3, 4, batch_first=batch_first, bidirectional=both, **options)
        self.dropout = torch.nn.Dropout(0.5)
        self.head = torch.nn.Linear(8 if both else 4, outputs)
        self.read, self.end = read, end

    def forward(self, ids: Tensor) -> Tensor:
        y, states = self.recurrence(self.embedding(ids))
        return self.end(self.head(self.dropout(self.read(y, states))))


def final_states(y: Tensor, states: Any) -> Tensor:
    h = states[0] if isinstance(states, tuple) else states
    return torch.cat([h[-2], h[-1]], -1)


def every_step(y: Tensor, states: Any) -> Tensor:
    return y


def last_step(y: Tensor, states: Any) -> Tensor:
    return y[:, -1]


def mean(y: Tensor, states: Any) -> Tensor:
    return y.mean(1)


def memory(y: Tensor, states: Any) -> Tensor:
    return states[1][-1]


IDS = torch.randint(0, 9, (3, 5), generator=torch.Generator().manual_seed(5))


def convert(net: Classifier, *more: torch.nn.Module, example: Any = IDS, final: bool = True, **options: Any) -> Any:
    parts = [net.embedding, net.recurrence, *([nn.FinalStates()] if final else []), net.dropout, net.head, *more]
    return tidegate.from_torch(*parts, like=net, example=example, **options)


EQUAL: dict[str, tuple[Callable[[], Classifier], dict[str, Any]]] = {
    "GRU": (lambda: Classifier(final_states), {}),
    "LSTM of two layers": (lambda: Classifier(final_states, torch.nn.LSTM, num_layers=2, dropout=0.5), {}),
    "time first": (lambda: Classifier(final_states, batch_first=False), {"example": IDS.T}),
    "a dialect": (lambda: Classifier(final_states, nn.GRU, reset="before"), {}),
    "last step": (lambda: Classifier(last_step), {"final": False}),
    "every step": (lambda: Classifier(every_step), {"final": False}),
    "every step, time first": (lambda: Classifier(every_step, batch_first=False), {"final": False}),
    "one direction": (lambda: Classifier(last_step, both=False), {"final": False}),
    "one row": (lambda: Classifier(final_states), {"example": IDS[:1]}),
    "one number": (lambda: Classifier(final_states, end=lambda v: v.squeeze(-1), outputs=1), {}),
}


@pytest.mark.parametrize("name", EQUAL)
def test_parts_with_the_outputs_of_the_module_are_converted(name):
    make, options = EQUAL[name]
    net = make().train()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predictor = convert(net, **options)
    assert net.training
    if name == "GRU":
        found = predictor.predict([row.numpy() for row in IDS])
        np.testing.assert_allclose(found, net.eval()(IDS).detach(), atol=1e-6)
        assert all(result.ok for result in verify(predictor.model))


class Padded(Classifier):
    """A classifier of rows of unequal lengths, packed, or with their padding read as steps."""

    packs, every = True, False

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        x = self.embedding(ids)
        if self.packs:
            x = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, states = self.recurrence(x)
        return self.head(pad_packed_sequence(y, batch_first=True)[0] if self.every else self.read(y, states))


@pytest.mark.parametrize("lengths", [[5, 2, 4], [4, 1, 3]])
def test_rows_of_unequal_lengths_are_compared_at_their_own_ends(lengths):
    net = Padded(final_states)
    example = IDS, torch.tensor(lengths)
    assert convert(net, example=example)
    net.every = True
    assert convert(net, example=example, final=False)
    net.every = net.packs = False
    with pytest.raises(ModuleError, match="the model and like differ"):
        convert(net, example=example)


@pytest.mark.parametrize("end", [logits, lambda v: v.softmax(-1), lambda v: v.log_softmax(-1)])
def test_a_softmax_at_the_end_may_be_missing_in_the_module(end):
    net = Classifier(final_states, end=end)
    assert convert(net, torch.nn.Softmax(-1), labels=["no", "yes"]).labels == ["no", "yes"]


class Stacked(torch.nn.Module):
    """Two bidirectional recurrences and a head on the final states of the second."""

    def __init__(self) -> None:
        super().__init__()
        self.lower = torch.nn.LSTM(3, 4, batch_first=True, bidirectional=True)
        self.upper = torch.nn.GRU(8, 2, batch_first=True, bidirectional=True)
        self.head = torch.nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(final_states(*self.upper(self.lower(x)[0])))


def test_the_suggested_parts_have_final_states_after_the_last_recurrence_only():
    m, x = Stacked(), torch.randn(3, 5, 3)
    with pytest.raises(ModuleError) as refused:
        tidegate.from_torch(m)
    suggestion = re.search(r"from_torch\(m\.lower, .*, example=x\)", str(refused.value))
    assert suggestion
    assert eval(f"tidegate.{suggestion[0]}").predict(list(x.numpy())).shape == (3, 2)


DIFFERENT: dict[str, tuple[Callable[[], Classifier], dict[str, Any], str]] = {
    "the last step": (
        lambda: Classifier(final_states),
        {"final": False},
        r"both directions, pass tidegate.nn.FinalStates",
    ),
    "the final states": (lambda: Classifier(last_step), {}, r"leave FinalStates\(\) out if its forward"),
    "a mean": (lambda: Classifier(mean), {"final": False}, "a mean or a maximum over the steps cannot be converted"),
    "the memory of an LSTM": (
        lambda: Classifier(memory, torch.nn.LSTM, both=False),
        {"final": False},
        "the model and like differ",
    ),
    "a function in its forward": (
        lambda: Classifier(final_states, end=torch.tanh),
        {},
        "as modules, such as torch.nn.ReLU",
    ),
    "normalised states": (
        lambda: Classifier(lambda y, h: torch.nn.functional.normalize(final_states(y, h), dim=-1)),
        {},
        "the model and like differ",
    ),
    "log-probabilities": (
        lambda: Classifier(final_states, end=lambda v: v.log_softmax(-1)),
        {},
        "the model and like differ",
    ),
    "an example of one step": (
        lambda: Classifier(final_states),
        {"example": IDS[:, :1]},
        "for rows of 2 steps or more",
    ),
    "another width": (
        lambda: Classifier(final_states, end=lambda v: v[:, :1]),
        {},
        r"like returns shape \[3, 1\] for an",
    ),
    "an id too many": (lambda: Classifier(final_states), {"example": IDS + 9}, "expected ids from 0 to 8"),
    "numbers for ids": (lambda: Classifier(final_states), {"example": IDS.float()}, "expected token ids"),
    "lengths of other rows": (
        lambda: Padded(final_states),
        {"example": (IDS, torch.tensor([0, 5, 1]))},
        "fails|1 or more",
    ),
    "no example": (lambda: Classifier(final_states), {"example": None}, "like is given without an example"),
    "a forward that fails": (
        lambda: Classifier(final_states, end=lambda v: v @ torch.ones(7)),
        {},
        "like fails on the example in float64",
    ),
    "what is not finite": (lambda: Classifier(final_states, end=lambda v: v / 0), {}, "numbers that are not finite"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_parts_with_other_outputs_are_refused_with_size_and_place(name):
    make, options, sentence = DIFFERENT[name]
    with pytest.raises(ModuleError, match=sentence):
        convert(make(), **options)


def test_the_difference_is_described_with_its_place():
    net = Classifier(final_states)
    place = r"the largest difference is [\d.e-]+, in row \d and output \d after the last step: [\d.e-]+ in like and"
    with pytest.raises(ModuleError, match=place):
        convert(net, final=False)


def test_like_is_a_module():
    with pytest.raises(ModuleError, match="like is function; expected the torch.nn.Module"):
        tidegate.from_torch(torch.nn.GRU(3, 4), like=lambda x: x, example=torch.zeros(2, 3))
    with pytest.raises(ModuleError, match="example is given without like"):
        tidegate.from_torch(torch.nn.GRU(3, 4), example=torch.zeros(2, 3))
    gru = torch.nn.GRU(3, 4)
    assert tidegate.from_torch(gru, like=gru, example=torch.randn(5, 2, 3))
    assert tidegate.from_torch(gru, like=gru, example=torch.randn(5, 3))
    with pytest.raises(ModuleError, match=r"example has shape \[5, 2\]; expected \[rows, steps, 3\]"):
        tidegate.from_torch(gru, like=gru, example=torch.randn(5, 2))


def test_a_head_on_the_last_step_final_states_directions_is_warned_of():
    gru, head = torch.nn.GRU(3, 4, bidirectional=True), torch.nn.Linear(8, 2)
    with pytest.warns(UserWarning, match="has seen only that step") as caught:
        tidegate.from_torch(gru, head)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tidegate.from_torch(gru, nn.FinalStates(), head)
        tidegate.from_torch(gru, torch.nn.GRU(8, 4))


def test_final_states_are_those_of_the_recurrence_for_any_layout():
    y = torch.randn(5, 3, 4)
    for batch_first in (False, True):
        gru = torch.nn.GRU(4, 2, 2, bidirectional=True, batch_first=batch_first)
        outputs, h = gru(y.transpose(0, 1) if batch_first else y)
        torch.testing.assert_close(nn.FinalStates(batch_first)(outputs), final_states(outputs, h), rtol=0, atol=0)
    one, h = gru(y[:, 0])
    torch.testing.assert_close(nn.FinalStates(True)(one), final_states(one, h), rtol=0, atol=0)
    rows = [y[:n, 0] for n in (2, 5, 1)]
    packed = pack_padded_sequence(pad_sequence(rows), [2, 5, 1], enforce_sorted=False)
    outputs, h = gru(packed)
    torch.testing.assert_close(nn.FinalStates()(outputs), final_states(outputs, h), rtol=0, atol=0)
    with pytest.raises(
        WrongType, match="input is tuple; pass the outputs of a recurrence, the first of its two results"
    ):
        nn.FinalStates()(gru(y))
    for wrong in (torch.zeros(3), torch.zeros(2, 3, 5), torch.zeros(0, 3, 4)):
        with pytest.raises(WrongShape, match="expected \\[steps, rows, 2 x width\\]"):
            nn.FinalStates()(wrong)


def test_final_states_go_back_to_torch():
    net = Classifier(final_states)
    predictor = convert(net)
    back = tidegate.to_torch(predictor)
    assert [type(part) for part in back] == [torch.nn.Embedding, torch.nn.GRU, nn.FinalStates, torch.nn.Linear]
    torch.testing.assert_close(back(IDS.T), net.eval()(IDS))
    assert tidegate.from_torch(back).model.weights_hash == predictor.model.weights_hash


def test_exports_of_final_states(tmp_path):
    ort = pytest.importorskip("onnxruntime")
    net = Classifier(final_states).eval()
    predictor = convert(net)
    tidegate.export(predictor, "onnx", tmp_path / "m.onnx")
    session = ort.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    lengths = np.array([5, 3, 1], np.int32)
    found = session.run(["output"], {"ids": IDS.T.int().numpy(), "lengths": lengths})[0]
    for row, n, mine in zip(IDS, lengths, found, strict=True):
        np.testing.assert_allclose(mine, net(row[None, :n])[0].detach(), atol=1e-6)
    with pytest.raises(
        tidegate.TidegateError, match="takes the final states of both directions; C code runs step by step"
    ):
        tidegate.export(predictor, "c", tmp_path / "m.c")
    whole = predictor.stream().push(IDS[0].numpy(), end=True)
    assert whole.values.tobytes() == predictor.predict([IDS[0].numpy()])[0].tobytes()
