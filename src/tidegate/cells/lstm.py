"""The long short-term memory (LSTM) with a forget gate, and optionally with peepholes and a projection.

    i = sigmoid(W_i x + b_i + R_i h + c_i + p_i * m)
    f = sigmoid(W_f x + b_f + R_f h + c_f + p_f * m)
    g = tanh(W_g x + b_g + R_g h + c_g)
    m' = f * m + i * g
    o = sigmoid(W_o x + b_o + R_o h + c_o + p_o * m')
    h' = o * tanh(m')                               Q (o * tanh(m')) with a projection

m is the cell's state `c`; the terms with p are the peepholes.

Source: Gers et al. 2000 (Learning to forget); peepholes: Gers and Schmidhuber 2000 (Recurrent nets that time and
count); projection: Sak et al. 2014 (arXiv:1402.1128), equation 6. Gate order of torch.nn.LSTM.
"""

from typing import Any

GATES, RECURRENT = ("i", "f", "g", "o"), ("i", "f", "g", "o")
DIALECTS = {"peepholes": ("no", "yes"), "projection": ("no", "yes")}


def STATE(projection, **_):  # type: ignore[no-untyped-def]
    return {"h": ("P",) if projection == "yes" else ("H",), "c": ("H",)}


def PARAMS(peepholes, **_):  # type: ignore[no-untyped-def]
    return {f"peep_{g}": ("H",) for g in "ifo"} if peepholes == "yes" else {}


def step(op, x, R, p, s, peepholes, projection):  # type: ignore[no-untyped-def]
    def gate(g: str, sees: Any) -> Any:
        v = getattr(x, g) + getattr(R, g)(s.h)
        return op.sigmoid(v + getattr(p, f"peep_{g}") * sees if peepholes == "yes" else v)

    i, f = gate("i", s.c), gate("f", s.c)
    c = f * s.c + i * op.tanh(x.g + R.g(s.h))
    h = gate("o", c) * op.tanh(c)
    h = R.project(h) if projection == "yes" else h
    return h, s.replace(h=h, c=c)
