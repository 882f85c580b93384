"""Encode texts or series as vectors, as a transformer of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..errors import WrongData
from ..tasks import encode
from ..tasks.encode import Options
from . import samples
from .base import TidegateEstimator, fit_predictor, raise_value_errors
from .conversations import Places, ask_conversations, has_conversations, make_labelled_source, make_plain_source
from .parameters import COLUMN_OPTIONS, CommonParameters, make_options, with_parameters

if TYPE_CHECKING:

    @dataclass(frozen=True)
    class Parameters(Options, CommonParameters):
        """The constructor for editors and type checkers; the real one lacks the `COLUMN_OPTIONS`."""
else:
    Parameters = object


@with_parameters(Options, COLUMN_OPTIONS | {"calendar", "pairs"})
class Encoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, TidegateEstimator, Parameters):  # type: ignore[misc]
    """A recurrent encoder of texts or series: a transformer that gives each a vector of `size` numbers.

    The parameters are the options of `tidegate fit encode` (except those that name columns of a file), `threads` and
    `verbose`; the constructor stores them, `fit` checks them. X is that of a `Classifier`, and so are messages in
    conversations, for which `fit`, `transform` and `fit_transform` take `conversations`, `turns` and `speakers`.

    After fit: `predictor_` and `model_`, to stream, verify and export like any other model; `n_features_in_` and
    `feature_names_in_` if X was a table.

    >>> X = ["cat purr", "kitten meow", "car road", "wheel motor"] * 10
    >>> encoder = Encoder(size=4, hidden=8, epochs=20).fit(X, ["cats", "cats", "cars", "cars"] * 10)
    >>> encoder.transform(["kitten purr", "motor road"]).shape, encoder.get_feature_names_out().tolist()[:2]
    ((2, 4), ['encoder0', 'encoder1'])
    """

    def fit(
        self,
        X: Any,
        y: Any = None,
        groups: Any = None,
        *,
        pairs: Any = None,
        conversations: Any = None,
        turns: Any = None,
        speakers: Any = None,
    ) -> Encoder:
        """Train the encoder and return it.

        y: class labels [n], integers, booleans or text, on which the vectors depend; None: they predict what follows.
        pairs: the text [n] that belongs to each text of X, whose vectors come to be near each other; not with y.
        groups: [n], equal for rows that belong together, which are held out together or not at all; None: only equal
        rows belong together. conversations, turns, speakers: as for a `Classifier`.

        Raises WrongData (a ValueError and a DataError), WrongValue (a ValueError and an OptionError), MissingExtra
        without torch, and what scikit-learn raises for tables.
        """
        with raise_value_errors():
            places = Places(conversations, turns, speakers)
            if y is None:
                source, columns = make_plain_source(self, X, pairs, groups, places)
            elif pairs is not None:
                raise WrongData(
                    "y and pairs are given; vectors are learnt from labels or from pairs, so give one of them"
                )
            else:
                source, columns, _ = make_labelled_source(self, X, y, groups, places)
            options = make_options(self, Options, **columns)
            self.predictor_ = fit_predictor(self, encode.KIND, options, source)
        return self

    def transform(
        self, X: Any, *, conversations: Any = None, turns: Any = None, speakers: Any = None
    ) -> npt.NDArray[np.float32]:
        """Return the vector of each row, float32 [n, size].

        conversations, turns, speakers: as in `fit`, if it was given them. Raises as `fit`, and WrongData naming a row
        that has no vector, such as an empty text.
        """
        check_is_fitted(self)
        places = Places(conversations, turns, speakers)
        with raise_value_errors():
            vectors = np.asarray(self._ask(self.predictor_.vectors, X, places))
            if len(without := np.flatnonzero(np.isnan(vectors).any(1))):
                row = int(without[0])
                reason = self._ask(self.predictor_.answers, X, places)[row].reason
                raise WrongData(f"X, row {row + 1}: {reason}, so it has no vector; fill it in or leave the row out")
        return vectors

    def _ask(self, run: Callable[..., Any], X: Any, places: Places) -> Any:
        """Return what `run`, such as a predictor's `vectors`, makes of each row."""
        if has_conversations(self, places):
            return ask_conversations(self, run, samples.to_messages(self, X), places)
        return run(samples.to_samples(self, X))

    @property
    def _n_features_out(self) -> int:
        return next(output.width for output in self.model_.outputs.values() if output.encodes)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.three_d_array = tags.input_tags.string = True
        tags.input_tags.allow_nan = self.missing != "error"
        return tags
