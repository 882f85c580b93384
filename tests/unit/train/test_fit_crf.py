"""A tagger with a CRF: trained with the network, written, and the same in streams as over whole texts."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from tidegate import load
from tidegate.decode.viterbi import FORBIDDEN
from tidegate.model import Model
from tidegate.tasks import tag
from tidegate.train import fit

CITIES = ["boston", "new york", "rome", "san jose", "oslo", "kansas city"]
TEXTS = ["fly to new york", "cost to rome", "fly from oslo to kansas city today", "to"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Fit a small tagger; return its training data and its model file."""
    folder: Path = tmp_path_factory.mktemp("crf")
    with (folder / "train.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["tokens", "tags", "label"])
        for k in range(48):
            city, (verb, label) = CITIES[k % 6], [("fly", "flight"), ("cost", "fare")][k // 6 % 2]
            rows.writerow([f"{verb} to {city}", f"O O B-city{' I-city' * city.count(' ')}", label])
    data, out = str(folder / "train.csv"), str(folder / "m.safetensors")
    options: dict[str, Any] = {"hidden": 8, "embed": 8, "rate": 0.02, "epochs": 4, "refit_epochs": 1, "batch": 8}
    fit("tag", data, label="label", decoder="crf", out=out, **options)
    return data, out


def test_its_transitions_are_learnt_and_those_that_bio_rules_out_stay(files: tuple[str, str]) -> None:
    model = Model.load(files[1])
    assert model.document["task"]["options"]["decoder"] == "crf"
    assert model.outputs["tags"].labels == ["B-city", "I-city", "O"]
    transitions, start = (model.tensors[f"decoders.path.{name}"] for name in ("transitions", "start"))
    assert (transitions == FORBIDDEN).tolist() == [[False] * 3, [False] * 3, [False, True, False]]
    assert (start == FORBIDDEN).tolist() == [False, True, False]
    learnt = transitions[transitions != FORBIDDEN]
    assert np.isfinite(learnt).all()
    assert (learnt != 0).any()


def test_score_predict_and_streams_take_it(files: tuple[str, str]) -> None:
    data, out = files
    predictor = load(out)
    assert tag.score(predictor, data, {}).as_dict()["span_f1"] > 0.5
    stream, pool = predictor.stream(), predictor.pool()
    for text, whole in zip(TEXTS, predictor.answers(TEXTS), strict=True):
        found, late, pooled = [], 0, []
        for k, word in enumerate(text.split()):
            answers: list[Any] = stream.push(word + " ", per_step=True)
            assert [one.step for one in answers] == list(range(len(found), len(found) + len(answers)))
            found += [one["tags"].tags[0] for one in answers]
            pooled += pool.push_one("a", word + " ", per_step=True)
            late = max(late, k + 1 - len(found))
        found += [one["tags"].tags[0] for one in stream.push("", True, per_step=True)]
        pooled += pool.end("a", per_step=True)
        assert found == whole["tags"].tags == [one["tags"].tags[0] for one in pooled]  # type: ignore[index]
        assert late <= predictor.look_ahead + 8
