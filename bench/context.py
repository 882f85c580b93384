"""Compare a context vector that is carried from message to message with reading the whole conversation again.

On swda and meld: a classifier of messages in conversations with `--context 64`, and one graph that reads all words so
far, with a word that marks the speaker before each message (bench/tasks/reread.py). Both read the same words and
speakers, are trained on whole conversations, and were given options chosen on the validation split, which also selects
the weights of every fit. Accuracy is that of the official test split by the native runtime; times are CPU times of one
message at some turns of its conversations, with one thread, by the models of the last seed. Writes
bench/results/context.json and keeps its other entries.

    python bench/context.py swda meld --seeds 0 1 2
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import conversations
from common import fits, record

from tidegate import load, tasks
from tidegate.cli.score import measure
from tidegate.data import catalogue
from tidegate.runtime import Predictor
from tidegate.tasks import _classified_conversations, _conversations, classify
from tidegate.tasks._options import restore_options
from tidegate.text_tables import format_table
from tidegate.train import fit

tasks.__path__.append(str(Path(__file__).parent / "tasks"))

SIZE = 64
VECTOR, AGAIN, ENDLESS = f"a context vector of {SIZE} numbers", "all words so far again", "all words, in one stream"
SWDA, MELD = ({**conversations.OPTIONS[name], "batch": batch} for name, batch in (("swda", 2), ("meld", 4)))
OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "swda": {VECTOR: {**SWDA, "context": SIZE}, AGAIN: {**SWDA, "pool": "last"}},
    "meld": {VECTOR: {**MELD, "context": SIZE}, AGAIN: {**MELD, "pool": "last", "hidden": 256}},
}
TASKS = {VECTOR: "classify", AGAIN: "reread"}
TURNS = (5, 20, 100)
MOST = 20  # conversations that are timed at a turn


def main() -> None:
    parser = record.make_parser(__doc__)
    parser.add_argument("sets", nargs="*", default=list(OPTIONS), help=f"data sets (default {' '.join(OPTIONS)})")
    record.add_seeds(parser)
    parser.add_argument("--repeats", type=int, default=20, help="times that each message is timed (default 20)")
    args = parser.parse_args()
    if unknown := sorted(set(args.sets) - set(OPTIONS)):
        parser.error(f"{unknown[0]!r} has no options here; choose {' or '.join(OPTIONS)}")
    for name in args.sets:
        known = record.read(args.out, "context")
        earlier = known.get(name, {}) if args.add else {}
        if earlier and earlier["figures"]["options"] != OPTIONS[name]:
            raise SystemExit(f"{name} was measured with other options than this script has; leave out --add")
        made = {run["seed"] for run in earlier["figures"]["runs"]} if earlier else set()
        if not (wanted := [seed for seed in args.seeds if seed not in made]):
            continue
        entry = record.with_provenance(measure_set(name, wanted, args.repeats), "torch")
        known[name] = record.with_earlier(entry, earlier, place_of)
        known[name]["figures"]["gains"] = compare(known[name]["figures"]["runs"])
        record.write(args.out, "context", {key: known[key] for key in sorted(known)})
    print(format_results(record.read(args.out, "context")))


def place_of(run: dict[str, Any]) -> tuple[int, int]:
    """Return where a run stands among those of its set."""
    return list(TASKS).index(run["case"]), run["seed"]


def measure_set(name: str, seeds: list[int], repeats: int) -> dict[str, Any]:
    """Fit and score the models of a set, and time those of the last seed."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {case: os.path.join(folder, f"{task}.safetensors") for case, task in TASKS.items()}
        runs = [measure_fit(name, case, seed, path) for seed in seeds for case, path in paths.items()]
        models = [load(path, threads=1) for path in paths.values()]
    turns = measure_turns(*models, catalogue.fetch(name)["test"], repeats)
    return {"options": OPTIONS[name], "runs": sorted(runs, key=place_of), "turns": turns}


def measure_fit(name: str, case: str, seed: int, out: str) -> dict[str, Any]:
    """Fit and score one model, which stays at `out`, and return its figures."""
    files, options = catalogue.fetch(name), fits.options(name, **{**OPTIONS[name][case], "seed": seed})
    started, progress = time.process_time(), fits.print_epochs(f"{name}, {case}, seed {seed}")
    model = fit(TASKS[case], str(files["train"]), options, out, valid=str(files["val"]), progress=progress)
    seconds = time.process_time() - started
    metrics = measure(out, str(files["test"]), {"unseen": "wrong"}).as_dict()  # as in the published figures
    return {
        "case": case,
        "seed": seed,
        **fits.classified(metrics, model),
        "cpu_seconds": seconds,
    }


