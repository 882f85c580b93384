"""All of scikit-learn's checks for a classifier; none is skipped or expected to fail."""

from __future__ import annotations

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from tidegate.estimators import Classifier


@parametrize_with_checks([Classifier(hidden=16, epochs=6, refit_epochs=2, rate=0.01)])
def test_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)
