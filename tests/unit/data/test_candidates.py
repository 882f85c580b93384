"""The suggestions in the message when requested columns are missing."""

import pytest

from tidegate.data.candidates import looks_like_labels, looks_like_text, quote_name, suggest_columns
from tidegate.data.table import Table, read_table
from tidegate.errors import DataError
from tidegate.tasks import classify

TEXTS = [f"message number {i} of many" for i in range(12)]
LABELS = ["a", "b", "c"] * 4
IDS = [f"id-{i}" for i in range(12)]
DATES = [f"2024-01-{i + 10} 10:00" for i in range(12)]


def one(cells):
    return Table("t.csv", {"c": cells}, list(range(2, len(cells) + 2)), "")


@pytest.mark.parametrize(
    ("cells", "text", "labels"),
    [
        (TEXTS, True, False),
        (LABELS, False, True),
        (IDS, False, False),
        (DATES, False, False),
        (["\u4f60\u597d\u554a", "\u518d\u89c1", "\u8c22\u8c22"], True, False),
        (["x" * 61, "y"] * 6, False, False),
        (["a"] * 12, False, False),
        ([0, 1] * 6, False, True),
        ([True, False] * 6, False, True),
        ([0.5, 1.5] * 6, False, False),
    ],
)
def test_what_a_column_looks_like(cells, text, labels):
    assert (looks_like_text(one(cells), "c"), looks_like_labels(one(cells), "c")) == (text, labels)


def test_a_name_with_a_space_is_quoted():
    assert [quote_name(name) for name in ("intent", "gold-label", "is spam", "caf\u00e9_1")] == [
        "intent",
        "gold-label",
        '"is spam"',
        "caf\u00e9_1",
    ]


def lines(**columns):
    rows = zip(*columns.values(), strict=True)
    return "\n".join([",".join(columns), *map(",".join, rows)]) + "\n"


def test_the_error_names_the_candidates_and_what_to_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(lines(id=IDS, when=DATES, utterance=TEXTS, category=LABELS))
    with pytest.raises(DataError) as caught:
        classify.read("t.csv", classify.Options())
    assert str(caught.value) == (
        "t.csv: no column 'text'; the file has 'id', 'when', 'utterance', 'category'; 'utterance' looks like text, "
        "'category' has 3 distinct values: use --text utterance --label category"
    )
    assert classify.read("t.csv", classify.Options(text="utterance", label="category")).column("utterance") == TEXTS


def test_what_is_there_as_asked_keeps_its_part(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(lines(intent=LABELS, lang=LABELS, message=TEXTS, id=IDS))
    with pytest.raises(DataError) as caught:
        classify.read(path, classify.Options(label="lang"))
    assert "did you mean" not in str(caught.value)  # 'intent', which is near to 'text', is not what was meant
    assert str(caught.value).endswith("'lang' has 3 distinct values: use --text message --label lang")
    path.write_text(lines(id=TEXTS, message=TEXTS))
    with pytest.raises(DataError, match="use --text id --label message"):
        classify.read(path, classify.Options(text="txt", label="message"))


@pytest.mark.parametrize(
    ("columns", "end"),
    [
        ({"a": TEXTS, "b": TEXTS[::-1], "c": LABELS}, "the file has 'a', 'b', 'c'"),
        ({"a": TEXTS, "b": LABELS, "c": LABELS}, "the file has 'a', 'b', 'c'"),
        ({"a": TEXTS, "b": IDS}, "the file has 'a', 'b'"),
        ({"texts": TEXTS, "b": IDS}, "did you mean 'texts'?"),
    ],
)
def test_nothing_is_said_where_it_would_be_a_guess(tmp_path, columns, end):
    (tmp_path / "t.csv").write_text(lines(**columns))
    with pytest.raises(DataError) as caught:
        classify.read(tmp_path / "t.csv", classify.Options())
    assert str(caught.value).endswith(end)


def test_columns_that_cannot_be_read_are_passed_over():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"at": pd.to_datetime(["2024-01-01"] * 12), "said": TEXTS, "gap": [None] * 12, "of": LABELS})
    assert suggest_columns(frame, list(frame.columns), "text", "label").endswith("use --text said --label of")
    with pytest.raises(DataError, match="'said' looks like text"):
        classify.read(frame, classify.Options())
    with pytest.raises(DataError, match="no value in column 'gap'"):
        read_table(frame, ["gap"])


def test_a_wide_table_of_numbers_says_what_a_table_of_series_needs(tmp_path):
    path = tmp_path / "w.csv"
    path.write_text("kind,t1,t2,t3,t4\na,1,2,3,4\nb,5,6,,8\n")
    with pytest.raises(DataError, match="'t1', 't2', 't3', ... hold numbers: if each row is a series, add --input s"):
        classify.read(path, classify.Options(label="kind"))
