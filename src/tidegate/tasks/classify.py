"""Classify: one label for each message, available after every word."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import cells
from ..data.candidates import suggestion
from ..data.columns import MissingColumn
from ..data.table import Table, read
from ..errors import DataError, OptionError, located
from ..features.text import Tokenizer, Vocabulary, encode
from ..layers.bidirectional import DIRECTIONS
from ..layers.pool import OVER
from . import _metrics
from ._options import check, option

if TYPE_CHECKING:
    import torch

KIND = "classify"
METRIC = "accuracy"
score = _metrics.score


@dataclass(frozen=True)
class Options:
    """The options of a text classifier. None: decided from the data by `resolved`, and recorded as decided."""

    text: str = option("text", "column that holds the message")
    label: str = option("label", "column that holds the label")
    tokens: str = option("word", "what a step is", choices=("word", "char", "byte"))
    fold: bool = option(True, "fold case (byte tokens never do)")
    digits: str = option("keep", "keep digits, or show only their shape (every digit as 0)", choices=("keep", "shape"))
    min_count: int = option(1, "rarer tokens count as unknown", least=1)
    vocabulary: int = option(30_000, "most entries of the vocabulary", least=2, most=1_000_000)
    cell: str = option("gru", "recurrence: a name, or a path to your own cell's .py file")
    dialect: str = option("", "dialect of the cell, by comma, such as reset=before,norm=layer")
    project: int | None = option(
        None,
        "width of the projection, of a cell that has one (--cell lstm --dialect projection=yes); "
        "half of the recurrence if not given",
        least=1, most=4096,
    )  # fmt: skip
    direction: str = option(
        "causal", "both: reads each message from its end too, so that the model does not stream",
        choices=("causal", "both"),
    )  # fmt: skip
    conv: int = option(0, "width of a causal convolution before the recurrence; 0: none", least=0, most=64)
    depth: int = option(1, "recurrent layers; a second one is residual, each behind a layer norm", least=1, most=8)
    hidden: int | None = option(
        None, "width of the recurrence in each direction; by message length if not given", least=1, most=4096
    )
    embed: int | None = option(None, "width of the embedding; that of the recurrence if not given", least=1, most=4096)
    pool: str = option("last,mean,max,attention", f"what the label is read from: any of {', '.join(OVER)}, by comma")
    epochs: int | None = option(None, "passes over the data; by its size if not given", least=1)
    batch: int | None = option(None, "rows a step; by the number of rows if not given", least=1, most=65536)
    rate: float = option(0.003, "peak learning rate", least=1e-7, most=1.0)
    decay: float = option(0.01, "weight decay, on matrices only", least=0.0, most=1.0)
    smoothing: float = option(0.1, "label smoothing", least=0.0, most=0.9)
    drop_embed: float = option(0.5, "dropout after the embedding", least=0.0, most=0.95)
    drop_pool: float = option(0.5, "dropout before the last layer", least=0.0, most=0.95)
    drop_words: float = option(0.1, "share of words read as unknown in training", least=0.0, most=0.95)
    drop_rare: float = option(0.5, "rare words more often: a/(a + count) of them", least=0.0, most=100.0)
    prefix: float | None = option(
        None,
        "weight of the loss of a random beginning of each message; 0.3 if not given, 0 with --direction both",
        least=0.0, most=10.0,
    )  # fmt: skip
    average: float = option(
        0.0, "decay of the running average of weights that is evaluated; 0: none", least=0.0, most=0.9999
    )
    class_weights: str = option("none", "weigh classes alike whatever their size", choices=("none", "balanced"))
    hold_out: float | None = option(
        None, "share of rows held out to choose the best weights; at most 0.1 and 1,500 rows if not given",
        least=0.0001, most=0.9,
    )  # fmt: skip
    refit_epochs: int | None = option(
        None,
        "passes at the end that learn from held-out rows too; if not given, a quarter more, none with --valid",
        least=0,
    )
    refit_rate: float = option(
        0.5, "learning rate of those passes, as a share of the peak, falling to 0", least=0.0, most=1.0
    )
    patience: int | None = option(None, "epochs without a better held-out metric before stopping", least=1)
    seed: int = option(0, "every random choice follows from it", least=0, most=2**31 - 1)

    def __post_init__(self) -> None:
        check(self)
        self.over()
        cells.spoken(self.dialect)

    def recurrence(self) -> cells.Cell:
        """The cell in its dialect. Raises CellError; OptionError for a projection that it does not have."""
        cell = cells.load(self.cell, cells.spoken(self.dialect))
        if self.project is not None and not cell.tape.projected:
            raise OptionError(
                f"project is given and the cell {cell.name} has no projection; choose one that has, such as "
                "--cell lstm --dialect projection=yes, or leave it out"
            )
        return cell

    def over(self) -> list[str]:
        """The pools as a list. Raises OptionError for one that there is not."""
        kinds = self.pool.split(",")
        if unknown := [k for k in kinds if k not in OVER]:
            raise OptionError(f"unknown pool {unknown[0]!r}; choose one or more of {', '.join(OVER)}, by comma")
        if len(set(kinds)) != len(kinds):
            raise OptionError(f"pool is {self.pool!r}; an entry stands twice")
        return kinds

    def tokenizer(self) -> Tokenizer:
        fold = self.fold and self.tokens != "byte"
        return Tokenizer(self.tokens, fold=fold, digits=self.digits)


@dataclass(frozen=True)
class Examples:
    """Rows ready for training: tokens of each message, index of each label, and the file's line of each."""

    tokens: list[list[bytes]]
    targets: npt.NDArray[np.int64]
    labels: list[str]
    lines: list[int]


