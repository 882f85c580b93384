"""A pool whose streams remember, in two arrays that grow, what the layers gave after each step and when that was."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.runtime import Pool
from tidegate.runtime.compiled_model import CompiledModel, Floats
from tidegate.runtime.growing import GrowingArray, Words
from tidegate.runtime.rows import Indices
from tidegate.runtime.state import make_initial
from tidegate.verify.samples import sample

WORDS = Words("talk", "message", "remembers", "", "end the talk before")
MOST = 200


def compile_remembering(most: int = MOST) -> CompiledModel:
    """Compile a model of three numbers whose blocks have a memory of the outputs and one of pairs of ids."""
    compiled = CompiledModel(sample(features=3, size=6), threads=1)
    size = len(compiled.initial)
    outputs = GrowingArray("memory", most, (compiled.width,), "float32", size, WORDS)
    pairs = GrowingArray("pairs", most, (2,), "int32", outputs.end, WORDS)
    compiled.growing = outputs, pairs
    compiled.schema = [*compiled.schema, outputs.describe(), pairs.describe()]
    compiled.initial = make_initial(compiled.schema, pairs.end)
    return compiled


class Remembering(Pool):
    """A pool of such a model: the engine counts, and the pool appends what it gives."""

    def _step(self, rows: Indices, steps: npt.NDArray[Any]) -> Floats:
        outputs, pairs = self._compiled.growing
        before = outputs.count_each(self._blocks, rows)
        out = super()._step(rows, steps)
        places = self._append_growing(outputs, rows, before, out)
        self._append_growing(pairs, rows, before, np.stack([places, -places], 1).astype(np.int32))
        return out

    def fork(self) -> Remembering:
        other = Remembering(self._compiled, self._keep)
        other._fill(self._copy_rows())
        return other


def require_no_lost_pages(pool: Pool) -> None:
    """Check that all pages but those that streams need are free, as the next change finds them."""
    pool._roll_back()
    rows = np.array(list(pool._rows.values()), np.int64)
    for pages in pool._pages:
        needed = sum(-(-count // pages.rows) for count in pages.array.count_each(pool._blocks, rows).tolist())
        assert pages.fresh - 1 - len(pages.free) == needed
        assert len(set(pages.free)) == len(pages.free)
