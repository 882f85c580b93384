"""A model that starts from another one: what it takes over, by what it is compared, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate import tasks
from tidegate.data.series import read_series
from tidegate.data.table import Table
from tidegate.errors import DataError, OptionError
from tidegate.model import Model
from tidegate.tasks._options import make_options
from tidegate.train import fit, job
from tidegate.train.job import TrainingJob
from tidegate.train.warm_start import adopt_options

TINY: dict[str, Any] = {"hidden": 6, "embed": 5, "epochs": 1, "batch": 8, "refit_epochs": 0}
PLAIN: dict[str, Any] = {"linear": "off", "subwords": 0}
ONE: dict[str, Any] = {"epochs": 1, "batch": 8, "refit_epochs": 0}
WORDS = {"weather": ["rain", "sun"], "music": ["play", "song"], "money": ["pay", "bank"]}


def table(labels: list[str], more: tuple[str, ...] = (), seed: int = 0, **columns: list[str]) -> Table:
    random = np.random.default_rng(seed)
    labelled = [labels[i % len(labels)] for i in range(40)]
    texts = [" ".join(random.choice(["the", "a", *more, *WORDS[label]], 4)) for label in labelled]
    return Table("t.csv", {"text": texts, "label": labelled, **columns}, list(range(2, 42)), f"{seed}" * 64)


def conversations(labels: list[str]) -> Table:
    return table(labels, talk=[str(i // 4) for i in range(40)], turn=[str(i % 4) for i in range(40)])


def series(columns: tuple[str, ...] = ("a", "b"), steps: int = 160) -> Any:
    values = np.random.default_rng(1).standard_normal((steps, len(columns))).cumsum(0)
    return read_series([values], columns=list(columns)) if columns != ("a", "b") else read_series([values])


def train(folder: Path, task: str, source: Any, **options: Any) -> str:
    path = str(folder / "earlier.safetensors")
    options = {**(PLAIN if task == "classify" else {}), **options}
    fit(task, source, out=path, **{**TINY, **options})
    return path


def start(task: str, source: Any, path: str, **values: Any) -> tuple[TrainingJob, dict[str, Any]]:
    """Return a job that starts from a model, and its first weights."""
    module, earlier = tasks.load(task), Model.load(path)
    options = make_options(module.Options, {**ONE, **values, "from_model": path})
    options = adopt_options(options, {*values}, earlier)
    made = TrainingJob(module, options, module.read(source, options), None, 1, earlier)
    return made, made.run(None).tensors()


def rows(model: Any, tensors: dict[str, Any], tokens: tuple[bytes, ...]) -> Any:
    known = list(model.inputs["x"].tokens)
    return tensors["layers.0.weight"][[known.index(token) for token in tokens]]


def test_a_classifier_goes_on_with_other_words_and_one_more_label(tmp_path: Path) -> None:
    path = train(tmp_path, "classify", table(["weather", "music"]))
    earlier = Model.load(path)
    made, tensors = start("classify", table(["money", "music", "weather"], ("new",), 1), path)
    draft = made.draft({**tensors}, {}, {})
    for name, before in earlier.tensors.items():
        if name.startswith(("layers.1.", "layers.2.")):
            assert np.array_equal(tensors[name], before)
    shared = (b"", b"the", b"rain", b"song")
    assert np.array_equal(rows(draft, tensors, shared), rows(earlier, dict(earlier.tensors), shared))
    assert (draft.labels, earlier.labels) == (["money", "music", "weather"], ["music", "weather"])
    for role in ("weight", "bias"):
        assert np.array_equal(tensors[f"layers.3.{role}"][1:], earlier.tensors[f"layers.3.{role}"])
    parent = made.problem.provenance["parent"]
    assert parent["weights"] == earlier.weights_hash
    assert parent["taken"] == ["embed (6 of 9 words)", "recurrent", "pool", "dense (2 of 3 labels)"]
    assert made.first_notes == [(path, f"taken over: {', '.join(parent['taken'])}")]
    assert (made.options.hidden, made.options.embed) == (6, 5)


def test_words_of_the_earlier_model_are_kept(tmp_path: Path) -> None:
    path = train(tmp_path, "classify", table(["weather", "music", "money"], ("moon",)))
    made, tensors = start("classify", table(["weather", "music"], seed=2), path)
    draft = made.draft({**tensors}, {}, {})
    assert {b"moon", b"bank"} <= set(draft.inputs["x"].tokens or ())
    earlier = Model.load(path)
    assert np.array_equal(rows(draft, tensors, (b"moon",)), rows(earlier, dict(earlier.tensors), (b"moon",)))
    limited, _ = start("classify", table(["weather", "music"], seed=2), path, vocabulary=8)
    assert limited.problem.inputs["x"]["size"] == 8


def test_a_model_that_starts_from_itself_computes_the_same(tmp_path: Path) -> None:
    source = table(["weather", "music"])
    path = train(tmp_path, "classify", source)
    made, tensors = start("classify", source, path)
    assert {n: a.tobytes() for n, a in tensors.items()} == {
        n: a.tobytes() for n, a in Model.load(path).tensors.items() if n.startswith("layers.")
    }
    assert made.problem.provenance["parent"]["new"] == made.problem.provenance["parent"]["left"] == []


def test_an_encoder_without_labels_becomes_a_classifier(tmp_path: Path) -> None:
    path = train(tmp_path, "encode", table(["weather", "music"]), size=4)
    made, tensors = start("classify", table(["weather", "music"]), path)
    parent = made.problem.provenance["parent"]
    assert parent["task"] == "encode"
    assert parent["taken"] == ["embed (6 of 6 words)", "recurrent", "pool"]
    assert parent["new"] == ["dense (24 -> 2)"]
    assert parent["left"] == ["dense (24 -> 4, tanh)"]
    assert np.array_equal(tensors["layers.1.W"], Model.load(path).tensors["layers.1.W"])


def test_an_encoder_goes_on_with_the_head_that_only_its_loss_reads(tmp_path: Path) -> None:
    path = train(tmp_path, "encode", table(["weather", "music"]), size=4)
    made, tensors = start("encode", table(["music", "money"], seed=1), path)
    earlier = Model.load(path)
    assert made.options.size == 4
    assert np.array_equal(tensors["projection"], earlier.tensors["scoring.projection"])
    assert len(tensors["bias"]) == made.problem.inputs["x"]["size"] == 9
    assert made.problem.provenance["parent"]["new"] == []


def test_layers_behind_another_layer_are_not_taken_over(tmp_path: Path) -> None:
    path = train(tmp_path, "classify", table(["weather", "music"]))
    made, _ = start("classify", table(["weather", "music"]), path, conv=3, depth=2)
    assert made.problem.provenance["parent"]["taken"] == ["embed (6 of 6 words)"]
    deeper, _ = start("classify", table(["weather", "music"]), path, depth=2)
    assert deeper.problem.provenance["parent"]["taken"] == ["embed (6 of 6 words)", "recurrent"]
    assert len(deeper.problem.provenance["parent"]["new"]) == 4


def test_a_classifier_becomes_a_tagger_of_the_same_words(tmp_path: Path) -> None:
    source = table(["weather", "music"])
    path = train(tmp_path, "classify", source, unit="space", pool="last,mean")
    tags = [
        " ".join("O" if word in ("the", "a") else "B-thing" for word in text.split()) for text in source.columns["text"]
    ]
    tagged = Table("t.csv", {"tokens": source.columns["text"], "tags": tags}, source.lines, "3" * 64)
    made, tensors = start("tag", tagged, path, lookahead=0)
    assert made.problem.provenance["parent"]["taken"][:2] == ["embed (6 of 6 words)", "recurrent"]
    assert np.array_equal(tensors["layers.1.R"], Model.load(path).tensors["layers.1.R"])
    words = train(tmp_path, "classify", source)
    with pytest.raises(OptionError, match=r"has another tokenizer, whose kind is 'word', and here it is 'space'"):
        start("tag", tagged, words)


def test_a_tagger_keeps_its_crf_only_between_the_same_tags(tmp_path: Path) -> None:
    def tagged(names: list[str]) -> Table:
        tags = [" ".join(names[(i + k) % len(names)] for k in range(3)) for i in range(40)]
        return Table(
            "t.csv",
            {"tokens": [f"{'pqrstuv'[i % 7]} b c" for i in range(40)], "tags": tags},
            list(range(2, 42)),
            "4" * 64,
        )

    path = train(tmp_path, "tag", tagged(["O", "B-x"]), decoder="crf", lookahead=1)
    names = [name for name in Model.load(path).tensors if name.startswith("decoders.")]
    assert names
    _, same = start("tag", tagged(["O", "B-x"]), path, decoder="crf")
    assert all(np.array_equal(same[name], Model.load(path).tensors[name]) for name in names)
    made, other = start("tag", tagged(["O", "B-y"]), path, decoder="crf")
    assert not all(np.array_equal(other[name], Model.load(path).tensors[name]) for name in names)
    assert "dense (1 of 2 labels)" in made.problem.provenance["parent"]["taken"]


def test_parts_of_words_go_on_and_a_linear_model_is_fitted_anew(tmp_path: Path) -> None:
    path = train(tmp_path, "classify", table(["weather", "music"]), subwords=4, linear="auto", epochs=4)
    made, tensors = start("classify", table(["weather", "music", "money"], seed=1), path)
    earlier, parent = Model.load(path), made.problem.provenance["parent"]
    assert [layer.kind for layer in earlier.layers].count("running_bag") == 2
    assert parent["taken"][2:] == ["dense", "recurrent", "pool", "dense (2 of 3 labels)"]
    assert (parent["new"], len(parent["left"])) == ([], 2)
    draft = made.draft({**tensors}, {}, {})
    known, before = (one.inputs["x"].row_names("characters")[0] for one in (draft, earlier))
    shared = next(iter({*known} & {*before}))
    assert np.array_equal(
        tensors["layers.1.weight"][known.index(shared)], earlier.tensors["layers.1.weight"][before.index(shared)]
    )
    head = earlier.layers[-2].tensors["weight"]
    assert np.array_equal(tensors["layers.5.weight"][1:], earlier.tensors[head][:, : 4 * 6])


def test_messages_and_conversations(tmp_path: Path) -> None:
    columns = {"conversation": "talk", "turn": "turn"}
    source = conversations(["weather", "music"])
    path = train(tmp_path, "classify", source)
    made, _ = start("classify", source, path, **columns)
    assert made.problem.provenance["parent"]["taken"] == ["embed (6 of 6 words)", "recurrent", "pool"]
    assert made.problem.provenance["parent"]["left"] == ["dense (24 -> 2)"]
    talk = train(tmp_path, "classify", source, **columns, context=4)
    again, tensors = start("classify", source, talk, **columns)
    assert again.problem.provenance["parent"]["new"] == again.problem.provenance["parent"]["left"] == []
    assert np.array_equal(tensors["talk.0.W"], Model.load(talk).tensors["talk.0.W"])
    alone, _ = start("classify", source, talk)
    assert alone.problem.provenance["parent"]["taken"] == ["embed (6 of 6 words)", "recurrent", "pool"]


def test_a_forecaster_goes_on_with_the_same_columns(tmp_path: Path) -> None:
    path = str(tmp_path / "f.safetensors")
    values: dict[str, Any] = {"hidden": 5, "epochs": 1, "refit_epochs": 0, "season": 0}
    module = tasks.load("forecast")
    source = module.read(series(), module.Options(horizon=3, channels="together"))
    fit("forecast", source, out=path, horizon=3, channels="together", **values)
    made, tensors = start("forecast", series(steps=200), path)
    recorded = Model.load(path).document["task"]["options"]
    assert (made.options.horizon, made.options.lookback) == (3, recorded["lookback"])
    assert all(np.array_equal(tensors[n], a) for n, a in Model.load(path).tensors.items() if n.startswith("layers.0."))
    parent = made.problem.provenance["parent"]
    assert parent["taken"][0] == "recurrent"
    assert len(parent["taken"]) + len(parent["new"]) == 2  # the last layer is new where ridge is folded into it
    longer, _ = start("forecast", series(), path, horizon=4)
    assert longer.problem.provenance["parent"]["new"] != []
    with pytest.raises(OptionError, match=r"reads series of numbers, and the data of this model are text; start from"):
        start("classify", table(["weather", "music"]), path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden": 7}, r"earlier\.safetensors: was fitted with --hidden 6, and --hidden is 7; leave it out, or start"),
        ({"cell": "lstm"}, r"was fitted with --cell gru, and --cell is lstm; leave it out"),
        ({"dialect": "reset=before"}, r"was fitted with --dialect '', and --dialect is reset=before"),
        ({"unit": "character"}, r"was fitted with --unit word, and --unit is character"),
        ({"fold": False}, r"was fitted with --fold yes, and --fold is no"),
        ({"digits": "shape"}, r"was fitted with --digits keep, and --digits is shape"),
        ({"vectors": "v.txt"}, "--vectors and --from both give the first values of the embedding; leave one of them"),
    ],
)
def test_a_choice_that_no_weights_fit_is_refused(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    path = train(tmp_path, "classify", table(["weather", "music"]))
    source = table(["weather", "music"])
    with pytest.raises(OptionError, match=message):
        job.fit("classify", source, None, str(tmp_path / "m"), from_model=path, **{**ONE, **values})


def test_another_language_is_refused(tmp_path: Path) -> None:
    path = train(tmp_path, "classify", table(["weather", "music"]))
    texts = [f"un deux {'trois' if i % 2 else 'quatre'}" for i in range(40)]
    french = Table("t.csv", {"text": texts, "label": ["ab"[i % 2] for i in range(40)]}, list(range(2, 42)), "5" * 64)
    with pytest.raises(DataError, match=r"knows none of the 4 words of the training rows; start from a model of texts"):
        start("classify", french, path)


def test_a_cell_of_a_users_own_has_to_be_given_again(tmp_path: Path) -> None:
    from tidegate import cells

    own = tmp_path / "mine.py"
    own.write_bytes(Path(cells.__file__).with_name("gru.py").read_bytes())
    path = train(tmp_path, "classify", table(["weather", "music"]), cell=str(own))
    with pytest.raises(OptionError, match=r"has a cell of your own, 'mine'; give its file with --cell"):
        start("classify", table(["weather", "music"]), path)
    made, _ = start("classify", table(["weather", "music"]), path, cell=str(own))
    assert "recurrent" in made.problem.provenance["parent"]["taken"]


def test_the_earlier_model_is_part_of_a_resumed_run_and_never_replaced(tmp_path: Path) -> None:
    source = table(["weather", "music"])
    path = train(tmp_path, "classify", source)
    with pytest.raises(OptionError, match="is an input of this command"):
        fit("classify", source, out=path, from_model=path, **ONE)
    made, _ = start("classify", source, path)
    first = made.identity()
    train(tmp_path, "classify", source, seed=1)
    other, _ = start("classify", source, path)
    assert first["from_model"] != other.identity()["from_model"]
    model = fit("classify", source, out=str(tmp_path / "m"), from_model=path, **ONE)
    assert model.document["task"]["options"]["from_model"] == "earlier.safetensors"
    assert model.document["provenance"]["parent"]["file"] == "earlier.safetensors"
