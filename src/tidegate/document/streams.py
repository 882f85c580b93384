"""The key `streams`: whether a model can stream, and how many steps of a message a stream keeps until its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ModelFileError
from ..expect import check_integer, check_keys, check_object, check_text
from ..layers import Layer, look_ahead, whole_window
from ..limits import KEPT_STEPS, MAX_STATE_BYTES
from ..strictjson import show


def streams_entry(layers: Sequence[Layer], starts_anew: bool = False, feeds_back: bool = False) -> dict[str, Any]:
    """Say whether layers can stream, as in the key `streams`.

    Where layers read whole rows, a stream keeps the steps of a message and answers at its end. starts_anew: whether all
    rows of an answer are run again at each push, as those of a window are; then no steps are kept. feeds_back: whether
    an output needs the layers to run on beyond the last step, which those that read whole rows cannot.

    >>> from ..layers import parse
    >>> streams_entry([parse("softmax", {"size": 2}, 2, {})])
    {'yes': True}
    >>> streams_entry([parse("final", {"size": 2}, 2, {})])
    {'yes': True, 'keeps': 1024}
    """
    reason = "" if starts_anew else whole_window(layers)
    if reason and feeds_back:
        return {"yes": False, "because": reason}
    return {"yes": True, "keeps": min(KEPT_STEPS, most_kept(layers[0].input_width))} if reason else {"yes": True}


def steps_at_once(layers: Sequence[Layer]) -> bool:
    """Return whether a step of these layers has its answer at once."""
    return not whole_window(layers) and not look_ahead(layers)


def most_kept(numbers: int) -> int:
    """Return how many steps of so many ids or numbers a stream can keep within the largest state."""
    return (MAX_STATE_BYTES - 8) // (4 * numbers)


def check_streams(value: Any, layers: Sequence[Layer], starts_anew: bool, feeds_back: bool, numbers: int) -> None:
    """Check that the file says of its layers and input what `streams_entry` says.

    numbers: how many ids or numbers a step of the input has. A reason may be worded freely, the number of steps is free
    within the largest state, and layers that read whole rows need not stream. Raises ModelFileError.
    """
    check_object("streams", value)
    if type(value.get("yes")) is not bool:
        raise ModelFileError(f"streams.yes: is {show(value.get('yes'))}; expected true or false")
    reason = "" if starts_anew else whole_window(layers)
    if not value["yes"]:
        check_keys("streams", value, "yes", "because")
        check_text("streams.because", value["because"])
        if not reason:
            raise ModelFileError("streams.yes: is False; expected True, as all of its layers run step by step")
    elif not reason:
        check_keys("streams", value, "yes")
    elif feeds_back:
        raise ModelFileError(
            f"streams.yes: is True; expected False, as an output is fed back step by step, and because {reason}"
        )
    elif "keeps" not in value:
        raise ModelFileError(
            f"streams.yes: is True; expected False, because {reason}, or also 'keeps', how many steps of a message a "
            "stream keeps until its end"
        )
    else:
        check_keys("streams", value, "yes", "keeps")
        check_integer("streams.keeps", value["keeps"], 1, most_kept(numbers))
