"""Modules that from_torch cannot convert are refused, by the name of the submodule."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import tidegate
from tidegate import nn
from tidegate.errors import ModelFileError, ModuleError


def with_empty_child() -> torch.nn.Module:
    container = torch.nn.Sequential(torch.nn.Linear(3, 4))
    container.register_module("later", None)
    return container


class Intent(torch.nn.Module):
    """A module as people write it: parts, and a custom forward."""

    def __init__(self, both: bool = False) -> None:
        super().__init__()
        self.embedding, self.gru = torch.nn.Embedding(9, 3), torch.nn.GRU(3, 4, bidirectional=both)
        self.head = torch.nn.Linear(4, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.gru(self.embedding(ids))[1][-1])


class Louder(torch.nn.GRU):
    def forward(self, *args: Any) -> Any:
        y, h = super().forward(*args)
        return 2 * y, h


class LouderWithin(nn.GRU):
    def run(self, *args: Any) -> Any:
        y, last = super().run(*args)
        return 2 * y, last


class LouderWithout(torch.nn.Linear):
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().__call__(x)


def reshape(module: torch.nn.Module, name: str, shape: tuple[int, ...]) -> torch.nn.Module:
    setattr(module, name, torch.nn.Parameter(torch.zeros(shape)))
    return module


def with_hook(kind: str) -> torch.nn.Module:
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 4))
    getattr(module[1], f"register_forward_{kind}")(lambda *_: None)
    return module


def with_patched_forward() -> torch.nn.Module:
    module = torch.nn.GRU(3, 4)
    module.forward = lambda x: x  # type: ignore[method-assign]
    return module


def with_bad_weights(value: float) -> torch.nn.Module:
    module = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.GRU(3, 4, 2))
    with torch.no_grad():
        module[1].weight_hh_l1[:3, 0] = value
    return module


def make_quantised() -> torch.nn.Module:
    from torch.ao.nn.quantized import ReLU6

    return torch.nn.Sequential(ReLU6())


REFUSED: dict[str, tuple[Any, str]] = {
    "a custom forward": (
        Intent,
        r"Intent \(Intent\) has a custom forward method, which from_torch cannot read; pass its parts in order, such "
        r"as from_torch\(m.embedding, m.gru, m.head, like=m, example=x\), which compares the outputs$",
    ),
    "a custom forward over both directions": (
        lambda: Intent(both=True),
        r"from_torch\(m.embedding, m.gru, tidegate.nn.FinalStates\(\), m.head, like=m, example=x\), .*; "
        r"FinalStates\(\) is torch.cat\(\[h_n\[-2\], h_n\[-1\]\], -1\), so leave it out if",
    ),
    "a subclass": (lambda: torch.nn.Sequential(Louder(3, 4)), r"Sequential.0 \(Louder\) has a custom forward method"),
    "a part of the forward": (lambda: LouderWithin(3, 4), r"LouderWithin \(LouderWithin\) has a custom run method"),
    "a call": (lambda: LouderWithout(3, 4), r"LouderWithout \(LouderWithout\) has a custom __call__ method"),
    "a list": (lambda: torch.nn.ModuleList([torch.nn.GRU(3, 4)]), r"in order, such as from_torch\(m\[0\]\)"),
    "a mapping": (lambda: torch.nn.ModuleDict({"1st": torch.nn.GRU(3, 4)}), r"from_torch\(m\['1st'\]\)"),
    "compiled": (lambda: torch.compile(torch.nn.GRU(3, 4)), r"from_torch\(m._orig_mod, like=m, example=x\)"),
    "a function": (
        lambda: torch.relu,
        r"the argument is the function relu; .*for an activation such as torch.nn.ReLU\(\)",
    ),
    "logarithms": (
        lambda: torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LogSoftmax(-1)),
        r"Sequential.1 is a LogSoftmax, which cannot be converted; use torch.nn.Softmax\(-1\), or leave it out",
    ),
    "two layouts": (
        lambda: torch.nn.Sequential(torch.nn.GRU(3, 4, batch_first=True), torch.nn.Sequential(torch.nn.GRU(4, 4))),
        "Sequential.1.0 has batch_first=False and Sequential.0 has batch_first=True, so one of them reads rows as",
    ),
    "final states of one direction": (
        lambda: torch.nn.Sequential(torch.nn.GRU(3, 4), nn.FinalStates()),
        r"Sequential.1 \(FinalStates\) must come right after a recurrence with bidirectional=True",
    ),
    "final states of nothing": (nn.FinalStates, r"FinalStates \(FinalStates\) must come right after"),
    "a recurrence over final states": (
        lambda: torch.nn.Sequential(torch.nn.GRU(3, 4, bidirectional=True), nn.FinalStates(), torch.nn.GRU(8, 4)),
        "Sequential.2 comes after a FinalStates, which leaves no steps to run over",
    ),
    "a plain list": (lambda: [torch.nn.GRU(3, 4)], r"the argument is list; .* from_torch\(\*modules\)"),
    "no module in a place": (with_empty_child, "later is NoneType; expected a torch.nn.Module"),
    "a class": (lambda: torch.nn.GRU, "the argument is GRU; expected a torch.nn.Module"),
    "an epsilon": (
        lambda: torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4, eps=0)),
        "Sequential.1: eps is 0.0; expected a number of 1e-12 to 1",
    ),
    "a weight of another shape": (
        lambda: torch.nn.Sequential(reshape(torch.nn.GRU(3, 4), "weight_ih_l0", (15, 3))),
        r"Sequential.0: the weights W have shape \[15, 3\]; expected \[12, 3\]",
    ),
    "no outputs": (lambda: torch.nn.Linear(3, 0), "Linear: size is 0; expected an integer of 1 to"),
    "a forward put on the object": (with_patched_forward, r"GRU \(GRU\) has a custom forward method"),
    "a hook": (lambda: with_hook("hook"), "Sequential.1 has a forward hook, which may change its output"),
    "a hook before": (lambda: with_hook("pre_hook"), "Sequential.1 has a forward pre-hook"),
    "quantised": (make_quantised, r"Sequential.0 \(ReLU6\) is quantised; pass the float module"),
    "no layer": (
        lambda: torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Conv1d(3, 4, 1)),
        "Sequential.1 is a Conv1d, which cannot be converted; the supported modules are Embedding, FinalStates, GRU, ",
    ),
    "nothing": (torch.nn.Identity, "there is no layer in the modules"),
    "nan": (lambda: with_bad_weights(float("nan")), "Sequential.1.weight_hh_l1: 3 of 48 values are NaN or infinite"),
    "infinity": (
        lambda: with_bad_weights(float("inf")),
        "Sequential.1.weight_hh_l1: 3 of 48 values are NaN or infinite",
    ),
    "float64": (lambda: torch.nn.GRU(3, 4).double(), r"GRU.weight_ih_l0 is torch.float64; .* module.float\(\)"),
    "half": (lambda: torch.nn.Linear(3, 4).half(), "Linear.weight is torch.float16"),
    "meta": (lambda: torch.nn.GRU(3, 4, device="meta"), "GRU.weight_ih_l0 is on the meta device"),
    "lazy": (lambda: torch.nn.LazyLinear(4), "LazyLinear has no shapes yet; run the module once"),
    "widths": (
        lambda: torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.GRU(5, 6)),
        "Sequential.1 has 5 inputs; the module before it has 4 outputs",
    ),
    "ids in the middle": (
        lambda: torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Embedding(5, 6)),
        "Sequential.1 takes token ids, so it must be the first layer",
    ),
    "max_norm": (lambda: torch.nn.Embedding(5, 6, max_norm=1.0), "Embedding has max_norm"),
    "norm over two axes": (lambda: torch.nn.LayerNorm((2, 3)), r"LayerNorm normalises over \[2, 3\]"),
    "no deviation": (
        lambda: torch.nn.Sequential(nn.Scale([0.0, 0.0, 1.0], [1.0, 0.0, -2.0]), torch.nn.GRU(3, 4)),
        "Sequential.0.deviation: 2 of 3 values are not above 0",
    ),
    "a scale of two shapes": (lambda: nn.Scale([0.0, 1.0], 1.0), r"Scale: mean has shape \[2\] and deviation \[\]"),
    "softmax over time": (
        lambda: torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Softmax(0)),
        "Sequential.1 is a Softmax over dim 0",
    ),
    "an activation alone": (
        lambda: torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.ReLU()),
        r"Sequential.2 \(ReLU\) must come right after a Linear",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_converted_is_refused_by_its_name(name):
    make, sentence = REFUSED[name]
    with pytest.raises(ModuleError, match=sentence):
        tidegate.from_torch(make())


def test_no_module_is_refused():
    with pytest.raises(ModuleError, match=r"\[1\] is str; expected a torch.nn.Module"):
        tidegate.from_torch(torch.nn.GRU(3, 4), "head")


def test_a_hook_for_all_modules_is_refused():
    hook = torch.nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        with pytest.raises(ModuleError, match="torch has a forward hook for all modules"):
            tidegate.from_torch(torch.nn.GRU(3, 4))
    finally:
        hook.remove()


def test_labels_must_fit():
    with pytest.raises(ModuleError, match="labels is one string, 'ab'; pass a list"):
        tidegate.from_torch(torch.nn.GRU(3, 2), labels="ab")
    with pytest.raises(ModelFileError, match="labels: there are 3; the output has 4 numbers"):
        tidegate.from_torch(torch.nn.GRU(3, 4), labels=["a", "b", "c"])
