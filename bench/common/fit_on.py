"""Run one `tidegate fit` whose recurrent layers are run by another engine:

    python bench/common/fit_on.py native | torch.nn.GRU | native=False | fused=False  fit classify train.csv ...

native: `tidegate` as it is. torch.nn.GRU: every recurrent layer is run by a torch.nn.GRU with the network's own
weights, over rows padded to the longest one of the batch, which is torch's fastest way; model, loop, seed and all else
are the same. native=False, fused=False: arguments of tidegate's networks that leave everything to torch's operations,
or recurrent layers to the tape step by step.
"""

from __future__ import annotations

import functools
import sys
from typing import Any


def use_engine(engine: str) -> None:
    """Replace the native engine by another."""

    from tidegate.nn import recurrent
    from tidegate.train import job

    if engine == "torch.nn.GRU":
        recurrent.run_fused = by_module
    elif engine != "native":
        flag, _, _ = engine.partition("=")
        job.make_network = functools.partial(job.make_network, **{flag: False})


def by_module(layer: Any, t: dict[str, Any], x: Any, sizes: Any, start: Any, _: bool) -> Any:
    """Return outputs and final states by torch.nn.GRU, in place of `recurrent.run_fused`."""

    import torch

    from tidegate.nn import packing, recurrent

    if recurrent.find_kernel(layer.tape) != "gru":
        raise SystemExit("the model's cell is not torch.nn.GRU's; choose --cell gru")
    module = make_gru(layer.inputs, layer.size)
    weights = {"weight_ih_l0": t["W"], "weight_hh_l0": t["R"], "bias_ih_l0": t["b"], "bias_hh_l0": t["c"]}
    whole, lengths = packing.pad(x, sizes)  # torch takes four times as long over a PackedSequence
    y, _ = torch.func.functional_call(module, weights, (whole, start["h"][None]))
    last = y[lengths.to(y.device) - 1, torch.arange(y.shape[1])]
    return packing.pack(y, lengths, sizes), {"h": last}


@functools.cache
def make_gru(inputs: int, size: int) -> Any:
    import torch

    return torch.nn.GRU(inputs, size)


def main(arguments: list[str]) -> int:
    from tidegate import cli

    engine, *command = arguments
    use_engine(engine)
    code = cli.main(command)
    if engine == "torch.nn.GRU" and not make_gru.cache_info().currsize:
        raise SystemExit("no recurrent layer was run by torch.nn.GRU")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
