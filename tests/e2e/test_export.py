"""tidegate export: from a fitted model to a C program that answers as the model does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from intents import SMALL

from tidegate import load
from tidegate.reference import Reference

Run = Callable[..., CompletedProcess[str]]

PROGRAM = """\
#include <stdio.h>
#include <stdlib.h>
#include "chat.h"

int main(int count, char **words) {
  chat_state state;
  float scores[CHAT_OUTPUTS];
  int best = 0;
  chat_init(&state);
  for (int i = 1; i < count; ++i)
    if (chat_step(&state, (int32_t)atoi(words[i]), scores) != CHAT_OK) return 1;
  for (int i = 1; i < CHAT_OUTPUTS; ++i)
    if (scores[i] > scores[best]) best = i;
  printf("%s %.9g\\n", chat_labels[best], scores[best]);
  return 0;
}
"""


@pytest.fixture(scope="module")
def plain(fitted: Any, tidegate: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose steps have one id: without n-grams."""
    model = tmp_path_factory.mktemp("plain") / "intent.safetensors"
    more = ("--linear", "off", "--subwords", "0", "--out", model)
    done = tidegate("fit", "classify", fitted.train, *SMALL, *more)
    assert done.returncode == 0, done.stderr
    return model


def test_c_answers_as_the_model_does(plain: Path, tidegate: Run, tidegate_without_torch: Run, tmp_path: Path) -> None:
    if not (cc := shutil.which("cc")):
        pytest.skip("no C compiler here")
    model = tmp_path / "intent.safetensors"
    shutil.copy(plain, model)
    done = tidegate_without_torch(
        "export", model, "--to", "c", "--name", "chat", "--out", tmp_path / "chat.c", "--json"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["files"] == [str(tmp_path / "chat.c"), str(tmp_path / "chat.h")]
    test = subprocess.run(told["self_test"], shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (test.returncode, test.stdout.count("ok")) == (0, 2), test.stdout + test.stderr
    (tmp_path / "main.c").write_text(PROGRAM)
    command = [cc, "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "main.c", "chat.c", "-lm", "-o", "chat"]
    subprocess.run(command, cwd=tmp_path, check=True)
    text = "send 7.50 to my landlord"
    label, score = answer(model, text, tmp_path)
    said = json.loads(tidegate("predict", model, "--message", text, "--json").stdout)
    assert label == said["label"]
    assert score == pytest.approx(said["score"], abs=1e-5)


def answer(model: Path, text: str, folder: Path) -> tuple[str, float]:
    """What the C program says to the ids of a text."""
    ids = map(str, ids_of(load(model), text))
    done = subprocess.run([str(folder / "chat"), *ids], capture_output=True, text=True, check=True)
    label, _, score = done.stdout.rpartition(" ")
    return label, float(score)


def ids_of(predictor: Any, text: str) -> list[int]:
    from tidegate.features.text import Tokenizer
    from tidegate.features.vocabulary import Vocabulary

    entry, tensors = predictor.model.document["inputs"]["x"], predictor.model.tensors
    vocabulary = Vocabulary(*(tensors[entry["vocabulary"][key]] for key in ("bytes", "offsets")))
    return vocabulary.ids(Tokenizer.from_json(entry["tokenizer"]).tokens(text.encode())).tolist()


def test_verify_counts_the_c_among_its_targets(fitted: Any, tidegate: Run) -> None:
    done = tidegate("verify", fitted.model, "--json")
    assert done.returncode == 0
    (found,) = [target for target in json.loads(done.stdout)["targets"] if target["target"] == "c"]
    assert found["ok"]
    assert found["ran"] == (shutil.which("cc") is not None)


def test_the_files_lie_beside_the_model(fitted: Any, tidegate: Run, tmp_path: Path) -> None:
    shutil.copy(fitted.model, tmp_path / "my intent.safetensors")
    done = tidegate("export", tmp_path / "my intent.safetensors", "--to", "c")
    assert done.returncode == 0
    assert "my intent.c" in done.stdout
    assert "-DMY_INTENT_SELF_TEST" in done.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my intent.c", "my intent.h", "my intent.safetensors"]


def test_the_python_in_the_docs_runs(
    plain: Path, tidegate: Run, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ids are those that the C program is given; the graph says of each row what the model says of its ids."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    shutil.copy(plain, tmp_path / "intent.safetensors")
    assert tidegate("export", tmp_path / "intent.safetensors", "--to", "onnx").returncode == 0
    tokens, graph = re.findall(r"```python\n(.*?)```", (root / "docs" / "export.md").read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(tokens, "docs/export.md", "exec"), names)
    model = load(plain).model
    assert names["ids"].tolist() == ids_of(load(plain), "what's my balance")
    exec(compile(graph, "docs/export.md", "exec"), names)
    reference = Reference(model)
    for row, ids in enumerate(([3, 14, 9], [5])):
        y, last = reference.run(np.array(ids)[:, None])
        assert np.abs(names["found"]["output"][row] - y[-1, 0]).max() < 1e-5
        assert names["labels"][row] == model.labels[y[-1, 0].argmax()]
        assert all(np.abs(names["state"][name][row] - v[0]).max() < 1e-4 for name, v in last.items())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "c", "--name", "3"], "expected a C identifier"),
        (["--to", "c", "--mode", "step"], "unknown option 'mode'; c has name"),
        (["--to", "c", "--out", "a.cpp"], "ends with .c"),
        (["--to", "fortran"], "choose from"),
        ([], "--to"),
    ],
)
def test_bad_input_is_one_line(fitted: Any, tidegate: Run, arguments: list[str], said: str) -> None:
    done = tidegate("export", fitted.model, *arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
