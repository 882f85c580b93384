"""A linear model of texts: n-grams of words and characters, weighted by their rarity, and a support vector machine.

It is fitted at once, beside the network, and joins the graph of the finished model as two running sums.

Source: Wang and Manning 2012, Baselines and bigrams (aclanthology P12-2018), section 2: counts scaled by how much more
often a class has them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from ..errors import MissingExtra, OptionError
from ..features import ngrams
from ..layers import Builder, Layer
from ..layers.running_bag import LEAST
from ._ngram_counts import LONGEST, SHORTEST, Counts, Hashes, choose_hashes, count_characters, count_words, least_rows
from ._options import option
from ._search_space import Multiples
from .base import Array, Batch, Indices

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

KINDS: Final = ("words", "characters")
SUBWORDS: Final = 32
MAX_NGRAMS: Final = 1 << 15  # of words, and of characters
MAX_NUMBERS: Final = 1 << 22  # of its weights; with many labels, rare n-grams are left out
MAX_SCALED: Final = 20  # labels; with more, each has too few rows to tell how often it has an n-gram
SHARE: Final = 0.25  # of the scale that the ratios of a label's counts make
MAX_ITERATIONS: Final = 2000
TOLERANCE, ROUGH = 0.1, 1.0  # the latter where labels are many: as accurate, and sooner
MARGIN: Final = 4.0  # what margins are multiplied by; logits are about so large, and calibration finds the rest
COST, SCALED_COST = 1.0, 0.3  # of rows on the wrong side of the margin

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NGramOptions:
    """Options of what a classifier of texts makes of n-grams."""

    linear: str | None = option(
        None,
        "auto: put a linear model of words, pairs of words and parts of words beside the network where held-out rows "
        "gain by it; off: leave it out; default: auto for texts of words",
        choices=("auto", "off"),
        presets={"tiny": "off"},
    )
    subwords: int | None = option(
        None,
        "width of vectors for parts of words, whose sum is added to the vector of each word, so that new and misspelt "
        "words have one; 0: none; default: 32 for texts of words",
        least=0,
        most=4096,
        earlier="kept",
        absent=0,
        presets={"tiny": 0},
        search=Multiples((0, 1, 2), reads="text"),
    )
    misspell: float = option(
        0.1,
        "share of words of four letters or more that training misspells by one letter, so that typing errors do little "
        "harm; needs --subwords",
        least=0.0,
        most=0.9,
        absent=0.0,
    )

    @property
    def decided(self) -> bool:
        """Whether both options are decided, as those of an encoder always are."""
        return self.linear is not None and self.subwords is not None

    def without_ngrams(self, what: str) -> Self:
        """Return the options of a model without n-grams. what: it reads. Raises OptionError if the user wants them."""
        adopted = getattr(self, "from_model", None) is not None  # perhaps from a model of texts alone
        if self.linear == "auto" or (self.subwords and not adopted):
            name = "--linear auto" if self.linear == "auto" else f"--subwords {self.subwords}"
            raise OptionError(f"{name} is for texts of words, and this model reads {what}; leave it out")
        return self if (self.linear, self.subwords) == ("off", 0) else replace(self, linear="off", subwords=0)

    def decide_ngrams(self) -> Self:
        """Return the options of a classifier of texts of words, decided."""
        subwords = SUBWORDS if self.subwords is None else self.subwords
        return self if self.decided else replace(self, linear=self.linear or "auto", subwords=subwords)


@dataclass(frozen=True)
class LinearText:
    """A fitted linear model. scores: of all rows of the table, float64 [rows, outputs].

    tables: the n-grams of each kind, as hashes. weights: float64 [ngrams, columns]. squares: float64 [ngrams]. bias:
    float64 [columns]. output: the name of the output; outputs: how many numbers it has, which are two where one column
    decides between them.
    """

    scores: Floats
    tables: dict[str, Hashes]
    weights: dict[str, Floats]
    squares: dict[str, Floats]
    bias: Floats
    output: str
    outputs: int

    def predict(self, batch: Batch, rows: Indices) -> dict[str, Array]:
        """Return the scores of rows; see `Branch`."""
        return {self.output: self.scores[rows]}

    def entry(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the entry `ngrams` of the input, and its tensors."""
        return make_entry(self.tables)

    def join(
        self, layers: list[Layer], tensors: dict[str, Array], share: float
    ) -> tuple[list[Layer], dict[str, Array]]:
        """Return a classifier's layers and tensors with the linear model, whose scores count `share` times.

        Two running sums stand before the last dense layer, which reads them as well.
        """
        builder, head = Builder(None), max(i for i, layer in enumerate(layers) if layer.is_affine)
        builder.layers = layers[:head]
        for kind, weights in self.weights.items():
            most = ngrams.WORDS if kind == "words" else ngrams.count_most(SHORTEST, LONGEST)
            builder.add("running_bag", sources=(f"x.{kind}",), rows=len(weights), size=weights.shape[1], most=most)
        bags, (old, *after) = builder.layers[head:], layers[head:]
        reads = old.sources or (head - 1,)
        builder.add("dense", (*reads, *range(head, head + len(bags))), size=old.width, activation=old.activation)  # type: ignore[attr-defined]
        for layer in after:
            builder.append(replace(layer, tensors={}), (len(builder.layers) - 1,))
        new = builder.layers[head + len(bags)]
        spread = share * self.spread()
        moved = {name: array for name, array in tensors.items() if name not in old.tensors.values()}
        moved[new.tensors["weight"]] = np.concatenate([tensors[old.tensors["weight"]], *[spread] * len(bags)], 1)
        moved[new.tensors["bias"]] = tensors[old.tensors["bias"]] + spread @ self.bias
        for bag, kind in zip(bags, self.weights, strict=True):
            moved[bag.tensors["weight"]], moved[bag.tensors["square"]] = self.weights[kind], self.squares[kind][:, None]
        return builder.layers, {name: np.asarray(array, np.float32) for name, array in moved.items()}

    def spread(self) -> Floats:
        """Return what each column is to each output: [outputs, columns]."""
        return spread_columns(self.outputs, len(self.bias))


