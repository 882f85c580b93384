"""The options of a tagger."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np

from ..features.text import Tokenizer
from ..features.word_features import NAMES
from . import _crf, _messages, _sizing
from ._graph_builder import DropoutOptions, RecurrenceOptions, TrainingOptions
from ._holdout import HoldOutOptions
from ._options import check_options, option
from ._search_space import Multiples, Numbers
from ._tagging import TAGS

LOOKAHEAD: Final = 2  # words
MANY_ROWS: Final = 8000  # from here on a wider recurrence pays
CRF: Final = "crf"


@dataclass(frozen=True)
class Options(HoldOutOptions, TrainingOptions, DropoutOptions, RecurrenceOptions, _messages.TextOptions):
    """The options of a tagger. None: the default depends on the data; what is decided is recorded."""

    text: ClassVar[str] = TAGS  # type: ignore[misc]  # not options of a tagger, whose words are given
    unit: ClassVar[str] = "space"  # type: ignore[misc]
    skip_bad: ClassVar[bool] = False  # type: ignore[misc]

    tokens: str = option("tokens", "column of tokens, separated by spaces", metavar="COLUMN")
    tags: str = option("tags", "column of tags, one for each token, separated by spaces", metavar="COLUMN")
    label: str | None = option(
        None, "column of labels, which the model then predicts too, one for each row", metavar="COLUMN"
    )  # type: ignore[assignment]
    characters: bool = option(
        True, "also read the first and last characters of each word, and its shape", earlier="default"
    )
    affixes: int | None = option(
        None,
        "with --characters, how many of the most frequent beginnings, endings and shapes of words have vectors; "
        "default: all that occur twice",
        least=1,
        most=1_000_000,
        presets={"tiny": 500},
    )
    digits: str = option(
        "shape", "keep digits, or replace each by 0 (shape)", choices=("keep", "shape"), earlier="kept"
    )
    drop_words: float = option(
        0.02, "share of words replaced by unknown in training", least=0.0, most=0.95, search=Numbers(0.0, 0.1)
    )
    direction: str = option(
        "causal",
        "causal: the recurrent layers read words in their order, and a stream answers as they come; both: in both "
        "directions, so that a stream answers at the end of a text",
        choices=("causal", "both"),
        earlier="default",
    )
    lookahead: int | None = option(
        None,
        "how many later words a tag may depend on, so that it comes as many words late in a stream; 0: none; default: "
        f"{LOOKAHEAD}, or 0 with --direction both",
        least=0,
        most=64,
        earlier="default",
    )
    decoder: str | None = option(
        None,
        "crf: learn how well tags follow each other, and give those of the best path, each at most "
        f"{_crf.LOOK_AHEAD} words later; none: give each word its likeliest tag that may follow",
        choices=("none", CRF),
        presets={"tiny": "none", "small": "none", "base": CRF},
    )
    hidden: int | None = option(
        None,
        f"width of the recurrent layers; default: 128, or 256 from {MANY_ROWS:,} rows on",
        least=1,
        most=4096,
        earlier="kept",
        search=Multiples((0.5, 1, 2)),
        presets={"tiny": 32},
    )
    embed: int | None = option(
        None,
        "width of the embedding, if not that of --vectors",
        least=1,
        most=4096,
        earlier="kept",
        search=Multiples((0.5, 1, 2)),
        presets={"tiny": 12, "small": 128, "base": 128},
    )
    smoothing: float = option(0.1, "label smoothing, not of tags", least=0.0, most=0.9)
    label_weight: float = option(1.0, "weight of the loss of labels; that of tags has 1", least=0.0, most=100.0)
    prefix: float = option(
        0.3, "weight of the loss of the label after a random prefix of each row", least=0.0, most=10.0
    )

    def __post_init__(self) -> None:
        check_options(self)
        self.load_cell()

    def features(self) -> tuple[str, ...]:
        """Return the names of the features that are read beside each word."""
        return NAMES if self.characters else ()

    def splitter(self) -> Tokenizer:
        """Return what splits a text into the tokens that the vocabulary is made of."""
        return self.tokenizer().plain() if self.characters else self.tokenizer()

    def decide(self, rows: int, has_valid: bool) -> Options:
        """Return the options with every default that depends on the data decided. rows: their number.

        Small files get smaller batches, and at least 600 training steps.
        """
        share = self.hold_out or _sizing.default_hold_out(rows)
        batch = self.batch or int(np.clip(2 ** round(float(np.log2(max(1, rows / 80)))), 8, 32))
        least = -(-600 // _sizing.steps_per_epoch(replace(self, hold_out=share), rows, batch))
        epochs = self.epochs or max(least, int(np.clip(round(20 * (4500 / rows) ** 0.5), 6, 24)))
        refit = 0 if has_valid else max(2, round(epochs / 4))
        return replace(
            self,
            hold_out=share,
            batch=batch,
            epochs=epochs,
            lookahead=(LOOKAHEAD if self.direction == "causal" else 0) if self.lookahead is None else self.lookahead,
            hidden=self.hidden or (256 if rows >= MANY_ROWS else 128),
            refit_epochs=refit if self.refit_epochs is None else self.refit_epochs,
            patience=self.patience or max(8, epochs // 2),
        )
