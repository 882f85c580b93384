"""The layers of this folder, and what reads and builds lists of them; README.md describes a layer's file."""

from ._builder import Builder, init_weights
from ._layer import Layer, States, choose
from ._load import kinds, load, parse
from ._walk import (
    add_each,
    look_ahead,
    name_states,
    output_delays,
    output_widths,
    select_states,
    state_names,
    to_nodes,
    walk,
    whole_window,
)

__all__ = [
    "Builder",
    "Layer",
    "States",
    "add_each",
    "choose",
    "init_weights",
    "kinds",
    "load",
    "look_ahead",
    "name_states",
    "output_delays",
    "output_widths",
    "parse",
    "select_states",
    "state_names",
    "to_nodes",
    "walk",
    "whole_window",
]
