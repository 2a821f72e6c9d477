"""The tree of a template."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal as OneOf


@dataclass(frozen=True)
class Constant:
    """A literal; None is the word nil."""

    value: str | bool | int | float | None


@dataclass(frozen=True)
class DotOperand:
    """The cursor."""


@dataclass(frozen=True)
class FieldOperand:
    """Fields of the cursor, each of the one before: `.A.B`."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class VariableOperand:
    """A variable, with its dollar, and fields of it."""

    variable: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class FunctionOperand:
    """The name of a function."""

    name: str


@dataclass(frozen=True)
class ChainOperand:
    """Fields of what something else gives: `(pipeline).A.B`."""

    operand: "Operand"
    names: tuple[str, ...]


@dataclass(frozen=True)
class PipelineCommand:
    """A value, or a function with its arguments."""

    operands: tuple["Operand", ...]


@dataclass(frozen=True)
class Pipeline:
    """Commands of which each is the last argument of the next one. The result is given to the variables `declared`."""

    line: int
    commands: tuple[PipelineCommand, ...]
    declared: tuple[str, ...] = ()
    operator: OneOf[":=", "="] = ":="


Operand = Constant | DotOperand | FieldOperand | VariableOperand | FunctionOperand | ChainOperand | Pipeline


@dataclass(frozen=True)
class TextNode:
    """What is written as it is."""

    text: str


@dataclass(frozen=True)
class ActionNode:
    """Writes what a pipeline gives, unless that goes to a variable."""

    pipeline: Pipeline


@dataclass(frozen=True)
class Branch:
    """What is done if a pipeline gives something true."""

    condition: Pipeline
    body: "Body"


@dataclass(frozen=True)
class IfNode:
    """`if` or `with`: does the first of the branches that apply. `with` moves the cursor to what the condition gave."""

    word: OneOf["if", "with"]
    branches: tuple[Branch, ...]
    otherwise: "Body"


@dataclass(frozen=True)
class RangeNode:
    """Does the body for each item, or `otherwise` if there is none."""

    pipeline: Pipeline
    body: "Body"
    otherwise: "Body"


@dataclass(frozen=True)
class CallNode:
    """Carries out another template."""

    line: int
    name: str
    pipeline: Pipeline | None


@dataclass(frozen=True)
class JumpNode:
    """Ends a turn of the innermost range, or the whole of it."""

    word: OneOf["break", "continue"]


Node = TextNode | ActionNode | IfNode | RangeNode | CallNode | JumpNode
Body = tuple[Node, ...]


@dataclass(frozen=True)
class GoTemplate:
    """A template: what it does, and the templates that it defines, by name."""

    body: Body
    defined: Mapping[str, Body]
