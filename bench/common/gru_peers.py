"""A GRU in libraries that run graphs: the same weights, one thread, float32.

Each library is a function of the weights, the inputs x [T, B, I] and whether to go step by step; it makes a `Work`.
Step by step, a call is one step from the state that the last call left, cycling through the steps of x; otherwise it is
all T steps from a state of zeros. Inputs are converted to the library's own arrays before timing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .interleaved import Work

Float = npt.NDArray[np.float32]


class Weights(NamedTuple):
    """Gates in the order r, z, n: W [3H, I], R [3H, H], b and c [3H]."""

    W: Float
    R: Float
    b: Float
    c: Float

    @property
    def sizes(self) -> tuple[int, int]:
        return self.W.shape[1], self.R.shape[1]


def make_graph(weights: Weights) -> bytes:
    """Make an ONNX model of the operator GRU: x [T, B, I], h [1, B, H] -> y [T, 1, B, H], last [1, B, H]."""
    from onnx import TensorProto, helper, numpy_helper

    I, H = weights.sizes  # noqa: E741 - the field's name
    r, z, n = (slice(g * H, (g + 1) * H) for g in range(3))
    W, R, b, c = (np.concatenate([value[z], value[r], value[n]])[None] for value in weights)
    constants = {"W": W, "R": R, "B": np.concatenate([b, c], axis=1)}
    node = helper.make_node("GRU", ["x", *constants, "", "h"], ["y", "last"], hidden_size=H, linear_before_reset=1)
    shapes = {"x": ["T", "B", I], "h": [1, "B", H], "y": ["T", 1, "B", H], "last": [1, "B", H]}
    value = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    body = helper.make_graph(
        [node],
        "gru",
        [value["x"], value["h"]],
        [value["y"], value["last"]],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


class Buffers:
    """The arrays that a graph reads and writes, bound before timing; two states alternate."""

    def __init__(self, weights: Weights, x: Float, stepwise: bool) -> None:
        H, (T, B) = weights.sizes[1], x.shape[:2]
        self.x = [x[t : t + 1].copy() for t in range(T)] if stepwise else [x]
        self.h = [np.zeros((1, B, H), np.float32) for _ in range(2)]
        self.y = np.zeros((1 if stepwise else T, 1, B, H), np.float32)
        self.stepwise, self.calls = stepwise, 0
        # one for each pair of an input and a state to read
        self.bindings = [(row, i % 2) for i, row in enumerate(self.x * 2)] if stepwise else [(x, 0)]
        if stepwise and T % 2:
            raise ValueError(f"alternating states need an even number of steps, found {T}")

    def make_work(self, runs: list[Callable[[], Any]]) -> Work:
        turns = itertools.cycle(runs)

        def call() -> None:
            next(turns)()
            self.calls += 1

        return Work(call, lambda: self.h[self.calls % 2][0] if self.stepwise else self.y[:, 0])


def onnxruntime_gru(weights: Weights, x: Float, stepwise: bool) -> Work:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(make_graph(weights), options, providers=["CPUExecutionProvider"])
    buffers = Buffers(weights, x, stepwise)

    def bound(row: Float, turn: int) -> Callable[[], Any]:
        binding = session.io_binding()
        binding.bind_cpu_input("x", row)
        binding.bind_cpu_input("h", buffers.h[turn])
        for name, to in (("y", buffers.y), ("last", buffers.h[1 - turn])):
            if stepwise or name == "y":
                binding.bind_output(name, "cpu", 0, np.float32, to.shape, to.ctypes.data)
        return lambda: session.run_with_iobinding(binding)

    return buffers.make_work([bound(*turn) for turn in buffers.bindings])


def openvino_gru(weights: Weights, x: Float, stepwise: bool) -> Work:
    import openvino

    core, buffers = openvino.Core(), Buffers(weights, x, stepwise)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    model = core.read_model(make_graph(weights))
    model.reshape({"x": buffers.x[0].shape, "h": buffers.h[0].shape})
    compiled = core.compile_model(model, "CPU", settings)

    def bound(row: Float, turn: int) -> Callable[[], Any]:
        request = compiled.create_infer_request()
        tensors = {"x": row, "h": buffers.h[turn], "y": buffers.y, "last": buffers.h[1 - turn]}
        for name in tensors if stepwise else ("x", "h", "y"):
            request.set_tensor(name, openvino.Tensor(tensors[name], shared_memory=True))
        return request.infer

    return buffers.make_work([bound(*turn) for turn in buffers.bindings])


def jax_gru(weights: Weights, x: Float, stepwise: bool) -> Work:
    import jax
    from jax import numpy as jnp

    W, R, b, c = (jnp.asarray(value.T) for value in weights)

    def step(h: Any, row: Any) -> tuple[Any, Any]:
        (xr, xz, xn), (hr, hz, hn) = jnp.split(row @ W + b, 3, -1), jnp.split(h @ R + c, 3, -1)
        r, z = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
        n = jnp.tanh(xn + r * hn)
        h = n + z * (h - n)
        return h, h

    zeros = jnp.zeros((x.shape[1], weights.sizes[1]), jnp.float32)
    now, rows = {"h": zeros}, itertools.cycle([jnp.asarray(row) for row in x])
    one, whole = jax.jit(lambda h, row: step(h, row)[0]), jax.jit(lambda h, rows: jax.lax.scan(step, h, rows)[1])
    everything = jnp.asarray(x)

    def call() -> None:
        now["h"] = (one(now["h"], next(rows)) if stepwise else whole(zeros, everything)).block_until_ready()

    return Work(call, lambda: np.asarray(now["h"]))
