"""The libraries that tidegate is compared with, if they are installed (`pip install "tidegate[bench]"`)."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
from typing import Any

from tidegate.model import Model

from .cases import Case
from .gru_peers import Weights
from .interleaved import Work
from .ours import Float

GRAPHS = {
    "onnxruntime": "gru_peers.onnxruntime_gru",
    "openvino": "gru_peers.openvino_gru",
    "jax": "gru_peers.jax_gru",
    "ai-edge-litert": "gru_litert.litert_gru",
}
PEERS = ("torch", *GRAPHS)


def make_works(case: Case, of: Model, x: Float, peers: list[str]) -> dict[str, Work]:
    """Make the works of the libraries by name; a library that has nothing for this case is left out."""
    works: dict[str, Work] = {}
    if "torch" in peers:
        works |= importlib.import_module("common.torch_peers").make_works(case, of, x)
    if case.plain:
        weights = Weights(*(of.tensors[f"layers.0.{role}"].copy() for role in "WRbc"))
        for name in peers:
            if name in GRAPHS and (work := import_function(GRAPHS[name])(weights, x, case.stepwise)):
                works[name] = work
    return works


def import_function(path: str) -> Any:
    module, _, name = path.partition(".")
    return getattr(importlib.import_module(f"common.{module}"), name)


def add_flag(parser: argparse.ArgumentParser, *choices: str) -> None:
    """Add the flag --peers."""
    parser.add_argument("--peers", nargs="*", choices=choices or PEERS, default=list(choices or PEERS))


def find_installed(peers: list[str]) -> list[str]:
    """Return the libraries that are installed, limited to one thread each; print which ones are not."""
    # XLA reads it when the library is loaded
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    here = [name for name in peers if importlib.util.find_spec(name.replace("-", "_"))]
    for name in peers:
        if name not in here:
            print(f"{name} is not installed and left out; install it with pip install 'tidegate[bench]'")
    return here
