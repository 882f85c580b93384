"""Docstrings of functions open with a verb: "Return the rows", not "The rows" and not "What the rows are"."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "tidegate"
NO_VERB = re.compile(
    "A|All|An|As|Each|Every|For|How|If|In|It|Its|Of|On|One|Same|That|The|These|This|Those|What|When|Where|Whether|Which|"
    "Who|Whose|Why|With"
)


def openings(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the first word of each docstring of a function; properties may be nouns."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
        if (doc := ast.get_docstring(node)) and not any("property" in name for name in decorators):
            yield node.lineno, doc.split()[0].strip(",.:;")


def test_docstrings_of_functions_open_with_a_verb() -> None:
    nouns = [
        f"{path.relative_to(PACKAGE)}:{line} opens with {word!r}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, word in openings(path.read_text("utf-8"))
        if NO_VERB.fullmatch(word)
    ]
    assert nouns == []


@pytest.mark.parametrize(
    ("doc", "guilty"),
    [("The rows.", True), ("Whether it is.", True), ("How many.", True), ("Return the rows.", False)],
)
def test_the_rule_tells_nouns_from_verbs(doc: str, guilty: bool) -> None:
    ((_, word),) = openings(f'def f():\n    """{doc}"""\n')
    assert bool(NO_VERB.fullmatch(word)) == guilty


def test_properties_may_be_nouns() -> None:
    assert list(openings('class A:\n    @property\n    def f(self):\n        """The rows."""\n')) == []
