"""Japanese vowels: which of nine speakers pronounces a vowel?"""

from collections.abc import Mapping

import numpy as np

from tidegate.data.dataset import DataSet, File, SplitFile
from tidegate.data.split_files import npz_from_series
from tidegate.data.wheel import Wheel

CHANNELS = 12


def parse(files: Mapping[str, bytes]) -> dict[str, SplitFile]:
    """Return the utterances by split: one per line after `@data`, channels and label separated by colons.

    >>> splits = parse({"test": b"@data\\n" + b":".join([b"0.5,1"] * 12) + b":3\\n"})
    >>> splits["test"].rows, splits["test"].labels
    (1, frozenset({'3'}))
    """
    return {split: _split(data.decode("utf-8")) for split, data in files.items()}


def _split(text: str) -> SplitFile:
    lines = [line.split(":") for line in text.partition("@data")[2].split("\n") if line.strip()]
    series = [np.array([channel.split(",") for channel in line[:-1]], np.float64).T for line in lines]
    columns = [f"lpc{c}" for c in range(1, CHANNELS + 1)]
    labels = [line[-1].strip() for line in lines]
    return npz_from_series(np.concatenate(series), labels, lengths=[len(one) for one in series], columns=columns)


SET = DataSet(
    title="Japanese vowels, which of 9 men speaks: 12 coefficients of a vowel's sound, 7 to 29 steps",
    task="classify",
    licence="UCI archive, CC BY 4.0; cite Kudo, Toyama and Shimbo 1999",
    source="the package aeon 1.6.0",
    published=(
        "accuracy, measured on these files: nearest neighbour under dynamic time warping of all channels 94.86",
    ),
    split="official train (30 utterances a speaker) and test (24 to 88 a speaker)",
    rows={"train": 270, "test": 370},
    labels=9,
    sources=(
        Wheel(
            "aeon",
            "1.6.0",
            6,
            {
                "train": File(
                    "aeon/datasets/data/JapaneseVowels/JapaneseVowels_TRAIN.ts",
                    487971,
                    "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
                ),
                "test": File(
                    "aeon/datasets/data/JapaneseVowels/JapaneseVowels_TEST.ts",
                    649132,
                    "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
                ),
            },
        ),
    ),
    sums={
        "train": "aa205c88b441934473d23c2bf864fb473e6100ee966ecd216e39f6d5a8ea9440",
        "test": "968481c06b70788f419bc2df9993d8bb75940e2af25a1a481e63b679a1297d24",
    },
    parse=parse,
    unit="series",
    suffix=".npz",
    flags="--label y",
)
