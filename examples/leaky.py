"""A cell of your own, with two states, a parameter per unit, and a parameter shared by all units. To train with it:

    tidegate fit classify train.csv --cell ./leaky.py --out leaky.safetensors

The forget gate sees only the input. A slow trace leaks at a learnt rate, and the output is the trace, amplified and
clipped.
"""

GATES, RECURRENT = ("f", "n"), ("n",)
STATE = {"h": ("H",), "trace": ("H",)}
PARAMS, INIT = {"leak": ("H",), "gain": (1,)}, {"leak": 0.9, "gain": 1.5}


def step(op, x, R, p, s):
    f = op.sigmoid(x.f)
    trace = p.leak * s.trace + (1 - f) * op.tanh(x.n + R.n(s.h))
    h = op.maximum(-1.0, op.minimum(1.0, p.gain * trace))
    return h, s.replace(h=h, trace=trace)
