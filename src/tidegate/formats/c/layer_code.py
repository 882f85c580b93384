"""What one layer gives to the C file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ...model import Model

Layer = dict[str, Any]


@dataclass
class LayerCode:
    """tables: C name -> numbers. functions: of the library. own: a C function of the layer's own, as lines. body: what
    the step does. stack: bytes of arrays in `own`."""

    tables: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    own_function: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    stack: int = 0


@dataclass(frozen=True)
class LayerContext:
    """One layer where it stands.

    i: its index. width: of its input. x, y: C expressions of its input and output. offsets: state -> where it starts in
    the state's data, in floats.
    """

    model: Model
    i: int
    layer: Layer
    width: int
    x: str
    y: str
    offsets: dict[str, int]

    @property
    def size(self) -> int:
        """The width of the output."""
        count: int = len(self.layer["over"]) if self.layer["kind"] == "pool" else 1
        width: int = self.layer["project"] if "project" in self.layer else self.layer["size"]
        return count * width

    def tensor(self, role: str) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = self.model.tensors[self.layer["tensors"][role]]
        return found

    def state(self, name: str) -> str:
        """The C expression of where a state starts."""
        at = self.offsets[name]
        return f"state->data + {at}" if at else "state->data"
