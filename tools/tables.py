"""The tables of README.md and the pages of benchmarks: which values of which results, and how they are written.

A column is `TITLE = PATH FORMAT REDUCE`. PATH leads to its value in a record, such as `ours/us`; `.` is the record
itself. FORMAT is one of FORMATS, or a format specification of Python; REDUCE, one of REDUCES, makes one value of those
of several records. Left out, they are `str` and `first`. Both stand in `table_formats.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from table_formats import Record


@dataclass(frozen=True)
class Table:
    """A table of the records at the path `rows` of the named results.

    by: the paths whose values tell lines apart, as `PATH = TITLE`; without one, each column is a line. columns: see
    above. across: the path of the values that get a column each, filled by `fill`, named with `prefix`. names: part of
    a line's name -> how it is written; only these if `few`. more: tables whose lines follow. source: what stands below.
    """

    results: str
    rows: str = ""
    by: str = ""
    columns: str = ""
    across: str = ""
    fill: str = ""
    prefix: str = ""
    where: Callable[[Record], bool] = lambda row: True
    names: dict[str, str] = field(default_factory=dict)
    few: bool = False
    more: tuple[Table, ...] = ()
    source: str = "command"


CASES = {
    "step I=64 H=64 float32": "one step, 64 units",
    "step I=64 H=256 float32": "one step, 256 units",
    "sequence 1x1000x64x128 float32": "1 stream, 1,000 steps, 128 units",
    "sequence 32x100x64x128 float32": "32 streams, 100 steps each, 128 units",
    "pool 10000x64x64 float32": "10,000 streams, one step each, 64 units",
    "training 32x100x64x128 float32": "gradients of 32 x 100 steps, 128 units",
}
SETS = {
    "clinc150": "clinc150: intents",
    "atis": "atis: intents of air travellers",
    "reuters_r8": "reuters_r8: topics of news",
    "sst2": "sst2: sentiment of sentences",
    "japanese_vowels": "japanese_vowels: speakers",
    "ecg5000": "ecg5000: heartbeats",
}
SPEED = "step step_cold sequence pool training"

TABLES = {
    "summary": Table(
        "step sequence pool training",
        "rows",
        "case = time of a GRU on one CPU thread; test accuracy",
        "tidegate = ours/us time | compared with = peers peers",
        names=CASES,
        few=True,
        source="day",
        more=(
            Table(
                "accuracy",
                "runs",
                "set = ",
                "tidegate = accuracy percent mean | compared with = published baseline",
                names=SETS,
                few=True,
            ),
        ),
    ),
    "speed": Table(
        SPEED,
        "rows/peers",
        "case = case",
        "time = ours/us time | error = ours/error .0e | peak = ours/share .0%",
        across="name",
        fill="ratio three",
        names={" float32": ""},
        where=lambda row: row["plain"] and not row["name"].startswith("tidegate"),
    ),
    "pairs": Table(
        SPEED,
        "rows/peers",
        "case = case | name = compared with",
        "time = ours/us time | its time = us time | ratio = . quartiles | error = ours/error .0e | "
        "its error = error .0e",
    ),
    "threads": Table(
        "threads", "rows/peers", "case = case | name = compared with", "time = ours/us time | ratio = . quartiles"
    ),
    "fit": Table(
        "end_to_end",
        "rows/runs",
        "set = set | engine = recurrence computed by",
        "accuracy = accuracy percent | epochs = epochs | CPU seconds = cpu_s .1f | seconds = wall_s .1f | "
        "CPU, relative = cpu_ratio .2f",
    ),
    "footprint": Table(
        "footprint",
        "cases",
        "name = process",
        "CPU seconds = . cpu | resident MB = . mb",
        where=lambda row: row["name"] not in ("numpy", "python", "tidegate, nothing used"),
    ),
    "footprint-base": Table(
        "footprint",
        columns="CPU seconds of a process that only imports NumPy = cases/numpy/cpu_s .3f | "
        "its resident MB = cases/numpy/resident_mb .1f | bytes of the native module = module_bytes , | runs = runs",
        source="",
    ),
    "pushes": Table(
        "series_stream",
        "rows",
        "case = model",
        "µs a push = us .1f | 99 % = us_99 .1f | over the native call = ratio .1f | µs in a pool = pool_us .1f | "
        "bytes of layers = layers_bytes , | bytes of input = memory_bytes , | "
        "origins a second = origins_a_second ,.0f | error = error .0e | answers compared = compared",
    ),
    "interpreter": Table(
        "interpreter",
        "rows",
        "target = target",
        "same bits = same_bits yes all",
        across="batch",
        fill=". quartiles",
        prefix="batch ",
    ),
    "programs": Table(
        "programs",
        "rows",
        "layer = layer",
        "same bits = same_bits yes all",
        across="batch",
        fill=". quartiles",
        prefix="batch ",
    ),
    "without-kernels": Table(
        "without_kernels",
        "rows/peers",
        "case = case",
        "target = target | time = ours/us time | without = us time | ratio = . quartiles",
        names={" float32": ""},
    ),
    "attention": Table(
        "programs",
        "attention",
        "target = target",
        "µs a step = us .1f | torch, µs = torch_us .1f | ratio = . quartiles | error = error .0e | "
        "error of torch = torch_error .0e",
    ),
    "accuracy": Table(
        "accuracy",
        "runs",
        "set = set",
        "mean = accuracy percent mean | each seed = accuracy list hundredths | "
        "CPU seconds a fit = cpu_seconds .0f mean | model file = bytes MB mean",
    ),
    "accuracy-others": Table(
        "accuracy",
        "published",
        "set = set | value = figures of others, in percent",
        where=lambda row: " " not in row["set"],
        source="",
    ),
    "tag": Table(
        "tag",
        "runs",
        "set = set",
        "intent = accuracy percent mean | slot F1 = span_f1 percent mean | each seed = span_f1 list hundredths | "
        "whole sentences = sentence_accuracy percent mean | a word in a stream = us_a_word time min | "
        "bytes of state = state_bytes , | model file = bytes MB mean",
    ),
    "presets": Table(
        "presets",
        "runs",
        "set = set | preset = preset",
        "on the test split = . quality | model file = bytes size | bytes of state = state_bytes , | "
        "a step of a stream = us_a_step time | CPU seconds of a fit = cpu_seconds .0f",
    ),
    "conversations": Table(
        "conversations",
        "runs",
        "set = set | case = read",
        "accuracy = accuracy percent mean | each seed = accuracy list hundredths | "
        "weighted F1 = weighted_f1 percent mean | log loss = log_loss .3f mean | "
        "CPU seconds a fit = cpu_seconds .0f mean",
    ),
    "vectors": Table(
        "vectors",
        "runs",
        "set = set | way = vectors from",
        "nearest is right = accuracy percent | numbers = numbers , | CPU seconds a fit = cpu_seconds .0f",
    ),
    "context": Table(
        "context",
        "runs",
        "set = set | case = read",
        "accuracy = accuracy percent mean | each seed = accuracy list hundredths | "
        "weighted F1 = weighted_f1 percent mean | log loss = log_loss .3f mean | "
        "CPU seconds a fit = cpu_seconds .0f mean",
    ),
    "context-gains": Table(
        "context",
        "gains",
        "set = set | figure = figure",
        "points by which the vector is ahead = ahead +.2f | each seed = points list signed",
        source="",
    ),
    "context-turns": Table(
        "context",
        "turns",
        "set = set | turn = turn | case = read",
        "words = read .0f | a message = us time | bytes kept = kept ,.0f | of these the vector = vector ,.0f | "
        "as ids = ids ,.0f | conversations = conversations",
        source="",
    ),
    "forecast": Table(
        "forecast",
        "rows",
        "set = set | figure = figure",
        "mean = . mean | each seed = . seeds | compared with = . beside",
        where=lambda row: not row.get("detail"),
        names={"error over that of": "error relative to", "80 % interval holds, %": "values in the 80 % interval, %"},
    ),
    "forecast-ridge": Table(
        "forecast_ridge", "runs", "set = set", "error over ridge's = over_ridge .3f mean | share of ridge = share .1f"
    ),
    "forecast-others": Table("forecast", "published", "set = set | value = figures of others", source=""),
    "errors": Table(
        "errors",
        "rows",
        "target = target",
        "wrong models found = . str caught",
        across="steps",
        fill="ratio .3f",
        prefix="T = ",
    ),
    "sound": Table(
        "sound",
        columns="models = models | runs = runs , | runs over their bound = over | "
        "largest error as a share of its bound = worst_ratio .5f | "
        "models with a run for which no bound holds = models_with_open_runs | "
        "models that are wrong in one way = mutants | of these not found = missed",
    ),
    "dialects": Table(
        "dialects",
        "rows",
        "cell = cell",
        "dialects = dialect str distinct | runs without a bound = . str unbounded | "
        "least error of a wrong cell, over its bound = . ,.0f least_mistake",
        across="target",
        fill=". str bounded",
    ),
    "nn": Table(
        "nn_parity",
        "parity",
        "way = computed by | dtype = dtype",
        "modules = cases | values = values .1e | torch's values = torch_values .1e | gradients = gradients .1e | "
        "torch's gradients = torch_gradients .1e",
        names={"chosen": "the engine it chooses", "tape": "the tape alone"},
    ),
    "nn-gradients": Table(
        "nn_parity",
        "dialects",
        columns="cells and dialects = gradients_hold str len | of these pass = gradients_hold str sum",
        source="",
    ),
    "scan": Table(
        "nn_parity",
        "scan",
        "steps = steps | rows = rows",
        "the loop's time over the scan's = times_faster three | error = error .0e",
        source="",
    ),
    "from-torch": Table(
        "from_torch",
        columns="random models = modules | of these within their bound = within | "
        "largest error = largest_error .1e | largest error as a share of its bound = worst/ratio .3f | "
        "models with the same bits back in torch = back_equal",
    ),
    "c": Table(
        "c_export",
        "summary",
        "compiler = compiler | level = options",
        "error = . str bounded | runs with the bits of `base` = . str same_bits",
        source="",
    ),
    "c-build": Table(
        "c_export",
        columns="models = models | self-tests that pass under the sanitizers = sanitized_ok | "
        "weights of a large model = large/weights , | seconds to write it = large/write_s .1f | "
        "to compile it with gcc = large/gcc_s .1f | to compile it with clang = large/clang_s .1f",
    ),
    "onnx": Table("onnx_export", "models/rows", "model = model", across="graph", fill=". str bounded"),
    "push": Table("push", "rows", "case = piece", "a push = us time"),
    "leaks": Table("leaks", columns="events = events , | streams = streams , | answers that differ = differing"),
    "clone": Table(
        "clone",
        columns="seconds of `make demo` = demo/seconds .0f | of these for installation = demo/install_seconds .0f | "
        "seconds of `make test` = test/seconds .0f | of those for installation = test/install_seconds .0f",
    ),
}
CRF = ("", "--decoder crf")  # the options of the runs that docs/tag.md compares
TABLES["crf"] = replace(TABLES["tag"], where=lambda row: row["set"].partition(" ")[2] in CRF, source="")
