"""A layer of your own: it lets through what differs from a running mean of its input. To train with it:

    tidegate fit classify train.csv --layer ./surprise.py --out surprise.safetensors

It follows the recurrent layers. Shapes may depend on the width of the input; states start at zero.
"""


def TENSORS(width):
    return {"weight": (width, width), "bias": (width,), "rate": (1,)}


def STATE(width):
    return {"mean": (width,)}


USES, INIT = {"weight": "matrix"}, {"bias": 1.0, "rate": -2.0}


def step(xp, t, s, x, steps):
    difference = x - s["mean"]
    gate = xp.sigmoid(xp.affine(difference, t["weight"], t["bias"]))
    return x * gate, {"mean": s["mean"] + xp.sigmoid(t["rate"]) * difference}
