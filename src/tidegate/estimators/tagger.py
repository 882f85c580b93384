"""Tag the words of texts, as an estimator of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from ..data.table import Table
from ..data.table_cells import hash_columns
from ..errors import WrongData
from ..tasks._tag_report import score_tags
from ..tasks.tag import Options, tag_words
from .base import TidegateEstimator, fit_predictor, raise_value_errors
from .parameters import COLUMN_OPTIONS, CommonParameters, make_options, with_parameters

if TYPE_CHECKING:

    @dataclass(frozen=True)
    class Parameters(Options, CommonParameters):
        """The constructor for editors and type checkers; the real one lacks the columns of a file."""
else:
    Parameters = object

Words = list[list[str]]


@with_parameters(Options, COLUMN_OPTIONS | {"tokens", "tags"})
class Tagger(TidegateEstimator, Parameters):
    """A recurrent tagger of words.

    The parameters are the options of `tidegate fit tag` (except those that name columns of a file), `threads` and
    `verbose`; the constructor stores them, `fit` checks them.

    X is a list of rows, each a list of words or a text, which is divided at white space. After fit: `predictor_` and
    `model_`, to stream, verify and export like any other model.

    >>> X = [f"{word} {city}" for word in ("to", "from", "near", "past") for city in ("york", "bonn", "rome", "oslo")]
    >>> tagger = Tagger(hidden=16, embed=16, rate=0.02).fit(X, [["O", "B-city"]] * 16)
    >>> tagger.predict(["to york", ["via", "bonn"]])
    [['O', 'B-city'], ['O', 'B-city']]
    """

    def fit(self, X: Any, y: Any, groups: Any = None) -> Tagger:
        """Train the tagger and return it.

        y: the tags of each row, one for each word. groups: [n], equal for rows that belong together, which are then
        held out together or not at all; None: only equal rows belong together.

        Raises WrongData (a ValueError and a DataError), WrongValue (a ValueError and an OptionError), and MissingExtra
        without torch.
        """
        with raise_value_errors():
            options = make_options(self, Options, group=None if groups is None else "group")
            words, tags = split_rows("X", X), split_rows("y", y)
            check_consistent_length(words, tags)
            columns = {"tokens": [" ".join(row) for row in words], "tags": [" ".join(row) for row in tags]}
            if groups is not None:
                check_consistent_length(words, groups)
                columns["group"] = [str(group) for group in groups]
            lines = list(range(1, len(words) + 1))
            source = Table("X", columns, lines, hash_columns(columns), unit="row")
            self.predictor_ = fit_predictor(self, "tag", options, source)
        return self

    def predict(self, X: Any) -> Words:
        """Return the tags of each row, a list of one for each word; that of a row without words is empty.

        Raises as `fit`.
        """
        check_is_fitted(self)
        with raise_value_errors():
            return [one.word_tags() or [] for one in tag_words(self.predictor_, split_rows("X", X))]

    def score(self, X: Any, y: Any) -> float:
        """Return F1 of the spans of all rows, as the script `conlleval` counts it; the accuracy of tags without spans.

        Raises as `fit`; WrongData for rows of which X and y have different numbers of words and tags.
        """
        predicted = self.predict(X)
        with raise_value_errors():
            truth = split_rows("y", y)
            check_consistent_length(predicted, truth)
            for i, (row, real) in enumerate(zip(predicted, truth, strict=True)):
                if len(row) != len(real):
                    raise WrongData(f"X, row {i + 1} has {len(row)} words, and y has {len(real)} tags; give each a tag")
            figures = score_tags(predicted, truth, self.model_.outputs["tags"].labels or [])
            return float(figures.get("span_f1", figures["tag_accuracy"]))


def split_rows(name: str, rows: Any) -> Words:
    """Return rows as lists of words or tags. Raises WrongData for anything else, and for a word with white space.

    >>> split_rows("X", ["to york", ["new", "york"]])
    [['to', 'york'], ['new', 'york']]
    """
    if isinstance(rows, str):
        raise WrongData(f"{name} is one text; put it in a list, as [{name}]")
    if rows is None:
        raise WrongData(f"Tagger requires y to be passed, but the target {name} is None")
    found = []
    for i, row in enumerate(rows):
        words = row.split() if isinstance(row, str) else list(row) if isinstance(row, Sequence) else None
        if words is None:
            raise WrongData(f"{name}, row {i + 1}: found {type(row).__name__}; expected a text or a list of words")
        if wrong := [word for word in words if not isinstance(word, str) or len(word.split()) != 1]:
            raise WrongData(f"{name}, row {i + 1}: found {wrong[0]!r:.40}; expected words without white space")
        found.append(words)
    return found
