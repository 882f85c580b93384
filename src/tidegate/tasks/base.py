"""The public contract of a task: rows in packed batches, the problem that is trained, and what commands ask.

A task is a module in this folder; README.md lists its functions and shows a whole one in 20 lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..document.decoders import resolve_outputs
from ..document.graph import GRAPH, read_output_nodes
from ..document.levels import GraphPlan
from ..layers import Layer
from ._commands import Encoded as Encoded
from ._commands import Flag as Flag
from ._commands import Plotted as Plotted
from ._commands import Predicted as Predicted
from ._commands import Question as Question
from ._commands import Scored as Scored
from ._graph_builder import first_weights

if TYPE_CHECKING:
    import torch

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.int64]
Tensors = Mapping[str, "torch.Tensor"]
Predict = Callable[[Indices], "Predictions"]  # of rows, in the order of `sort_by_length`
Calibration = dict[str, dict[str, float]]  # output name -> what was fitted on held-out rows; see `Problem.calibrate`


@dataclass(frozen=True)
class Batch:
    """Some rows, packed: the steps of all rows one after another, without padding.

    inputs: of each input by name its steps, [N, ...], where N is the sum of `lengths`. lengths: int64 [B], the number
    of steps of each row, at least 1. targets: of each output by name, [M, ...], row after row. target_lengths: of each
    output the number of targets of each row, int64 [B]; an output without an entry has one a step if there are N
    targets, otherwise one a row. mask: of an output which of its targets count, bool [M] or [M, ...]; without an entry
    all do. inner: of a model with several graphs, for each but the last one, the innermost first, the number of steps
    of each of its rows: those of a message, where `lengths` has the messages of a conversation. The inputs have as many
    steps as their graphs. written: of each graph that a decoder drives, by name, how many steps it makes for each row
    of the first graph, int64, at least 1; what is fed back to it is an input whose steps come from the targets.
    """

    inputs: dict[str, Array]
    lengths: Indices
    targets: dict[str, Array]
    target_lengths: dict[str, Indices] = field(default_factory=dict)
    mask: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    inner: tuple[Indices, ...] = ()
    written: dict[str, Indices] = field(default_factory=dict)

    def count_targets(self, name: str) -> Indices:
        """Return the number of targets of each row of an output, int64 [B].

        >>> batch = Batch({"x": np.zeros(3)}, np.array([1, 2]), {"label": np.zeros(2), "tags": np.zeros(3)})
        >>> batch.count_targets("label").tolist(), batch.count_targets("tags").tolist()
        ([1, 1], [1, 2])
        """
        if name in self.target_lengths:
            return self.target_lengths[name]
        one_each = len(self.targets[name]) == len(self.lengths)
        return np.ones_like(self.lengths) if one_each else self.lengths

    def shorten(self, lengths: Indices) -> Batch:
        """Return the batch with only the first `lengths` steps (int64 [B]) of each row, and the same targets."""
        own = np.repeat(np.arange(len(lengths)), self.lengths)
        step = np.arange(len(own)) - (np.cumsum(self.lengths) - self.lengths)[own]
        kept = step < lengths[own]
        return replace(self, inputs={name: x[kept] for name, x in self.inputs.items()}, lengths=lengths)


class Rows(Protocol):
    """Rows of training data. lengths: the number of steps of each."""

    lengths: Indices

    def batch(self, rows: Indices, random: np.random.Generator | None = None) -> Batch:
        """Pack rows, in this order; each may give several rows of the batch, which the loss reads together.

        random: given in training; what is hidden in or added to the input is drawn from it.
        """


@dataclass(frozen=True)
class Dropout:
    """The dropout of a training step: the rates after an embedding and before the last layer, and the generator."""

    embed: float
    head: float
    random: np.random.Generator


class Forward(Protocol):
    """A network in training, as a task sees it: it runs batches and gives each output by name.

    whole_window: the reason why the layers read rows as a whole, so that the start of a row is not a shorter row; "" if
    they do not. tensors: all that is trained, by name: those of the layers, of the problem's decoders and of its loss.
    """

    whole_window: str

    @property
    def tensors(self) -> Tensors:
        """See above."""

    def run(self, batch: Batch, dropout: Dropout | None = None) -> Any:
        """Run the layers that keep a value for every step; `outputs` takes the result."""

    def outputs(self, body: Any, ends: Sequence[Indices], dropout: Dropout | None = None) -> Sequence[Tensors]:
        """Return the outputs by name, once for each of `ends` (int64 [B], from 1 to a row's length).

        An output that is trained at the end of a row has the values [B, ...] after the first `ends` steps; one that
        is trained at every step has [N, ...], row after row, the same for all `ends`. They are the numbers before a
        final softmax or sigmoid.
        """


@dataclass(frozen=True)
class Predictions:
    """The outputs of some rows, and their targets, by output name. Only targets that count are there.

    outputs: float64 [n, ...], before any softmax. targets: [n, ...]. row: int64 [n], the row of each, from 0 to rows -
    1. mask: bool [n, ...], for outputs whose targets are known in part. tensors: all that is trained, by name. branch:
    of a problem with a linear branch, the branch's numbers for the outputs, in the same order.
    """

    rows: int
    outputs: dict[str, Array]
    targets: dict[str, Array]
    row: dict[str, Indices]
    mask: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    tensors: dict[str, Array] = field(default_factory=dict)
    branch: dict[str, Array] = field(default_factory=dict)

    def select(self, rows: npt.NDArray[np.bool_]) -> Predictions:
        """Return the predictions of some rows, bool [rows]. Rows keep their numbers."""

        def keep(part: dict[str, Array]) -> dict[str, Array]:
            return {name: values[rows[self.row[name]]] for name, values in part.items()}

        parts = keep(self.outputs), keep(self.targets), keep(self.row), keep(self.mask)
        return Predictions(self.rows, *parts, self.tensors, keep(self.branch))


class Branch(Protocol):
    """A linear model of a problem's rows, fitted at once and not by gradients, which joins the network at the end."""

    def predict(self, batch: Batch, rows: Indices) -> dict[str, Array]:
        """Return its numbers by output name, float64, for the same rows, origins and numbers as the network's outputs.

        batch: as `Rows.batch` packs these rows.
        """


class Fold(NamedTuple):
    """A fold of a source: what is trained on, and what measures it.

    valid: the rows that measure; None: they are held out at the end of `source`, as usual. held_out: how many rows, or
    forecasts, that is.
    """

    source: Any
    valid: Any
    held_out: int


class Frozen(NamedTuple):
    """Rows of a tensor that the first epochs do not train. rows: bool, of its first axis. epochs: how many."""

    rows: npt.NDArray[np.bool_]
    epochs: int


@dataclass(frozen=True, kw_only=True)
class Problem:
    """All that the training loop and the model file need. A task's own class adds `loss`, `measure` and more.

    options: complete, with every default that depends on the data decided. rows: the data. train_rows, valid_rows:
    indices of the training rows, and of the held-out rows that select the weights. inputs, outputs, decoders: their
    entries in the model file by name. arrays: the inputs' tensors. features: width of a step, None for ids. layers: the
    graph. graphs: of a model with several, all by name, the innermost first, and perhaps one that a decoder drives;
    `layers` are then those of the last one, which the outputs read. metric: the figure of `measure` that selects
    the weights; lower: whether less of it is better. summaries: for each source, how it was read. notes: for each
    source, sentences about its rows. initial: initial weights that the data determine. rows_per_epoch: drawn anew
    for each epoch; None: all. groups: the number of each row's group; None: each is by itself. provenance: further
    entries of the provenance.
    loss_tensors: the first values of tensors that are trained with the layers and that the loss alone reads, by name,
    such as the weights of a head, or a temperature; the model file does not have them. kept: the names of those that
    it has nevertheless, as `score` measures the loss with them; no output depends on them.
    frozen: rows that the first epochs leave as they are, by the name of their tensor.
    """

    options: Any
    rows: Rows
    train_rows: Indices
    valid_rows: Indices
    inputs: dict[str, dict[str, Any]]
    arrays: dict[str, Array]
    features: int | None
    layers: list[Layer]
    outputs: dict[str, dict[str, Any]]
    summaries: list[str]
    metric: str
    lower: bool = False
    graphs: dict[str, GraphPlan] = field(default_factory=dict)
    notes: list[list[str]] = field(default_factory=list)
    initial: dict[str, Array] = field(default_factory=dict)
    rows_per_epoch: int | None = None
    groups: Indices | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    decoders: dict[str, dict[str, Any]] = field(default_factory=dict)
    loss_tensors: dict[str, Array] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    frozen: dict[str, Frozen] = field(default_factory=dict)

    @property
    def all_layers(self) -> list[Layer]:
        """The layers of all graphs, one graph after another."""
        return [layer for plan in self.graphs.values() for layer in plan.layers] or self.layers

    def init_weights(self) -> dict[str, Array]:
        """Initialise the weights by tensor name, from the seed and the data."""
        return {**first_weights(self.options.seed, self.options.load_cell(), self.all_layers), **self.initial}

    def node_outputs(self) -> dict[str, dict[str, Any]]:
        """Return the outputs with the node and the part that they read, which those with a decoder read through it."""
        last = f"{next(reversed(self.graphs), GRAPH)}.{len(self.layers) - 1}"
        decoders = {name: {"reads": last, **of} for name, of in self.decoders.items()}
        return resolve_outputs({name: {"from": last, **of} for name, of in self.outputs.items()}, decoders)

    def output_nodes(self) -> dict[str, int]:
        """Return the index of the layer that each output reads: the last one, unless its entry has another `from`."""
        graph = next(reversed(self.graphs), GRAPH)
        entries = {
            name: {**of, "from": GRAPH + of["from"].removeprefix(graph)} for name, of in self.node_outputs().items()
        }
        return read_output_nodes(entries, self.layers)

    def step_outputs(self) -> set[str]:
        """Return the names of the outputs that are trained at every step. The default: those that answer there."""
        return {name for name, entry in self.outputs.items() if entry["at"] == "step"}

    def dropout(self, random: np.random.Generator) -> Dropout:
        """Return the dropout of a training step. The default is none."""
        return Dropout(0.0, 0.0, random)

    def train_loss(self, network: Forward, batch: Batch, random: np.random.Generator) -> torch.Tensor:
        """Run a batch with its regularisers and return the loss of a training step, a scalar with gradients.

        random: every draw of the step comes from it. The default is `loss` of the whole rows, with `dropout`.
        """
        dropout = self.dropout(random)
        return self.loss(network.outputs(network.run(batch, dropout), [batch.lengths], dropout)[0], batch)

    def loss(self, outputs: Tensors, batch: Batch) -> torch.Tensor:
        """Return the loss of outputs by name, as `Forward.outputs` gives them, a scalar. torch is imported inside."""
        raise NotImplementedError(f"{type(self).__name__} has no loss")

    def measure(self, predictions: Predictions) -> dict[str, float]:
        """Compute the figures of held-out rows by name, `metric` among them."""
        raise NotImplementedError(f"{type(self).__name__} has no measure")

    def rank(self, figures: dict[str, float]) -> tuple[float, float]:
        """Rank an epoch by its figures: higher is better, and the second number breaks ties. The default: `metric`."""
        return -figures[self.metric] if self.lower else figures[self.metric], 0.0

    def tolerance(self, best: float, figures: dict[str, float]) -> float:
        """Return how far below the best rank an epoch may be and still be kept. The default: not at all."""
        return 0.0

    # ---- comparison with models of other options

    @property
    def compared(self) -> str:
        """The figure of held-out rows by which models of other options are compared. The default: `metric`."""
        return self.metric

    def compare(self, figures: dict[str, float]) -> tuple[float, float]:
        """Rank a finished model among those of other options, as `rank` does the epochs of one. The default: `rank`."""
        return self.rank(figures)

    def noise(self, figures: dict[str, float]) -> float | None:
        """Return one standard error of the compared figure; None where it is not known. The default: `tolerance`."""
        return self.tolerance(self.rank(figures)[0], figures) or None

    def count_held_out(self) -> int:
        """Count the held-out rows, or what else the figures are means of. The default: rows."""
        return len(self.valid_rows)

    # ---- calibration

    def calibrate(self, predictions: Predictions) -> Calibration:
        """Fit on held-out rows what is recorded as the calibration of outputs. The default: nothing.

        A `factor` is what the output's numbers are multiplied by, which is folded into the last dense layer. `branch`
        is what is given to the linear branch, if `predictions` have its numbers; without it the model has no branch. Of
        an output with a rule `reject`, `threshold` is that of the rule, and `lost` and `found` say what it does to
        held-out rows in scope and out of scope.
        """
        return {}

    def apply_calibration(self, predictions: Predictions, calibration: Calibration) -> Predictions:
        """Return predictions with the outputs that the finished model has. The default: factor and branch, added up."""
        scaled = dict(predictions.outputs)
        for name, of in calibration.items():
            scaled[name] = of.get("factor", 1.0) * scaled[name]
            if "branch" in of:
                scaled[name] = scaled[name] + of["branch"] * predictions.branch[name]
        return replace(predictions, outputs=scaled)

    # ---- a linear branch beside the network

    def fit_branch(self, rows: Indices) -> Branch | None:
        """Fit the linear branch to these rows. The default: there is none."""
        return None

    def join_branch(
        self, branch: Branch, calibration: Calibration, tensors: dict[str, Array]
    ) -> tuple[Problem, dict[str, Array]]:
        """Return the problem whose graph has the branch, with the share that the calibration gives it, and all tensors.

        tensors: those of the network, with the factors of the calibration folded in.
        """
        raise NotImplementedError(f"{type(self).__name__} has no branch")

    # ---- the end of training

    def complete(
        self, branch: Branch | None, predict: Predict, calibration: Calibration, tensors: dict[str, Array]
    ) -> tuple[Problem, dict[str, Array]]:
        """Return the problem of the finished model, with its graph, and all tensors. The default joins the branch.

        A task overrides it whose model answers with more than what is trained, such as with a score of forecasts. It is
        tried before the first epoch. branch: the linear one, or None. predict: gives the predictions of rows by
        the network of the finished model. tensors: see `join_branch`.
        """
        return (self, tensors) if branch is None else self.join_branch(branch, calibration, tensors)


def sort_by_length(rows: Indices, lengths: Indices) -> Indices:
    """Return rows sorted by their length, as `Predictions` number them. lengths: of all rows.

    >>> sort_by_length(np.array([0, 2, 3]), np.array([5, 1, 2, 5])).tolist()
    [2, 0, 3]
    """
    return np.asarray(rows[np.argsort(lengths[rows], kind="stable")])


def concatenate(rows: list[Array]) -> tuple[Array, Indices]:
    """Concatenate rows [T, ...] of one dtype: their steps one after another [N, ...], and their lengths [B]."""
    return np.concatenate(rows), np.array([len(row) for row in rows], np.int64)


class Task(Protocol):
    """What a task's module has; see README.md.

    inputs: the kinds of input that its models can have. files: the kinds of files that it reads, in words. verb: what
    a model does, in words: "this model VERB". examples: command lines that `fit --help` shows.
    score_flags, predict_flags: what it adds to these commands. predicted: how the columns and keys of each kind of file
    begin that `predict` writes of it, by which such a file is known.
    """

    KIND: str
    INPUTS: Mapping[str, Any]
    FILES: str
    VERB: str
    EXAMPLES: str
    SCORE_FLAGS: tuple[Flag, ...]
    PREDICT_FLAGS: tuple[Flag, ...]
    PREDICTED: tuple[tuple[str, ...], ...]
    Options: type[Any]

    def read(self, source: Any, options: Any, columns: list[str] | None = None) -> Any:
        """Read a source. columns: those of a model. Raises DataError."""

    def prepare(self, source: Any, valid: Any, options: Any) -> Problem:
        """Make the problem of a source. Raises DataError."""

    def split_folds(self, source: Any, options: Any, count: int) -> list[Fold]:
        """Split what `read` has read into folds for cross-validation, see `Fold`; rows or steps measure once.

        Raises DataError where it cannot be split into so many.
        """

    def report(self, document: dict[str, Any], path: str) -> str:
        """Say how good a new model is, and what to run next. path: its file."""

    def score(self, predictor: Any, file: str, flags: Mapping[str, Any]) -> Scored:
        """Evaluate a model on a file. flags: the values of `SCORE_FLAGS` by name. Raises DataError, OptionError."""

    def predict(self, predictor: Any, question: Question, flags: Mapping[str, Any]) -> Predicted:
        """Answer a question. flags: the values of `PREDICT_FLAGS` by name. Raises DataError, OptionError."""
