"""What torch itself can do in half precision on this CPU."""

from functools import cache

import torch


@cache
def torch_has_bf16_lstm() -> bool:
    """Tell whether torch runs an LSTM in bfloat16 here: without a kernel for the CPU it raises instead."""
    try:
        with torch.autocast("cpu", torch.bfloat16):
            torch.nn.LSTM(1, 1)(torch.zeros(1, 1, 1))
    except RuntimeError:
        return False
    return True
