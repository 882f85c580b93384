"""The C of a layer, from the program of its step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from ...layers import Layer
from ...tape import NORM_EPS
from ...tape.program import Shape
from .functions import ACTIVATIONS
from .layer_code import LayerCode, LayerContext
from .literals import UniqueNames, format_comment, format_float, make_name
from .places import Memory, Place, strides_of
from .schedule import ELEMENTS, REDUCTIONS, VIEWS, Schedule, Unit

OPERATORS: Final = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
FUNCTIONS: Final = {"minimum": "smaller", "maximum": "larger", **ACTIVATIONS}
INDEX: Final = "ijkl"
PARAMETERS: Final = {
    "x": "const float *x",
    "id": "int32_t id",
    "ids": "const int32_t *ids",
    "state": "float *state",
    "steps": "float steps",
}


def is_lookup(layer: Layer) -> bool:
    """Tell whether a layer only selects a row of a table, so that its output can stay there."""
    program = layer.program
    return program.ids == 1 and program.instructions[program.output].name == "take" and not program.state


def generate(context: LayerContext) -> LayerCode:
    """Generate a function for a layer and its call; for a lookup, the place of the row."""
    compiler = Compiler(context)
    if is_lookup(context.layer):
        (take,) = (i for i, op in enumerate(compiler.plan.operations) if op.name == "take")
        declaration = "" if context.model.look_ahead else "const float *const "
        compiler.code.body = [f"{declaration}{context.y} = {compiler.row(take, context.ids)};"]
        return compiler.code
    return compiler.compile()


class Compiler:
    """Compiles a program to C. `v<i>` is the result of its operation i."""

    def __init__(self, context: LayerContext) -> None:
        self.context, self.program = context, context.layer.program
        self.code, self.names = LayerCode(), UniqueNames()
        self.tables: dict[str, str] = {}  # role -> C name
        self.used = dict[str, str]()  # parameter -> argument
        self.lines, self.declared = list[str](), list[str]()
        self.plan = Schedule(self.program)
        self.operations = self.plan.operations
        self.states = {name: self.names.make("s_", name) for name in self.program.state}
        self.memory = Memory(self.plan, self.states, self.program.width)

    def compile(self) -> LayerCode:
        self.declare()
        for unit in self.plan.units:
            if unit.shape is None:
                self.add_call(unit.members[0])
            else:
                self.add_loop(unit, unit.shape)
        for r, name in self.memory.late:
            self.call("copy", self.operations[r].size, self.pointer(r), self.states[name])
        self.finish()
        return self.code

    # --- the function

    def declare(self) -> None:
        """Declare what the operations read: states, rows of tables, buffers."""
        offsets = self.context.offsets
        first = min(offsets.values(), default=0)
        for name, pointer in self.states.items():
            if self.memory.touches(name):
                self.use("state", self.context.state(min(offsets, key=offsets.__getitem__)))
                at = offsets[name] - first
                self.declared.append(f"float *const {pointer} = state{f' + {at}' * bool(at)};")
        for i, op in enumerate(self.operations):
            if op.name == "take":
                self.use_ids()
                self.declared.append(f"const float *const v{i} = {self.row(i)};")
        sizes = self.memory.buffers.sizes
        self.code.stack = 4 * sum(sizes)
        self.declared += [f"float b{b}[{size}];" for b, size in enumerate(sizes)]

    def use_input(self) -> str:
        """Make the input a parameter. A layer that looks ahead reads zeros after the end."""
        context = self.context
        if not context.layer.look_ahead:
            return self.use("x", context.x)
        self.code.tables["absent"] = np.zeros(self.program.inputs, np.float32)
        return self.use("x", f"late > {context.delay} ? absent : {context.x}")

    def use_ids(self) -> str:
        """Make the token ids a parameter."""
        return self.use("id" if self.program.ids == 1 else "ids", self.context.ids)

    def use(self, parameter: str, argument: str = "") -> str:
        """Make something a parameter of the function; return its name."""
        self.used.setdefault(parameter, argument or parameter)
        return parameter

    def finish(self) -> None:
        i, layer = self.context.i, self.context.layer
        used = {name: self.used[name] for name in PARAMETERS if name in self.used}
        function = f"{make_name(layer.kind)}_{i}"
        head = ", ".join([*(PARAMETERS[name] for name in used), "float *out"])
        what = format_comment(f"layers[{i}]: {layer.kind} {layer.describe()[:200]}.")
        self.code.own_function = [
            f"/* {what} v<i>: operation i of its program. */",
            f"static void {function}({head}) {{",
            *("  " + line for line in (*self.declared, *self.lines)),
            "}",
        ]
        self.code.body = [f"{function}({', '.join([*used.values(), self.context.y])});"]

    # --- values

    def table(self, role: str) -> str:
        if role not in self.tables:
            name = self.tables[role] = self.names.make(f"layer{self.context.i}_", role)
            self.code.tables[name] = self.context.tensor(role)
        return self.tables[role]

    def row(self, take: int, id: str = "id") -> str:
        """Return the C expression for the row of a table that an id selects."""
        op = self.operations[take]
        k = id if self.program.ids == 1 else f"ids[{op.settings[0]}]"
        return f"{self.pointer(op.operands[0])} + (size_t){k} * {op.size}"

    def find(self, r: int) -> Place:
        """Return the place of an operation's result."""
        op = self.operations[r]
        if op.name in VIEWS:
            base = self.find(op.operands[0])
            if base.strides is None:
                return base
            if op.name == "reshape":
                return Place(base.base, base.offset, strides_of(op.shape))
            return Place(base.base, base.offset + op.settings[0] * op.shape[-1], base.strides)
        if op.name == "const":
            literal = format_float(op.settings[0])
            return Place(f"({literal})" if literal.startswith("-") else literal)
        if op.name == "steps":
            return Place(self.use("steps", f"(float){self.context.steps}"))
        if op.size == 1 and op.name in (*ELEMENTS, *REDUCTIONS):
            return Place(f"v{r}")
        if op.name == "tensor":
            return Place(self.table(op.settings[0]), op.settings[1], strides_of(op.shape))
        if op.name in ("input", "state", "take"):
            state = self.states[op.settings[0]] if op.name == "state" else f"v{r}"
            return Place(self.use_input() if op.name == "input" else state, 0, strides_of(op.shape))
        return self.memory.home[r]

    def pointer(self, r: int) -> str:
        """Return the C expression for the start of numbers that lie side by side."""
        place = self.find(r)
        if place.strides is None:
            return f"&{place.base}" if place.base[0] == "v" else f"&(const float){{{place.base}}}"
        return f"{place.base} + {place.offset}" if place.offset else place.base

    # --- calls

    def call(self, function: str, *arguments: object) -> None:
        self.code.functions.add(function)
        self.lines.append(f"{function}({', '.join(map(str, arguments))});")

    def add_call(self, i: int) -> None:
        name, operands, shape = self.operations[i].name, self.operations[i].operands, self.operations[i].shape
        if name == "norm":
            rows, n = self.operations[i].size // shape[-1], shape[-1]
            loop, at = (f"for (size_t i = 0; i < {rows}; ++i) ", f" + i * {n}") if rows > 1 else ("", "")
            self.call("normalize", n, self.pointer(operands[0]) + at, format_float(NORM_EPS), self.pointer(i) + at)
            self.lines[-1] = loop + self.lines[-1]
        elif name == "push":
            self.add_push(i, *operands)
        elif name == "bag":
            vectors = [self.pointer(r) for r in (*operands, i)]
            self.call("bag", self.program.ids, self.use_ids(), self.operations[i].size, *vectors)
        elif self.operations[operands[0]].name == "parts":
            self.add_product_of_parts(i, *operands)
        else:
            x, W, *bias = operands
            vectors = [self.pointer(r) for r in (W, *bias, x, i)]
            self.call("product" if bias else "projection", *self.operations[W].shape, *vectors)

    def add_push(self, i: int, window: int, x: int) -> None:
        """Shift a window by one step, from its oldest number on, so that it can be shifted in place."""
        step, to = self.operations[x].size, self.pointer(i)
        if older := self.operations[i].size - step:
            line = f"{self.number(i, 'i')} = {self.number(window, f'i + {step}')};"
            self.lines.append(f"for (size_t i = 0; i < {older}; ++i) {line}")
        self.call("copy", step, self.pointer(x), f"{to} + {older}" if older else to)

    def add_product_of_parts(self, i: int, x: int, W: int, b: int | None = None) -> None:
        rows, columns = self.operations[W].shape
        first = "0.0f" if b is None else self.number(b, "i")
        self.lines += [f"for (size_t i = 0; i < {rows}; ++i) {{", f"  float sum = {first};"]
        done = 0
        for part in self.operations[x].operands:
            n = self.operations[part].size
            weight = self.number(W, f"i * {columns} + j" + f" + {done}" * bool(done))
            self.lines.append(f"  for (size_t j = 0; j < {n}; ++j) sum += {weight} * {self.number(part, 'j')};")
            done += n
        self.lines += [f"  {self.number(i, 'i')} = sum;", "}"]

    def number(self, r: int, index: str) -> str:
        """Return the C expression for one of the numbers that lie side by side."""
        place = self.find(r)
        if place.strides is None:
            return place.base
        return f"{place.base}[{index}{f' + {place.offset}' * bool(place.offset)}]"

    # --- loops

    def add_loop(self, unit: Unit, shape: Shape) -> None:
        """Add a loop over a shape: its operations, what they write, and what it reduces over its last index."""
        loop = Loop(unit, shape)
        for r in {r: None for i in (*unit.members, *unit.reductions) for r in self.operations[i].operands}:
            if r not in unit.members:
                loop.see(self.find(r), self.operations[r].shape)
        for r in (*unit.members, *unit.reductions):
            for place in self.memory.writes.get(r, []):
                loop.see(place, self.operations[r].shape)
        groups = loop.merge()
        for depth, (size, var, _) in enumerate(groups):
            if unit.axis is not None and depth == len(groups) - 1:
                self.lines += ["  " * depth + self.first(r) for r in unit.reductions]
            self.lines.append(f"{'  ' * depth}for (size_t {var} = 0; {var} < {size}; ++{var}) {{")
        indent = "  " * len(groups)

        def operand(r: int) -> str:
            return f"v{r}" if r in unit.members else loop.element(self.find(r), self.operations[r].shape)

        lines, stores = list[str](), list[str]()
        for r in unit.members:
            value = self.value(r, [operand(a) for a in self.operations[r].operands])
            to = [loop.element(place, self.operations[r].shape) for place in self.memory.writes.get(r, [])]
            if (
                r == unit.members[-1]
                and shape
                and len(to) == 1
                and not any(r in self.operations[k].operands for k in unit.reductions)
            ):
                stores.insert(0, f"{to[0]} = {value};")
            else:
                lines.append(f"const float v{r} = {value};")
                stores += [f"{one} = v{r};" for one in to]
        lines += [self.collect(r, groups[-1][1], operand) for r in unit.reductions]
        self.lines += [indent + line for line in lines + stores]  # stores come last, as they overwrite what is read
        for depth in range(len(groups) - 1, -1, -1):
            self.lines.append("  " * depth + "}")
            if unit.axis is not None and depth == len(groups) - 1:
                self.lines += ["  " * depth + line for r in unit.reductions for line in self.results(r, loop)]

    def value(self, r: int, operands: list[str]) -> str:
        name = self.operations[r].name
        if name in OPERATORS:
            return f" {OPERATORS[name]} ".join(operands)
        if name == "copy":
            return operands[0]
        if name == "neg":
            return f"-{operands[0]}"
        if name == "less":
            return f"{operands[0]} < {operands[1]} ? 1.0f : 0.0f"
        if name == "select":
            return f"{operands[0]} != 0.0f ? {operands[1]} : {operands[2]}"
        if name in ("abs", "sqrt"):
            return f"{name.replace('abs', 'fabs')}f({operands[0]})"
        self.code.functions.add(FUNCTIONS[name])
        return f"{FUNCTIONS[name]}({', '.join(operands)})"

    def in_lanes(self, r: int) -> bool:
        return self.operations[r].name in ("mean", "dot")

    def first(self, r: int) -> str:
        """Return the statement before a reduction."""
        if self.in_lanes(r):
            return f"float lane{r}[4] = {{0.0f, 0.0f, 0.0f, 0.0f}};"
        return f"float v{r} = {'-INFINITY' if self.operations[r].name == 'peak' else '0.0f'};"

    def collect(self, r: int, index: str, operand: Callable[[int], str]) -> str:
        """Return the statement that adds one number to a reduction."""
        numbers = [operand(a) for a in self.operations[r].operands]
        if self.operations[r].name == "peak":
            self.code.functions.add("larger")
            return f"v{r} = larger(v{r}, {numbers[0]});"
        to = f"lane{r}[{index} % 4]" if self.in_lanes(r) else f"v{r}"
        return f"{to} += {' * '.join(numbers)};"

    def results(self, r: int, loop: Loop) -> list[str]:
        """Return the statements behind a reduction."""
        op, lines = self.operations[r], list[str]()
        if self.in_lanes(r):
            self.code.functions.add("lanes")
            n = self.operations[op.operands[0]].shape[-1]
            lines.append(f"const float v{r} = lanes(lane{r}){f' / {format_float(n)}' * (op.name == 'mean')};")
        return lines + [f"{loop.element(place, op.shape)} = v{r};" for place in self.memory.writes.get(r, [])]