def compare(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return for each figure by how many points the vector is ahead: the mean, and each seed."""
    found = []
    for figure in ("accuracy", "weighted_f1"):
        vector, again = ([run[figure] for run in runs if run["case"] == case] for case in TASKS)
        points = [100 * (a - b) for a, b in zip(vector, again, strict=True)]
        found.append({"figure": figure.replace("_f1", " F1"), "ahead": statistics.mean(points), "points": points})
    return found


def measure_turns(vector: Predictor, again: Predictor, file: Path, repeats: int) -> list[dict[str, Any]]:
    """Time the messages at each of `TURNS` in the conversations of a file, and count what must be kept before them."""
    options = restore_options(classify.Options, vector.model.document["task"]["options"])
    source = classify.read(str(file), options)
    speakers = _conversations.read_speakers(source, options)
    rows, talks = tasks.load("reread").lay_out(source, options, again.model.document["provenance"]["marks"])
    texts, found = source.column(options.text), []
    for turn in TURNS:
        long = [i for i, each in enumerate(rows) if len(each) >= turn][:MOST]
        talk = [([(texts[k], speakers[k]) for k in rows[i][:turn]], talks[i][:turn]) for i in long]
        timed: dict[str, list[dict[str, Any]]] = {}
        for messages, words in talk:
            for case, one in time_turn(vector, again, messages, [" ".join(each) for each in words], repeats).items():
                timed.setdefault(case, []).append(one)
        found += [{"turn": turn, "case": case, **join_turns(each)} for case, each in timed.items()]
    return found


def time_turn(
    vector: Predictor, again: Predictor, messages: list[tuple[str, str]], marked: list[str], repeats: int
) -> dict[str, dict[str, Any]]:
    """Time the last of some messages in each way, and return what each way has to keep before it.

    messages: texts and speakers. marked: the same words behind the mark of their speaker. What the ways say is compared
    first: a stream has to say what reading all of it again says.
    """
    carried, endless = vector.stream(), again.stream()
    for (text, speaker), words in zip(messages[:-1], marked[:-1], strict=True):
        carried.push(text, end=True, sides=who(speaker))
        endless.push(words + " ")
    (text, speaker), last, whole = messages[-1], marked[-1] + " ", " ".join(marked)
    history = " ".join(marked[:-1])
    ways: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
        VECTOR: (carried.fork, lambda stream: stream.push(text, end=True, sides=who(speaker))),
        AGAIN: (lambda: whole, lambda text: again.answers([text])[0]),
        ENDLESS: (endless.fork, lambda stream: stream.push(last)),
    }
    said = {case: run(start()).values.tobytes() for case, (start, run) in ways.items()}
    wanted = vector.answers([[(text, who(name)) for text, name in messages]])[0][-1].values.tobytes()
    if said[VECTOR] != wanted or said[ENDLESS] != said[AGAIN]:
        raise SystemExit(f"a stream does not say what the whole conversation says: {whole!r}")
    kept = {
        VECTOR: {"kept": size_of(carried), "vector": size_of_vector(carried)},
        AGAIN: {"kept": len(history.encode()), "ids": 4 * len(history.split())},
        ENDLESS: {"kept": size_of(endless)},
    }
    times = {case: [time_once(run, start()) for _ in range(repeats)] for case, (start, run) in ways.items()}
    read = {VECTOR: len(last.split()) - 1, AGAIN: len(whole.split()), ENDLESS: len(last.split())}
    return {case: {"times": times[case], "read": read[case], **kept[case]} for case in ways}


def time_once(run: Callable[[Any], Any], given: Any) -> float:
    """Return the microseconds that a call takes, in CPU time of this thread."""
    started = time.thread_time()
    run(given)
    return 1e6 * (time.thread_time() - started)


def who(speaker: str) -> dict[str, str]:
    return {_conversations.SPEAKER: speaker}


def size_of(stream: Any) -> int:
    """Return how many bytes a stream remembers: its block, its last output, and what its inputs remember."""
    state = stream.state
    return int(state.block.nbytes + state.output.nbytes + len(state.input_state))


def size_of_vector(stream: Any) -> int:
    """Return how many bytes of it are the vector: all else has its first value when a message has ended."""
    arrays = stream.state.arrays.items()
    return sum(
        array.nbytes
        for name, array in arrays
        if name.startswith(f"{_classified_conversations.OUTER}.") and name.endswith(".h")
    )


def join_turns(timed: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians over conversations, and over all of their times."""
    sizes = {key: statistics.median(one[key] for one in timed) for key in timed[0] if key != "times"}
    times = [us for one in timed for us in one["times"]]
    return {"conversations": len(timed), "us": statistics.median(times), **sizes}


def format_results(results: dict[str, Any]) -> str:
    rows, turns = [], []
    for name, entry in results.items():
        for run in entry["figures"]["runs"]:
            rows.append([name, run["case"], str(run["seed"]), f"{run['accuracy']:.4f}", f"{run['weighted_f1']:.4f}"])
        for of in entry["figures"]["turns"]:
            sizes = [f"{of[key]:,.0f}" for key in ("read", "us", "kept")]
            turns.append([name, str(of["turn"]), of["case"], str(of["conversations"]), *sizes])
    heads = ["set", "read", "seed", "accuracy", "weighted F1"]
    more = ["set", "turn", "read", "conversations", "words", "us", "bytes kept"]
    return "\n\n".join([format_table(heads, rows, left=2), format_table(more, turns, left=3)])


if __name__ == "__main__":
    main()
