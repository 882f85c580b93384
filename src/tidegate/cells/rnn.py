"""The plain recurrent network: h' = tanh(W x + b + R h + c), or relu.

Source: Elman 1990 (Finding structure in time); relu: Le et al. 2015 (arXiv:1504.00941).
"""

GATES, RECURRENT, STATE = ("n",), ("n",), {"h": ("H",)}
DIALECTS = {"activation": ("tanh", "relu")}


def step(op, x, R, p, s, activation):  # type: ignore[no-untyped-def]
    h = getattr(op, activation)(x.n + R.n(s.h))
    return h, s.replace(h=h)
