"""A model that does not stream: no batch, order or number of threads changes a bit of a row."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate import _native
from tidegate.runtime import Predictor
from tidegate.verify.samples import WORDS, sample

POOLS = ("last", "mean", "max", "attention")


@cache
def predictor(target: str, text: bool, threads: int = 1) -> Predictor:
    model = sample(features=None if text else 6, size=19, direction="both", conv=4, centred=True, over=POOLS)
    return Predictor(model, target, threads)


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("target", _native.targets())
@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=12), seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_rows_together_or_alone_in_any_order(target: str, text: bool, lengths: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    if text:
        rows = [" ".join(WORDS[i] for i in random.integers(len(WORDS), size=T)) for T in lengths]
    else:
        rows = [random.standard_normal((T, 6)).astype(np.float32) for T in lengths]
    whole = predictor(target, text).predict(rows)
    assert np.isfinite(whole).all()
    order = random.permutation(len(rows))
    shuffled = predictor(target, text, 3).predict([rows[i] for i in order])
    assert shuffled.tobytes() == whole[order].tobytes()
    for row, out in zip(rows, whole, strict=True):
        assert predictor(target, text).predict([row])[0].tobytes() == out.tobytes()


def test_a_nan_of_a_series_stays_its_own() -> None:
    x = np.zeros((3, 8, 6), np.float32)
    x[1, 2, 3] = np.nan
    out = predictor("base", False).predict(x)
    assert np.isfinite(out[[0, 2]]).all()
    assert np.isnan(out[1]).all()
