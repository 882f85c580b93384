"""Errors of training name arguments in Python, and flags on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tidegate
from tidegate import cli
from tidegate.errors import OptionError, TidegateError
from tidegate.estimators import Forecaster


def test_fit_names_arguments_in_python_and_flags_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, out = tmp_path / "t.csv", tmp_path / "m.safetensors"
    train.write_text("text,label\n" + "good,a\nbad,b\n" * 20)
    with pytest.raises(OptionError, match="leave resume=True out to start"):
        tidegate.fit("classify", train, out=out, resume=True)
    assert cli.main(["fit", "classify", str(train), "--out", str(out), "--resume"]) == 2
    assert "leave --resume out to start" in capsys.readouterr().err


def test_an_estimator_names_its_parameters() -> None:
    with pytest.raises(TidegateError) as caught:
        Forecaster(horizon=30, lookback=24, season=0).fit(np.arange(20.0) ** 1.5)
    assert "horizon=" in str(caught.value)
    assert "--" not in str(caught.value)
