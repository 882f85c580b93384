"""torch modules to a model and back: same outputs, same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils import parametrizations, parametrize

import tidegate
from tidegate import nn
from tidegate.errors import ModuleError
from tidegate.verify import verify

MODULES: dict[str, Any] = {
    "gru": lambda: [torch.nn.GRU(3, 8)],
    "two layers and a head": lambda: [torch.nn.GRU(3, 8, 2, dropout=0.5), torch.nn.Dropout(0.5), torch.nn.Linear(8, 2)],
    "batch first": lambda: [torch.nn.LSTM(3, 8, batch_first=True)],
    "projection": lambda: [torch.nn.LSTM(3, 8, 2, proj_size=4, bias=False)],
    "relu without bias": lambda: [torch.nn.RNN(3, 8, nonlinearity="relu", bias=False)],
    "ids": lambda: [torch.nn.Embedding(9, 3, padding_idx=0), torch.nn.GRU(3, 8), torch.nn.Softmax(-1)],
    "norm and activations": lambda: [
        torch.nn.Linear(3, 4, bias=False),
        torch.nn.Tanh(),
        torch.nn.RNN(4, 8),
        torch.nn.LayerNorm(8, bias=False),
        torch.nn.Linear(8, 4),
        torch.nn.ReLU(),
        torch.nn.Linear(4, 2),
        torch.nn.Sigmoid(),
    ],
    "scaled": lambda: [nn.Scale([5.0, -2.0, 0.1], [2.0, 0.5, 3.0]), torch.nn.GRU(3, 8), torch.nn.Linear(8, 2)],
    "plain norm": lambda: [torch.nn.GRU(3, 8), torch.nn.LayerNorm(8, elementwise_affine=False)],
    "another dialect": lambda: [nn.GRU(3, 8, 2, reset="before", update="replace", norm=True, residual=True)],
    "two dialects": lambda: [nn.GRU(3, 8, reset="before"), torch.nn.GRU(8, 8), nn.GRU(8, 4, update="replace")],
    "plain layers under residual ones": lambda: [
        torch.nn.GRU(3, 4, 2),
        nn.GRU(4, 4, 3, residual=True),
        torch.nn.GRU(4, 4),
        nn.GRU(4, 4, 2, residual=True),
    ],
    "peepholes": lambda: [nn.LSTM(3, 8, peepholes=True, norm=True, proj_size=2)],
    "minimal": lambda: [nn.MinGRU(3, 8, 2, norm=True)],
    "sequential": lambda: [
        nn.Sequential(torch.nn.Sequential(torch.nn.Linear(3, 4)), torch.nn.Identity(), nn.RNN(4, 8))
    ],
    "a module that occurs twice": lambda: [repeat(torch.nn.Linear(3, 3), torch.nn.Tanh()), torch.nn.GRU(3, 4)],
    "a subclass": lambda: [WithExtraMethod(3, 4)],
    "weights by parametrisation": lambda: [parametrizations.weight_norm(torch.nn.Linear(3, 4)), torch.nn.GRU(4, 8)],
}


def repeat(*modules: torch.nn.Module) -> torch.nn.Module:
    return torch.nn.Sequential(*modules, *modules)


class WithExtraMethod(torch.nn.GRU):
    """A subclass that adds a method and computes the same."""

    def step(self) -> None: ...


def make_modules(make: Any) -> list[torch.nn.Module]:
    torch.manual_seed(1)
    return list(make())


def random_input(modules: list[torch.nn.Module], steps: int) -> torch.Tensor:
    if isinstance(modules[0], torch.nn.Embedding):
        return torch.randint(0, modules[0].num_embeddings, (steps, 1))
    return torch.randn(steps, 1, 3)


def run_modules(modules: list[torch.nn.Module], x: torch.Tensor) -> np.ndarray:
    """Run the modules in eval mode and return the outputs time first, whatever their layout."""
    with torch.no_grad():
        for module in modules:
            swap = getattr(module, "batch_first", False)
            x = module.eval()(x.transpose(0, 1) if swap else x)
            x = x[0] if isinstance(x, tuple) else x
            x = x.transpose(0, 1) if swap else x
    return x.numpy()


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("name", MODULES)
def test_a_stream_answers_as_the_modules_do(name):
    modules = make_modules(MODULES[name])
    x = random_input(modules, 30)
    predictor = tidegate.from_torch(*modules)
    stream, expected = predictor.stream(), run_modules(modules, x)
    for k in range(30):
        np.testing.assert_allclose(stream.push(x[k, 0].numpy()).values, expected[k, 0], rtol=1e-4, atol=2e-6)
    np.testing.assert_array_equal(predictor.predict([x[:, 0].numpy()])[0], stream.scores.values)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("name", MODULES)
def test_the_way_back_gives_the_same_answers_and_the_same_model(name):
    modules = make_modules(MODULES[name])
    x, predictor = random_input(modules, 7), tidegate.from_torch(*modules)
    back = tidegate.to_torch(predictor)
    assert not back.training
    np.testing.assert_allclose(run_modules([back], x), run_modules(modules, x), rtol=1e-5, atol=1e-6)
    assert tidegate.from_torch(back).model.weights_hash == predictor.model.weights_hash


def test_the_way_back_of_the_default_dialect_is_torchs_own_class():
    back = tidegate.to_torch(tidegate.from_torch(nn.GRU(3, 8, 2), torch.nn.Linear(8, 1)))
    assert [type(m) for m in back] == [torch.nn.GRU, torch.nn.Linear]
    assert back[0].num_layers == 2


CELLS = [
    torch.nn.GRUCell(3, 4),
    torch.nn.LSTMCell(3, 4),
    torch.nn.RNNCell(3, 4, nonlinearity="relu"),
    nn.GRUCell(3, 4, reset="before"),
    nn.LSTMCell(3, 4),
    nn.RNNCell(3, 4, bias=False),
]


@pytest.mark.parametrize("module", CELLS)
def test_a_cell_is_a_model_of_one_step(module):
    stream, state = tidegate.from_torch(module).stream(), None
    for x in torch.randn(9, 3):
        with torch.no_grad():
            state = module(x[None], state)
        h = state[0] if isinstance(state, tuple) else state
        np.testing.assert_allclose(stream.push(x.numpy()).values, h[0].numpy(), atol=1e-6)


def test_both_directions_predict_and_stream_an_answer_at_each_end():
    modules = make_modules(lambda: [torch.nn.GRU(3, 8, 2, bidirectional=True), torch.nn.Linear(16, 2)])
    with pytest.warns(UserWarning, match="the backward direction has seen only that step.*tidegate.nn.FinalStates"):
        predictor = tidegate.from_torch(*modules)
    rows = [np.random.default_rng(i).standard_normal((4 + i, 3)).astype(np.float32) for i in range(5)]
    for row, found in zip(rows, predictor.predict(rows), strict=True):
        expected = run_modules(modules, torch.from_numpy(row)[:, None])[-1, 0]
        np.testing.assert_allclose(found, expected, atol=1e-6)
    back = tidegate.to_torch(predictor)
    np.testing.assert_array_equal(run_modules([back], x := random_input(modules, 6)), run_modules(modules, x))
    stream = predictor.stream()
    for row, found in zip(rows, predictor.predict(rows), strict=True):
        assert [stream.push(step).values for step in row] == [None] * len(row)
        assert stream.end().values.tobytes() == found.tobytes()


def test_the_model_verifies_saves_and_loads(tmp_path):
    predictor = tidegate.from_torch(torch.nn.GRU(3, 8), torch.nn.Linear(8, 2), labels=["no", "yes"])
    assert all(result.ok for result in verify(predictor.model))
    predictor.save(tmp_path / "m.safetensors")
    loaded = tidegate.load(tmp_path / "m.safetensors")
    assert loaded.labels == ["no", "yes"]
    assert loaded.model.weights_hash == predictor.model.weights_hash
    assert loaded.model.document["provenance"]["modules"] == ["[0]: GRU", "[1]: Linear"]


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_the_state_before_the_first_step_is_explicit(tmp_path):
    torch.manual_seed(2)
    lstm, head, x = torch.nn.LSTM(3, 8, 2, proj_size=4), torch.nn.Linear(4, 2), torch.randn(3, 1, 3)
    hx = (torch.randn(2, 1, 4), torch.randn(2, 1, 8))
    with torch.no_grad():
        expected, without = head(lstm(x, hx)[0])[-1, 0].numpy(), head(lstm(x)[0])[-1, 0].numpy()
    predictor = tidegate.from_torch(lstm, head, initial=hx)
    predictor.save(tmp_path / "m.safetensors")
    for each in (predictor, tidegate.load(tmp_path / "m.safetensors")):
        np.testing.assert_allclose(each.predict([x[:, 0].numpy()])[0], expected, atol=1e-6)
        stream = each.stream()
        for _ in range(2):
            np.testing.assert_allclose(stream.push(x[:, 0].numpy(), end=True).values, expected, atol=1e-6)
    assert abs(expected - without).max() > 1e-3
    assert all(result.ok for result in verify(predictor.model))
    with pytest.raises(ModuleError, match=r"layers\[0\] has an initial state, but a torch module"):
        tidegate.to_torch(predictor)


def test_several_recurrences_have_their_initial_states_by_name():
    modules = make_modules(lambda: [torch.nn.GRU(3, 4), torch.nn.GRUCell(4, 5)])
    h, g = torch.randn(1, 4), torch.randn(5)
    predictor = tidegate.from_torch(*modules, initial={"[0]": h, "[1]": g})
    x = torch.randn(1, 3)
    with torch.no_grad():
        expected = modules[1](modules[0](x, h)[0], g[None])[0].numpy()
    np.testing.assert_allclose(predictor.predict([x.numpy()])[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("modules", "initial", "sentence"),
    [
        ([torch.nn.GRU(3, 4)], torch.zeros(2, 4), r"initial of GRU, h: shape \[2, 4\]; expected \[1, 4\], for one row"),
        ([torch.nn.GRU(3, 4)], torch.zeros(1, 3, 4), r"shape \[1, 3, 4\]; expected \[1, 4\]"),
        ([torch.nn.LSTM(3, 4)], torch.zeros(1, 4), "initial of LSTM has 1 tensors; its states are h, c"),
        ([torch.nn.GRU(3, 4, bidirectional=True)], torch.zeros(2, 4), "runs in both directions"),
        (
            [torch.nn.GRU(3, 4), torch.nn.GRU(4, 4)],
            torch.zeros(1, 4),
            r"the recurrences are \[0\], \[1\]; pass a dictionary",
        ),
        (
            [torch.nn.GRU(3, 4)],
            {"gru": torch.zeros(1, 4)},
            "initial names 'gru', which is not a recurrence; the recurrences are GRU",
        ),
        ([torch.nn.GRU(3, 4, 2)], torch.zeros(1, 2, 4), r"shape \[1, 2, 4\]; expected \[2, 4\]"),
        ([torch.nn.GRU(3, 4)], torch.zeros(4), r"shape \[4\]; expected \[1, 4\]"),
        ([torch.nn.GRU(3, 1)], 0.5, r"shape \[\]; expected \[1, 1\]"),
        ([torch.nn.GRUCell(3, 4)], torch.zeros(1, 1, 4), r"shape \[1, 1, 4\]; expected \[4\]"),
        ([torch.nn.GRU(3, 4)], "zeros", "initial of GRU, h is str; expected a tensor of numbers"),
        ([torch.nn.Linear(3, 4)], torch.zeros(1, 4), "the recurrences are none"),
        ([torch.nn.GRU(3, 4)], torch.full((1, 4), float("nan")), "initial of GRU, h: 4 of 4 values are NaN"),
    ],
)
def test_an_initial_state_that_does_not_fit_is_refused(modules, initial, sentence):
    with pytest.raises(ModuleError, match=sentence):
        tidegate.from_torch(*modules, initial=initial)


def test_the_weights_are_copied():
    module = torch.nn.GRU(3, 4)
    predictor = tidegate.from_torch(module)
    before = predictor.predict([np.ones((5, 3))])
    with torch.no_grad():
        module.weight_hh_l0.zero_()
    np.testing.assert_array_equal(predictor.predict([np.ones((5, 3))]), before)


class HalvedInTraining(torch.nn.Module):
    """A parametrisation that acts in training only, as dropout of weights does."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight / 2 if self.training else weight


