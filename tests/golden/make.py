"""Make the golden files of the current format: python tests/golden/make.py. Existing files are left alone.

The files of a format are made once and then stay for ever; `hashes.json` has the hashes that they must have.
"""

from __future__ import annotations

import json
from pathlib import Path

import linear_models
import models

from tidegate.document import FORMAT
from tidegate.model import Model
from tidegate.verify import attach

HERE = Path(__file__).resolve().parent
HASHES = HERE / "hashes.json"


def main() -> None:
    hashes = json.loads(HASHES.read_text("utf-8")) if HASHES.exists() else {}
    of_series = (models.seasonal, models.stations, models.gestures, models.meter)
    of_words = (models.classifier, models.encoder, models.finals, models.lookout, models.listener)
    of_graphs = (models.branches, models.conversation, models.reply, linear_models.wide, linear_models.lagged)
    every = (*of_words, models.forecaster, models.tagger, *of_series, *of_graphs)
    for name, parts in ((parts.__name__, parts) for parts in every):
        path = HERE / f"{FORMAT}-{name}.safetensors"
        if path.exists():
            print(f"{path.name} already exists")
            continue
        model = attach(Model(*parts()))
        model.save(path)
        hashes[path.name] = {
            "weights_hash": model.weights_hash,
            "schema_hash": model.schema_hash,
            "answers": models.hash_answers(model),
        }
        print(f"{path.name}: {path.stat().st_size} bytes")
    HASHES.write_text(json.dumps(hashes, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
