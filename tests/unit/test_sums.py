"""The checksum of a model file: everything that affects an answer is compared when the file is loaded."""

from __future__ import annotations

import json
import pickle
import runpy
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate
from tidegate import cli, files
from tidegate import tensors as safetensors
from tidegate.errors import ModelFileError, TidegateError
from tidegate.model import Model
from tidegate.runtime import State

ROOT = Path(__file__).parents[1]
MODELS = runpy.run_path(str(ROOT / "golden" / "models.py"))
WITHOUT = ROOT / "golden" / "1-classifier.safetensors"


@pytest.fixture(params=["classifier", "seasonal"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    Model(*MODELS["with_empty_check"](MODELS[request.param]())).save(tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def edit_document(path: Path, change: Any) -> Path:
    """Change the document of a file, but leave its checksum as it was."""
    tensors, metadata = safetensors.read(path)
    document = json.loads(metadata["tidegate"])
    tensors = {name: np.array(v) for name, v in tensors.items()}
    change(document, tensors)
    safetensors.write(path, tensors, {**metadata, "tidegate": json.dumps(document)})
    return path


def swap_words(document: dict[str, Any], tensors: dict[str, Any]) -> None:
    tensors[document["inputs"]["x"]["vocabulary"]["bytes"]][:2] = tensors[
        document["inputs"]["x"]["vocabulary"]["bytes"]
    ][1::-1]


CHANGES = {
    "labels reversed": ("classifier", lambda d, t: d["outputs"]["label"]["labels"].reverse()),
    "two letters of the vocabulary swapped": ("classifier", swap_words),
    "word turned into char": ("classifier", lambda d, t: d["inputs"]["x"]["tokenizer"].update(kind="char")),
    "case no longer folded": ("classifier", lambda d, t: d["inputs"]["x"]["tokenizer"].update(fold=False)),
    "another quantile": ("seasonal", lambda d, t: d["outputs"]["forecast"]["quantiles"].__setitem__(0, 0.01)),
    "other options": ("seasonal", lambda d, t: d["task"]["options"].update(horizon=1)),
    "provenance": ("seasonal", lambda d, t: d["provenance"].update(seed=7)),
}


@pytest.mark.parametrize(("model", "change"), CHANGES.values(), ids=CHANGES)
def test_a_document_changed_without_its_sum_is_refused(tmp_path: Path, model: str, change: Any) -> None:
    path = tmp_path / "m.safetensors"
    Model(*MODELS["with_empty_check"](MODELS[model]())).save(path)
    with pytest.raises(ModelFileError, match=r"m\.safetensors: is damaged, or was changed without its checksum"):
        Model.load(edit_document(path, change))


def is_refused(content: bytes, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(files, "read", lambda *_: content)
    try:
        Model.load("m.safetensors")
    except ModelFileError:
        return True
    return False


def test_every_flipped_bit_of_a_model_file_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flip every bit of the first and last bytes of the header, and one bit of every second or fifth byte elsewhere."""
    content = file.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    places = {*range(16), *range(16, header, 2), *range(header - 8, header), *range(header, len(content), 5)}
    loaded = []
    for at in sorted(places):
        for bit in range(8) if at < 16 or header - 8 <= at < header else (at * 5 % 8,):
            changed = bytearray(content)
            changed[at] ^= 1 << bit
            if not is_refused(bytes(changed), monkeypatch):
                loaded.append((at, bit))
    assert loaded == []
    assert not is_refused(content, monkeypatch)


def test_a_sum_that_is_right_does_not_make_a_document_valid(file: Path) -> None:
    tensors, document, checksum = safetensors.load(file, "tidegate")
    assert checksum == Model.load(file).sha256
    safetensors.save(file, tensors, "tidegate", document.replace('"provenance"', '"provenence"'))
    with pytest.raises(ModelFileError, match="the key 'provenance' is missing"):
        Model.load(file)


def test_the_sum_is_the_one_that_the_definition_describes(file: Path) -> None:
    """Compute the checksum as docs/format.md says, without the writer's code."""
    tensors, metadata = safetensors.read(file)
    content = metadata["tidegate"].encode() + b"\n"
    names = {"float32": "F32", "float64": "F64", "int64": "I64", "uint8": "U8"}
    for name in sorted(tensors):
        line = json.dumps([name, names[str(tensors[name].dtype)], list(tensors[name].shape)], separators=(",", ":"))
        content += line.encode() + b"\n" + tensors[name].tobytes()
    assert metadata["tidegate.sha256"] == sha256(content).hexdigest()


def test_a_file_without_a_sum_loads_and_info_and_verify_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Model.load(WITHOUT).sha256 is None
    for path, words in ((WITHOUT, "none, so damage may go unnoticed"), (tmp_path / "m.safetensors", "SHA-256")):
        tidegate.load(WITHOUT).save(tmp_path / "m.safetensors")
        assert cli.main(["info", str(path)]) == 0
        assert words in capsys.readouterr().out
        assert cli.main(["info", str(path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["sha256"] == Model.load(path).sha256
    assert cli.main(["verify", str(WITHOUT), "--weights", "bf16"]) == 0
    assert "the file has no SHA-256, so labels, vocabulary" in capsys.readouterr().out


def test_verify_refuses_labels_that_were_reversed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tidegate.load(WITHOUT).save(tmp_path / "m.safetensors")
    edit_document(tmp_path / "m.safetensors", lambda d, t: d["outputs"]["label"]["labels"].reverse())
    assert cli.main(["verify", str(tmp_path / "m.safetensors")]) == 2
    assert "is damaged, or was changed without its checksum" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name, (model, _) in CHANGES.items() if model == "classifier"])
def test_a_state_is_refused_by_a_model_of_other_labels_words_or_tokenizer(tmp_path: Path, name: str) -> None:
    path = tmp_path / "m.safetensors"
    document, tensors = MODELS["with_empty_check"](MODELS["classifier"]())
    stream = tidegate.runtime.Predictor(Model(document, tensors)).stream()
    stream.push("the gate opens, the wat")
    state = stream.state.to_bytes()
    other = json.loads(json.dumps(document))
    tensors = {name: np.array(v) for name, v in tensors.items()}
    CHANGES[name][1](other, tensors)
    Model(other, tensors).save(path)
    with pytest.raises(TidegateError, match="a model with other weights"):
        tidegate.load(path).pool().restore(0, State.from_bytes(state))


def test_a_model_copied_over_a_file_in_use_changes_neither_answers_nor_states(tmp_path: Path) -> None:
    from tidegate.verify.samples import sample

    path, other = tmp_path / "m.safetensors", tmp_path / "other.safetensors"
    for place, seed in ((path, 1), (other, 2)):
        large = sample(seed=seed, features=4, size=1200)
        Model(*MODELS["with_empty_check"]((large.document, dict(large.tensors)))).save(place)
    assert path.stat().st_size > 16 << 20
    used, expected = tidegate.load(path), tidegate.load(path)
    stream, twin = used.stream(), expected.stream()
    before = twin.push([1.0, 2.0, 3.0, 4.0]), twin.state.weights_hash
    with open(path, "r+b") as file:  # in place, as cp does it
        file.write(other.read_bytes())
        file.truncate(other.stat().st_size // 2)
    after = stream.push([1.0, 2.0, 3.0, 4.0]), stream.state.weights_hash
    assert (after[0].values.tolist(), after[1]) == (before[0].values.tolist(), before[1])
    with pytest.raises(ModelFileError):
        tidegate.load(path)


def test_a_pickled_model_keeps_the_sum_of_its_file(file: Path) -> None:
    model = Model.load(file)
    assert model.sha256 is not None
    assert pickle.loads(pickle.dumps(model)).sha256 == model.sha256
