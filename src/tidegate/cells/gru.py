"""The gated recurrent unit: reset after the recurrent product, update keeps the old state.

    r = sigmoid(W_r x + b_r + R_r h + c_r)
    z = sigmoid(W_z x + b_z + R_z h + c_z)
    n = tanh(W_n x + b_n + r * (R_n h + c_n))
    h' = n + z * (h - n)

Source: Cho et al. 2014 (arXiv:1406.1078) with the reset applied after the product, as in cuDNN and torch.nn.GRU.
Three gates where an LSTM has four: three quarters of its parameters.
"""

GATES, RECURRENT, STATE = ("r", "z", "n"), ("r", "z", "n"), {"h": ("H",)}
DIALECT = {"reset": "after", "update": "keep"}


def step(op, x, R, p, s):  # type: ignore[no-untyped-def]
    r = op.sigmoid(x.r + R.r(s.h))
    z = op.sigmoid(x.z + R.z(s.h))
    n = op.tanh(x.n + r * R.n(s.h))
    h = n + z * (s.h - n)
    return h, s.replace(h=h)
