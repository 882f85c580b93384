from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tidegate
from tidegate.errors import ModelFileError, OptionError
from tidegate.inputs._draws import standard_normal
from tidegate.model import Model
from tidegate.verify import attach, make_check, verify
from tidegate.verify.check import SEED, make_inputs
from tidegate.verify.draws import splitmix64
from tidegate.verify.replay import Replay
from tidegate.verify.samples import sample


def test_splitmix64_is_the_published_generator() -> None:
    draws = splitmix64(1234567)
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert [next(draws) for _ in expected] == expected


def test_inputs_are_what_the_format_says() -> None:
    text, series = sample(), sample(features=3)
    draws = splitmix64(5)
    V = text.document["inputs"]["x"]["size"]
    assert np.concatenate(make_inputs(text, 5, [2, 1])).tolist() == [next(draws) * V >> 64 for _ in range(3)]
    draws = splitmix64(5)
    assert make_inputs(series, 5, [2])[0].reshape(-1).tolist() == [standard_normal(next(draws)) for _ in range(6)]


def test_numbers_are_about_normal_and_exact_in_float32() -> None:
    draws = splitmix64(1)
    drawn = np.array([standard_normal(next(draws)) for _ in range(20_000)])
    assert (drawn == drawn.astype(np.float32)).all()
    assert abs(drawn.mean()) < 0.03
    assert abs(drawn.std() - 1) < 0.03


def test_a_check_stores_the_answers_of_the_reference() -> None:
    model = sample(size=8)
    check, tensors = make_check(model)
    assert check["seed"] == SEED
    assert [case["steps"] for case in check["cases"]] == [1, 37]
    assert tensors["check.1.output"].shape == (5,)
    assert tensors["check.1.state"].shape == (8,)
    assert tensors["check.1.output"].sum() == pytest.approx(1)


def test_a_large_check_is_strided_to_fit() -> None:
    model = attach(sample(size=1500, features=2, over=("mean", "max"), outputs=4))
    check = model.document["check"]
    assert check["stride"] == 2
    assert sum(v.nbytes for n, v in model.tensors.items() if n.startswith("check.")) <= 65536
    replay = Replay(model)
    assert [v.tolist() for v in replay.reference_answers[1]] == [v.tolist() for v in replay.stored[1]]


def test_verify_replays_on_everything(tmp_path: Path) -> None:
    attach(sample(over=("mean", "attention"))).save(tmp_path / "m.safetensors")
    model = Model.load(tmp_path / "m.safetensors")
    results = verify(model)
    assert all(result.ok for result in results)
    assert results[0].target == "oracle"
    ran = [(r.target, r.path) for r in results if r.ran and r.chunks is not None]
    assert ("base", "fused") in ran
    assert ("base", "interpreter") in ran
    assert all(r.chunks for r in results if r.chunks is not None)
    json.dumps([r.to_json() for r in results], allow_nan=False)


def test_verify_finds_a_file_whose_weights_are_not_those_of_its_check() -> None:
    model = attach(sample(features=4, size=16))
    wrong = {n: v.copy() for n, v in model.tensors.items()}
    wrong["layers.0.c"][5] += 1e-2
    results = verify(Model(model.document, wrong))
    assert {r.verdict for r in results if r.ran} == {"over its bound"}
    assert not any(r.ok for r in results if r.ran)


def test_a_target_of_another_machine_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    from tidegate import _native

    compiled = [*_native.compiled_targets(), "neon"]
    monkeypatch.setattr(_native, "compiled_targets", lambda precision: compiled)
    last = verify(attach(sample(features=2, size=4)))[-1]
    assert (last.target, last.verdict, last.ran, last.ok) == ("neon", "not on this machine", False, True)


def test_a_model_without_a_check_is_refused() -> None:
    with pytest.raises(ModelFileError, match="no check to replay"):
        verify(sample())


def test_a_check_of_another_size_is_refused() -> None:
    model = attach(sample())
    tensors = dict(model.tensors) | {"check.0.output": np.zeros(3)}
    with pytest.raises(ModelFileError, match=r"check.cases\[0\]: output: tensor 'check.0.output' has shape \[3\]"):
        Model(model.document, tensors)
    tensors = dict(model.tensors) | {"check.0.state": np.zeros(3)}
    with pytest.raises(ModelFileError, match=r"check.cases\[0\]: state: tensor 'check.0.state' has shape \[3\]"):
        Model(model.document, tensors)


@pytest.mark.slow
def test_a_model_a_predictor_and_a_path_are_verified_alike(tmp_path: Path) -> None:
    path, model = tmp_path / "m.safetensors", sample(size=4, check=True)
    model.save(path)
    for one in (model, tidegate.load(path), path, str(path)):
        assert [result.verdict for result in verify(one) if result.ran and not result.ok] == []
    with pytest.raises(OptionError, match="model is int; expected a Model, a Predictor or the path"):
        verify(7)  # type: ignore[arg-type]