def make_entry(tables: dict[str, Hashes]) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return the entry `ngrams` of a text input, and its tensors. tables: the hashes of each kind."""
    names = {kind: f"input.ngrams.{kind}" for kind in KINDS}
    entry = {"hash": ngrams.HASH, "characters": [SHORTEST, LONGEST], "tables": names}
    return entry, {names[kind]: tables[kind] for kind in KINDS}


def spread_columns(outputs: int, columns: int) -> Floats:
    """Return what each column is to each output; a single column decides between two outputs.

    >>> spread_columns(2, 1).tolist()
    [[-0.5], [0.5]]
    """
    return np.array([[-0.5], [0.5]]) if columns < outputs else np.eye(outputs)


class TextCounts:
    """The counts of the n-grams that a model knows in all rows, from which linear models are fitted to some of them.

    texts: the words of all rows. rows: those that the n-grams are chosen from. labels: how many a row can have. Raises
    MissingExtra.
    """

    def __init__(self, texts: list[list[bytes]], rows: Indices, labels: int) -> None:
        check_scipy()
        found = {"words": count_words(texts), "characters": count_characters(texts)}
        own = {kind: Counts(of.hashes, of.matrix[rows]) for kind, of in found.items()}
        self.least = least_rows(len(rows))
        tables = {kind: choose_hashes(of, MAX_NGRAMS, self.least) for kind, of in own.items()}
        share = min(1.0, MAX_NUMBERS / labels / max(1, sum(map(len, tables.values()))))
        most = {kind: max(1, int(share * len(table))) for kind, table in tables.items()}
        self.tables = {kind: choose_hashes(of, most[kind], self.least) for kind, of in own.items()}
        if len(self.tables["characters"]) and not len(self.tables["words"]):  # a model with parts of words has both
            self.tables["words"] = own["words"].hashes[:1]
        self.counts = {kind: of.select(self.tables[kind]) for kind, of in found.items()}

    def fit(
        self, rows: Indices, targets: npt.NDArray[Any], output: str, class_weights: npt.NDArray[Any]
    ) -> LinearText | None:
        """Fit a linear model to some of the rows; None where no n-gram occurs in enough rows.

        targets: of all rows, as a classifier has them. class_weights: of each label, as in the loss of the network.
        Raises MissingExtra.
        """
        outputs = len(class_weights)
        several = targets.ndim == 2
        columns = outputs if several or outputs > 2 else 1
        tables, counts = self.tables, self.counts
        if not all(map(len, tables.values())):
            return None
        idf = {kind: inverse_document_frequency(of.matrix[rows], self.least) for kind, of in counts.items()}
        parts = [normalise(of.matrix, idf[kind]) for kind, of in counts.items()]
        from scipy.sparse import hstack

        X = hstack(parts).tocsr()
        wanted = targets[:, 0:columns] > 0 if several else targets[:, None] == np.arange(outputs)[-columns:]
        if several:
            costs = np.where(wanted, class_weights, 1.0)
        else:
            costs = np.where(targets >= 0, class_weights[np.maximum(targets, 0)], 1.0)[:, None]
        machines = fit_machines(X[rows], wanted[rows], costs[rows], scaled=columns <= MAX_SCALED)
        weights, bias = (MARGIN * array for array in machines)
        scores = (X @ weights + bias) @ spread_columns(outputs, columns).T
        split = np.split(weights, [len(tables["words"])])
        return LinearText(
            scores,
            tables,
            {kind: idf[kind][:, None] * part for kind, part in zip(KINDS, split, strict=True)},
            {kind: values**2 for kind, values in idf.items()},
            bias,
            output,
            outputs,
        )


def check_scipy() -> None:
    """Raise MissingExtra unless SciPy is there, which comes with scikit-learn."""
    try:
        import_module("scipy.sparse")
    except ImportError as error:
        raise MissingExtra(
            "SciPy counts the n-grams of texts; run pip install 'tidegate[train]', or choose --linear off --subwords 0"
        ) from error


def inverse_document_frequency(counts: csr_matrix, least: int) -> Floats:
    """Return the smooth inverse document frequency of each n-gram; 0 for one that occurs in fewer rows than `least`.

    Source: Salton and Buckley 1988; as in scikit-learn, with one row more that has every n-gram.
    """
    rows = np.bincount(counts.indices, minlength=counts.shape[1])
    return np.where(rows >= least, np.log((1 + counts.shape[0]) / (1 + rows)) + 1, 0.0)


def normalise(counts: csr_matrix, idf: Floats) -> csr_matrix:
    """Return counts times idf, divided by the root of the sum of idf^2 over all occurrences: what streams compute."""
    from scipy.sparse import diags

    norm = np.sqrt(np.maximum(counts @ idf**2, LEAST))
    return (diags(1 / norm) @ counts @ diags(idf)).tocsr()


def fit_machines(
    X: csr_matrix, wanted: npt.NDArray[np.bool_], costs: npt.NDArray[Any], scaled: bool
) -> tuple[Floats, Floats]:
    """Fit a support vector machine for each column of `wanted` [n, columns]: weights [ngrams, columns], bias [columns].

    costs: the weight of each row, [n, columns] or [n, 1]. scaled: scale each feature by how much more often the
    column's rows have it, see `scale_of`.
    """
    from scipy.sparse import diags

    one_each = wanted.shape[1] > 1 and (wanted.sum(1) == 1).all() and wanted.any(0).all()
    if not scaled and one_each and costs.shape[1] == 1:  # all machines share one copy of X
        machine = fit_machine(X, wanted.argmax(1), COST, costs[:, 0], ROUGH)
        return machine.coef_.T, machine.intercept_
    weights, bias = np.zeros((X.shape[1], wanted.shape[1])), np.full(wanted.shape[1], -1.0)
    sums = np.asarray(X.sum(0)).ravel()
    for k in range(wanted.shape[1]):
        own = wanted[:, k]
        if own.all() or not own.any():  # a label of all rows or of none
            bias[k] = 1.0 if own.all() else -1.0
            continue
        scale = scale_of(np.asarray(X[own].sum(0)).ravel(), sums) if scaled else np.ones(X.shape[1])
        Z, cost = (X @ diags(scale), SCALED_COST) if scaled else (X, COST)
        machine = fit_machine(Z, own, cost, costs[:, min(k, costs.shape[1] - 1)])
        weights[:, k], bias[k] = scale * machine.coef_[0], machine.intercept_[0]
    return weights, bias


def fit_machine(
    X: csr_matrix, classes: npt.NDArray[Any], cost: float, costs: npt.NDArray[Any], tolerance: float = TOLERANCE
) -> Any:
    """Fit scikit-learn's linear support vector machine to classes [n]; costs [n] are weights. Raises MissingExtra."""
    try:
        from sklearn.svm import LinearSVC
    except ImportError as error:
        raise MissingExtra(
            "scikit-learn fits the linear model beside the network; run pip install 'tidegate[train]', or choose "
            "--linear off"
        ) from error
    machine = LinearSVC(C=cost, dual=True, max_iter=MAX_ITERATIONS, tol=tolerance, random_state=0)
    with warnings.catch_warnings():  # of many labels in few rows, and of the last iteration: held-out rows judge both
        warnings.simplefilter("ignore", UserWarning)
        return machine.fit(X, classes, sample_weight=costs)


def scale_of(with_label: Floats, sums: Floats) -> Floats:
    """Return the scale of features: partly the log of how much more often rows with a label have each than others.

    with_label: the sum of each feature over the rows with the label. sums: over all rows.
    """
    p, q = with_label, sums - with_label
    p, q = p + p.mean() + 1e-12, q + q.mean() + 1e-12
    ratio = np.abs(np.log(p / p.sum()) - np.log(q / q.sum()))
    mixed = SHARE * ratio + (1 - SHARE) * ratio.mean()
    size = np.sqrt((mixed**2).mean())
    return mixed / size if size > 0 else np.ones_like(mixed)