class Loop:
    """The indices of a loop over a shape: axes that all its arrays step through in the same way are one index."""

    def __init__(self, unit: Unit, shape: Shape) -> None:
        self.axis, self.shape = unit.axis, shape
        self.steps: list[Shape] = []  # of each array, along each axis of the loop
        self.groups: list[tuple[int, str, int]] = []

    def steps_of(self, place: Place, shape: Shape) -> Shape:
        """Return how far an array of this shape goes with each axis of the loop; where it is broadcast, it stays."""
        assert place.strides is not None
        return tuple(step if n > 1 else 0 for step, n in zip(place.strides, shape, strict=True))

    def see(self, place: Place, shape: Shape) -> None:
        if place.strides is not None and len(shape) == len(self.shape):
            self.steps.append(self.steps_of(place, shape))

    def merge(self) -> list[tuple[int, str, int]]:
        """Return each index from the outermost: its range, its name, and the last axis that it goes along."""
        groups: list[tuple[int, int]] = []
        for axis, n in enumerate(self.shape):
            if n == 1 or axis == self.axis:
                continue
            size, before = groups[-1] if groups else (1, axis)
            if groups and all(steps[before] == steps[axis] * n for steps in self.steps):
                groups[-1] = (size * n, axis)
            else:
                groups.append((n, axis))
        if self.axis is not None:
            groups.append((self.shape[self.axis], self.axis))
        self.groups = [(size, INDEX[k], axis) for k, (size, axis) in enumerate(groups)]
        return self.groups

    def element(self, place: Place, shape: Shape) -> str:
        """Return the C expression for the number of an array that belongs to the current indices."""
        if place.strides is None:
            return place.base
        steps = self.steps_of(place, shape)
        terms = [(var, steps[axis]) for _, var, axis in self.groups] if len(shape) == len(self.shape) else []
        parts = [var + f" * {step}" * (step != 1) for var, step in terms if step]
        return f"{place.base}[{' + '.join(parts + [str(place.offset)] * (place.offset > 0 or not parts))}]"
