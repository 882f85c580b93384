"""The exported C as users see it: it compiles without warnings, has the right layout, and refuses what is wrong."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate
from tidegate.atomic import lock
from tidegate.errors import ModelFileError, OptionError, TidegateError
from tidegate.formats import ExpectedValues, names, write
from tidegate.formats.c import export, generate_code, report
from tidegate.layers import Builder
from tidegate.model import Model
from tidegate.runtime import compile
from tidegate.tape import trace
from tidegate.verify import attach
from tidegate.verify.c_target import build_library, find_compiler
from tidegate.verify.replay import Replay
from tidegate.verify.samples import build_model, sample

COMMAND = find_compiler()
needs_compiler = pytest.mark.skipif(COMMAND is None, reason="no C compiler here")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
CLANG = [sys.executable, "-m", "ziglang", "cc"] if importlib.util.find_spec("ziglang") else ["clang"]
EVERYTHING: dict[str, Any] = {
    "size": 6,
    "over": ("last", "mean", "max", "attention"),
    "norm": True,
    "dense": "sigmoid",
    "conv": 3,
    "cell": "lstm",
    "dialect": {"norm": "layer", "projection": "yes", "peepholes": "yes"},
    "depth": 2,
    "outputs": 3,
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write intent.c and intent.h of a model with every kind of layer."""
    folder = tmp_path_factory.mktemp("written")
    tidegate.export(attach(sample(seed=2, **EVERYTHING)), "c", folder / "intent.c")
    return folder


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


@needs_compiler
@pytest.mark.parametrize("flags", [["-O0"], ["-O3"], ["-O2", "-DINTENT_SELF_TEST"]], ids=" ".join)
@pytest.mark.parametrize("command", [["gcc"], CLANG], ids=["gcc", "clang"])
def test_it_compiles_without_a_warning(written: Path, command: list[str], flags: list[str]) -> None:
    if not shutil.which(command[0]):
        pytest.skip(f"no {command[0]} here")
    done = run(written, *command, *STRICT, *flags, "-c", "intent.c", "-o", "intent.o")
    assert (done.returncode, done.stderr) == (0, "")


@needs_compiler
@pytest.mark.parametrize(
    ("command", "flag"),
    [
        *((command, flag) for command in (["gcc"], CLANG) for flag in ("-ffast-math", "-ffinite-math-only")),
        (["gcc"], "-funsafe-math-optimizations"),
    ],
)
def test_what_changes_its_arithmetic_is_refused(written: Path, command: list[str], flag: str) -> None:
    if not shutil.which(command[0]):
        pytest.skip(f"no {command[0]} here")
    if flag.startswith("-funsafe") and "clang" in run(written, *command, "--version").stdout:
        pytest.skip("clang does not let the code know of this flag")
    done = run(written, *command, "-std=c99", "-O2", flag, "-c", "intent.c", "-o", "fast.o")
    assert done.returncode != 0
    assert "-ffast-math and its parts change what this file computes" in done.stderr


@needs_compiler
def test_it_neither_allocates_nor_keeps_anything(written: Path) -> None:
    assert COMMAND is not None
    if sys.platform != "linux" or not shutil.which("nm"):
        pytest.skip("no nm of Linux here")
    assert run(written, *COMMAND, *STRICT, "-O2", "-c", "intent.c", "-o", "kept.o").returncode == 0
    symbols = [line.split() for line in run(written, "nm", "kept.o").stdout.splitlines()]
    assert {words[-1] for words in symbols if words[-2] == "U"} <= {"sqrtf", "memset", "memcpy", "memmove"}
    assert [words for words in symbols if words[-2] in "bBC"] == []  # no writable data
    assert {words[-1] for words in symbols if words[-2] in "dD"} <= {"intent_labels"}


@needs_compiler
@pytest.mark.parametrize("level", ["-O0", "-O3"])
def test_the_stack_is_what_the_header_says(written: Path, level: str) -> None:
    if not shutil.which("gcc"):
        pytest.skip("no gcc here")
    done = run(written, "gcc", "-std=c99", level, "-fstack-usage", "-c", "intent.c", "-o", "stack.o")
    assert done.returncode == 0, done.stderr
    used = {}
    for line in (written / "stack.su").read_text("utf-8").splitlines():
        place, count, kind = line.split("\t")
        assert kind in ("static", "dynamic,bounded")
        used[place.rsplit(":", 1)[1]] = int(count)
    stated = int(constants(written / "intent.h")["INTENT_STACK_BYTES"])
    layers = {name for name in used if re.match(r"[a-z]+_\d", name)}
    layer = max((used[name] for name in layers), default=0)
    leaf = max((n for name, n in used.items() if name not in layers and not name.startswith("intent")), default=0)
    assert stated <= used["intent_step"] + layer + leaf <= stated + 1024


