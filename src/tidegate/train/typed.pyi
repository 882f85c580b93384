"""The types of `fit`, made from the options of each task by tools/option_types.py; do not edit."""

import os
from collections.abc import Callable
from typing import Any, Literal, TypedDict, Unpack, overload

from ..model import Model
from .progress import Report

class ClassifyOptions(TypedDict, total=False):
    text: str
    label: str
    group: str | None
    unit: str
    fold: bool
    digits: str
    min_count: int
    vocabulary: int | None
    skip_bad: bool
    drop_words: float
    drop_rare: float
    vectors: str | None
    freeze_vectors: int | None
    linear: str | None
    subwords: int | None
    misspell: float
    conversation: str | None
    turn: str | None
    speaker: str | None
    context: int | None
    values: str | None
    time: str | None
    id: str | None
    layout: str | None
    calendar: str
    missing: str
    preset: str
    cell: str
    dialect: str
    project: int | None
    depth: int | None
    layer: str | None
    drop_embed: float | None
    drop_pool: float | None
    epochs: int | None
    batch: int | None
    rate: float | None
    decay: float
    average: float
    refit_rate: float
    patience: int | None
    from_model: str | None
    seed: int
    hold_out: float | None
    refit_epochs: int | None
    out_of_scope: str | None
    reject: float | None
    input: str | None
    label_separator: str | None
    window: int
    direction: str
    conv: int | None
    hidden: int | None
    embed: int | None
    pool: str | None
    smoothing: float | None
    noise: float
    shift: float
    gain: float
    prefix: float | None
    class_weights: str

class DetectOptions(TypedDict, total=False):
    values: str | None
    time: str | None
    id: str | None
    layout: str | None
    calendar: str
    missing: str
    preset: str
    cell: str
    dialect: str
    project: int | None
    depth: int | None
    layer: str | None
    epochs: int | None
    batch: int | None
    rate: float | None
    decay: float
    average: float
    refit_rate: float
    patience: int | None
    from_model: str | None
    seed: int
    label: str | None
    alarms_per_day: float | None
    alarms_per_1000: float | None
    warmup: int | None
    mean_over: int
    recent_over: int
    drift_over: int
    hidden: int | None
    hold_out: float | None
    refit_epochs: int

class EncodeOptions(TypedDict, total=False):
    text: str
    label: str | None
    group: str | None
    unit: str
    fold: bool
    digits: str
    min_count: int
    vocabulary: int | None
    skip_bad: bool
    drop_words: float
    drop_rare: float
    vectors: str | None
    freeze_vectors: int | None
    misspell: float
    conversation: str | None
    turn: str | None
    speaker: str | None
    context: int | None
    values: str | None
    time: str | None
    id: str | None
    layout: str | None
    calendar: str
    missing: str
    preset: str
    cell: str
    dialect: str
    project: int | None
    depth: int | None
    layer: str | None
    drop_embed: float | None
    drop_pool: float | None
    epochs: int | None
    batch: int | None
    rate: float | None
    decay: float
    average: float
    refit_rate: float
    patience: int | None
    from_model: str | None
    seed: int
    hold_out: float | None
    refit_epochs: int | None
    out_of_scope: str | None
    reject: float | None
    input: str | None
    label_separator: str | None
    window: int
    direction: str
    conv: int | None
    hidden: int | None
    embed: int | None
    pool: str | None
    smoothing: float | None
    noise: float
    shift: float
    gain: float
    prefix: float | None
    class_weights: str
    pairs: str | None
    own_words: float | None
    size: int | None

class ForecastOptions(TypedDict, total=False):
    values: str | None
    time: str | None
    id: str | None
    layout: str | None
    calendar: str
    missing: str
    preset: str
    cell: str
    dialect: str
    project: int | None
    depth: int | None
    layer: str | None
    epochs: int | None
    batch: int | None
    rate: float | None
    decay: float
    average: float
    refit_rate: float
    patience: int | None
    from_model: str | None
    seed: int
    horizon: int | None
    targets: str | None
    known: str
    static: str
    channels: str | None
    quantiles: str
    head: str
    scale: str
    lookback: int | None
    segment: int | None
    season: int | None
    centre: str
    spread: str | None
    hidden: int | None
    drop_pool: float | None
    windows_per_epoch: int
    hold_out: float | None
    refit_epochs: int | None

