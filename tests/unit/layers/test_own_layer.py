"""A layer of a user's own: its file is read or refused in one sentence, and the model file carries it from there."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest

from tidegate import _native, cells, files, layers
from tidegate.errors import CellError
from tidegate.layers.program import DECLARED, load_file
from tidegate.model import Model
from tidegate.reference import Reference
from tidegate.runtime import load
from tidegate.runtime.engine import compile
from tidegate.runtime.state import make_initial
from tidegate.tape import NumpyOps

MODELS = runpy.run_path(str(Path(__file__).parents[2] / "golden" / "models.py"))
SURPRISE = Path(__file__).parents[3] / "examples" / "surprise.py"
STEP = "def step(xp, t, s, x, steps):\n    return x, {}\n"
VALID = "TENSORS, STATE = {'weight': (4, 4)}, {}\n" + STEP

WRONG: list[tuple[str, str]] = [
    ("STATE = {}\n", "step is missing; a layer declares STATE and step, and TENSORS if it has any"),
    (STEP, "STATE is missing; a layer declares STATE and step, and TENSORS if it has any"),
    ("STATE = {}\nstep = 3\n", "the step does not run: TypeError: 'int' object is not callable"),
    ("STATE = {}\ndef step(xp, t, s, x, steps:\n", "the file does not run: SyntaxError: "),
    ("STATE = {}\nimport no_such_module\n", "the file does not run: ModuleNotFoundError: No module named"),
    ("STATE = {}\n1 / 0\n", "the file does not run: ZeroDivisionError: division by zero"),
    ("STATE = 3\n" + STEP, "STATE is 3; expected a dict, such as {'weight': (8, 8)}, or a function"),
    ("STATE = [('h', (3,))]\n" + STEP, "STATE is [('h', (3,))]; expected a dict"),
    ("STATE = {'h': 3}\n" + STEP, "STATE gives 'h' the shape 3; expected 1 to 4 whole numbers from 1 on"),
    ("STATE = {'h': ()}\n" + STEP, "STATE gives 'h' the shape ()"),
    ("STATE = {'h': (0,)}\n" + STEP, "STATE gives 'h' the shape (0,)"),
    ("STATE = {'h': (2.0,)}\n" + STEP, "STATE gives 'h' the shape (2.0,)"),
    ("STATE = {'h': ('H',)}\n" + STEP, "STATE gives 'h' the shape ('H',)"),
    ("STATE = {'h': (1, 1, 1, 1, 1)}\n" + STEP, "STATE gives 'h' the shape (1, 1, 1, 1, 1)"),
    ("STATE = {'no name': (1,)}\n" + STEP, "states: 'no name' is not a name"),
    ("STATE = {1: (1,)}\n" + STEP, "state: has the argument 1; expected a name"),
    ("STATE = lambda: {}\n" + STEP, "STATE does not run: TypeError"),
    ("STATE = lambda width: width / 0\n" + STEP, "STATE does not run: ZeroDivisionError: division by zero"),
    ("STATE = lambda width: None\n" + STEP, "STATE is None; expected a dict"),
    ("STATE, TENSORS = {}, {'weight': (4, -4)}\n" + STEP, "TENSORS gives 'weight' the shape (4, -4)"),
    ("STATE, TENSORS = {}, {'a weight': (4,)}\n" + STEP, "tensors: 'a weight' is not a name"),
    ("STATE, TENSORS = {}, {7: (4,)}\n" + STEP, "tensors: "),
    ("STATE, TENSORS = {}, lambda w: {'weight': w}\n" + STEP, "TENSORS gives 'weight' the shape 4"),
    (VALID + "USES = {'bias': 'matrix'}\n", "roles has 'bias': 'matrix'; expected a tensor of the program"),
    (VALID + "USES = {'weight': 'tensor'}\n", "roles has 'weight': 'tensor'; expected a tensor of the program"),
    (VALID + "USES = ['weight']\n", "USES is ['weight']; expected a dict"),
    (VALID + "INIT = {'bias': 1.0}\n", "start has 'bias': 1.0; expected a tensor of the program and a float32"),
    (VALID + "INIT = {'weight': 'one'}\n", "INIT gives 'weight' the value one; expected a number that fits float32"),
    (VALID + "INIT = {'weight': None}\n", "INIT gives 'weight' the value None; expected a number"),
    (VALID + "INIT = {'weight': [1.0]}\n", "INIT gives 'weight' the value [1.0]; expected a number"),
    (VALID + "INIT = {'weight': 1e39}\n", "INIT gives 'weight' the value 1e+39; expected a number that fits float32"),
    (VALID + "INIT = {'weight': float('nan')}\n", "INIT gives 'weight' the value nan"),
    ("STATE = {}\ndef step(xp, t, s, x, steps):\n    return (x if x > 0 else -x), {}\n", "a step cannot branch"),
    ("STATE = {}\ndef step(xp, t, s, x):\n    return x, {}\n", "the step does not run: TypeError"),
    ("STATE = {}\ndef step(xp, t, s, x, steps):\n    return x\n", "a step returns two values: its output and a dict"),
    ("STATE = {'h': (4,)}\n" + STEP, "the next states are []; expected ['h']"),
    ("STATE = {}\ndef step(xp, t, s, x, steps):\n    return x.reshape(2, 2), {}\n", "must keep the axis of rows"),
    ("STATE = {}\ndef step(xp, t, s, x, steps):\n    return xp.cos(x), {}\n", "unknown operation 'cos'"),
    ("STATE = {}\ndef step(xp, t, s, x, steps):\n    return 1.0, {}\n", "the output"),
]


@pytest.mark.parametrize(("source", "sentence"), WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_a_wrong_file_is_refused_in_one_sentence(tmp_path: Path, source: str, sentence: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(source)
    with pytest.raises(CellError) as caught:
        load_file(str(path), 4)
    found = str(caught.value)
    assert found.startswith(f"{path}: ")
    assert sentence in found
    assert "\n" not in found


def test_a_file_that_cannot_be_read_and_a_name_that_is_too_long_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CellError, match=re.escape(f"{tmp_path / 'none.py'}: ")):
        load_file(str(tmp_path / "none.py"), 4)
    path = tmp_path / ("a" * 65 + ".py")
    path.write_text(VALID)
    with pytest.raises(CellError, match="expected 1 to 64 printable characters"):
        load_file(str(path), 4)


def test_declarations_may_be_left_out_or_depend_on_the_width(tmp_path: Path) -> None:
    path = tmp_path / "plain.py"
    path.write_text("STATE = {}\n" + STEP)
    node = load_file(str(path), 4)
    assert (node["inputs"], node["name"], node["roles"], node["start"]) == (4, "plain", {}, {})
    path.write_text("STATE = {}\nTENSORS = lambda width: {'w': (width, 2)}\n" + STEP)
    assert load_file(str(path), 5)["program"]["tensors"] == {"w": [5, 2]}


def test_the_example_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "surprise.py"
    shutil.copy(SURPRISE, path)
    builder = layers.Builder(3)
    builder.recurrence(cells.load("gru"), 6)
    layer = builder.add("program", **load_file(str(path), 6))
    builder.add("pool", over=["mean"])
    path.unlink()
    assert (layer.width, layer.kind, layer.describe()) == (6, "program", "surprise 6 -> 6")
    assert [layer.use(role) for role in ("weight", "bias", "rate")] == ["matrix", "vector", "vector"]
    tensors = layers.init_weights(np.random.default_rng(0), builder.layers, {})
    np.testing.assert_array_equal(tensors["layers.1.bias"], np.ones(6))
    np.testing.assert_array_equal(tensors["layers.1.rate"], [-2.0])


def test_the_model_file_carries_the_example_and_streams_it(tmp_path: Path) -> None:
    model = Model(*MODELS["with_empty_check"](MODELS["attentive"]()))
    model.save(tmp_path / "model.safetensors")
    loaded = Model.load(tmp_path / "model.safetensors")
    assert loaded.document == model.document
    assert loaded.layers[3] == model.layers[3]
    assert loaded.layers[3].program == model.layers[3].program
    assert json.loads(json.dumps(loaded.layers[3].to_json())) == loaded.layers[3].to_json()
    x = np.random.default_rng(0).normal(size=(9, 1, 3)).astype(np.float32)
    right = Reference(loaded).run(x)[0][:, 0]
    for target in _native.targets():
        for fused in (True, False):
            engine = compile(loaded, target, fused)
            state, out = make_initial(loaded.state_schema, loaded.state_bytes), np.zeros(2, np.float32)
            for t in range(9):
                engine.step(x[t, 0], state, out)
                np.testing.assert_allclose(out, right[t], rtol=1e-5, atol=1e-5)
    stream = load(tmp_path / "model.safetensors").stream()
    answers = [stream.push(step) for step in x]
    np.testing.assert_allclose(answers[-1].values, right[-1], rtol=1e-5, atol=1e-5)


def test_the_example_has_every_declaration() -> None:
    module = files.run(SURPRISE, CellError)
    assert set(DECLARED) <= set(vars(module))


def test_states_and_rows_follow_the_equation() -> None:
    layer = layers.parse("program", load_file(str(SURPRISE), 4), 4, {})
    rng = np.random.default_rng(2)
    t = {role: rng.normal(size=shape) for role, shape in layer.shapes().items()}
    x = rng.normal(size=(7, 3, 4))
    found, mean, rate = layer.whole(NumpyOps, t, list(x)), np.zeros((3, 4)), 1 / (1 + np.exp(-t["rate"]))
    for k in range(7):
        difference = x[k] - mean
        right = x[k] / (1 + np.exp(-(difference @ t["weight"].T + t["bias"])))
        np.testing.assert_allclose(found[k], right, atol=1e-13)
        mean = mean + rate * difference
