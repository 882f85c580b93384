"""torch as a target: the model as torch modules, over whole sequences."""

from __future__ import annotations

from typing import Final

import numpy as np

from ..errors import MissingExtra
from .bounds import ActivationErrors
from .error_propagation import bound_steps, flatten_state
from .replay import Replay, Result, state_arrays

# torch's own functions: within about one unit in the last place, sigmoid within three
TORCH_ERRORS: Final = ActivationErrors(sigmoid_abs=2.4e-7, tanh_rel=3.6e-7, exp_rel=2.4e-7)


def verify_torch(replay: Replay) -> Result:
    """Run the model in torch."""
    path = "whole sequence"
    try:
        from ..nn import run
    except MissingExtra:
        return Result("torch", path, "not installed", ran=False)
    answers, results, model = [], [], replay.model
    # torch's kernels may add R h and W x in one sum
    errors = TORCH_ERRORS._replace(extra_roundings=max(layer.longest_sum for layer in model.layers))
    for x in replay.x:
        y, arrays = run(model, x[:, None], np.array([len(x)], np.int64))
        states = [state_arrays(model, replay.initial_state[0])]
        for k in range(0 if model.whole_window else len(x)):
            states.append(
                {name: arrays[name][k] if name in arrays else np.full_like(v, k + 1) for name, v in states[0].items()}
            )
        answers.append(replay.subsample(np.asarray(y[-1, 0], np.float64), flatten_state(states[-1])))
        if not model.whole_window:
            late = np.concatenate([np.full((model.look_ahead, *y.shape[2:]), np.nan, y.dtype), y[:, 0]])
            results.append(bound_steps(model, x, states, late, errors))
    steps = (np.concatenate([e for e, _ in results]), np.concatenate([b for _, b in results])) if results else None
    return replay.compare("torch", path, answers, replay.bounds(TORCH_ERRORS), steps=steps)
