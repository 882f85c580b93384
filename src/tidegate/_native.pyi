"""The native engine: a graph of layers, run by the kernels of one instruction set (the "target").

Arrays are passed through the buffer protocol; they must be C-contiguous and have exactly the dtype named. A wrong
dtype raises TypeError; a wrong shape, value or layout, or arrays that overlap, raise ValueError. Nothing is changed
then. T steps, B rows, F inputs, O outputs. The state of a stream has `state_bytes` bytes: the number of steps so far
(int64, at offset 0), then the float32 arrays of the layers. `step`, `run` and `step_many` give the same bits,
whatever the batch, the chunks and the number of threads.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

OPERATIONS: Final[dict[str, int]]
"""The operations of a program, by name, and their numbers."""

ERRORS: Final[dict[str, dict[str, float]]]
"""By target, bounds on the errors of the activations: sigmoid_abs (absolute), tanh_rel and exp_rel (relative, where the
exact value is a normal float32)."""

def compiled_targets(precision: str = "float32") -> list[str]:
    """Return the targets of this build, best first.

    precision: "float32", "weights=bf16" (weights of products are rounded to bfloat16) or "compute=bf16" (what they
    multiply is rounded too; only here are targets with bfloat16 instructions listed). Any other raises ValueError.
    """

def targets(precision: str = "float32") -> list[str]:
    """Return the targets that this CPU can run, best first."""

def default_target(precision: str = "float32") -> str:
    """Return the value of the environment variable TIDEGATE_TARGET if it is set, else the best target.

    Raises ValueError if this CPU cannot run it.
    """

def train_saved_size(target: str, cell: str, size: int) -> int:
    """Return the number of floats that `train_forward` saves for each entry.

    cell: "gru", "gru replace", "lstm", "rnn tanh", "rnn relu", "mingru", "gru before", "gru before replace" or
    "lstm peepholes", each with the equations of a cell in `tidegate.cells`; followed by " norm" for the dialect
    norm=layer.
    """

def train_forward(
    target: str,
    cell: str,
    x: Float32,
    batch_sizes: Int64,
    initial_states: Float32,
    W: Float32,
    b: Float32,
    R: Float32,
    c: Float32,
    params: Float32,
    y: Float32,
    final_states: Float32,
    saved: Float32 | None,
    threads: int,
) -> None:
    """Run a cell over whole rows.

    The N entries are packed step by step, as in torch's PackedSequence; batch_sizes [T] is the number of rows that have
    each step. x [N, I]; initial_states [S, B, H]: the states before the first step; W [G*H, I], b [G*H], R [M*H, H],
    c [M*H]; params [O, H]: the cell's own parameters, then, with norms, the gains of the gates and maps, then their
    biases. Writes y [N, H], final_states [S, B, H]: the states after each row's last step, and, unless it is None,
    saved [N, train_saved_size(...)]. The bits of y and final_states depend neither on the batch nor on threads, and
    are the same as those of `Engine`.
    """

def train_backward(
    target: str,
    cell: str,
    x: Float32,
    batch_sizes: Int64,
    initial_states: Float32,
    W: Float32,
    b: Float32,
    R: Float32,
    c: Float32,
    params: Float32,
    y: Float32,
    saved: Float32,
    dy: Float32,
    dfinal_states: Float32,
    dx: Float32 | None,
    dinitial_states: Float32,
    dW: Float32,
    db: Float32,
    dR: Float32,
    dc: Float32,
    dparams: Float32,
    threads: int,
) -> None:
    """Compute the gradients, given dy [N, H] and dfinal_states [S, B, H].

    Each gradient has the shape of its array. No bit depends on threads, and those of dx and dinitial_states do not
    depend on the batch.
    """

def train_pool_forward(
    target: str,
    x: Float32,
    batch_sizes: Int64,
    ends: Int64,
    over: Int32,
    score: Float32 | None,
    score_bias: float,
    out: Float32,
    threads: int,
) -> None:
    """Pool entries x [N, H], packed as for `train_forward`, at K ends of each row.

    ends [K, B]: the number of steps to pool. over: the pools, as 0 last, 1 mean, 2 max, 3 attention; score [H] is for
    attention only. Writes out [K, B, len(over) * H], whose bits are those of `Engine` and do not depend on threads.
    """

def train_pool_backward(
    target: str,
    x: Float32,
    batch_sizes: Int64,
    ends: Int64,
    over: Int32,
    score: Float32 | None,
    score_bias: float,
    out: Float32,
    dout: Float32,
    dx: Float32,
    dscore: Float32,
    dbias: Float32,
    threads: int,
) -> None:
    """Compute the gradients dx [N, H], dscore [H] and dbias [1]; the last two are untouched without attention."""

def train_embed_forward(table: Float32, ids: Int64, random: Bytes | None, level: int, out: Float32) -> None:
    """Look up rows ids [N] of a table [rows, H]; write them to out [N, H].

    With random [N, H], apply dropout: a number is kept, times 256 / (256 - level), if its random byte is at least level
    (0 to 255), and is 0 otherwise.
    """

def train_embed_backward(slots: Int64, random: Bytes | None, level: int, dout: Float32, values: Float32) -> None:
    """Sum the gradient dout [N, H] into values [count, H]; entry n is added to row slots[n]."""

def train_adamw(
    weights: Float32,
    mean: Float32,
    square: Float32,
    row_ids: Int64 | None,
    gradient: Float32,
    factor: float,
    step: int,
    rate: float,
    beta1: float,
    beta2: float,
    eps: float,
    decay: float,
) -> None:
    """Run step number `step` (from 1) of AdamW, in place on weights and moments [rows, H].

    The gradient is multiplied by factor. row_ids: the rows that have a gradient, in ascending order; gradient is
    [len(row_ids), H], and 0 for all other rows. None: all rows have one.
    """

class Engine:
    """A graph of layers: add them in order, call `finish()`, then run it from any thread.

    Adding a layer copies its weights.
    """

    def __init__(self, target: str, state_bytes: int, fused: bool = True, precision: str = "float32") -> None:
        """Make an engine without layers. fused=False uses only the interpreter of programs (the same bits, slower);
        precision: see `targets`."""

    @property
    def target(self) -> str: ...
    @property
    def fused_layers(self) -> list[int]:
        """Indices of the layers that a kernel of their own runs; the others run by their operations."""

    @property
    def inputs(self) -> int:
        """F; with ids, the number of columns at each step. 0 before finish()."""

    @property
    def outputs(self) -> int:
        """O. 0 before finish()."""

    @property
    def look_ahead(self) -> int:
        """A, the steps that an output is late, as the layers look ahead. 0 before finish()."""

    def add(
        self,
        code: Int32,
        joined: Int32,
        consts: Float32,
        tensors: Sequence[Float32],
        inputs: int,
        ids: int,
        output: int,
        next: Int32,
        state_offsets: Int32,
        state_sizes: Int32,
        ahead: int = 0,
        sources: Sequence[int] = (),
        first_column: int = 0,
        add: int = -1,
    ) -> None:
        """Add a layer by the operations of its step; `tape.encode_program` gives code, joined, consts, output and next.

        Where a kernel was proved against these operations, it runs the layer. tensors: flat, in the program's order.
        inputs: the width of the input; with ids, the rows of the tables. state_offsets, in bytes, and state_sizes: one
        for each state. ahead: how many later steps an output reads. sources: what it reads: earlier layers, or -1, the
        engine's input; several are joined. Without sources it reads the layer before. first_column: the first of the
        columns of the engine's ids that it reads. add: an earlier layer whose output is added; -1 for none.
        """

    def finish(self) -> None:
        """Check the widths of the layers and the offsets of their states. The engine can then run."""

    def run(
        self,
        x: Int32 | Float32,
        lengths: Int32,
        state_in: Bytes,
        state_out: Bytes,
        out: Float32,
        per_step: bool,
        threads: int,
        ends: bool = False,
    ) -> None:
        """Run x, int32 [T, B] or float32 [T, B, F]; row b runs its first lengths[b] steps, and the rest is not read.

        state_in, state_out: uint8 [B, state_bytes]. per_step=False: out [B, O] receives the output after each row's
        last step (untouched for length 0). per_step=True: out [T, B, O] receives the output of every step (untouched
        past a row's length). threads: the most to use. If outputs are late, out receives with step t that of step t - A
        of the row, and is left untouched where there is none. ends: each row ends after its steps; out [T + A, B, O]
        then also receives the outputs that follow, and state_out may only be used to begin anew.
        """

    def step(self, x: Int32 | Float32, state: Bytes, out: Float32) -> None:
        """Run one step of one stream, in place on state [state_bytes]. x: int32 [1] or float32 [F]; out [O].

        If outputs are late, out is left untouched while there is none yet.
        """

    def step_many(self, ids: Int64, x: Int32 | Float32, states: Bytes, out: Float32, threads: int) -> None:
        """Run one step for each of n entries, in place on states [N, state_bytes].

        Entry i steps stream ids[i] with x[i] (int32 [n] or float32 [n, F]) and writes out[i] (out [n, O]). Entries of
        the same stream are applied in order. Everything is checked before anything changes.
        """

    def step_from(
        self,
        x: Int32 | Float32,
        parents: Int64,
        states_in: Bytes,
        owners: Int64,
        held: Bytes,
        states_out: Bytes,
        out: Float32,
        threads: int,
    ) -> None:
        """Run one step for each of n rows that continue the states of others, as the hypotheses of a search do.

        Row i begins from states_in[parents[i]], [N, own bytes], and writes states_out[i], [n, own bytes], and out[i]
        (out [n, O]). What stands behind the own bytes in a state must be arrays that steps only read, all of them; it
        is read from held[owners[i]], [M, state_bytes - own bytes]. x: as in `step_many`. Raises ValueError for layers
        that look ahead, and for own bytes that split a state otherwise.
        """

class Stepper:
    """Runs the steps of one stream, faster than `Engine.step`, because state and output are checked only once.

    It holds both buffers while it exists, so that they cannot be resized. The bits are the same, and no memory is
    allocated.
    """

    def __init__(self, engine: Engine, state: Bytes, out: Float32) -> None:
        """Hold state [state_bytes] and out [O]; each step changes them in place."""

    def step(self, x: Int32 | Float32) -> None:
        """Run one step. x: int32 [1] or float32 [F]."""
