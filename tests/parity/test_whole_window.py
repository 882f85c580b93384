"""Models that need whole rows: correct ones are within the bound on every target, wrong ones exceed it, and the bits do
not depend on how rows are batched.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from tidegate import _native, cells
from tidegate.layers import Builder
from tidegate.layers.bidirectional import Bidirectional
from tidegate.layers.conv import Conv
from tidegate.model import Model
from tidegate.reference import Reference
from tidegate.runtime import Predictor
from tidegate.runtime.kept_steps import keep_steps
from tidegate.runtime.offline import make_runner
from tidegate.verify import attach, verify
from tidegate.verify.native_target import run_cases, verify_engine
from tidegate.verify.replay import Replay, Result
from tidegate.verify.samples import build_model, sample
from tidegate.verify.torch_target import verify_torch

TARGETS = pytest.mark.parametrize("target", _native.targets())
POOLS = ("last", "mean", "max", "attention")
CHAINS: dict[str, dict[str, Any]] = {
    "bidirectional text": {"size": 20, "direction": "both", "over": POOLS, "norm": True, "dense": "relu"},
    "bidirectional, two deep": {"features": 5, "size": 17, "direction": "both", "depth": 2, "over": ("mean",)},
    "centred text": {"size": 19, "conv": 5, "centred": True, "over": POOLS},
    "centred, then bidirectional": {"features": 3, "size": 9, "conv": 4, "centred": True, "direction": "both"},
    "causal, then bidirectional": {"size": 9, "conv": 3, "direction": "both", "cell": "lstm", "over": ("max",)},
    "no pool": {"features": 4, "size": 8, "conv": 2, "centred": True, "over": (), "softmax": False},
    "final states": {
        "features": 4,
        "size": 9,
        "direction": "both",
        "depth": 2,
        "over": (),
        "final": True,
        "norm": True,
    },
    "final states of text, pooled": {"size": 7, "direction": "both", "final": True, "over": ("mean",), "cell": "lstm"},
    "projected": {"features": 4, "size": 8, "direction": "both", "cell": "lstm", "dialect": {"projection": "yes"}},
}


def residual() -> Model:
    """Return a model that adds layers to each other: within a stage, across stages, and to a whole-window layer."""
    builder, gru = Builder(3), cells.load("gru")
    window = {"size": 8, "activation": "tanh"}
    builder.add("dense", size=8, activation="tanh")
    builder.add("conv", **window, width=3, centred=False, add=0)
    builder.recurrence(gru, 4, both=True, add=0)
    builder.recurrence(gru, 8, add=1)
    builder.add("norm", eps=1e-5, add=3)
    builder.add("conv", **window, width=4, centred=True, add=2)
    builder.add("pool", over=["mean"], add=4)
    return build_model(builder.layers, 5, 3, None)


@cache
def model_of(chain: str) -> Model:
    return residual() if chain == "residual" else sample(seed=3, **CHAINS[chain])


@cache
def replay_of(chain: str, length: int) -> Replay:
    return Replay(attach(model_of(chain), lengths=(length,)))


def judged(replay: Replay, model: Model, target: str, fused: bool = True) -> Result:
    answers = replay.to_answers(run_cases(replay, make_runner(model, target, fused)))
    return replay.compare(target, "", answers, replay.target_bounds(target))


ALL = pytest.mark.parametrize("chain", [*CHAINS, "residual"])


@TARGETS
@ALL
@pytest.mark.parametrize("length", [1, 2, 37, pytest.param(150, marks=pytest.mark.slow)])
def test_every_target_stays_within_its_bound(chain: str, length: int, target: str) -> None:
    replay = replay_of(chain, length)
    result = judged(replay, replay.model, target)
    assert result.ok, result
    assert result.bound is not None
    assert 0 < result.bound < 1e-2
    assert judged(replay, replay.model, target, fused=False) == result


@ALL
def test_torch_stays_within_its_bound(chain: str) -> None:
    pytest.importorskip("torch")
    result = verify_torch(replay_of(chain, 37))
    assert result.ran
    assert result.ok, result


def wrong(model: Model) -> dict[str, Model]:
    """Return models that read their rows in a wrong way; each must be detected."""
    found = {}
    for i, layer in enumerate(model.layers):
        names = layer.tensors
        changes: dict[str, dict[str, Any]] = {}
        if isinstance(layer, Bidirectional):
            halves = [(names[f"forward.{r}"], names[f"backward.{r}"]) for r in ("W", "b", "R", "c")]
            changes["directions swapped"] = {x: model.tensors[y] for a, b in halves for x, y in ((a, b), (b, a))}
            changes["backward bias dropped"] = {names["backward.c"]: np.zeros_like(model.tensors[names["backward.c"]])}
        elif isinstance(layer, Conv):
            turned = np.roll(model.tensors[names["weight"]], layer.inputs, 1)
            changes["window one step off"] = {names["weight"]: turned}
        for what, tensors in changes.items():
            found[f"{i}: {what}"] = Model(model.document, {**model.tensors, **tensors})
    return found


@TARGETS
@ALL
def test_a_wrong_model_exceeds_the_bound(chain: str, target: str) -> None:
    replay = replay_of(chain, 37)
    mutants = wrong(replay.model)
    assert mutants
    ratios = {what: judged(replay, mutant, target).ratio for what, mutant in mutants.items()}
    assert {what: ratio for what, ratio in ratios.items() if not ratio or ratio < 10} == {}


def rows_of(model: Model, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a padded batch of unequal lengths, with NaN or ids that do not exist after each row."""
    random, T, B = np.random.default_rng(seed), 23, 11
    lengths = random.integers(1, T + 1, B).astype(np.int32)
    lengths[:3] = 1, T, 2
    entry = model.document["inputs"]["x"]
    if entry["kind"] == "text":
        x = random.integers(0, entry["size"], (T, B)).astype(np.int32)
    else:
        x = random.standard_normal((T, B, entry["features"])).astype(np.float32)
    for row, length in enumerate(lengths):
        x[length:, row] = -1 if x.ndim == 2 else np.nan
    return x, lengths


