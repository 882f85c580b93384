"""The gated recurrent unit, in four dialects.

    r = sigmoid(W_r x + b_r + R_r h + c_r)
    z = sigmoid(W_z x + b_z + R_z h + c_z)
    n = tanh(W_n x + b_n + r * (R_n h + c_n))       reset after: the recurrent product
        tanh(W_n x + b_n + R_n (r * h) + c_n)       reset before it
    h' = n + z * (h - n)                            update keep: z weights the old state
         h + z * (n - h)                            update replace: z weights the candidate

Source: Cho et al. 2014 (arXiv:1406.1078), equations 5 to 8: reset before, update keep. Chung et al. 2014
(arXiv:1412.3555), equations 5 and 8: update replace. Reset after as in cuDNN and torch.nn.GRU.
It has three gates where an LSTM has four, so three quarters of the parameters.
"""

GATES, RECURRENT, STATE = ("r", "z", "n"), ("r", "z", "n"), {"h": ("H",)}
DIALECTS = {"reset": ("after", "before"), "update": ("keep", "replace")}


def step(op, x, R, p, s, reset, update):  # type: ignore[no-untyped-def]
    r = op.sigmoid(x.r + R.r(s.h))
    z = op.sigmoid(x.z + R.z(s.h))
    n = op.tanh(x.n + r * R.n(s.h)) if reset == "after" else op.tanh(x.n + R.n(r * s.h))
    h = n + z * (s.h - n) if update == "keep" else s.h + z * (n - s.h)
    return h, s.replace(h=h)
