"""The live part of the demo: a process without torch that reads stories from stdin and streams them word by word."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from ..errors import TidegateError
from ..text_tables import draw_bar
from . import _console

if TYPE_CHECKING:
    from ..outputs import Answer
    from ..runtime import Predictor

REPEATS = 20


def main(model: str) -> int:
    """Stream the stories from stdin through a model and print how long a word takes."""
    from ..runtime import load

    predictor = load(model)
    stories = json.load(sys.stdin)
    for topic, text in stories:
        print(f"a story about {topic!r}")
        print_scores(predictor, text)
    spent = sorted(seconds for _, text in stories for _ in range(REPEATS) for seconds in time_pushes(predictor, text))
    median, slow = spent[len(spent) // 2] * 1e6, spent[len(spent) * 99 // 100] * 1e6
    print(f"{median:.0f} microseconds per word (99 % of words under {slow:.0f}), target {predictor.target}")
    if "torch" in sys.modules:
        raise TidegateError("torch was imported, which should never happen here; please report this as a bug")
    print("torch was not imported in this process")
    return 0


def print_scores(predictor: Predictor, text: str) -> None:
    """Print the most likely label after every word."""
    stream = predictor.stream()
    for word in text.split():
        print_answer(word, stream.push(word + " "))
    print()


def print_answer(word: str, answer: Answer) -> None:
    """Print the most likely label after a word, if there is one."""
    shown = answer.as_dict(all_scores=False)
    if shown["label"] is not None:
        print(f"  {word[:16]:<16}  {draw_bar(shown['score'])}  {shown['score']:4.0%}  {shown['label']}")


def time_pushes(predictor: Predictor, text: str) -> list[float]:
    """Measure the seconds that each word's push takes."""
    stream, spent = predictor.stream(), []
    for word in text.split():
        started = time.perf_counter()
        stream.push(word + " ")
        spent.append(time.perf_counter() - started)
    return spent


if __name__ == "__main__":
    with _console.use_consoles():
        try:
            code = main(sys.argv[1])
        except TidegateError as error:
            print(f"tidegate: {error}", file=sys.stderr)
            code = 2
        except BrokenPipeError:
            code = _console.OUTPUT_CLOSED
    sys.exit(code)