def constants(header: Path) -> dict[str, str]:
    return dict(re.findall(r"^#define (\w+) (\S+)", header.read_text("utf-8"), re.MULTILINE))


def test_the_header_tells_the_files_figures(written: Path) -> None:
    model, found = attach(sample(seed=2, **EVERYTHING)), constants(written / "intent.h")
    assert found["INTENT_STATE_BYTES"] == str(model.state_bytes)
    assert found["INTENT_WEIGHTS_HASH"] == f'"{model.weights_hash}"'
    assert found["INTENT_SCHEMA_HASH"] == f'"{model.schema_hash}"'
    assert (found["INTENT_IDS"], found["INTENT_OUTPUTS"]) == (str(model.document["inputs"]["x"]["size"]), "3")
    figures = report(model, [str(written / "intent.c")])
    assert found["INTENT_WEIGHT_BYTES"] == str(figures["weights_bytes"])
    assert figures["state_bytes"] == model.state_bytes


@needs_compiler
def test_the_header_is_read_by_cplusplus(written: Path) -> None:
    if not shutil.which("g++") or not shutil.which("gcc"):
        pytest.skip("no gcc and g++ here")
    (written / "main.cc").write_text(
        '#include "intent.h"\n#include <cstring>\n'
        "int main() {\n  intent_state state;\n  float out[INTENT_OUTPUTS];\n"
        "  if (intent_init(&state) || intent_step(&state, 3, out)) return 1;\n"
        '  return std::strcmp(intent_labels[2], "label 2");\n}\n'
    )
    assert run(written, "gcc", "-std=c99", "-c", "intent.c", "-o", "plain.o").returncode == 0
    done = run(written, "g++", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "main.cc", "plain.o", "-lm", "-o", "main")
    assert (done.returncode, done.stderr) == (0, "")
    assert run(written, "./main").returncode == 0


@needs_compiler
def test_the_self_test_passes_and_finds_another_weight(written: Path, tmp_path: Path) -> None:
    assert COMMAND is not None
    text = (written / "intent.c").read_text("utf-8")
    (tmp_path / "intent.h").write_bytes((written / "intent.h").read_bytes())
    for change, code_expected in (("", 0), ("0.25f + ", 1)):
        changed = text.replace("float sum = b[j];", f"float sum = {change}b[j];")
        (tmp_path / "intent.c").write_text(changed, "utf-8")
        done = run(tmp_path, *COMMAND, *STRICT, "-O2", "-DINTENT_SELF_TEST", "intent.c", "-lm", "-o", "test")
        assert (done.returncode, done.stderr) == (0, "")
        found = run(tmp_path, "./test")
        assert found.returncode == code_expected
        assert len(found.stdout.splitlines()) == 2
        assert ("over their bounds" in found.stdout) == bool(code_expected)


