"""What torch does to a module beside running it: function transforms, compilation, tracing; and what runs then.

Kernels and autograd functions know none of these. Under a transform the tape runs, of whose operations torch knows
all; what could only be recorded wrongly is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn

import torch

from ..errors import ModuleError

GRADIENT: Final = torch._C._functorch.TransformType.Grad
is_exporting: Callable[[], bool] = getattr(torch.compiler, "is_exporting", lambda: False)  # older torch has it not
EXPORT_HINT: Final = (
    'tidegate.from_torch(module) and tidegate.export(model, "onnx", "model.onnx") write a graph of any number of steps'
)


RUN_DISABLED: Final[list[Callable[..., Any]]] = []  # made once; torch.compile would look behind functools.cache


def is_transformed() -> bool:
    """Whether a transform is at work that an autograd function without rules of its own does not know: vmap, jvp and
    what is made of them, forward-mode gradients, functionalisation. torch.func's grad and vjp are none of these.
    """
    if torch.autograd.forward_ad._current_level >= 0:
        return True
    levels = torch._C._functorch.get_interpreter_stack()
    return bool(levels) and any(level.key() != GRADIENT for level in levels)


def is_compiling() -> bool:
    """Whether torch.compile is at work; torch.export is not meant."""
    return torch.compiler.is_compiling() and not is_exporting()


def needs_tape() -> bool:
    """Whether the tape alone may run, step by step."""
    return is_compiling() or (not torch.compiler.is_compiling() and is_transformed())


def needs_torch_ops() -> bool:
    """Whether torch records operations or gives them another meaning, so that it has to see its own alone."""
    if torch.compiler.is_compiling():
        return True
    return is_jit_tracing() or torch._C._len_torch_dispatch_stack() > 0 or is_transformed()


def is_jit_tracing() -> bool:
    """Whether torch.jit.trace, or torch.onnx.export by way of it, records what is done for one example."""
    return not torch.compiler.is_compiling() and bool(torch._C._is_tracing())


def refuse(module: Any, what: str, why: str) -> NoReturn:
    raise ModuleError(f"{type(module).__name__} cannot be {what}: {why}; {EXPORT_HINT}")


class NotScriptable(torch.nn.Module):
    """A module that torch.jit.script refuses in a sentence."""

    def __prepare_scriptable__(self) -> Any:
        refuse(self, "scripted", "TorchScript cannot read its equations")


def run_outside_graph(module: Any, *args: Any) -> Any:
    """What the module's forward gives, run outside of a graph that torch.compile makes."""
    if not RUN_DISABLED:
        RUN_DISABLED.append(torch.compiler.disable(lambda module, *args: module.forward(*args)))  # type: ignore[no-untyped-call]
    return RUN_DISABLED[0](module, *args)


# What torch.compiler.disable puts on a function; that itself would take seconds to import.
run_outside_graph._torchdynamo_disable = True  # type: ignore[attr-defined]
run_outside_graph._torchdynamo_disable_msg = (  # type: ignore[attr-defined]
    "recurrences run by tidegate's own engine, outside of the graph, as those of torch.nn do; for a graph without "
    "breaks set native = False on each recurrent module of tidegate.nn, and it holds every step of the example's length"
)
