"""Modules that torch traces, exports, scripts and compiles: right outputs for any number of steps, or an error."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.utils import rnn
from transformed_modules import MODULES, assert_near, longer_input, make_module, make_reference, random_input

from tidegate import nn
from tidegate.errors import ModuleError, WrongShape

Tensor = torch.Tensor
ALL = pytest.mark.parametrize("name", MODULES)
FROZEN = {"GRU before", "GRU replace, both ways", "GRU norm", "LSTM peepholes", "MinGRU"}
UNSCRIPTED = set(MODULES) - {"Scale"}
SOME = pytest.mark.parametrize("name", ["GRU", "MinGRU", "LSTM peepholes", "GRUCell", "Scale"])  # for slow tests
pytestmark = pytest.mark.filterwarnings(
    "ignore:LSTM with projections",
    "ignore:.*torch.jit",
    "ignore:You are using the legacy",
    "ignore:The feature will be removed",
    "ignore:Exporting a model to ONNX with a batch_size",
    "ignore:The .grad attribute of a Tensor that is not a leaf",
)


def trace(module: Any, x: Tensor) -> Callable[[Tensor], Tensor]:
    return torch.jit.trace(module, x)


def export_to_onnxruntime(module: Any, x: Tensor, dynamo: bool) -> Callable[[Tensor], Tensor]:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    file = io.BytesIO()
    if dynamo:
        pytest.importorskip("onnxscript")
        torch.onnx.export(module, (x,), file, dynamo=True, input_names=["x"])
    else:
        axes = {"x": {axis: f"axis{axis}" for axis in range(x.dim() - 1)}}
        torch.onnx.export(module, (x,), file, dynamo=False, input_names=["x"], dynamic_axes=axes)
    session = runtime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    return lambda x: torch.from_numpy(session.run(None, {"x": x.numpy()})[0])


@ALL
def test_a_trace_gives_right_outputs_for_any_number_of_steps_or_is_refused(name):
    module, x = make_module(name), longer_input(name)
    if name in FROZEN:
        with pytest.raises(ModuleError, match=r"cannot be traced: the number of steps.*tidegate.from_torch"):
            trace(module, random_input(name))
        return
    found = trace(module, random_input(name))
    assert_near(found(x), make_reference(module)(x.double()))
    file = io.BytesIO()
    torch.jit.save(found, file)
    file.seek(0)
    assert_near(torch.jit.load(file)(x), make_reference(module)(x.double()))


@ALL
def test_an_onnx_graph_of_a_trace_gives_right_outputs_for_any_number_of_steps_or_is_refused(name):
    module, x = make_module(name).eval(), longer_input(name)
    if name in FROZEN:
        with pytest.raises(ModuleError, match="cannot be traced: the number of steps"):
            export_to_onnxruntime(module, random_input(name), dynamo=False)
    elif name == "LSTM projected":
        with pytest.raises(torch.onnx.errors.SymbolicValueError, match="LSTMs with projections"):
            export_to_onnxruntime(module, random_input(name), dynamo=False)
    else:
        assert_near(
            export_to_onnxruntime(module, random_input(name), dynamo=False)(x), make_reference(module)(x.double())
        )


@ALL
def test_an_onnx_graph_of_an_export_refuses_other_numbers_of_steps(name):
    module, x = make_module(name).eval(), random_input(name, seed=4)
    run = export_to_onnxruntime(module, random_input(name), dynamo=True)
    assert_near(run(x), make_reference(module)(x.double()))
    with pytest.raises(Exception, match="(?i)dimension"):
        run(longer_input(name))


def test_an_initial_state_of_another_shape_cannot_be_traced():
    module = nn.GRU(3, 2)
    with pytest.raises(WrongShape, match=r"Expected hidden size \(1, 3, 2\), got \(1, 2, 3\)"):
        torch.jit.trace(module, (random_input("GRU", rows=3), torch.zeros(1, 2, 3)))
    with pytest.raises(WrongShape, match="Expected 3, got 4"):
        torch.jit.trace(module, torch.zeros(2, 2, 4))


def test_packed_rows_cannot_be_traced():
    packed = rnn.pack_padded_sequence(random_input("GRU"), [2, 1])
    with pytest.raises(ModuleError, match="GRU cannot be traced: the number of steps and rows"):
        torch.jit.trace(lambda data: nn.GRU(3, 2)(rnn.PackedSequence(data, packed.batch_sizes))[1], packed.data)


@ALL
def test_a_module_is_scripted_or_says_that_it_cannot_be(name):
    module, x = make_module(name).part, longer_input(name)
    if name in UNSCRIPTED:
        with pytest.raises(ModuleError, match="cannot be scripted: TorchScript cannot read its equations"):
            torch.jit.script(module)
    else:
        assert_near(torch.jit.script(module)(x), make_reference(module)(x.double()))


@SOME
def test_an_export_equals_the_reference_and_refuses_other_numbers_of_steps(name):
    module, x = make_module(name), random_input(name, seed=4)
    run = torch.export.export(module, (random_input(name),)).module()
    assert_near(run(x), make_reference(module)(x.double()))
    with pytest.raises(AssertionError, match="Guard failed"):
        run(longer_input(name))


def compile_module(module: Any, whole: bool) -> Any:
    torch._dynamo.reset()
    return torch.compile(module, backend="eager", fullgraph=whole)


@SOME
def test_a_compiled_module_has_the_bits_of_one_that_is_not(name):
    module = make_module(name)
    run = compile_module(module, whole=False)
    for x in (random_input(name), longer_input(name)):
        torch.testing.assert_close(run(x), module(x), rtol=0, atol=1e-6 if "Cell" in name else 0)


@SOME
def test_a_graph_without_breaks_names_the_attribute_to_set_and_is_right_with_it(name):
    module, x = make_module(name), random_input(name)
    recurrent = [part for part in module.modules() if hasattr(part, "native")]
    if recurrent:
        with pytest.raises(torch._dynamo.exc.Unsupported, match="set native = False on each recurrent module"):
            compile_module(module, whole=True)(x)
    for part in recurrent:
        part.native = False
    assert_near(compile_module(module, whole=True)(x), make_reference(module)(x.double()))


def test_a_network_cannot_be_traced_or_scripted():
    from tidegate.verify.samples import sample

    model = sample(features=3, size=4)
    network = nn.Network(model.layers)
    with pytest.raises(ModuleError, match="Network cannot be traced: the lengths of the example"):
        torch.jit.trace(network, (random_input("GRU"), torch.tensor([2, 1])))
    with pytest.raises(ModuleError, match="Network cannot be scripted"):
        torch.jit.script(network)
