"""The options of a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Final

from .. import cells
from ..errors import OptionError
from ..layers.pool import OVER
from . import _classified_conversations, _classified_series, _classified_texts, _messages, _series
from ._conversations import ConversationOptions
from ._graph_builder import DropoutOptions, RecurrenceOptions, TrainingOptions, declare_depth
from ._holdout import HoldOutOptions
from ._linear_text import NGramOptions
from ._options import check_options, option
from ._out_of_scope import ScopeOptions
from ._search_space import Choices, Multiples, Numbers

INPUTS: Final[dict[str, ModuleType]] = {module.KIND: module for module in (_classified_texts, _classified_series)}


@dataclass(frozen=True)
class Options(
    ScopeOptions,
    HoldOutOptions,
    TrainingOptions,
    DropoutOptions,
    RecurrenceOptions,
    _series.SeriesOptions,
    ConversationOptions,
    NGramOptions,
    _messages.TextOptions,
):
    """The options of a classifier. None: the default depends on the data; what is decided is recorded."""

    input: str | None = option(
        None,
        "what the data holds: texts, or series of numbers; default: series if --values, --id, --time, --layout or "
        "--calendar is given, or for arrays and folders",
        choices=tuple(INPUTS),
    )
    label_separator: str | None = option(
        None, "separator of labels, for rows that may have several labels, one, or none (an empty cell)", metavar="TEXT"
    )
    window: int = option(
        0,
        "classify each series by its last N steps, standardised by their own mean and deviation; 0: by all steps",
        least=0,
        most=1_000_000,
        earlier="default",
    )
    direction: str = option(
        "causal",
        "both: also read each message or series from its end, so that a stream answers only then",
        choices=("causal", "both"),
        earlier="default",
    )
    conv: int | None = option(
        None,
        "width of a causal convolution before the recurrent layers, 0: none; default: 5 for series of over 32 steps on "
        "average, else 0",
        least=0,
        most=64,
        earlier="default",
        search=Choices((0, 5, 9), reads="series"),
    )
    depth: int | None = declare_depth(base=2)
    hidden: int | None = option(
        None,
        "width of the recurrent layers in each direction; default: by the length of rows",
        least=1,
        most=4096,
        earlier="kept",
        presets={"tiny": 32, "base": 256},
        search=Multiples((0.5, 1, 2)),
    )
    embed: int | None = option(
        None,
        "width of the embedding; default: that of --hidden, or of --vectors",
        least=1,
        most=4096,
        earlier="kept",
        presets={"tiny": 12},
    )
    pool: str | None = option(
        None,
        f"how to pool steps for the label: any of {', '.join(OVER)}, separated by commas; default: "
        "last,mean,max,attention",
        metavar="LIST",
        earlier="default",
        presets={"tiny": "max,attention"},
    )
    smoothing: float | None = option(
        None,
        "label smoothing; default: 0.1, or 0 with --label-separator",
        least=0.0,
        most=0.9,
        search=Numbers(0.0, 0.2),
    )
    noise: float = option(
        0.3,
        "add noise to series in training: a share of each column's standard deviation",
        least=0.0,
        most=10.0,
        search=Numbers(0.0, 0.6, reads="series"),
    )
    shift: float = option(
        0.3,
        "shift each series and column in training by a random share of its standard deviation",
        least=0.0,
        most=10.0,
        search=Numbers(0.0, 0.6, reads="series"),
    )
    gain: float = option(
        0.1,
        "scale each series and column in training by a random factor about 1 with this standard deviation",
        least=0.0,
        most=10.0,
    )
    prefix: float | None = option(
        None,
        "weight of the loss of a random prefix of each row, which trains early answers; default: 0.3, or 0 with "
        "--direction both",
        least=0.0,
        most=10.0,
    )
    class_weights: str = option(
        "none", "balanced: give all classes the same weight whatever their size", choices=("none", "balanced")
    )

    def __post_init__(self) -> None:
        check_options(self)
        self.pools()
        cells.parse_dialect(self.dialect)
        self.columns()
        self.check_conversation()
        if self.conversation is not None and self.prefix:
            raise OptionError("prefix trains early answers, which messages in conversations do without; leave it out")
        if self.conversation is not None and self.input not in (None, _classified_conversations.KIND):
            raise OptionError(f"--conversation is for messages, and input is {self.input!r}; leave one of them out")
        if self.label_separator == "":
            raise OptionError("label_separator is empty; give the text that separates labels, or leave it out")
        self.check_scope(self.label_separator)
        self.periods()

    def pools(self) -> list[str]:
        """List the pools; empty where not decided yet. Raises OptionError for an unknown or repeated one."""
        if self.pool is None:
            return []
        kinds = self.pool.split(",")
        if unknown := [k for k in kinds if k not in OVER]:
            raise OptionError(
                f"unknown pool {unknown[0]!r}; choose one or more of {', '.join(OVER)}, separated by commas"
            )
        if len(set(kinds)) != len(kinds):
            raise OptionError(f"pool is {self.pool!r}; an entry appears twice")
        return kinds