class TagOptions(TypedDict, total=False):
    label: str | None
    group: str | None
    fold: bool
    digits: str
    min_count: int
    vocabulary: int | None
    drop_words: float
    drop_rare: float
    vectors: str | None
    freeze_vectors: int | None
    preset: str
    cell: str
    dialect: str
    project: int | None
    depth: int | None
    layer: str | None
    drop_embed: float | None
    drop_pool: float | None
    epochs: int | None
    batch: int | None
    rate: float | None
    decay: float
    average: float
    refit_rate: float
    patience: int | None
    from_model: str | None
    seed: int
    hold_out: float | None
    refit_epochs: int | None
    tokens: str
    tags: str
    characters: bool
    affixes: int | None
    direction: str
    lookahead: int | None
    decoder: str | None
    hidden: int | None
    embed: int | None
    smoothing: float
    label_weight: float
    prefix: float

@overload
def fit(
    task: Literal["classify"],
    data: Any,
    options: None = None,
    out: str | os.PathLike[str] = "",
    *,
    valid: Any = None,
    folds: int | None = None,
    search: int | None = None,
    resume: bool = False,
    restart: bool = False,
    force: bool = False,
    progress: Report | None = None,
    say: Callable[[str], None] | None = None,
    threads: int | None = None,
    **values: Unpack[ClassifyOptions],
) -> Model: ...
@overload
def fit(
    task: Literal["detect"],
    data: Any,
    options: None = None,
    out: str | os.PathLike[str] = "",
    *,
    valid: Any = None,
    folds: int | None = None,
    search: int | None = None,
    resume: bool = False,
    restart: bool = False,
    force: bool = False,
    progress: Report | None = None,
    say: Callable[[str], None] | None = None,
    threads: int | None = None,
    **values: Unpack[DetectOptions],
) -> Model: ...
@overload
def fit(
    task: Literal["encode"],
    data: Any,
    options: None = None,
    out: str | os.PathLike[str] = "",
    *,
    valid: Any = None,
    folds: int | None = None,
    search: int | None = None,
    resume: bool = False,
    restart: bool = False,
    force: bool = False,
    progress: Report | None = None,
    say: Callable[[str], None] | None = None,
    threads: int | None = None,
    **values: Unpack[EncodeOptions],
) -> Model: ...
@overload
def fit(
    task: Literal["forecast"],
    data: Any,
    options: None = None,
    out: str | os.PathLike[str] = "",
    *,
    valid: Any = None,
    folds: int | None = None,
    search: int | None = None,
    resume: bool = False,
    restart: bool = False,
    force: bool = False,
    progress: Report | None = None,
    say: Callable[[str], None] | None = None,
    threads: int | None = None,
    **values: Unpack[ForecastOptions],
) -> Model: ...
@overload
def fit(
    task: Literal["tag"],
    data: Any,
    options: None = None,
    out: str | os.PathLike[str] = "",
    *,
    valid: Any = None,
    folds: int | None = None,
    search: int | None = None,
    resume: bool = False,
    restart: bool = False,
    force: bool = False,
    progress: Report | None = None,
    say: Callable[[str], None] | None = None,
    threads: int | None = None,
    **values: Unpack[TagOptions],
) -> Model: ...
@overload
def fit(
    task: str,
    data: Any,
    options: Any = None,
    out: str | os.PathLike[str] = "",
    *,
    valid: Any = None,
    folds: int | None = None,
    search: int | None = None,
    resume: bool = False,
    restart: bool = False,
    force: bool = False,
    progress: Report | None = None,
    say: Callable[[str], None] | None = None,
    threads: int | None = None,
) -> Model: ...
