"""The pictures of the README are small and whole, and what draws them shows what it is given."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.mark.parametrize("name", ["stream", "forecast"])
def test_the_readme_shows_it(root: Path, name: str) -> None:
    content = (root / "docs" / "pictures" / f"{name}.svg").read_bytes()
    assert len(content) < 40_000
    assert ET.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg"
    assert b"prefers-color-scheme: dark" in content
    assert f"(docs/pictures/{name}.svg)" in (root / "README.md").read_text("utf-8")


def test_a_stream_has_a_line_for_each_label_and_a_point_for_each_word(pictures: Any) -> None:
    labels = {"card & lost": np.array([0.25, 0.5, 1.0]), "other": np.array([0.5, 0.25, 0.0])}
    drawn = ET.fromstring(pictures.stream(["I", "lost", "<it>"], labels, 5))
    words = [of.text for of in drawn.findall("{*}text")]
    assert words[-3:] == ["I", "lost", "<it>"]
    assert {"card & lost", "other"} < set(words)
    assert len(drawn.findall("{*}polyline")) == 2
    assert len(drawn.findall("{*}circle")) == 6


def test_a_forecast_shows_its_interval_the_truth_and_the_week_before(pictures: Any) -> None:
    truth, ahead = np.linspace(20_000, 30_000, 48), np.linspace(21_000, 31_000, 48)
    quantiles = np.stack([ahead - 500, ahead, ahead + 500], 1)
    drawn = ET.fromstring(pictures.forecast("2000-08-04", truth, truth, quantiles, truth))
    (band,) = drawn.findall("{*}polygon")
    assert len(band.attrib["points"].split()) == 96
    assert len(drawn.findall("{*}polyline")) == 3
    assert any("2000-08-04" in (of.text or "") for of in drawn.findall("{*}text"))
