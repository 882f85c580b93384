"""torch modules made of layers and tapes; see README.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import MissingExtra

try:
    import torch
except ModuleNotFoundError as error:
    raise MissingExtra('this needs torch, which is not installed; pip install "tidegate[train]"') from error

from .cell_modules import GRUCell, LSTMCell, RNNCell
from .dialects import convert
from .final import FinalStates
from .layer_functions import Noise
from .levels import Trainable, make_network
from .modules import GRU, LSTM, RNN, MinGRU
from .network import Network
from .recurrent import engine
from .scale import Scale
from .sequential import Sequential

if TYPE_CHECKING:
    from ..model import Model

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "FinalStates",
    "GRUCell",
    "LSTMCell",
    "MinGRU",
    "Network",
    "Noise",
    "RNNCell",
    "Scale",
    "Sequential",
    "Trainable",
    "convert",
    "engine",
    "make_network",
    "run",
]


def run(model: Model, x: Any, lengths: Any) -> tuple[Any, dict[str, Any]]:
    """Run a model in torch: return the outputs and the states after every step.

    Outputs: float32 [T, B, outputs]. States: name -> [T, B, ...]. Values after a row's length are meaningless. The
    native engine is not used, because `verify` compares the two.

    x: ids int [T, B] or [T, B, ids], or float32 [T, B, features]. lengths: int [B], 1 to T.
    """
    network = Network(model.layers, native=False, ports=model.ports)
    network.load_tensors(dict(model.tensors))
    with torch.no_grad():
        ids = torch.as_tensor(x, dtype=torch.float32 if x.dtype.kind == "f" else torch.int64)
        y, states = network.run(ids, torch.as_tensor(lengths, dtype=torch.int64))
    return y.numpy(), {name: v.numpy() for name, v in states.items()}