def test_weights_are_those_of_eval_mode_and_modes_stay():
    module = torch.nn.GRU(3, 4)
    expected = tidegate.from_torch(module).model.weights_hash
    parametrize.register_parametrization(module, "weight_hh_l0", HalvedInTraining())
    module.train()
    module.parametrizations.eval()
    module.parametrizations.weight_hh_l0.train()
    modes = [part.training for part in module.modules()]
    assert tidegate.from_torch(module).model.weights_hash == expected
    assert [part.training for part in module.modules()] == modes
    assert len(set(modes)) == 2


def test_a_layer_without_a_module_is_refused():
    from tidegate.verify.samples import sample

    with pytest.raises(ModuleError, match=r"layers\[1\] is a pool, which has no torch module"):
        tidegate.to_torch(sample(features=3, size=4))
    cell = str(Path(__file__).parents[3] / "examples" / "leaky.py")
    with pytest.raises(ModuleError, match=r"layers\[0\] has the custom cell 'leaky'"):
        tidegate.to_torch(sample(features=3, size=4, cell=cell, over=()))


def test_a_sequential_passes_packed_rows_on_as_they_are():
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.randn(5, 3, 3), [5, 3, 1])
    first, second = nn.GRU(3, 4), nn.GRU(4, 2)
    found = nn.Sequential(torch.nn.Identity(), first, second)(packed)
    torch.testing.assert_close(found.data, second(first(packed)[0])[0].data, rtol=0, atol=0)
