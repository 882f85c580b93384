"""Estimators that follow the conventions of scikit-learn: Classifier, Encoder, Tagger and Forecaster; see README.md."""

from __future__ import annotations

from ..errors import MissingExtra

try:
    import sklearn as _sklearn  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtra(
        'estimators need scikit-learn, which is not installed; pip install "tidegate[sklearn,train]"'
    ) from error

from .classifier import Classifier
from .encoder import Encoder
from .forecaster import Forecaster
from .tagger import Tagger

__all__ = ["Classifier", "Encoder", "Forecaster", "Tagger"]
