"""The C of a recurrent layer, compiled from its tape."""

from __future__ import annotations

from textwrap import wrap

import numpy as np
import numpy.typing as npt

from ...layers.recurrent import Recurrent
from ...tape import NORM_EPS
from .functions import ACTIVATIONS
from .layer_code import LayerCode, LayerContext
from .literals import UniqueNames, format_comment, format_float
from .schedule import LEAVES, WHOLE, changes, schedule

OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
CHOICES = {"minimum": "smaller", "maximum": "larger"}


def recurrent(context: LayerContext) -> LayerCode:
    """Generate a function for the layer, and its call."""
    return TapeCompiler(context).compile()


class TapeCompiler:
    """Compiles a tape to C. Register i is a number `v<i>` inside a loop or, if it is needed whole, an array."""

    def __init__(self, context: LayerContext) -> None:
        layer: Recurrent = context.layer
        self.context, self.layer, self.tape = context, layer, layer.tape
        self.H, self.P = layer.sizes
        self.plan = schedule(self.tape)
        self.widths = self.tape.widths(self.H, self.P)
        self.names, self.code = UniqueNames(), LayerCode()
        self.declared, self.sized, self.lines = list[str](), list[str](), list[str]()
        self.arrays: dict[int, str] = {}  # whole register -> C name
        self.leaves: dict[tuple[str, str], str] = {}  # gate, state or param -> C name
        self.tables: dict[tuple[str, str], str] = {}  # role and name -> C name

    def compile(self) -> LayerCode:
        for name in self.changed_states():
            self.leaf("state", name)
        for i in self.plan.level:
            self.declare(i)
        for level in range(self.plan.levels):
            self.add_level(level)
        self.store_singles()
        self.finish()
        return self.code

    # --- arrays

    def declare(self, i: int) -> None:
        """Declare an array for a register that is needed whole."""
        ins, width = self.tape.instructions[i], self.widths[i]
        if ins.name in ("input", "state", "param"):
            self.arrays[i] = self.leaf(ins.name, ins.args[0])
        elif ins.name in WHOLE or (i in self.plan.crossing and width > 1):
            prefix_and_name = {"recur": ("R_", ins.args[0]), "project": ("Q_", str(i))}.get(ins.name, ("v", str(i)))
            self.arrays[i] = self.add_array(self.names.make(*prefix_and_name), width)

    def leaf(self, kind: str, name: str) -> str:
        if (kind, name) not in self.leaves:
            add = {"input": self.add_input, "state": self.add_state, "param": self.add_param}[kind]
            self.leaves[kind, name] = add(name)
        return self.leaves[kind, name]

    def add_array(self, name: str, width: int) -> str:
        self.sized.append(f"{name}[{width}]")
        self.code.stack += 4 * width
        return name

    def add_input(self, name: str) -> str:
        W, b = (self.add_rows(role, name, self.tape.gates.index(name)) for role in "Wb")
        x = self.add_array(self.names.make("x_", name), self.H)
        self.add_call("product", f"{self.H}, {self.context.width}, {W}, {b}, x, {x}", f"x.{name}")
        return x

    def add_state(self, name: str) -> str:
        at = self.context.offsets[name] - self.first_offset()
        pointer = self.names.make("s_", name)
        self.declared.append(f"float *const {pointer} = state{f' + {at}' if at else ''};{inline_comment(f's.{name}')}")
        return pointer

    def add_param(self, name: str) -> str:
        return self.add_table("p", name, self.context.tensor(f"p.{name}"))

    def add_rows(self, role: str, name: str, k: int) -> str:
        """Add the rows of W, b, R or c for the k-th gate or map as a table."""
        return self.add_table(role, name, self.context.tensor(role)[k * self.H : (k + 1) * self.H])

    def add_table(self, role: str, name: str, values: npt.NDArray[np.float32]) -> str:
        if (role, name) not in self.tables:
            table = self.tables[role, name] = self.names.make(f"layer{self.context.i}_{role}{'_' * bool(name)}", name)
            self.code.tables[table] = values
        return self.tables[role, name]

    def first_offset(self) -> int:
        return min(self.context.offsets.values(), default=0)

    # --- levels

    def add_level(self, level: int) -> None:
        mine = [i for i, at in self.plan.level.items() if at == level]
        names = {i: self.tape.instructions[i].name for i in mine}
        for i in mine:
            if names[i] in WHOLE:
                self.add_whole(i)
        loops: dict[int, list[int]] = {}
        for i in mine:
            if names[i] not in (*WHOLE, *LEAVES):
                loops.setdefault(self.widths[i], []).append(i)
        self.lines += [self.statement(i) for i in loops.pop(1, [])]
        ends = self.ends() if level == self.plan.levels - 1 else {}
        for width in {**loops, **ends}:
            self.add_loop(width, loops.get(width, []), ends.get(width, []))

    def add_whole(self, i: int) -> None:
        """Write a product or a norm into its array."""
        ins, width, to = self.tape.instructions[i], self.widths[i], self.arrays[i]
        if ins.name == "norm":
            self.add_call(
                "normalize", f"{width}, {self.vector(ins.args[0])}, {format_float(NORM_EPS)}, {to}", f"{i}: norm"
            )
        elif ins.name == "project":
            Q = self.add_table("Q", "", self.context.tensor("Q"))
            self.add_call("projection", f"{self.P}, {self.H}, {Q}, {self.vector(ins.args[0])}, {to}", f"{i}: Q")
        else:
            name, v = ins.args[0], self.vector(ins.args[1])
            R, c = (self.add_rows(role, name, self.tape.recurrent.index(name)) for role in "Rc")
            self.add_call("product", f"{self.H}, {self.P or self.H}, {R}, {c}, {v}, {to}", f"{i}: R.{name}")

    def vector(self, r: int) -> str:
        """Return the C expression for the start of a whole register."""
        if self.tape.instructions[r].name == "const":
            return f"&(const float){{{self.operand(r)}}}"
        return self.arrays.get(r, f"&v{r}")

    def add_call(self, function: str, arguments: str, what: str) -> None:
        self.code.functions.add(function)
        self.lines.append(f"{function}({arguments});{inline_comment(what)}")

    def add_loop(self, width: int, mine: list[int], ends: list[str]) -> None:
        self.lines.append(f"for (size_t i = 0; i < {width}; ++i) {{")
        self.lines += ["  " + line for line in (*map(self.statement, mine), *ends)]
        self.lines.append("}")

    def statement(self, i: int) -> str:
        """Return the statement of an elementwise instruction."""
        ins = self.tape.instructions[i]
        to = f"{self.arrays[i]}[i]" if i in self.arrays else f"const float v{i}"
        return f"{to} = {self.value(ins.name, [self.operand(r) for r in ins.args])};"

    def value(self, name: str, operands: list[str]) -> str:
        if name in OPERATORS:
            return f" {OPERATORS[name]} ".join(operands)
        if name == "neg":
            return f"-{operands[0]}"
        function = "fabsf" if name == "abs" else CHOICES.get(name) or ACTIVATIONS[name]
        if name != "abs":
            self.code.functions.add(function)
        return f"{function}({', '.join(operands)})"

    def operand(self, r: int) -> str:
        """Return one number of a register: that of the current unit, or the only one."""
        if self.tape.instructions[r].name == "const":
            literal = format_float(self.tape.instructions[r].args[0])
            return f"({literal})" if literal.startswith("-") else literal
        if r in self.arrays:
            return f"{self.arrays[r]}[{'i' if self.widths[r] > 1 else 0}]"
        return f"v{r}"

    # --- results

    def ends(self) -> dict[int, list[str]]:
        """Return width -> the statements that end a loop of the last level.

        They store the output and the next states, after the old states have been read.
        """
        wide = {s: r for s, r in self.changed_states().items() if self.widths[r] > 1}
        statements: dict[int, list[str]] = {}
        if (width := self.widths[self.tape.output]) > 1:
            statements[width] = [f"out[i] = {self.operand(self.tape.output)};"]
        for width in dict.fromkeys(self.widths[r] for r in wide.values()):
            statements.setdefault(width, []).extend(
                self.stores({s: r for s, r in wide.items() if self.widths[r] == width})
            )
        return statements

    def changed_states(self) -> dict[str, int]:
        """Return state -> the register that it becomes, for states that change."""
        return {s: r for s, r in self.tape.next.items() if changes(self.tape, s)}

    def store_singles(self) -> None:
        """Store single numbers, after the loops that read them."""
        if self.widths[self.tape.output] == 1:
            self.lines.append(f"out[0] = {self.operand(self.tape.output)};")
        self.lines += self.stores(
            {s: r for s, r in self.tape.next.items() if self.widths[r] == 1 and changes(self.tape, s)}
        )

    def stores(self, following: dict[str, int]) -> list[str]:
        """Return statements that store states; one that becomes another state is copied first, before that changes."""
        copies, stores = [], []
        for state, r in following.items():
            value = self.operand(r)
            if self.tape.instructions[r].name == "state":
                copies.append(f"const float {self.names.make('next_', state)} = {value};")
                value = copies[-1].split()[2]
            index = "i" if self.widths[r] > 1 else "0"
            stores.append(f"{self.leaves['state', state]}[{index}] = {value};")
        return copies + stores

    # --- the function

    def finish(self) -> None:
        i, used = self.context.i, {kind for kind, _ in self.leaves}
        parameters, arguments = ["const float *x"], [self.context.x]
        if "input" not in used:
            self.lines.insert(0, "(void)x; /* this cell does not read its input */")
        if "state" in used:
            parameters.append("float *state")
            arguments.append(self.context.state(next(iter(self.tape.state))))
        head = f"static void recurrent_{i}({', '.join(parameters)}, float *out) {{"
        arrays = wrap(f"float {', '.join(self.sized)};", 116, subsequent_indent="    ") if self.sized else []
        body = ["  " + line for line in (*self.declared, *arrays, *self.lines)]
        self.code.own_function = [
            f"/* {format_comment(self.describe_cell())} v<i>: register i of the tape. */",
            head,
            *body,
            "}",
        ]
        self.code.body = [f"recurrent_{i}({', '.join(arguments)}, {self.context.y});"]

    def describe_cell(self) -> str:
        dialect = ", ".join(f"{key} {value}" for key, value in self.layer.dialect.items())
        cell = f"{self.layer.cell} ({dialect})" if dialect else self.layer.cell
        return f"layers[{self.context.i}]: {cell[:200]}, {self.context.width} -> {self.context.size}."


def inline_comment(text: str) -> str:
    return f" /* {format_comment(text)} */"
