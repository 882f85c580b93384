"""Tables from every kind of file, and the errors for files that are not tables."""

import csv
import hashlib
import os

import pytest

from tidegate.data.table import Table, read_table
from tidegate.errors import DataError


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Return a function that writes a file into an empty working directory."""
    monkeypatch.chdir(tmp_path)

    def write(name, content):
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(data)
        return name

    return write


def test_csv_with_quotes_and_lines(written):
    content = 'text,label\r\n"a, ""b""\r\nc",x\r\n\r\nd,\r\n'
    table = read_table(written("t.csv", content))
    assert table.columns == {"text": ['a, "b"\r\nc', "d"], "label": ["x", ""]}
    assert table.lines == [2, 5]
    assert len(table) == 2
    assert table.locate(1) == "t.csv:5"
    assert table.sha256 == hashlib.sha256(content.encode()).hexdigest()


def test_byte_order_mark_and_other_line_ends(written):
    assert read_table(written("t.csv", b"\xef\xbb\xbftext\nhi\n")).columns == {"text": ["hi"]}
    assert read_table(written("t.csv", "text\rhi\r")).columns == {"text": ["hi"]}
    assert read_table(written("t.csv", "text\nhi\u2028there\x0b\nyo")).columns == {"text": ["hi\u2028there\x0b", "yo"]}


def test_tsv_takes_quotes_as_they_are(written):
    table = read_table(written("t.tsv", 'text\tlabel\n"so" he said\tx\n"open\ty\n'))
    assert table.columns == {"text": ['"so" he said', '"open'], "label": ["x", "y"]}
    assert table.lines == [2, 3]


@pytest.mark.parametrize("name", ["t.jsonl", "t.ndjson", "T.JSONL"])
def test_json_lines(written, name):
    table = read_table(written(name, '{"text": "a\\n\u2028b", "n": 1.50}\r\n\n{"n": 2e400, "text": ""}'))
    assert table.columns == {"text": ["a\n\u2028b", ""], "n": ["1.50", "2e400"]}
    assert table.lines == [1, 3]
    assert {type(cell) for cells in table.columns.values() for cell in cells} == {str}


def test_chosen_columns(written):
    assert read_table(written("t.csv", "a,b,c\n1,2,3\n"), ["c", "a"]).columns == {"c": ["3"], "a": ["1"]}
    source = '{"text": "hi", "meta": {"x": [1]}}\n{"text": "yo"}\n'
    assert read_table(written("t.jsonl", source), ["text"]).columns == {"text": ["hi", "yo"]}


def test_a_long_field_and_the_limit_of_the_process(written):
    before = csv.field_size_limit()
    long = "x" * 300_000
    assert read_table(written("t.csv", f"text\n{long}\n")).columns == {"text": [long]}
    assert csv.field_size_limit() == before


def test_a_column_that_is_not_there():
    table = Table("train.csv", {"message": ["hi"], "intent": ["x"]}, [2], "")
    with pytest.raises(DataError) as caught:
        table.column("mesage")
    expected = "train.csv: no column 'mesage'; the file has 'message', 'intent'; did you mean 'message'?"
    assert str(caught.value) == expected
    with pytest.raises(DataError, match=r"the file has 'message', 'intent'$"):
        table.column("zzz")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "", "t.csv is empty; expected a header line or JSON objects"),
        ("t.csv", "\n\n", "t.csv:1: there is no header"),
        ("t.csv", " ,\na,b\n", "t.csv:1: there is no header"),
        ("t.csv", "text,\na,b\n", "t.csv:1: column 2 of the header has no name"),
        ("t.csv", "a,b,a\n1,2,3\n", "t.csv:1: columns 1 and 3 of the header are both 'a'; rename one"),
        ("t.csv", "a,b\n", "t.csv has a header but no rows"),
        ("t.csv", 'a,b\n"1\n2",3\n4\n', "t.csv:4: found 1 field, expected 2 (a, b); quote fields"),
        ("t.csv", "a,b\n1,2,3\n", "t.csv:2: found 3 fields, expected 2 (a, b)"),
        ("t.csv", 'a,b\n1,2\n3,"4\n5,6\n', "t.csv:3: the row that begins here has a quoted field that is never"),
        ("t.csv", 'a,b\n"so" he said,2\n', "t.csv:2: the row that begins here has text after a closing quote"),
        ("t.csv", "a,b\n1,2\0\n", "t.csv:2: byte 7 of the file is NUL"),
        ("t.csv", b"a\n\xe9t\xe9\n", "t.csv:2: byte 2 of the file (0xe9) is not UTF-8; save the file as UTF-8"),
        ("t.csv", b"\xef\xbb\xbfa\n\xff\n", "t.csv:2: byte 5 of the file (0xff) is not UTF-8"),
        ("t.csv", "a\n".encode("utf-16"), "t.csv is UTF-16; save it as UTF-8"),
        ("t.tsv", "a\tb\n1\n", "t.tsv:2: found 1 field, expected 2 (a, b); a field cannot contain a tab"),
        ("t.jsonl", "\n\n", "t.jsonl has no rows; expected one JSON object a line"),
        ("t.jsonl", '{"a": "x"}\n{"a": x}\n', "t.jsonl:2:7: not JSON: Expecting value"),
        ("t.jsonl", '[{"a": 1}]', "t.jsonl:1: found a list; expected an object such as"),
        ("t.jsonl", "1", "t.jsonl:1: found a number; expected an object"),
        ("t.jsonl", '"x"', "t.jsonl:1: found a string; expected an object"),
        ("t.jsonl", "null", "t.jsonl:1: found null; expected an object"),
        ("t.jsonl", "[" * 100_000, "t.jsonl:1: nested too deeply"),
        ("t.jsonl", "{}", "t.jsonl:1: the object has no keys"),
        ("t.jsonl", '{"text": "x"}\n{"txt": "y"}', "t.jsonl:2: no column 'text'; the object has 'txt'; did you"),
        ("t.jsonl", '{"a": "x"}\n{"a": "y", "b": 1}', "t.jsonl:2: the key 'b' is not in the first object"),
        ("t.jsonl", '{"a": "x", "a": "y"}', "t.jsonl:1: the key 'a' appears twice"),
        ("t.jsonl", '{"a": null}', "t.jsonl:1: 'a' is null; expected a string or a number"),
        ("t.jsonl", '{"a": true}', "t.jsonl:1: 'a' is a boolean"),
        ("t.jsonl", '{"a": ["x"]}', "t.jsonl:1: 'a' is a list"),
        ("t.jsonl", '{"a": {}}', "t.jsonl:1: 'a' is an object"),
        ("t.jsonl", '{"a": NaN}', "t.jsonl:1: NaN is not a JSON number"),
        ("t.jsonl", '{"a": "\\ud800"}', "t.jsonl:1: 'a' contains half of a surrogate pair"),
        ("t.xlsx", "x", "t.xlsx has the extension '.xlsx'; supported are .csv, .tsv, .jsonl, .ndjson"),
        ("table", "x", "table has no extension; supported are"),
    ],
)
def test_a_file_that_is_no_table(written, name, content, message):
    with pytest.raises(DataError) as caught:
        read_table(written(name, content))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "content"), [("t.csv", "text\nx\n"), ("t.jsonl", '{"text": "x"}')])
def test_a_chosen_column_that_is_not_there(written, name, content):
    with pytest.raises(DataError, match=r"no column 'texts'; .*did you mean 'text'"):
        read_table(written(name, content), ["texts"])


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("t.csv", "a\n1\n", "comma-separated with header, UTF-8, 1 row"),
        ("t.tsv", "a\n1\n2\n", "tab-separated with header, UTF-8, 2 rows"),
        ("t.csv", "\ufeffa\n1\n", "comma-separated with header, UTF-8 with byte order mark, 1 row"),
        ("t.ndjson", '{"a": 1}', "JSON lines, UTF-8, 1 row"),
    ],
)
def test_what_a_file_was_taken_for(written, name, content, form):
    assert read_table(written(name, content)).describe() == form


@pytest.mark.parametrize(
    ("name", "content", "delimiter"),
    [
        ("t.csv", "text;label\nhi;a\n", "';'"),
        ("t.csv", "text\tlabel\nhi\ta\n", "'\\t'"),
        ("t.csv", "text|label\nhi|a\n", "'|'"),
        ("t.tsv", "text,label\nhi,a\n", "','"),
    ],
)
def test_another_delimiter_than_the_name_says(written, name, content, delimiter):
    with pytest.raises(DataError) as caught:
        read_table(written(name, content), ["text", "label"])
    header = content.partition("\n")[0]
    want = f"{name}:1: the header is {header!r}, separated by {delimiter}; a .csv has commas and a .tsv tabs; save or "
    assert str(caught.value) == want + "rename it so"


def test_a_column_whose_name_has_a_delimiter_is_a_column(written):
    assert read_table(written("t.csv", "text;label\nhi\n"), ["text;label"]).columns == {"text;label": ["hi"]}
    with pytest.raises(DataError, match="no column 'lab'"):
        read_table(written("t.csv", "text;label\nhi\n"), ["lab"])


def test_numbers_of_a_text_file(written):
    table = read_table(written("t.csv", "x\n 1\n-2.5e3\n.5\n+7.\n"))
    assert table.numbers("x").tolist() == [1.0, -2500.0, 0.5, 7.0]
    assert read_table(written("t.jsonl", '{"x": 1.50}\n{"x": "2"}')).numbers("x").tolist() == [1.5, 2.0]


@pytest.mark.parametrize("cell", ["1,5", "", "nan", "inf", "1_000", "0x10", "١", "1 2", "e3", ".", "1e"])
def test_what_is_no_number(written, cell):
    table = read_table(written("t.csv", f'n,x\n1,2\n2,"{cell}"\n'))
    with pytest.raises(DataError) as caught:
        table.numbers("x")
    assert str(caught.value) == f"t.csv:3: column 'x' is {cell!r}; expected a number such as -1.5 or 2e3"


def test_a_number_that_is_too_large(written):
    with pytest.raises(DataError, match="t.csv:2: column 'x' is '2e400', which float64 cannot represent"):
        read_table(written("t.csv", "x\n2e400\n")).numbers("x")


def test_paths_that_are_no_file(tmp_path):
    with pytest.raises(DataError, match=r"no\.csv: there is no such file; check the path"):
        read_table(tmp_path / "no.csv")
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(DataError, match=r"a\.csv: is a folder; give the path of a file"):
        read_table(tmp_path / "a.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        read_table("a\0.csv")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the owner of everything may read everything")
def test_a_file_that_may_not_be_read(written):
    os.chmod(written("t.csv", "a\n1\n"), 0)
    with pytest.raises(DataError, match="may not be read"):
        read_table("t.csv")


def test_a_refusal_by_the_system_is_one_sentence(written, monkeypatch):
    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    name = written("t.csv", "a\n1\n")
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(DataError, match=r"t\.csv: may not be read; change its permissions"):
        read_table(name)


@pytest.mark.parametrize("name", ["beats", "beats.txt", "no/beats.csv", "beats.csv.gz"])
def test_a_file_that_is_not_there_is_told_whatever_it_is_called(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for gaps in (False, True):
        with pytest.raises(DataError) as caught:
            read_table(name, for_series=gaps)
        assert str(caught.value) == f"{name}: there is no such file; check the path"


def test_what_series_may_be_besides_tables_is_told(tmp_path):
    (tmp_path / "x.npy").write_bytes(b"x")
    with pytest.raises(DataError, match=r"and \.parquet, and for series \.npz and folders$"):
        read_table(tmp_path / "x.npy", for_series=True)
    with pytest.raises(DataError, match=r"and \.parquet$"):
        read_table(tmp_path / "x.npy")


def test_a_first_line_by_which_excel_knows_the_delimiter_is_no_header(written):
    table = read_table(written("t.csv", '\ufeffsep=,\r\ntext,label\r\n"a, b",x\r\n'))
    assert (table.columns, table.lines) == ({"text": ["a, b"], "label": ["x"]}, [3])
    assert read_table(written("t.tsv", "SEP=\t\na\tb\n1\t2\n")).columns == {"a": ["1"], "b": ["2"]}
    with pytest.raises(DataError, match=r"t.csv:1: the file declares the delimiter ';' \(sep=;\); a .csv has"):
        read_table(written("t.csv", "sep=;\ntext;label\nhi;x\n"))


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("t.csv", "text,label\nhi,x\n\ntext,label\nyo,y\n", "t.csv:4"),
        ("t.tsv", "text\tlabel\ntext\tlabel\n", "t.tsv:2"),
        ("t.jsonl", '{"text": "hi", "label": "x"}\n{"text": "text", "label": "label"}\n', "t.jsonl:2"),
    ],
)
def test_a_header_that_stands_twice_is_refused_with_its_line(written, name, content, place):
    with pytest.raises(
        DataError, match=rf"^{place}: the row repeats the header \(text, label\), as happens when files"
    ):
        read_table(written(name, content))


def test_a_header_that_stands_twice_is_refused_in_a_frame_and_is_a_row_in_a_single_column(written):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": ["hi", "text"], "label": ["x", "label"]})
    with pytest.raises(DataError, match="^pandas frame, row 2: the row repeats the header"):
        read_table(frame)
    assert read_table(written("t.csv", "text\ntext\n")).columns == {"text": ["text"]}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("text,label ", "'label ', which differs by a space at the end"),
        ("text,\u00a0label", "'\\\\xa0label', which differs by a space at the beginning"),
        ("text,la\u200bbel", r"'la\\u200bbel', which differs by U\+200B \(zero width space\)"),
        ("\ufeff\ufefflabel,text", r"'\\ufefflabel', which differs by U\+FEFF \(zero width no-break space\)"),
        ("text,labels", "'labels'"),
    ],
)
def test_a_column_whose_name_differs_by_nothing_visible_is_named_with_the_difference(written, header, said):
    with pytest.raises(DataError, match=rf"no column 'label'; .*; did you mean {said}\?$"):
        read_table(written("t.csv", header + "\nhi,x\n"), ["label"])
