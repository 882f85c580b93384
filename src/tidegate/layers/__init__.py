"""The layers of this folder, and what reads and builds lists of them; README.md describes a layer's file."""

from ._builder import Builder, init_weights
from ._layer import INPUT, Layer, Outside, Source, States, choose
from ._load import kinds, load, parse
from ._walk import (
    add_each,
    join_each,
    look_ahead,
    name_states,
    output_delays,
    output_widths,
    reads_of,
    select_states,
    sources_of,
    state_names,
    to_nodes,
    unread,
    walk,
    whole_window,
)

__all__ = [
    "INPUT",
    "Builder",
    "Layer",
    "Outside",
    "Source",
    "States",
    "add_each",
    "choose",
    "init_weights",
    "join_each",
    "kinds",
    "load",
    "look_ahead",
    "name_states",
    "output_delays",
    "output_widths",
    "parse",
    "reads_of",
    "select_states",
    "sources_of",
    "state_names",
    "to_nodes",
    "unread",
    "walk",
    "whole_window",
]
