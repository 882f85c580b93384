"""The C code of one layer, and what a layer needs to know to generate it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ...layers import Layer
from ...model import Model


@dataclass
class LayerCode:
    """What one layer adds to the C file.

    tables: C name -> numbers. functions: names of library functions (`functions.py`). own_function: a C function for
    this layer alone, as lines. body: statements of the step. stack: bytes of arrays in `own_function`.
    """

    tables: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    own_function: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    stack: int = 0


@dataclass(frozen=True)
class LayerContext:
    """One layer in its model.

    i: its index. x, y: C expressions of its input and output. ids: that of its token id, or of the first of several.
    offsets: state -> its start in the data of the state, in floats. delay: how many steps late it runs, as layers
    before it look ahead.
    """

    model: Model
    i: int
    layer: Layer
    x: str
    y: str
    ids: str
    offsets: dict[str, int]
    delay: int = 0

    @property
    def steps(self) -> str:
        """The C expression for how many steps it has had, with this one."""
        if not self.model.look_ahead:
            return "state->steps"
        return f"(count - {self.delay})" if self.delay else "count"

    def tensor(self, role: str) -> npt.NDArray[np.float32]:
        values: npt.NDArray[np.float32] = self.model.tensors[self.layer.tensors[role]]
        return values

    def state(self, name: str) -> str:
        """Return the C expression for the start of a state."""
        at = self.offsets[name]
        return f"state->data + {at}" if at else "state->data"
