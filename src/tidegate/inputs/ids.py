"""Token ids from a tokenizer of the user's own: one at each step, or several under the names of ports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError, ModelFileError, error_context
from ..expect import check_integer, check_keys, check_object, check_text
from ..limits import MAX_IDS, MAX_VOCABULARY
from ..strictjson import show
from ..tensors import Array
from ._draws import draw_ids, draw_port_ids
from ._read import to_bags, to_token_ids
from .base import PlainInput, Port

Ids = npt.NDArray[np.int32]


def parse(name: str, entry: dict[str, Any], tensors: Mapping[str, Array]) -> IdsInput:
    """Check the entry of ids and return its input. Raises ModelFileError."""
    place = f"inputs.{name}"
    if "ports" not in entry:
        check_keys(place, entry, "kind", "size")
        return IdsInput(name, {"": Port(0, 1, check_integer(f"{place}.size", entry["size"], 1, MAX_VOCABULARY))})
    check_keys(place, entry, "kind", "ports")
    check_object(f"{place}.ports", entry["ports"])
    ports: dict[str, Port] = {}
    first = 0
    for port, value in entry["ports"].items():
        where = f"{place}.ports.{check_text(f'a name in {place}.ports', port)}"
        if not port.isidentifier():
            raise ModelFileError(f"{place}.ports: has the name {show(port)}; expected letters, digits and _")
        check_object(where, value)
        check_keys(where, value, "size", *(("most",) if "most" in value else ()))
        size = check_integer(f"{where}.size", value["size"], 1, MAX_VOCABULARY)
        most = check_integer(f"{where}.most", value["most"], 2, MAX_IDS) if "most" in value else 1
        ports[port] = Port(first, most, size, may_lack="most" in value)
        first += most
    if not 1 <= first <= MAX_IDS:
        raise ModelFileError(f"{place}.ports: give a step {first} ids together; expected 1 to {MAX_IDS}")
    return IdsInput(name, ports)


class IdsInput(PlainInput):
    """Token ids: rows are int32 [T], or [T, ids] with ports; the state stays empty.

    With ports, a piece is a dict: the ids of each port over the same steps. A port with `most` has a list of any length
    up to that for each step; -1 stands in place of those that are left out.
    """

    kind = "ids"
    takes = "token ids"
    unfinished_error = "it has an unfinished word; this model takes token ids"

    def __init__(self, name: str, ports: dict[str, Port]) -> None:
        super().__init__(name)
        self._ports = ports
        self.ids = sum(port.ids for port in ports.values())
        self.size = max(port.size for port in ports.values())

    @property
    def ports(self) -> dict[str, Port]:
        return dict(self._ports)

    def to_json(self) -> dict[str, Any]:
        if "" in self._ports:
            return {"kind": self.kind, "size": self.size}
        ports = {
            name: {"size": port.size, **({"most": port.ids} if port.may_lack else {})}
            for name, port in self._ports.items()
        }
        return {"kind": self.kind, "ports": ports}

    def read(self, x: Any, state: bytes) -> tuple[Ids, bytes]:
        """Return one id, or several [T]; or with ports, those of one step or several [T, ids], as int32."""
        if "" not in self._ports:
            one = isinstance(x, dict) and self.is_one_step(x)
            return self.read_ports({name: [ids] for name, ids in x.items()} if one else x), b""
        if isinstance(x, str | bytes):
            raise DataError(f"this model takes token ids, integers of 0 to {self.size - 1}; text was given")
        return to_token_ids([x] if np.ndim(x) == 0 else x, self.size), b""

    def is_one_step(self, x: dict[str, Any]) -> bool:
        """Return whether these are the ids of a single step: those of a port with `most` are then a list of numbers."""
        single = [name for name, port in self._ports.items() if not port.may_lack and name in x]
        if single:
            return all(np.ndim(x[name]) == 0 for name in single)
        return all(hasattr(ids, "__len__") and len(ids) and np.ndim(ids[0]) == 0 for ids in x.values())

    def read_many(self, x: Any) -> Ids:
        """Return the ids of one step for each of n streams: int32 [n], or [n, ids] with ports."""
        return to_token_ids(x, self.size) if "" in self._ports else self.read_ports(x)

    def read_ports(self, x: Any) -> Ids:
        """Return the ids of all ports side by side, int32 [n, ids]."""
        names = ", ".join(self._ports)
        if not isinstance(x, dict) or set(x) != set(self._ports):
            found = f"a dict of {', '.join(map(str, x)) or 'nothing'}" if isinstance(x, dict) else type(x).__name__
            raise DataError(f"this model takes a dict with the token ids of its ports, {names}; {found} was given")
        columns: list[Ids] = []
        for name, port in self._ports.items():
            with error_context(name):
                several = to_bags(x[name], port.size, port.ids) if port.may_lack else None
                ids = to_token_ids(x[name], port.size)[:, None] if several is None else several
            if columns and len(ids) != len(columns[0]):
                raise DataError(f"{name} has {len(ids)} steps and {next(iter(self._ports))} has {len(columns[0])}")
            columns.append(ids)
        return np.concatenate(columns, 1)[:, 0] if self.ids == 1 else np.concatenate(columns, 1)

    def synthesise(self, draws: Iterator[int], steps: int) -> Ids:
        if self.ids == 1:
            return draw_ids(draws, steps, self.size)
        return draw_port_ids(draws, steps, self._ports.values())
