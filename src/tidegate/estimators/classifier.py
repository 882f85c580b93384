"""Classify texts or series, by scikit-learn's conventions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from ..errors import WrongData
from ..tasks.classify import Options
from . import samples
from .fitted import Fitted, as_scikit_learn, learnt
from .parameters import COLUMNS, Fitting, chosen, takes

if TYPE_CHECKING:

    @dataclass(frozen=True)
    class Parameters(Options, Fitting):
        """What editors and type checkers see of the constructor: more than there is by `COLUMNS`."""
else:
    Parameters = object


@takes(Options, COLUMNS | {"calendar"})
class Classifier(ClassifierMixin, Fitted, Parameters):  # type: ignore[misc]
    """A recurrent classifier of texts or of series.

    Parameters are the options of `tidegate fit classify` (all but those that name columns of a file), `threads` and
    `verbose`; the constructor stores them, `fit` checks them.

    X is one of
        texts: a list, array or column of str;
        a table [n, T] (array, frame of pandas or polars): each row is a series of T steps of one channel;
        series: an array [n, T, channels], or a list of arrays [T, channels] or [T]; T may differ, also in `predict`.

    After fit: `classes_`; `predictor_` and `model_`, which stream, verify and export as any other;
    `n_features_in_` and `feature_names_in_` where X was a table.

    >>> X = [[0.0, 0.1, 0.0], [0.1, 0.0, 0.1], [1.0, 0.9, 1.0], [0.9, 1.0, 0.9]] * 5
    >>> Classifier(hidden=8, epochs=20).fit(X, [False, False, True, True] * 5).predict([[0.0, 0.0, 0.1]])
    array([False])
    """

    classes_: npt.NDArray[Any]

    def fit(self, X: Any, y: Any, groups: Any = None) -> Classifier:
        """The same estimator, fitted. y: class labels [n], integers, booleans or text. groups: [n], equal for rows that
        belong together, such as those of one patient; they stay on one side of the hold-out. None: equal rows do.

        Raises WrongData (a ValueError and a DataError), WrongValue (a ValueError and an OptionError), MissingExtra
        without torch, and what scikit-learn raises for tables.
        """
        with as_scikit_learn():
            options = chosen(self, Options, group=None if groups is None else "group")
            rows, y = samples.labelled(self, X, y)
            classes, codes = np.unique(y, return_inverse=True)
            if len(classes) < 2:
                raise WrongData(f"y has one class only, {classes[0]!r}; needs two or more")
            names = samples.names(classes)
            self.predictor_ = learnt(self, "classify", options, samples.source(rows, [names[k] for k in codes], groups))
            self.classes_ = classes
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """The probability of each class, float64 [n, classes], in the order of `classes_`.

        They are those of the model's float32 answer, divided by their sum. Raises as `fit`.
        """
        check_is_fitted(self)
        with as_scikit_learn():
            found = self.predictor_.predict(samples.rows(self, X)).astype(np.float64)
        labels = self.predictor_.labels or []
        ordered = found[:, [labels.index(name) for name in samples.names(self.classes_)]]
        return np.asarray(ordered / ordered.sum(1, keepdims=True))

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The class of each row [n], of y's type. Raises as `fit`."""
        best = self.predict_proba(X).argmax(1)
        return np.asarray(self.classes_[best])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = tags.input_tags.string = True
        tags.input_tags.allow_nan = self.missing != "error"
        return tags