@TARGETS
@ALL
def test_a_row_has_the_bits_that_it_has_alone(chain: str, target: str) -> None:
    model = model_of(chain)
    (x, lengths), native = rows_of(model, 1), make_runner(model, target)
    states = np.zeros((len(lengths), model.state_bytes), np.uint8)
    found = []
    for threads in (1, 3):
        out, after = np.full((*x.shape[:2], native.outputs), -7, np.float32), np.empty_like(states)
        native.run(x, lengths, states, after, out, True, threads)
        found.append(out.tobytes() + after.tobytes())
    assert found[0] == found[1]
    assert after.view(np.int64).ravel().tolist() == lengths.tolist()
    exact, _ = Reference(model).run(x, lengths)
    for row, length in enumerate(lengths):
        one, end = np.empty((length, 1, native.outputs), np.float32), np.empty_like(states[:1])
        part = np.ascontiguousarray(x[:length, row : row + 1])
        native.run(part, lengths[row : row + 1].copy(), states[:1], end, one, True, 1)
        assert one.tobytes() == np.ascontiguousarray(out[:length, row]).tobytes()
        assert (out[length:, row] == -7).all()
        np.testing.assert_allclose(one[:, 0], exact[:length, row], atol=3e-5)
        last = np.empty((1, native.outputs), np.float32)
        native.run(part, lengths[row : row + 1].copy(), states[:1], end, last, False, 1)
        assert last.tobytes() == one[-1].tobytes()


def test_few_rows_at_a_time_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of("centred, then bidirectional")
    rows = [np.random.default_rng(T).standard_normal((T, 3)).astype(np.float32) for T in (3, 1, 9, 4, 4, 2)]
    whole = Predictor(model, threads=2).predict(rows)
    monkeypatch.setattr("tidegate.runtime.offline.MOST_NUMBERS", 1000)
    assert Predictor(model).predict(rows).tobytes() == whole.tobytes()


@pytest.mark.parametrize(
    "chain", [pytest.param(c, marks=pytest.mark.slow) if k % 2 else c for k, c in enumerate([*CHAINS, "residual"])]
)
def test_the_replay_is_whole_on_every_reader(chain: str) -> None:
    results = verify(attach(model_of(chain)))
    assert {r.target for r in results} >= {"oracle", "torch", *_native.targets()}
    assert [r for r in results if not r.ok] == []
    assert {r.chunks for r in results if r.target in _native.targets()} == {True}


def test_pieces_that_a_stream_loses_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    model = attach(model_of("no pool"))
    replay = Replay(model)
    monkeypatch.setattr(
        "tidegate.verify.native_target.keep_steps", lambda kept, block, steps: keep_steps(kept, block, steps[:4])
    )
    results = [verify_engine(replay, make_runner(model), _native.targets()[0], "fused")]
    monkeypatch.undo()
    few = Model({**model.document, "streams": {"yes": True, "keeps": 36}}, model.tensors)  # the check has 37 steps
    results += [verify_engine(Replay(few), make_runner(few), _native.targets()[0], "fused")]
    assert [(r.chunks, r.ok, r.verdict) for r in results] == [
        (False, False, "its pieces differ from the whole"),
        (None, True, "ok"),
    ]