def rows(source: Any, options: Options) -> Table:
    """The table of a file or frame with the columns that the task reads.

    Raises DataError; for a column that is not there, it names those that look as if they were meant.
    """
    try:
        return read(source, [options.text, options.label])
    except MissingColumn as error:
        if hint := suggestion(source, error.names, options.text, options.label):
            raise DataError(f"{str(error).removesuffix(error.hint)}; {hint}") from error
        raise


def taken(table: Table, options: Options, found: Examples) -> str:
    """What each column of a table was taken for, in words."""
    kind, count = table.kind(options.label), len(set(found.targets.tolist()))
    how = "" if kind == "text" else f"{kind} taken as text, "
    return f"text: column {options.text!r}, label: column {options.label!r} ({how}{count} labels)"


def examples(
    table: Table,
    options: Options,
    labels: list[str] | None = None,
    unseen: str = "error",
    remedy: str = "count such rows as wrong with --unseen wrong",
) -> Examples:
    """The rows of a table.

    labels: those of a model (None: those that the table has, sorted). unseen: what a label that is not among them is:
    an 'error', or 'wrong' (target -1). remedy: what the error tells to do. Raises DataError with file and line.
    """
    texts, names = table.column(options.text), table.labels(options.label)
    tokenizer, tokens = options.tokenizer(), []
    for row, (text, name) in enumerate(zip(texts, names, strict=True)):
        with located(table.place(row)):
            tokens.append(message(tokenizer, text, options.text))
            if not name.strip():
                raise DataError(f"the label in column {options.label!r} is empty; give one or leave the row out")
    known = sorted(set(names)) if labels is None else labels
    index = {name: i for i, name in enumerate(known)}
    if unseen == "error":
        for row, name in enumerate(names):
            if name not in index:
                raise DataError(f"{table.place(row)}: label {name!r} was not seen in training; {remedy}")
    return Examples(tokens, np.array([index.get(n, -1) for n in names], np.int64), known, list(table.lines))


def message(tokenizer: Tokenizer, text: str, column: str) -> list[bytes]:
    """The tokens of a message; a message without one cannot be classified."""
    if not (tokens := tokenizer.tokens(encode(text))):
        what = "is empty" if not text.strip() else f"has no {tokenizer.kind}"
        raise DataError(f"the text in column {column!r} {what}; give one or leave the row out")
    return tokens


def check_classes(found: Examples, path: str, options: Options) -> None:
    """Raises DataError unless there is something to learn."""
    if len(found.labels) < 2:
        raise DataError(f"{path}: column {options.label!r} has one class only, {found.labels[0]!r}; needs two or more")


def resolved(options: Options, found: Examples) -> Options:
    """The options with everything that depends on the data decided, from the numbers of its messages, words and labels.

    Short messages afford a wide recurrence; many labels need more passes; small files smaller batches and 600 steps.
    """
    rows, tokens = len(found.tokens), sum(map(len, found.tokens))
    batch = options.batch or int(np.clip(2 ** round(math.log2(rows / 80)), 8, 64))
    hold_out = options.hold_out or min(0.1, 1500 / rows)
    steps = math.ceil(rows * (1 - hold_out) / batch)
    most = 8 + min(6, len(found.labels) // 20)
    epochs = options.epochs or max(int(np.clip(round(4.6e6 / tokens), 4, most)), math.ceil(600 / steps))
    refit = max(2, round(epochs / 4)) if options.refit_epochs is None else options.refit_epochs
    hidden = options.hidden or (256 if tokens / rows <= 32 else 128)
    early = 0.3 if options.direction == "causal" else 0.0  # who never streams is never asked early
    prefix = early if options.prefix is None else options.prefix
    return replace(
        options, batch=batch, hold_out=hold_out, epochs=epochs, refit_epochs=refit, hidden=hidden,
        embed=options.embed or hidden, prefix=prefix, patience=options.patience or max(8, epochs // 2),
    )  # fmt: skip


def inputs(
    options: Options, tokens: list[list[bytes]]
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]], Vocabulary, npt.NDArray[np.float32]]:
    """The document's input section, its tensors, the vocabulary that the training rows' tokens give, and for each
    of its ids how often training reads it as unknown, float32 [size].
    """
    counts = Counter(t for row in tokens for t in row)
    if options.tokens == "byte":
        vocabulary = Vocabulary.of_bytes()
    else:
        vocabulary = Vocabulary.learn(counts, options.min_count, options.vocabulary)
    data, offsets = vocabulary.arrays()
    names = {"bytes": "input.vocabulary.bytes", "offsets": "input.vocabulary.offsets"}
    section = {"kind": "text", "tokenizer": options.tokenizer().to_json(), "vocabulary": names, "size": len(vocabulary)}
    return section, {names["bytes"]: data, names["offsets"]: offsets}, vocabulary, hide(options, counts, vocabulary)


