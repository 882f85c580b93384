"""Classify texts or series, as an estimator of scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.validation import check_is_fitted

from ..outputs import Reject
from ..tasks import classify
from ..tasks._classes import OUTPUT
from ..tasks.classify import Options
from . import samples
from .base import TidegateEstimator, fit_predictor, raise_value_errors
from .conversations import Places, ask_conversations, has_conversations, make_labelled_source, require_values
from .parameters import COLUMN_OPTIONS, CommonParameters, make_options, with_parameters

if TYPE_CHECKING:

    @dataclass(frozen=True)
    class Parameters(Options, CommonParameters):
        """The constructor for editors and type checkers; the real one lacks the `COLUMN_OPTIONS`."""
else:
    Parameters = object


@with_parameters(Options, COLUMN_OPTIONS | {"calendar"})
class Classifier(ClassifierMixin, TidegateEstimator, Parameters):  # type: ignore[misc]
    """A recurrent classifier of texts or series.

    The parameters are the options of `tidegate fit classify` (except those that name columns of a file), `threads` and
    `verbose`; the constructor stores them, `fit` checks them.

    X is one of
        texts: a list, array or column of str;
        a table [n, T] (an array, or a frame of pandas or polars): each row is a series of T steps with one channel;
        series: an array [n, T, channels], or a list of arrays [T, channels] or [T]; T may differ, in `predict` too.

    Texts can be messages in conversations: then each gets its label from those before it in its conversation, too.
    `fit`, `predict`, `predict_proba` and `score` take them as `conversations` [n], equal for messages of one
    conversation; `turns` [n], numbers that put the messages of a conversation in order; and `speakers` [n], if it
    matters who speaks. Rows may stand in any order, and answers come in the same one.

    With `out_of_scope`, the label in y of rows that have none of the classes, or with `reject`, a share of rows, a row
    may get no class: `predict` then gives it what stands in y for such rows, or None where nothing does. The reason is
    in `predictor_.answers`.

    After fit: `classes_`, without `out_of_scope`; `predictor_` and `model_`, to stream, verify and export like any
    other model; `n_features_in_` and `feature_names_in_` if X was a table.

    >>> X = [[0.0, 0.1, 0.0], [0.1, 0.0, 0.1], [1.0, 0.9, 1.0], [0.9, 1.0, 0.9]] * 5
    >>> Classifier(hidden=8, epochs=20).fit(X, [False, False, True, True] * 5).predict([[0.0, 0.0, 0.1]])
    array([False])
    """

    classes_: npt.NDArray[Any]
    _outside: Any

    def fit(
        self,
        X: Any,
        y: Any,
        groups: Any = None,
        *,
        conversations: Any = None,
        turns: Any = None,
        speakers: Any = None,
    ) -> Classifier:
        """Train the classifier and return it.

        y: class labels [n], integers, booleans or text. groups: [n], equal for rows that belong together, such as those
        of one patient, which are then held out together or not at all; None: only equal rows belong together.
        conversations, turns, speakers: [n], see above; whole conversations are then held out, and a message whose label
        is None, NaN or the empty text is only context.

        Raises WrongData (a ValueError and a DataError), WrongValue (a ValueError and an OptionError), MissingExtra
        without torch, and what scikit-learn raises for tables.
        """
        with raise_value_errors():
            places = Places(conversations, turns, speakers)
            source, columns, classes = make_labelled_source(self, X, y, groups, places)
            options = make_options(self, Options, **columns)
            self.predictor_ = fit_predictor(self, classify.KIND, options, source)
            self.classes_, self._outside = split_classes(classes, options.out_of_scope)
        return self

    def predict_proba(
        self, X: Any, *, conversations: Any = None, turns: Any = None, speakers: Any = None
    ) -> npt.NDArray[np.float64]:
        """Return the probability of each class, float64 [n, classes], in the order of `classes_`.

        They are the model's float32 outputs, divided by their sum. conversations, turns, speakers: as in `fit`, if it
        was given them. Raises as `fit`.
        """
        check_is_fitted(self)
        with raise_value_errors():
            return self._order(self._ask(X, Places(conversations, turns, speakers)))

    def _ask(self, X: Any, places: Places) -> npt.NDArray[np.float32]:
        """Return the scores of the model's labels for each row, [n, labels]."""
        if not has_conversations(self, places):
            return np.asarray(self.predictor_.predict(samples.to_samples(self, X)))
        answers = ask_conversations(self, self.predictor_.answers, samples.to_messages(self, X), places)
        return np.stack([require_values(row, answer) for row, answer in enumerate(answers)])

    def _order(self, scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the probabilities of `classes_` from the scores of the model's labels."""
        labels = self.predictor_.labels or []
        ordered = scores.astype(np.float64)[:, [labels.index(name) for name in samples.format_classes(self.classes_)]]
        return np.asarray(ordered / ordered.sum(1, keepdims=True))

    def predict(
        self, X: Any, *, conversations: Any = None, turns: Any = None, speakers: Any = None
    ) -> npt.NDArray[Any]:
        """Return the most probable class of each row, [n], of the same type as y in `fit`.

        A row without a class has what stands for that in y; without `out_of_scope` it has None, and the array is one of
        objects. conversations, turns, speakers: as in `fit`, if it was given them. Raises as `fit`.
        """
        check_is_fitted(self)
        with raise_value_errors():
            scores = self._ask(X, Places(conversations, turns, speakers))
        found = np.asarray(self.classes_[self._order(scores).argmax(1)])
        rule = self.model_.outputs[OUTPUT].to_json().get("reject")
        if rule is None:
            return found
        rejected = np.array([bool(Reject(**rule).reason(row)) for row in scores])
        if self._outside is None:
            found = found.astype(object)
        found[rejected] = self._outside
        return found

    def score(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        conversations: Any = None,
        turns: Any = None,
        speakers: Any = None,
    ) -> float:
        """Return the accuracy. Of messages in conversations, those without a label do not count.

        A row without a class is right where y has what stands for that, and wrong otherwise. sample_weight: of each
        row, [n]. Other arguments, and what it raises: as `fit`.
        """
        found = self.predict(X, conversations=conversations, turns=turns, speakers=speakers)
        if conversations is not None:
            with raise_value_errors():
                y, has_label = samples.to_optional_labels(self, found, y)
            found = found[has_label]
            sample_weight = None if sample_weight is None else np.asarray(sample_weight)[has_label]
        if found.dtype == object and None in found:  # which no metric compares
            check_consistent_length(found, y)
            right = np.array([a == b for a, b in zip(found, column_or_1d(y), strict=True)])
            return float(np.average(right, weights=sample_weight))
        return float(accuracy_score(y, found, sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = tags.input_tags.string = True
        tags.input_tags.allow_nan = self.missing != "error"
        return tags


def split_classes(classes: npt.NDArray[Any], name: str | None) -> tuple[npt.NDArray[Any], Any]:
    """Return the classes that y has besides the one of this name, which stands for none of them, and that one.

    Without a name it is None.

    >>> split_classes(np.array(["a", "b", "other"]), "other")
    (array(['a', 'b'], dtype='<U5'), np.str_('other'))
    """
    is_outside = np.array([one == name for one in samples.format_classes(classes)])
    return classes[~is_outside], classes[is_outside][0] if is_outside.any() else None
