"""The native engine: a chain of layers run by kernels of one instruction set ("target").

Arrays come in through the buffer protocol and must be C-contiguous and of the very dtype named. A wrong dtype
is a TypeError; a wrong shape, value, layout or overlap a ValueError; nothing has changed then. T steps, B
rows, F inputs, O outputs. A stream's state is `state_bytes` bytes: steps seen (int64, offset 0), then the
layers' float32 arrays. Results are the same bits for step, run and pool_step, whatever the batch, the chunks
and the threads.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

OPCODES: Final[dict[str, int]]
"""Operation of a tape -> its number."""

ERRORS: Final[dict[str, dict[str, float]]]
"""Target -> bounds on the activations' errors: sigmoid_abs (absolute), tanh_rel and exp_rel (relative, where
the exact value is a normal float32)."""

def compiled(precision: str = "float32") -> list[str]:
    """Targets of this build, best first. precision: "float32", "weights=bf16" (weights that multiply are rounded to
    bfloat16) or "compute=bf16" (what they multiply as well); targets with an instruction for bfloat16 are the last's
    alone. ValueError for another."""

def targets(precision: str = "float32") -> list[str]:
    """Targets this CPU can run, best first."""

def default_target(precision: str = "float32") -> str:
    """The environment variable TIDEGATE_TARGET if set, else the best target. ValueError if it cannot run
    here."""

def train_saved(target: str, cell: str, size: int) -> int:
    """Floats that `train_forward` saves for each entry. cell: "gru", "gru replace", "lstm", "rnn tanh", "rnn relu",
    "mingru", "gru before", "gru before replace" or "lstm peepholes", each an equation of `tidegate.cells`; with " norm"
    behind it, its dialect norm=layer."""

def train_forward(
    target: str,
    cell: str,
    x: Float32,
    rows: Int64,
    first: Float32,
    W: Float32,
    b: Float32,
    R: Float32,
    c: Float32,
    own: Float32,
    y: Float32,
    last: Float32,
    saved: Float32 | None,
    threads: int,
) -> None:
    """A cell over whole rows: entries stand step by step, N in all; rows [T]: how many of the B rows, the first ones,
    have each step.

    x [N, I]; first [S, B, H]: states before the first step; W [G*H, I], b [G*H], R [M*H, H], c [M*H]; own [O, H]: the
    cell's own parameters, then with norms the gains of the gates and maps, then their biases. Writes y [N, H],
    last [S, B, H]: states after each row's last step, and saved [N, train_saved(...)] unless None. The bits of y and
    last depend neither on the batch nor on threads, and are those of `Engine`.
    """

def train_backward(
    target: str,
    cell: str,
    x: Float32,
    rows: Int64,
    first: Float32,
    W: Float32,
    b: Float32,
    R: Float32,
    c: Float32,
    own: Float32,
    y: Float32,
    saved: Float32,
    dy: Float32,
    dlast: Float32,
    dx: Float32 | None,
    dfirst: Float32,
    dW: Float32,
    db: Float32,
    dR: Float32,
    dc: Float32,
    down: Float32,
    threads: int,
) -> None:
    """The gradients, from dy [N, H] and dlast [S, B, H]; each as what it is the gradient of. Bits depend on no threads,
    and those of dx and dfirst not on the batch."""

def train_pool_forward(
    target: str,
    x: Float32,
    rows: Int64,
    ends: Int64,
    over: Int32,
    score: Float32 | None,
    score_bias: float,
    out: Float32,
    threads: int,
) -> None:
    """Pools side by side over entries x [N, H] that lie as those of `train_forward`; ends [K, B]: how many of each
    row's steps a value is over. over: 0 last, 1 mean, 2 max, 3 attention, which alone has a score [H].

    Writes out [K, B, len(over) * H], whose bits are those of `Engine` and depend on no threads.
    """

def train_pool_backward(
    target: str,
    x: Float32,
    rows: Int64,
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
    """The gradients: dx [N, H]; dscore [H] and dbias [1], both untouched without attention, whatever the threads."""

def train_embed_forward(table: Float32, ids: Int64, random: Bytes | None, level: int, out: Float32) -> None:
    """Rows ids [N] of a table [rows, H] into out [N, H]. With random [N, H], a number stays, times 256 / (256 - level),
    where its byte is the level (0 to 255) or more, and is 0 elsewhere."""

def train_embed_backward(slots: Int64, random: Bytes | None, level: int, dout: Float32, values: Float32) -> None:
    """values [count, H]: sums of the gradient dout [N, H] over the entries whose slot is each row's."""

def train_adamw(
    weights: Float32,
    mean: Float32,
    square: Float32,
    which: Int64 | None,
    gradient: Float32,
    factor: float,
    step: int,
    rate: float,
    beta1: float,
    beta2: float,
    eps: float,
    decay: float,
) -> None:
    """Step number `step` (from 1) of AdamW, in place on weights and moments [rows, H], with the gradient times factor.

    which: the rows that gradient [len(which), H] is of, ascending, and it is 0 elsewhere; None: of all.
    """