@needs_compiler
def test_wrong_arguments_are_refused_and_nothing_changes() -> None:
    assert COMMAND is not None
    model = sample(seed=1, size=4)
    V = model.document["inputs"]["x"]["size"]
    with build_library(model, COMMAND) as built:
        state, out = np.arange(model.state_bytes // 8), np.full(5, 7, np.float32)
        before = state.copy()
        for id_, status in ((-1, 2), (V, 2), (2**31 - 1, 2), (-(2**31), 2)):
            assert built.step(state.ctypes.data, id_, out.ctypes.data) == status
        assert built.step(None, 0, out.ctypes.data) == built.step(state.ctypes.data, 0, None) == 1
        assert (state == before).all()
        assert (out == 7).all()
        assert built.step(state.ctypes.data, V - 1, out.ctypes.data) == 0


@needs_compiler
@pytest.mark.parametrize("options", [{"features": 3, "over": ("max", "mean")}, {"cell": "lstm", "depth": 2, "conv": 2}])
def test_a_state_moves_between_c_and_the_engine(options: dict[str, Any]) -> None:
    assert COMMAND is not None
    model = attach(sample(seed=3, size=7, **options))
    replay, engine = Replay(model), compile(model, "base")
    x, out = replay.x[1][:9], np.empty(engine.outputs, np.float32)
    with build_library(model, COMMAND) as built:
        block = replay.initial_state[0].copy()
        for k in range(9):  # two states in turn
            value = x[k : k + 1] if x.ndim == 1 else x[k]
            if k % 2:
                engine.step(value, block, out)
            else:
                out, block = built.run(block, x[k : k + 1])
        expected = built.run(replay.initial_state[0], x)
    assert block.tobytes() == expected[1].tobytes()
    assert out.tobytes() == expected[0].tobytes()


@needs_compiler
def test_large_tables_by_address_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    from tidegate.verify import c_target

    assert COMMAND is not None
    replay, found = Replay(attach(sample(seed=3, size=12))), []
    for largest in (1 << 17, 20):
        monkeypatch.setattr(c_target, "LARGEST", largest)
        with build_library(replay.model, COMMAND) as built:
            assert bool(built.tables) == (largest == 20)
            found.append([v.tobytes() for x in replay.x for v in built.run(replay.initial_state[0], x)])
    assert found[0] == found[1]


def test_a_hostile_file_stays_data(tmp_path: Path) -> None:
    model = attach(sample(seed=1, size=4, outputs=2))
    document = model.document
    document["graphs"]["layers"]["nodes"][1] |= {
        "cell": '*/ int main(void) { puts("??/"); } /*',
        "dialect": {"a\n": "\\\n#error"},
    }
    document["outputs"]["label"]["labels"] = ['"; int x; //', "*/ ??= %s \n#error"]
    document["task"]["kind"] = "classify"
    made = Model(document, model.tensors)
    if COMMAND is None:
        pytest.skip("no C compiler here")
    with build_library(made, COMMAND, *STRICT, "-trigraphs") as built:
        assert built.outputs == 2
    tidegate.export(made, "c", tmp_path / "a.c")
    assert "\n#error" not in re.sub(r"\n#error \"(-ffast|floats)", "", (tmp_path / "a.c").read_text("utf-8"))


@needs_compiler
def test_letters_that_c_has_not() -> None:
    def step(op: Any, x: Any, R: Any, p: Any, s: Any) -> Any:
        h = op.tanh(x.ζ + x.u03b6 + R.größe(s.h) * p.ä)
        return h, s.replace(h=h)

    tape = trace(step, ("ζ", "u03b6"), ("größe",), {"h": ("H",)}, {"ä": ("H",)})
    builder = Builder(2)
    builder.tapes["own"] = tape
    builder.add("recurrent", size=4, tape="own", cell="własna", dialect={})
    model = build_model(builder.layers, 0, 2, None)
    assert COMMAND is not None
    with build_library(model, COMMAND, *STRICT) as built:
        output, _ = built.run(np.zeros(model.state_bytes, np.uint8), np.ones((2, 2), np.float32))
    assert 0 < abs(output).min() < 1


def test_a_model_of_whole_rows_is_refused_in_its_own_sentence(tmp_path: Path) -> None:
    model = attach(sample(features=3, size=4, direction="both"))
    with pytest.raises(ModelFileError, match="the layers have no step, because .*both directions; C code"):
        tidegate.export(model, "c", tmp_path / "a.c")
    assert list(tmp_path.iterdir()) == []


def test_what_is_asked_wrongly_is_refused(tmp_path: Path) -> None:
    model = attach(sample(features=2, size=2))
    with pytest.raises(OptionError, match="unknown format 'd'; choose one of c"):
        tidegate.export(model, "d", tmp_path / "a.c")
    with pytest.raises(OptionError, match="unknown option 'nmae'; c has name"):
        tidegate.export(model, "c", tmp_path / "a.c", nmae="a")
    with pytest.raises(OptionError, match=r"expected a path that ends with \.c"):
        tidegate.export(model, "c", tmp_path / "a.cpp")
    with pytest.raises(OptionError, match="expected a Model, a Predictor or the path"):
        tidegate.export(3, "c", tmp_path / "a.c")  # type: ignore[arg-type]
    (tmp_path / "a.h").write_text("mine")
    with pytest.raises(OptionError, match=r"a\.h already exists"):
        tidegate.export(model, "c", tmp_path / "a.c")
    assert (tmp_path / "a.h").read_text() == "mine"
    assert not (tmp_path / "a.c").exists()


@needs_compiler
@pytest.mark.parametrize("stem", ["a@labels@", "-x", "a b", "@source@"])
def test_a_name_in_a_comment_or_a_template_is_only_a_name(stem: str, tmp_path: Path) -> None:
    model = sample(features=2, size=2, outputs=2)
    model = Model({**model.document, "task": {"kind": "*/ @labels@ ??/", "options": {}}}, model.tensors)
    tidegate.export(attach(model), "c", tmp_path / f"{stem}.c", name="m")
    assert COMMAND is not None
    told = report(model, [f"{stem}.c", f"{stem}.h"], name="m")["self_test"].removeprefix("cc ")
    done = run(tmp_path, "sh", "-c", f"{' '.join(COMMAND)} {' '.join(STRICT)} -trigraphs {told}")
    assert (done.returncode, done.stderr, done.stdout.count("ok")) == (0, "", 2)
    assert f"{'./' * (stem[0] == '-')}{stem}.c -lm" in (tmp_path / f"{stem}.h").read_text()


@pytest.mark.parametrize("stem", ["a??=b", "a\udcff", 'a"b', "a\\b", "a\nb"])
def test_a_name_that_no_include_can_have_is_refused(stem: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="the .c includes the .h by this name"):
        tidegate.export(attach(sample(features=2, size=2)), "c", tmp_path / f"{stem}.c")
    assert list(tmp_path.iterdir()) == []


def test_an_export_replaces_an_export_and_no_other_file(tmp_path: Path) -> None:
    model = attach(sample(features=2, size=2))
    model.save(tmp_path / "m.c")
    (tmp_path / "a.c").write_text("mine")
    for force, out, said in ((False, "a.c", "is not C that tidegate export made"), (True, "m.c", "is an input")):
        with pytest.raises(OptionError, match=said):
            tidegate.export(tmp_path / "m.c", "c", tmp_path / out, force=force)
    assert (tmp_path / "a.c").read_text() == "mine"
    assert Model.load(tmp_path / "m.c").weights_hash == model.weights_hash
    tidegate.export(tmp_path / "m.c", "c", tmp_path / "a.c", force=True)
    assert "Made by tidegate" in (tmp_path / "a.c").read_text()


def test_one_export_at_a_time_writes_its_two_files(tmp_path: Path) -> None:
    with lock(tmp_path / "a.c"), pytest.raises(TidegateError, match="is writing it"):
        tidegate.export(attach(sample(features=2, size=2)), "c", tmp_path / "a.c")
    assert list(tmp_path.iterdir()) == []


@needs_compiler
@pytest.mark.parametrize(("machine", "advice"), [("i386", "-mfpmath=sse"), ("s390", "-fexcess-precision=fast")])
def test_where_floats_are_no_floats_the_advice_is_for_that_machine(
    written: Path, tmp_path: Path, machine: str, advice: str
) -> None:
    assert COMMAND is not None
    text = (written / "intent.c").read_text()
    (tmp_path / "a.c").write_text(text[text.index("#if FLT_EVAL_METHOD") : text.index("#if defined(__GNUC__)")])
    done = run(tmp_path, *COMMAND, "-E", "-DFLT_EVAL_METHOD=1", f"-D__{machine}__", "a.c")
    assert [option for option in ("-mfpmath=sse", "-fexcess-precision=fast") if option in done.stderr] == [advice]


def test_where_one_file_cannot_be_written_the_other_stays(tmp_path: Path) -> None:
    old, new = (attach(sample(seed=seed, features=2, size=2)) for seed in (1, 2))
    before = Path(tidegate.export(old, "c", tmp_path / "a.c")[0]).read_bytes()
    (tmp_path / "a.h").unlink()
    (tmp_path / "a.h").mkdir()
    with pytest.raises(TidegateError, match=r"a\.h: it is a folder"):
        tidegate.export(new, "c", tmp_path / "a.c")
    assert (tmp_path / "a.c").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.c", "a.h"]


def test_the_same_model_gives_the_same_text_and_may_be_written_again(tmp_path: Path) -> None:
    model = attach(sample(features=2, size=3))
    model.save(tmp_path / "m.safetensors")
    first = [Path(file).read_bytes() for file in tidegate.export(model, "c", tmp_path / "a.c")]
    again = tidegate.export(tidegate.load(tmp_path / "m.safetensors"), "c", tmp_path / "a.c")
    path = tidegate.export(tmp_path / "m.safetensors", "c", tmp_path / "a.c")
    assert again == path == [str(tmp_path / "a.c"), str(tmp_path / "a.h")]
    assert [Path(file).read_bytes() for file in path] == first


def test_without_answers_there_is_no_self_test(tmp_path: Path) -> None:
    model = attach(sample(features=2, size=3))
    assert "SELF_TEST" not in generate_code(model, "m", "m.h").c
    nothing = np.zeros(0)
    files = write(model, "c", tmp_path / "a.c", [ExpectedValues(nothing, nothing, nothing, nothing)] * 2, name="other")
    assert "#ifdef OTHER_SELF_TEST" in Path(files[0]).read_text("utf-8")
    assert export(model, str(tmp_path / "b.c")) == [str(tmp_path / "b.c"), str(tmp_path / "b.h")]


def test_c_is_a_format() -> None:
    assert "c" in names()


@needs_compiler
def test_the_program_in_the_docs_runs(root: Path, tmp_path: Path) -> None:
    assert COMMAND is not None
    (program,) = re.findall(r"```c\n(.*?)```", (root / "docs" / "export.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "main.c").write_text(program, "utf-8")
    tidegate.export(attach(sample(features=3, size=4, outputs=2)), "c", tmp_path / "chat.c")
    done = run(tmp_path, *COMMAND, *STRICT, "-O2", "main.c", "chat.c", "-lm", "-o", "main")
    assert (done.returncode, done.stderr) == (0, "")
    assert 0 < float(run(tmp_path, "./main").stdout) < 1
