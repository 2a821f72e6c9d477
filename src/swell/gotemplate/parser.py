"""From a text to a tree."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal as OneOf

from swell.errors import InvalidTemplateError
from swell.gotemplate.functions import FUNCTIONS
from swell.gotemplate.literals import read_character, read_number, read_string
from swell.gotemplate.nodes import (
    ActionNode,
    Body,
    Branch,
    CallNode,
    ChainOperand,
    Constant,
    DotOperand,
    FieldOperand,
    FunctionOperand,
    GoTemplate,
    IfNode,
    JumpNode,
    Node,
    Operand,
    Pipeline,
    PipelineCommand,
    RangeNode,
    TextNode,
    VariableOperand,
)
from swell.gotemplate.tokens import Token, TokenKind, tokens_of

CHARACTERS_MAX = 1 << 15
"""Reading so many takes at most 0.2 s, and 5 MB. Templates of models have 500 to 10,000."""
NESTED_MAX = 50
"""Blocks and parentheses inside each other."""


@lru_cache(maxsize=32)
def parse(text: str) -> GoTemplate:
    """The tree of a template. Takes time in proportion to its length. Raises InvalidTemplateError."""
    if len(text) > CHARACTERS_MAX:
        raise InvalidTemplateError(f"it has {len(text)} characters; {CHARACTERS_MAX} are allowed", 1)
    return _Parser(text).run()


def check_template(text: str) -> None:
    """Raises InvalidTemplateError if `text` can't be read as a template. Nothing of it is carried out."""
    parse(text)


_READERS: Mapping[TokenKind, Callable[[str], str | int | float]] = {
    TokenKind.STRING: read_string,
    TokenKind.CHARACTER: read_character,
    TokenKind.NUMBER: read_number,
}