def hide(options: Options, counts: Counter[bytes], vocabulary: Vocabulary) -> npt.NDArray[np.float32]:
    """How often each id is read as unknown in training: rare words more, as they are what new text has more of."""
    seen = np.array([counts[token] for token in vocabulary.tokens], np.float64)
    rare = options.drop_rare / np.maximum(options.drop_rare + seen, 1e-9)
    return np.minimum(np.maximum(options.drop_words, rare), 0.95).astype(np.float32)


def layers(options: Options, size: int, classes: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The layers of a classifier and their tapes as JSON."""
    cell = options.recurrence()
    made: list[dict[str, Any]] = []

    def put(kind: str, roles: tuple[str, ...], add: int | None = None, **rest: Any) -> None:
        names = {role: f"layers.{len(made)}.{role}" for role in roles}
        made.append({"kind": kind, **rest, "tensors": names, **({} if add is None else {"add": add})})

    put("embed", ("weight",), rows=size, size=options.embed)
    assert options.hidden, "options are resolved first"
    assert options.embed
    width, H = options.embed, options.hidden
    if options.conv:
        put("conv", ("weight", "bias"), inputs=width, size=width, width=options.conv, centred=False, activation="relu")
    own = tuple(f"p.{name}" for name in cell.params)
    projected = {"project": options.project or max(1, H // 2)} if cell.tape.projected else {}
    roles = ("W", "b", "R", "c", *(("Q",) if projected else ()), *own)
    kind, ways = "recurrent", 1
    if options.direction == "both":
        kind, ways, roles = "bidirectional", 2, tuple(f"{way}.{role}" for way in DIRECTIONS for role in roles)
    for k in range(options.depth):
        below = len(made) - 1
        if k:
            put("norm", ("gain", "bias"), size=width, eps=1e-5)
        put(kind, roles, add=below if k else None, inputs=width, size=H, tape=cell.name, cell=cell.name,
            dialect=cell.dialect, **projected)  # fmt: skip
        width = ways * projected.get("project", H)
    over = options.over()
    put("pool", ("score", "score_bias") if "attention" in over else (), size=width, over=over)
    put("dense", ("weight", "bias"), inputs=width * len(over), size=classes, activation="none")
    put("softmax", (), size=classes)
    return made, {cell.name: cell.tape.to_json()}


def start(
    options: Options, document: dict[str, Any], shapes: dict[str, tuple[int, ...]]
) -> dict[str, npt.NDArray[Any]]:
    """First weights by tensor name, from the seed: R orthogonal and W Xavier, gate by gate; zero biases."""
    rng = np.random.default_rng([options.seed, 0x57A7])
    init = options.recurrence().init
    made: dict[str, npt.NDArray[Any]] = {}
    for layer in document["layers"]:
        for place, name in layer["tensors"].items():
            shape, role = shapes[name], place.removeprefix("forward.").removeprefix("backward.")
            value = init.get(role.removeprefix("p."), 0.0) if role.startswith("p.") else None
            made[name] = first(rng, layer["kind"], role, shape, layer.get("size", 1), value)
    return made


def first(
    rng: np.random.Generator, kind: str, role: str, shape: tuple[int, ...], H: int, value: float | None
) -> npt.NDArray[Any]:
    """One tensor's first value, float32."""
    if value is not None:
        return np.full(shape, value, np.float32)
    if role == "gain":
        return np.ones(shape, np.float32)
    if kind == "embed":
        return (rng.standard_normal(shape) * 0.1).astype(np.float32)
    if len(shape) == 1:
        return np.zeros(shape, np.float32)
    if role == "R":
        blocks = [np.zeros((0, shape[1])), *(orthogonal(rng, H, shape[1]) for _ in range(shape[0] // H))]
        return np.concatenate(blocks).astype(np.float32)
    limit = math.sqrt(6 / ((H if role == "W" else shape[0]) + shape[1]))
    return rng.uniform(-limit, limit, shape).astype(np.float32)


def orthogonal(rng: np.random.Generator, rows: int, columns: int) -> npt.NDArray[np.float64]:
    """A matrix whose rows or columns, whichever are fewer, are orthonormal.

    Source: Saxe et al. 2014 (arXiv:1312.6120).
    """
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return np.asarray(q if rows >= columns else q.T)


def weights_of_classes(options: Options, targets: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.float32]:
    """float32 [classes], mean 1 over the rows: how much each class counts in the loss."""
    if options.class_weights == "none":
        return np.ones(classes, np.float32)
    counts = np.bincount(targets, minlength=classes).clip(1)
    return (len(targets) / (classes * counts)).astype(np.float32)


def loss(options: Options, logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of a batch, with label smoothing; a scalar."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(logits, targets, weights, label_smoothing=options.smoothing)
