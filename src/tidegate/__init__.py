"""Train small recurrent models on labelled files, and stream words or numbers through them in microseconds.

    predictor = tidegate.load("intent.safetensors")
    predictor.classify(["what's my balance"])
    stream = predictor.stream()
    stream.push("what's my").label

Names are imported when they are first used, so `import tidegate` takes next to no time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"  # the only place: the package's metadata and everything else read it

if TYPE_CHECKING:
    from .bridge import export, from_torch, to_torch
    from .errors import TidegateError
    from .model import Model
    from .nearest import Nearest, find_nearest
    from .runtime import Answer, Answers, Forecast, Pool, Predictor, Scores, State, Stream, Tags, load
    from .train import fit

__all__ = [
    "Answer",
    "Answers",
    "Forecast",
    "Model",
    "Nearest",
    "Pool",
    "Predictor",
    "Scores",
    "State",
    "Stream",
    "Tags",
    "TidegateError",
    "__version__",
    "export",
    "find_nearest",
    "fit",
    "from_torch",
    "load",
    "to_torch",
]

_MODULES = {
    "export": "bridge",
    "from_torch": "bridge",
    "to_torch": "bridge",
    "Model": "model",
    "Nearest": "nearest",
    "find_nearest": "nearest",
    "TidegateError": "errors",
    "fit": "train",
    "Answer": "runtime",
    "Answers": "runtime",
    "Forecast": "runtime",
    "Pool": "runtime",
    "Predictor": "runtime",
    "Scores": "runtime",
    "State": "runtime",
    "Stream": "runtime",
    "Tags": "runtime",
    "load": "runtime",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value: Any = _load(name)
    elif name == "estimators":
        from importlib import import_module

        value = import_module("tidegate.estimators")
    else:
        raise AttributeError(f"module 'tidegate' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _load(name: str) -> Any:
    from importlib import import_module

    return getattr(import_module(f"tidegate.{_MODULES[name]}"), name)