@dataclass
class _Scope:
    """What is known inside a template: its variables, and how many ranges are around."""

    variables: list[str] = field(default_factory=lambda: ["$"])
    ranges: int = 0


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(tokens_of(text))
        self._position = 0
        self._defined: dict[str, Body] = {}
        self._scope = _Scope()
        self._nested = 0

    def run(self) -> GoTemplate:
        nodes: list[Node] = []
        while self._peek().kind is not TokenKind.END:
            if self._peek().kind is TokenKind.LEFT and self._peek_word(1) == "define":
                self._define()
            elif (node := self._node()) is None:
                raise self._error(f"{self._peek_word()} stands outside of if, with and range")
            else:
                nodes.append(node)
        self._define_as("", tuple(nodes))
        return GoTemplate(self._defined[""], self._defined)

    # --- tokens ------------------------------------------------------------------------------------------------

    def _peek(self) -> Token:
        return self._tokens[self._position]

    def _next(self) -> Token:
        token = self._tokens[self._position]
        if token.kind is not TokenKind.END:
            self._position += 1
        return token

    def _skip_space(self) -> None:
        if self._peek().kind is TokenKind.SPACE:
            self._position += 1

    def _peek_word(self, ahead: int = 0) -> str:
        """The word after `ahead` tokens and blanks."""
        position = self._position + ahead
        if self._tokens[position].kind is TokenKind.SPACE:
            position += 1
        return self._tokens[position].text

    def _takes(self, text: str) -> bool:
        """Whether `text` comes next, perhaps after blanks; moves behind it if so."""
        self._skip_space()
        token = self._peek()
        if token.text == text and token.kind in (TokenKind.PUNCTUATION, TokenKind.KEYWORD, TokenKind.RIGHT):
            self._position += 1
            return True
        return False

    def _end_action(self, word: str) -> None:
        if not self._takes("}}"):
            raise self._unexpected(f"after {word}")

    def _error(self, reason: str) -> InvalidTemplateError:
        return InvalidTemplateError(reason, self._peek().line)

    def _unexpected(self, place: str) -> InvalidTemplateError:
        token = self._peek()
        return self._error(f"{token.text!r} is not expected {place}" if token.text else f"the template ends {place}")

    # --- nodes -------------------------------------------------------------------------------------------------

    def _node(self) -> Node | None:
        """The next node. None before `end` and `else`, of which the word is next then."""
        token = self._next()
        if token.kind is TokenKind.TEXT:
            return TextNode(token.text)
        self._skip_space()
        if self._peek().kind is not TokenKind.KEYWORD or self._peek().text == "nil":
            return ActionNode(self._pipeline("an action", "}}"))
        match self._peek().text:
            case "end" | "else":
                return None
            case "if" | "with" as word:
                self._position += 1
                return self._if("if" if word == "if" else "with")
            case "range":
                self._position += 1
                return self._range()
            case "template" | "block" as word:
                self._position += 1
                return self._call(word)
            case "break" | "continue" as word:
                self._position += 1
                self._end_action(word)
                if not self._scope.ranges:
                    raise self._error(f"{word} stands outside of range")
                return JumpNode("break" if word == "break" else "continue")
        raise self._unexpected("here: templates are defined outside of everything else")

    def _body(self) -> Body:
        """The nodes up to `end` or `else`, of which the word is next then."""
        nodes: list[Node] = []
        with self._deeper():
            while self._peek().kind is not TokenKind.END:
                if (node := self._node()) is None:
                    return tuple(nodes)
                nodes.append(node)
        raise self._error("the template ends inside of if, with, range, define or block; close it with {{ end }}")

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        if self._nested == NESTED_MAX:
            raise self._error(f"there are more than {NESTED_MAX} blocks and parentheses inside each other")
        self._nested += 1
        yield
        self._nested -= 1

    @contextmanager
    def _variables_end(self) -> Iterator[None]:
        count = len(self._scope.variables)
        yield
        del self._scope.variables[count:]

    def _if(self, word: OneOf["if", "with"]) -> Node:
        branches: list[Branch] = []
        otherwise: Body = ()
        with self._variables_end():
            while True:
                branches.append(Branch(self._pipeline(word, "}}"), self._body()))
                if self._takes("end"):
                    break
                self._position += 1  # else
                if self._takes(word):
                    continue
                otherwise = self._otherwise()
                break
        self._end_action("end")
        return IfNode(word, tuple(branches), otherwise)

    def _range(self) -> Node:
        otherwise: Body = ()
        with self._variables_end():
            pipeline = self._pipeline("range", "}}")
            self._scope.ranges += 1
            body = self._body()
            self._scope.ranges -= 1
            if not self._takes("end"):
                self._position += 1
                otherwise = self._otherwise()
        self._end_action("end")
        return RangeNode(pipeline, body, otherwise)

    def _otherwise(self) -> Body:
        self._end_action("else")
        body = self._body()
        if not self._takes("end"):
            raise self._error("one else follows another; close the block with {{ end }}")
        return body

    def _call(self, word: str) -> Node:
        line, name = self._peek().line, self._name(word)
        if word == "template" and self._takes("}}"):
            return CallNode(line, name, None)
        pipeline = self._pipeline(word, "}}")
        if word == "block":
            self._define_body(name)
        return CallNode(line, name, pipeline)

    def _define(self) -> None:
        self._position += 1
        self._takes("define")
        name = self._name("define")
        self._end_action("define")
        self._define_body(name)

    def _define_body(self, name: str) -> None:
        around, self._scope = self._scope, _Scope()
        body = self._body()
        if not self._takes("end"):
            raise self._error("else may not stand in define or block")
        self._end_action("end")
        self._scope = around
        self._define_as(name, body)

    def _define_as(self, name: str, body: Body) -> None:
        """A template may be defined twice if one of the two is empty."""
        if not _is_empty(self._defined.get(name, ())) and not _is_empty(body):
            raise self._error(f"the template {name!r} is defined twice")
        if name not in self._defined or _is_empty(self._defined[name]):
            self._defined[name] = body

    def _name(self, word: str) -> str:
        self._skip_space()
        if self._peek().kind is not TokenKind.STRING:
            raise self._unexpected(f"after {word}: there has to be a name in quotes")
        return str(self._constant().value)

    # --- pipelines ---------------------------------------------------------------------------------------------

    def _pipeline(self, place: str, end: str) -> Pipeline:
        self._skip_space()
        line = self._peek().line
        declared, operator = self._declared(place)
        commands: list[PipelineCommand] = []
        while not self._takes(end):
            command = self._command(place)
            if commands and isinstance(command.operands[0], Constant | DotOperand):
                raise self._error("a value may only stand first in a pipeline: nothing can be given to it")
            commands.append(command)
        if not commands:
            raise self._error(f"{place} lacks a value")
        return Pipeline(line, tuple(commands), declared, operator)

    def _declared(self, place: str) -> tuple[tuple[str, ...], OneOf[":=", "="]]:
        """The variables that get the result. A range may have two."""
        names: list[str] = []
        while True:
            self._skip_space()
            start, token = self._position, self._peek()
            if token.kind is not TokenKind.VARIABLE:
                return tuple(names), ":="
            self._position += 1
            for operator in (":=", "=", ","):
                if self._takes(operator):
                    names.append(token.text)
                    self._scope.variables.append(token.text)
                    break
            else:
                self._position = start
                return tuple(names), ":="
            if operator != ",":
                return tuple(names), "=" if operator == "=" else ":="
            if place != "range" or len(names) == 2:
                raise self._error("there are too many variables; only range takes two")

    def _command(self, place: str) -> PipelineCommand:
        operands: list[Operand] = []
        while True:
            self._skip_space()
            operand = self._operand()
            if operand is not None:
                operands.append(operand)
            token = self._peek()
            if token.kind is TokenKind.SPACE:
                continue
            if token.kind is TokenKind.PUNCTUATION and token.text == "|":
                self._position += 1
            elif token.text not in ("}}", ")") or token.kind not in (TokenKind.RIGHT, TokenKind.PUNCTUATION):
                raise self._unexpected(f"in {place}")
            break
        if not operands:
            raise self._unexpected(f"in {place}")
        return PipelineCommand(tuple(operands))

    def _operand(self) -> Operand | None:
        term = self._term()
        names: list[str] = []
        while term is not None and self._peek().kind is TokenKind.FIELD:
            names.append(self._next().text[1:])
        if term is None or not names:
            return term
        match term:
            case FieldOperand(names=first):
                return FieldOperand((*first, *names))
            case VariableOperand(variable=variable):
                return VariableOperand(variable, tuple(names))
            case Constant() | DotOperand():
                raise self._error(f".{names[0]} may not follow a constant or the dot")
        return ChainOperand(term, tuple(names))

    def _term(self) -> Operand | None:
        """The next value; None, without moving, if none comes."""
        token = self._peek()
        match token.kind:
            case TokenKind.WORD if token.text in ("true", "false"):
                self._position += 1
                return Constant(token.text == "true")
            case TokenKind.WORD:
                if token.text not in FUNCTIONS:
                    raise self._error(f"there is no function {token.text!r}; there are {', '.join(sorted(FUNCTIONS))}")
                self._position += 1
                return FunctionOperand(token.text)
            case TokenKind.DOT:
                self._position += 1
                return DotOperand()
            case TokenKind.VARIABLE:
                if token.text not in self._scope.variables:
                    raise self._error(f"there is no variable {token.text}; declare it with :=")
                self._position += 1
                return VariableOperand(token.text)
            case TokenKind.FIELD:
                self._position += 1
                return FieldOperand((token.text[1:],))
            case TokenKind.NUMBER | TokenKind.CHARACTER | TokenKind.STRING:
                return self._constant()
            case TokenKind.KEYWORD if token.text == "nil":
                self._position += 1
                return Constant(None)
            case TokenKind.PUNCTUATION if token.text == "(":
                self._position += 1
                with self._deeper():
                    return self._pipeline("parentheses", ")")
        return None

    def _constant(self) -> Constant:
        token = self._peek()
        try:
            constant = Constant(_READERS[token.kind](token.text))
        except ValueError as error:
            raise self._error(f"{token.text} is not a constant that Go knows") from error
        self._position += 1
        return constant


def _is_empty(body: Body) -> bool:
    return all(isinstance(node, TextNode) and not node.text.strip() for node in body)
