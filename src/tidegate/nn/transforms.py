"""Detect what torch is doing around a module: function transforms, compilation, tracing.

The native engine, torch's kernels and autograd functions do not support all of these. The other files of this room ask
here, and then run the tape, whose operations torch can always transform, or refuse what would be recorded wrongly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn

import torch

from ..errors import ModuleError

GRADIENT: Final = torch._C._functorch.TransformType.Grad
is_exporting: Callable[[], bool] = getattr(torch.compiler, "is_exporting", lambda: False)  # missing in older torch
EXPORT_HINT: Final = (
    'tidegate.from_torch(module) and tidegate.export(model, "onnx", "model.onnx") write a graph for any number of steps'
)


RUN_DISABLED: Final[list[Callable[..., Any]]] = []  # filled once; torch.compile would trace through functools.cache


def is_transformed() -> bool:
    """Return whether a transform is active for which an autograd function needs rules of its own.

    These are vmap, jvp and everything built on them, forward-mode gradients and functionalisation, but not the grad and
    vjp of torch.func.
    """
    if torch.autograd.forward_ad._current_level >= 0:
        return True
    levels = torch._C._functorch.get_interpreter_stack()
    return bool(levels) and any(level.key() != GRADIENT for level in levels)


def is_compiling() -> bool:
    """Return whether torch.compile is running; False under torch.export."""
    return torch.compiler.is_compiling() and not is_exporting()


def needs_tape() -> bool:
    """Return whether only the tape may run, step by step."""
    return is_compiling() or (not torch.compiler.is_compiling() and is_transformed())


def needs_torch_ops() -> bool:
    """Return whether torch records or reinterprets operations, so that only its own may be used."""
    if torch.compiler.is_compiling():
        return True
    return is_jit_tracing() or torch._C._len_torch_dispatch_stack() > 0 or is_transformed()


def is_jit_tracing() -> bool:
    """Return whether torch.jit.trace is running, directly or in torch.onnx.export."""
    return not torch.compiler.is_compiling() and bool(torch._C._is_tracing())


def refuse(module: Any, what: str, why: str) -> NoReturn:
    """Raise ModuleError for a module that cannot be `what`, such as traced."""
    raise ModuleError(f"{type(module).__name__} cannot be {what}: {why}; {EXPORT_HINT}")


class NotScriptable(torch.nn.Module):
    """Base of modules for which torch.jit.script raises ModuleError."""

    def __prepare_scriptable__(self) -> Any:
        refuse(self, "scripted", "TorchScript cannot read its equations")


def run_outside_graph(module: Any, *args: Any) -> Any:
    """Call the module's forward outside the graph that torch.compile builds."""
    if not RUN_DISABLED:
        RUN_DISABLED.append(torch.compiler.disable(lambda module, *args: module.forward(*args)))  # type: ignore[no-untyped-call]
    return RUN_DISABLED[0](module, *args)


# The attributes that torch.compiler.disable sets on a function; importing it here would take seconds.
run_outside_graph._torchdynamo_disable = True  # type: ignore[attr-defined]
run_outside_graph._torchdynamo_disable_msg = (  # type: ignore[attr-defined]
    "recurrences run in tidegate's own engine, outside the graph, as those of torch.nn do; for a graph without breaks, "
    "set native = False on each recurrent module of tidegate.nn; the graph then unrolls every step of the example"
)
