"""Random templates, the same ones each time."""

import random
from collections.abc import Iterator
from typing import Any

SEED, COUNT = 17, 400

DATA: dict[str, Any] = {
    "A": {"x": 1, "y": [3, 2, 1], "z": {"k": "v", "j": None}},
    "B": [{"n": "one", "v": 1}, {"n": "two", "v": 2.5}, {"n": "", "v": None}],
    "S": "some text",
    "E": "",
    "N": 5,
    "F": 0.5,
    "T": True,
    "L": ["p", "", "q"],
    "Z": None,
}
_FIELDS = (
    ".",
    "$",
    "$.A",
    "$.B",
    "$.S",
    "$.E",
    "$.N",
    "$.F",
    "$.T",
    "$.L",
    "$.Z",
    "$.A.x",
    "$.A.y",
    "$.A.z",
    "$.A.q",
    "$.M",
)
_LITERALS = ("1", "0", "2.5", '"a"', '""', "`r`", "true", "false", "nil", "'c'", "-3", "0x10")
_ANY_FUNCTIONS = (
    ("and", 2),
    ("or", 2),
    ("and", 3),
    ("or", 1),
    ("not", 1),
    ("print", 2),
    ("print", 3),
    ("println", 1),
    ("html", 1),
    ("js", 1),
    ("urlquery", 1),
    ("json", 1),
)
"""Functions that take anything."""
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
_KINDS = (
    ("$.S", "$.E", '"a"', "`some text`", '(print $.N "x")', "$.A.z.k"),
    ("$.N", "1", "0", "-3", "(len $.L)", "$.A.x", "'c'", "(index $.A.y 1)"),
    ("$.F", "2.5", "0.5", "1e3"),
)
_SIZED = ("$.L", "$.B", "$.S", "$.E", "$.A", "$.A.y", '"é"', "(slice $.L 1)")
_PARTS = ("$.L 0", "$.L 2", "$.L 7", "$.B 1", "$.A.y 2", '$.A "x"', '$.A "nothing"', "$.S 3", '$.A "z" "k"', "$.S")
_SLICES = ("$.L", "$.L 1", "$.L 1 2", "$.B 1", "$.S 2", "$.S 0 4", "$.S 5 2", "$.A.y 0 1", "$.E")
_FORMS = (
    '"%v|"',
    '"%d"',
    '"%s"',
    '"%q"',
    '"%5v|%-4v|"',
    '"%x"',
    '"%T"',
    '"%+v"',
    '"%.1f"',
    '"%v %v"',
    '"%#v"',
    '"%t%%"',
)


class _Writer:
    """Writes one template."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._variables: list[str] = []
        self._ranges = 0

    def body(self, depth: int) -> str:
        count = len(self._variables)
        text = "".join(self._node(depth) for _ in range(self._chance.randint(1, 3)))
        del self._variables[count:]
        return text

    def _node(self, depth: int) -> str:
        kinds = ["text", "action", "action", "variable"] + (["if", "with", "range", "range"] if depth else [])
        match self._chance.choice(kinds):
            case "text":
                return self._chance.choice(("x", " ", "\n", "a b", "  \n y "))
            case "variable":
                return self._variable()
            case "if" | "with" as word:
                return self._branches(word, depth)
            case "range":
                return self._range(depth)
        if self._ranges and self._chance.random() < 0.1:
            return self._action(self._chance.choice(("break", "continue")))
        return self._action(self._pipeline(2))

    def _action(self, inside: str) -> str:
        left = self._chance.choice(("{{ ", "{{ ", "{{", "{{- "))
        return left + inside + self._chance.choice((" }}", " }}", "}}", " -}}"))

    def _variable(self) -> str:
        if self._variables and self._chance.random() < 0.5:
            return self._action(f"{self._chance.choice(self._variables)} = {self._pipeline(1)}")
        name = self._chance.choice(("$a", "$b", "$c"))
        text = self._action(f"{name} := {self._pipeline(1)}")
        self._variables.append(name)
        return text

    def _branches(self, word: str, depth: int) -> str:
        text = self._action(f"{word} {self._pipeline(1)}") + self.body(depth - 1)
        if self._chance.random() < 0.3:
            text += self._action(f"else {word} {self._pipeline(1)}") + self.body(depth - 1)
        if self._chance.random() < 0.5:
            text += self._action("else") + self.body(depth - 1)
        return text + self._action("end")

    def _range(self, depth: int) -> str:
        count = len(self._variables)
        names = self._chance.choice(((), (), ("$e",), ("$i", "$e")))
        source = self._chance.choice(
            ("$.L", "$.L", "$.B", "$.A", "$.A.y", "$.N", "3", "$.Z", "(slice $.B 1)", self._pipeline(0))
        )
        self._variables += names
        self._ranges += 1
        text = self._action(f"range {', '.join(names)}{' := ' if names else ''}{source}") + self.body(depth - 1)
        self._ranges -= 1
        if self._chance.random() < 0.3:
            text += self._action("else") + self.body(depth - 1)
        del self._variables[count:]
        return text + self._action("end")

    def _pipeline(self, depth: int) -> str:
        text = self._command(depth)
        while self._chance.random() < 0.2:
            text += self._chance.choice(
                (" | print", ' | printf "%v"', " | not", " | json", ' | printf "%q"', " | println")
            )
        return text

    def _command(self, depth: int) -> str:
        if depth < 1 or self._chance.random() < 0.4:
            return self._value(0)
        if self._chance.random() < 0.2:
            values = [self._value(depth - 1) for _ in range(self._chance.randint(1, 2))]
            return f"printf {self._chance.choice(_FORMS)} {' '.join(values)}"
        match self._chance.randint(0, 9):
            case 0 | 1 | 2:
                kind = self._chance.choice(_KINDS)
                other = kind if self._chance.random() < 0.95 else self._chance.choice(_KINDS)
                comparison = self._chance.choice(_COMPARISONS)
                return f"{comparison} {self._chance.choice(kind)} {self._chance.choice(other)}"
            case 3:
                return f"len {self._chance.choice(_SIZED)}"
            case 4:
                return f"index {self._chance.choice(_PARTS)}"
            case 5:
                return f"slice {self._chance.choice(_SLICES)}"
        name, count = self._chance.choice(_ANY_FUNCTIONS)
        return f"{name} {' '.join(self._value(depth - 1) for _ in range(count))}"

    def _value(self, depth: int) -> str:
        if depth and self._chance.random() < 0.4:
            return f"({self._pipeline(depth)})"
        if self._variables and self._chance.random() < 0.3:
            return self._chance.choice(self._variables)
        return self._chance.choice(_FIELDS if self._chance.random() < 0.7 else _LITERALS)


def cases() -> Iterator[tuple[str, Any]]:
    """Templates that all parse, of which many fail somewhere when they are executed."""
    chance = random.Random(SEED)
    for _ in range(COUNT):
        yield _Writer(chance).body(3), DATA
