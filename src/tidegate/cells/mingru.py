"""The minimal GRU: its gate and its candidate depend on the input alone, so the step is linear in the state.

    z = sigmoid(W_z x + b_z)
    h' = h + z * (W_n x + b_n - h)

Source: Feng et al. 2024 (arXiv:2410.01201), section 3.1.
"""

GATES, RECURRENT, STATE, LINEAR = ("z", "n"), (), {"h": ("H",)}, True


def step(op, x, R, p, s):  # type: ignore[no-untyped-def]
    h = s.h + op.sigmoid(x.z) * (x.n - s.h)
    return h, s.replace(h=h)