class Engine:
    """Layers added in order, then `finish()`, then run from any thread. Adding a layer copies its weights.

    `add`: index of an earlier layer whose output is added to this one's; -1: none.
    """

    def __init__(self, target: str, state_bytes: int, fused: bool = True, precision: str = "float32") -> None:
        """`fused=False` keeps to the interpreter of tapes: the same bits, slower. precision: as `targets` has it."""

    @property
    def target(self) -> str: ...
    @property
    def fused_layers(self) -> list[int]:
        """Indices of the recurrent layers that run a fused kernel."""

    @property
    def inputs(self) -> int:
        """F; 1 where the input is ids. 0 before finish()."""

    @property
    def outputs(self) -> int:
        """O. 0 before finish()."""

    def embed(self, weight: Float32, add: int = -1) -> None:
        """First layer only. weight [V, E]: row x for id x; the engine's input is int32 ids."""

    def dense(self, weight: Float32, bias: Float32, activation: str, add: int = -1) -> None:
        """activation(weight [O, I] x + bias [O]); activation: none, relu, tanh or sigmoid."""

    def conv(
        self, weight: Float32, bias: Float32, width: int, activation: str, past_offset: int, add: int = -1
    ) -> None:
        """activation(weight [O, width * I] (the last `width` inputs end to end, oldest first) + bias [O]).

        Zeros stand before the first input. past_offset, in bytes: past [(width - 1) * I]; -1 for a width of 1.
        """

    def norm(self, gain: Float32, bias: Float32, eps: float, add: int = -1) -> None:
        """(x - mean) / sqrt(biased variance + eps) * gain [N] + bias [N]."""

    def scale(self, mean: Float32, deviation: Float32, add: int = -1) -> None:
        """(x - mean [N]) / deviation [N]."""

    def recurrent(
        self,
        tape: Int32,
        consts: Float32,
        widths: Int32,
        gates: int,
        output: int,
        next: Int32,
        state_offsets: Int32,
        state_sizes: Int32,
        W: Float32,
        b: Float32,
        R: Float32,
        c: Float32,
        params: list[Float32],
        size: int,
        add: int = -1,
        Q: Float32 | None = None,
    ) -> None:
        """A cell of H = size, as its tape [n, 4]: rows (opcode, a, b, 0); row i writes register i, widths[i]
        wide.

        input: a = gate. state: a = state. param: a = index in params. const: a = index in consts. recur: a =
        recurrent map, b = register. project: b = register. Unary: a; binary: a, b = registers. output: register;
        next [S]: register of each state's next value; state_offsets [S]: bytes; state_sizes [S]: floats. W
        [G*H, I], b [G*H]: gate after gate. R [Gr*H, P], c [Gr*H]: map after map; P = H without Q [P, H]. params:
        flat arrays. A tape that breaks a rule is a ValueError.
        """

    def pool(
        self,
        size: int,
        over: list[str],
        score: Float32 | None,
        score_bias: float,
        offsets: list[int],
        add: int = -1,
    ) -> None:
        """Side by side, over the steps so far: last, mean, max, attention (score [size], score_bias).

        offsets: one an item, in bytes: mean: sum [size]; max: max [size]; attention: peak [1], weight [1],
        sum [size], end to end; last: -1.
        """

    def softmax(self, size: int, add: int = -1) -> None: ...
    def finish(self) -> None:
        """Checks the chain of widths and the places of the states; the engine can run from here on."""

    def run(
        self,
        x: Int32 | Float32,
        lengths: Int32,
        state_in: Bytes,
        state_out: Bytes,
        out: Float32,
        every: bool,
        threads: int,
    ) -> None:
        """Runs x, int32 [T, B] or float32 [T, B, F]; row b takes its first lengths[b] steps, the rest is not
        read.

        state_in, state_out: uint8 [B, state_bytes]. every=False: out [B, O] after each row's last step,
        untouched for length 0. every=True: out [T, B, O], untouched past a row's length. threads: at most so
        many.
        """

    def step(self, x: Int32 | Float32, state: Bytes, out: Float32) -> None:
        """One step of one stream, in place on state [state_bytes]. x: int32 [1] or float32 [F]; out [O]."""

    def pool_step(self, ids: Int64, x: Int32 | Float32, states: Bytes, out: Float32, threads: int) -> None:
        """One step for each entry: stream ids[i] of states [N, state_bytes], in place, with x[i], to out[i]
        (out [n, O]).

        x: int32 [n] or float32 [n, F]. Entries of one stream are applied in order. All is checked before any
        change.
        """

class Stepper:
    """Steps of one stream whose state and output are looked at once, which takes less time than `Engine.step`; both are
    held, and cannot be resized, as long as it lives. The same bits, and nothing is allocated.
    """

    def __init__(self, engine: Engine, state: Bytes, out: Float32) -> None:
        """state [state_bytes] and out [O] are changed in place by each step."""

    def step(self, x: Int32 | Float32) -> None:
        """One step. x: int32 [1] or float32 [F]."""
