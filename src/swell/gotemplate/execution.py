"""Writes what a template says of some data."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from swell.errors import TemplateRunError
from swell.gotemplate.functions import call
from swell.gotemplate.nodes import (
    ActionNode,
    Body,
    CallNode,
    ChainOperand,
    Constant,
    DotOperand,
    FieldOperand,
    FunctionOperand,
    GoTemplate,
    IfNode,
    JumpNode,
    Operand,
    Pipeline,
    PipelineCommand,
    RangeNode,
    TextNode,
    VariableOperand,
)
from swell.gotemplate.printing import own_text, plain
from swell.gotemplate.typescript import type_script
from swell.gotemplate.values import NO_VALUE, Byte, Record, Value, is_true, to_bytes, type_name

TEXT_MAX = 32 << 20
"""Characters that a template may write."""
DEPTH_MAX = 100
"""Blocks, parentheses and templates inside each other while they are carried out."""


def execute(template: GoTemplate, data: Value) -> str:
    """What `template` writes of `data`. Raises TemplateRunError. It may take any time."""
    run = _Run(template)
    try:
        return run.run(data)
    except RecursionError as error:
        raise run.error("the data are nested too deeply to be written") from error


class _BreakLoop(Exception):
    """`break` was met."""


class _ContinueLoop(Exception):
    """`continue` was met."""


class _Missing:
    """The type of _MISSING."""


_MISSING = _Missing()
"""The last argument of a command that nothing is given to."""


class _Run:
    """One execution."""

    def __init__(self, template: GoTemplate) -> None:
        self._template = template
        self._written: list[str] = []
        self._length = 0
        self._depth = 0
        self._line = 1
        self._variables: list[tuple[str, Value]] = []

    def run(self, data: Value) -> str:
        dot = NO_VALUE if data is None else data
        self._variables = [("$", dot)]
        self._body(self._template.body, dot)
        text = "".join(self._written)
        return text if text.isascii() else to_bytes(text).decode("utf-8", "replace")

    def error(self, reason: str) -> TemplateRunError:
        """What is wrong at the present place."""
        return TemplateRunError(reason, self._line)

    # --- nodes -------------------------------------------------------------------------------------------------

    def _body(self, body: Body, dot: Value) -> None:
        for node in body:
            match node:
                case TextNode():
                    self._write(node.text)
                case ActionNode():
                    value = self._pipeline(node.pipeline, dot)
                    if not node.pipeline.declared:
                        self._write("<no value>" if value is NO_VALUE else plain(value))
                case IfNode():
                    self._if(node, dot)
                case RangeNode():
                    self._range(node, dot)
                case CallNode():
                    self._call(node, dot)
                case JumpNode():
                    raise _BreakLoop if node.word == "break" else _ContinueLoop

    def _write(self, text: str) -> None:
        self._length += len(text)
        if self._length > TEXT_MAX:
            raise self.error(f"it writes more than {TEXT_MAX} characters")
        self._written.append(text)

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        """Variables that are declared inside end with it."""
        if self._depth == DEPTH_MAX:
            raise self.error(f"more than {DEPTH_MAX} blocks, parentheses and templates are inside each other")
        count = len(self._variables)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            del self._variables[count:]

    def _if(self, node: IfNode, dot: Value) -> None:
        with self._deeper():
            for branch in node.branches:
                value = self._pipeline(branch.condition, dot)
                if is_true(value):
                    self._body(branch.body, value if node.word == "with" else dot)
                    return
            self._body(node.otherwise, dot)

    def _range(self, node: RangeNode, dot: Value) -> None:
        names, is_declared = node.pipeline.declared, node.pipeline.operator == ":="
        with self._deeper():
            value = self._pipeline(node.pipeline, dot)
            first = len(self._variables) - len(names)
            has_items = False
            try:
                for key, item in self._items(value, len(names)):
                    has_items = True
                    given = (key, item) if len(names) > 1 else (item,)
                    for place, (name, one) in enumerate(zip(names, given, strict=False), first):
                        if is_declared:
                            self._variables[place] = (name, one)
                        else:
                            self._assign(name, one)
                    self._turn(node.body, item)
                if not has_items:
                    self._body(node.otherwise, dot)
            except _BreakLoop:
                pass

    def _turn(self, body: Body, item: Value) -> None:
        count = len(self._variables)
        try:
            self._body(body, item)
        except _ContinueLoop:
            pass
        finally:
            del self._variables[count:]

    def _items(self, value: Value, variables: int) -> Iterable[tuple[Value, Value]]:
        if isinstance(value, list):
            return enumerate(value)
        if isinstance(value, dict):
            return ((key, value[key]) for key in sorted(value))
        if value is NO_VALUE:
            return ()
        if isinstance(value, int) and not isinstance(value, bool):
            if variables > 1:
                raise self.error("range over a number takes one variable")
            return ((NO_VALUE, Byte(one) if isinstance(value, Byte) else one) for one in range(value))
        raise self.error(f"range can't go over a {type_name(value)}")

    def _call(self, node: CallNode, dot: Value) -> None:
        self._line = node.line
        body = self._template.defined.get(node.name)
        if body is None:
            raise self.error(f"there is no template {node.name!r}; define it")
        value = NO_VALUE if node.pipeline is None else self._pipeline(node.pipeline, dot)
        around = self._variables
        with self._deeper():
            self._variables = [("$", value)]
            try:
                self._body(body, value)
            finally:
                self._variables = around

    # --- pipelines ---------------------------------------------------------------------------------------------

    def _pipeline(self, pipeline: Pipeline, dot: Value) -> Value:
        self._line = pipeline.line
        value: Value = _MISSING
        for command in pipeline.commands:
            value = self._command(command, dot, value)
            value = NO_VALUE if value is None else value
        for name in pipeline.declared:
            if pipeline.operator == "=":
                self._assign(name, value)
            else:
                self._variables.append((name, value))
        return value

    def _assign(self, name: str, value: Value) -> None:
        for place in range(len(self._variables) - 1, -1, -1):
            if self._variables[place][0] == name:
                self._variables[place] = (name, value)
                return
        raise self.error(f"there is no variable {name}; declare it with :=")

    def _command(self, command: PipelineCommand, dot: Value, final: Value) -> Value:
        first, *rest = command.operands
        if isinstance(first, FunctionOperand):
            return self._function(first.name, rest, dot, final)
        if rest or final is not _MISSING:
            raise self.error("only functions take arguments")
        if isinstance(first, Constant) and first.value is None:
            raise self.error("nil alone is no command")
        return self._operand(first, dot)

    def _operand(self, operand: Operand, dot: Value) -> Value:
        match operand:
            case Constant():
                return operand.value
            case DotOperand():
                return dot
            case FieldOperand():
                return self._fields(dot, operand.names)
            case VariableOperand():
                return self._fields(self._variable(operand.variable), operand.names)
            case FunctionOperand():
                return self._function(operand.name, (), dot, _MISSING)
            case ChainOperand():
                return self._fields(self._operand(operand.operand, dot), operand.names)
            case Pipeline():
                if self._depth == DEPTH_MAX:
                    raise self.error(f"more than {DEPTH_MAX} blocks, parentheses and templates are inside each other")
                self._depth += 1
                try:
                    return self._pipeline(operand, dot)
                finally:
                    self._depth -= 1

    def _variable(self, name: str) -> Value:
        for known, value in reversed(self._variables):
            if known == name:
                return value
        raise self.error(f"there is no variable {name}; declare it with :=")

    def _function(self, name: str, operands: Sequence[Operand], dot: Value, final: Value) -> Value:
        if name in ("and", "or"):
            return self._choice(name, operands, dot, final)
        arguments = [self._operand(operand, dot) for operand in operands]
        if final is not _MISSING:
            arguments.append(final)
        try:
            return call(name, arguments)
        except ValueError as error:
            raise self.error(str(error)) from error

    def _choice(self, name: str, operands: Sequence[Operand], dot: Value, final: Value) -> Value:
        """The first argument that decides, or the last one; those after it aren't computed."""
        if not operands and final is _MISSING:
            raise self.error(f"{name} needs an argument")
        value = final
        for operand in operands:
            value = self._operand(operand, dot)
            if is_true(value) == (name == "or"):
                return value
        return value if final is _MISSING else final

    def _fields(self, value: Value, names: Sequence[str]) -> Value:
        for name in names:
            value = self._field(value, name)
        return value

    def _field(self, value: Value, name: str) -> Value:
        if value is NO_VALUE:
            return NO_VALUE
        if name == "String" and (text := own_text(value)) is not None:
            return text
        if isinstance(value, dict):
            return value.get(name)
        if isinstance(value, Record):
            if name in value.fields:
                return value.fields[name]
            if name == "ToTypeScriptType" and "AnyOf" in value.fields:
                return type_script(value)
        raise self.error(f"a {type_name(value)} has no field {name}")
