"""Fused kernels change no bit: TIDEGATE_FUSED=0 leaves them out, and every model says the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from every_model import MODELS, ask, say
from toy_models import toy_layers

from driven_models import driven_model
from level_models import level_model
from tidegate import _native, cells, inputs, outputs
from tidegate.cli.info import describe_graphs
from tidegate.layers import _load
from tidegate.model import Model
from tidegate.runtime import Predictor
from tidegate.runtime.precision import PRECISIONS, to_arguments
from tidegate.verify.samples import WORDS

__all__ = ["toy_layers"]  # a fixture
KINDS = _load.kinds()


def say_with_and_without(
    model: Model, monkeypatch: pytest.MonkeyPatch, target: str, precision: str = "float32", other: Model | None = None
) -> Iterator[tuple[Predictor, list[bytes]]]:
    """Yield a predictor with fused kernels and what it says, and then one without; `other` takes its place."""
    for fused, of in (("1", model), ("0", other or model)):
        monkeypatch.setenv("TIDEGATE_FUSED", fused)
        predictor = Predictor(of, target, 1, **to_arguments(precision))
        yield predictor, list(ask(predictor))


@pytest.mark.parametrize("name", MODELS)
def test_every_model_says_the_same_without_fused_kernels(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS[name]()
    for precision in PRECISIONS:
        for target in _native.targets(precision):
            (_, said), (plain, repeated) = say_with_and_without(model, monkeypatch, target, precision)
            assert said == repeated, (target, precision)
            assert not plain.fused_layers
            layers = [layer for graph in describe_graphs(plain) for layer in graph["layers"]]
            assert {layer["runs_as"] for layer in layers} == {"operations"}


def test_the_models_have_everything_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEGATE_FUSED", raising=False)
    models = [make() for make in MODELS.values()]
    every = [layer for model in models for layer in model.layers]
    assert {layer.kind for layer in every} >= set(KINDS) - {"given", "cross_attend"}  # below, in a driven graph
    used = {(layer.cell, choice) for layer in every if layer.kind == "recurrent" for choice in layer.dialect.items()}
    there = {
        (cell, choice) for cell in cells.names() for dialect in cells.list_dialects(cell) for choice in dialect.items()
    }
    assert used >= there
    sources = [source for model in models for source in model.inputs.values()]
    assert {source.kind for source in sources} == set(inputs.kinds()) - {"category"}  # below, in a conversation
    decoded = {"events", "vector", "tokens", "alarm"}  # made of numbers behind the engine: by a decoder, or as they are
    assert {output.kind for model in models for output in model.outputs.values()} == set(outputs.kinds()) - decoded
    transforms = [source.transform for source in sources if source.kind == "series"]
    assert {transform.window is None for transform in transforms} == {True, False}
    assert {transform.forecast.head for transform in transforms if transform.forecast} == {"direct", "autoregressive"}
    assert any(len(source.ports) > 1 for source in sources)
    assert any(model.look_ahead for model in models)
    assert any(model.whole_window for model in models)
    assert any(len(model.outputs) > 1 for model in models)
    assert sum(bool(Predictor(model).fused_layers) for model in models) > len(models) / 2


def test_conversations_are_the_same_without_fused_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    model = level_model()
    talk = [("what is my balance", {"speaker": "ann"}), ("it is 7", {"speaker": "bob"}), ("ok", {"speaker": "ann"})]
    said = []
    for fused in ("1", "0"):
        monkeypatch.setenv("TIDEGATE_FUSED", fused)
        predictor = Predictor(model)
        assert bool(predictor.fused_layers) == (fused == "1")
        said.append([say(answer) for answer in predictor.answers([talk])[0]])
    assert said[0] == said[1]


def test_what_is_written_is_the_same_without_fused_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    for target in _native.targets():
        for fused in ("1", "0"):
            monkeypatch.setenv("TIDEGATE_FUSED", fused)
            answers = Predictor(driven_model(5, longest=8), target).answers(
                [" ".join(WORDS[k : k + 7]) for k in range(20)]
            )
            said.append([answer["reply"].values.tolist() for answer in answers])
    assert len({len(one) for one in said[0]}) > 1
    assert all(one == said[0] for one in said)


@pytest.mark.parametrize("name", MODELS)
def test_one_rounding_in_any_layer_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each weight of a layer moves by one unit in the last place, as if the layer computed it otherwise."""
    model = MODELS[name]()
    for layer in model.layers:
        roles = [role for role in layer.tensors if layer.use(role) != "fixed"]
        if not roles:
            continue
        names = [layer.tensors[role] for role in roles]
        moved = {name: np.nextafter(model.tensors[name], np.float32(np.inf)) for name in names}
        mutant = Model(model.document, {**model.tensors, **moved})
        (_, said), (_, otherwise) = say_with_and_without(model, monkeypatch, "base", other=mutant)
        assert said != otherwise, layer


@pytest.mark.skipif(len(_native.targets()) < 2, reason="this machine has one target")
def test_the_bits_of_another_target_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS["classifier"]()
    said = [list(ask(Predictor(model, target, 1))) for target in ("base", _native.targets()[0])]
    assert said[0] != said[1]
