"""Tokens with tags: from two columns of a table, and from CoNLL files."""

import gzip

import pytest

from tidegate.data.table import Table, read_table
from tidegate.data.tokens import split_tags, split_tokens
from tidegate.errors import DataError

CONLL = """-DOCSTART- -X- O O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name, content):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    return write


@pytest.mark.parametrize("name", ["t.conll", "t.bio", "t.iob", "T.CONLL"])
@pytest.mark.parametrize("separator", [" ", "\t", "  "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_conll_file(written, name, separator, end):
    table = read_table(written(name, CONLL.replace(" ", separator).replace("\n", end)))
    assert split_tags(table, "tokens", "tags") == (
        [["EU", "rejects"], ["Peter", "Blackburn"]],
        [["B-ORG", "O"], ["B-PER", "I-PER"]],
    )
    assert [table.locate(i) for i in range(2)] == [f"{name}:3", f"{name}:6"]
    assert table.describe() == "CoNLL, a token on each line, UTF-8, 2 rows"


def test_a_compressed_conll_file_without_an_empty_line_at_the_end(written):
    table = read_table(written("t.conll.gz", gzip.compress("\ufeffé O\n\n\n\nß B-x".encode())), ["tags", "tokens"])
    assert table.columns == {"tags": ["O", "B-x"], "tokens": ["é", "ß"]}
    assert table.lines == [1, 5]


def test_a_number_sign_is_a_token_and_no_comment(written):
    assert read_table(written("t.conll", "# O\n1 B-rank\n")).columns == {"tokens": ["# 1"], "tags": ["O B-rank"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a O\nb\n", "t.conll:2: a single column, 'b'; expected a token and its tag on each line"),
        ("a O\n\nb X O\n", "t.conll:3: 3 columns, and line 1 has 2; every line needs the same columns"),
        ("a b\tO\n", "t.conll:1: the token contains white space ('a b'); expected one word"),
        ("a\t\tO\nb\tB c\tO O\n", "t.conll:2: the tag contains white space ('O O'); expected one word"),
        ("\n \n-DOCSTART- O\n", "t.conll has no tokens; expected a token and its tag on each line"),
        ("", "t.conll is empty"),
    ],
)
def test_a_file_that_is_not_conll(written, content, message):
    with pytest.raises(DataError) as caught:
        read_table(written("t.conll", content))
    assert str(caught.value).startswith(message)


def test_a_conll_file_has_two_columns_and_no_series(written):
    name = written("t.conll", CONLL)
    with pytest.raises(DataError, match=r"t\.conll: no column 'token'; .* did you mean 'tokens'"):
        read_table(name, ["token"])
    with pytest.raises(DataError, match=r"t\.conll has the extension '\.conll'; supported are \.csv"):
        read_table(name, for_series=True)


def test_a_table_of_tokens_and_tags(written):
    table = read_table(written("t.csv", 'tokens,tags,label\n"to  new york ",O B-city I-city,flight\nbye,O,end\n'))
    assert split_tags(table, "tokens", "tags") == (
        [["to", "new", "york"], ["bye"]],
        [["O", "B-city", "I-city"], ["O"]],
    )


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"tags": ["O", "O"]}, "frame, row 2: column 'words' has 2 tokens, column 'tags' has 1 tag; give each token"),
        ({"tags": ["O O", "O O"]}, "frame, row 1: column 'words' has 1 token, column 'tags' has 2 tags"),
        ({"tags": ["O", ""]}, "frame, row 2: column 'words' has 2 tokens, column 'tags' has 0 tags"),
        ({"tags": ["O", "O O"], "words": ["a", " "]}, "frame, row 2: column 'words' has no tokens; fill it in"),
        ({"tags": [1, 2]}, "frame, row 1: column 'tags' holds integers"),
        ({"tag": ["O", "O O"]}, "frame: no column 'tags'; the table has 'words', 'tag'; did you mean 'tag'?"),
    ],
)
def test_rows_whose_tags_do_not_fit(cells, message):
    table = Table("frame", {"words": ["a", "b c"]} | cells, [1, 2], "", unit="row")
    with pytest.raises(DataError) as caught:
        split_tags(table, "words", "tags")
    assert str(caught.value).startswith(message)


def test_tokens_alone():
    assert split_tokens(Table("t.csv", {"words": ["a\u3000b"]}, [2], ""), "words") == [["a", "b"]]
