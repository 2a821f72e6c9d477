"""What a template says without being carried out."""

from collections.abc import Iterator
from dataclasses import replace

from swell.gotemplate.nodes import (
    ActionNode,
    Body,
    CallNode,
    ChainOperand,
    Constant,
    FieldOperand,
    GoTemplate,
    IfNode,
    Node,
    Operand,
    Pipeline,
    PipelineCommand,
    RangeNode,
    VariableOperand,
)


def names_used(template: GoTemplate) -> frozenset[str]:
    """All names of fields in a template and those that it defines."""
    operands = (one for body in (template.body, *template.defined.values()) for one in _all_operands(body))
    return frozenset(name for operand in operands for name in field_names(operand))


def strings_used(template: GoTemplate) -> frozenset[str]:
    """All constant strings in a template and those that it defines."""
    operands = (one for body in (template.body, *template.defined.values()) for one in _all_operands(body))
    return frozenset(one.value for one in operands if isinstance(one, Constant) and isinstance(one.value, str))


def field_names(operand: Operand) -> tuple[str, ...]:
    """The names of the fields that an operand reads, one of the other."""
    return operand.names if isinstance(operand, FieldOperand | VariableOperand | ChainOperand) else ()


def operands_of(pipeline: Pipeline) -> Iterator[Operand]:
    """All operands of a pipeline, and those inside parentheses."""
    for command in pipeline.commands:
        for operand in command.operands:
            yield from _with_inner(operand)


def pipelines_of(node: Node) -> tuple[Pipeline, ...]:
    """The pipelines of a node, without those of the nodes in it."""
    match node:
        case ActionNode() | RangeNode():
            return (node.pipeline,)
        case CallNode():
            return () if node.pipeline is None else (node.pipeline,)
        case IfNode():
            return tuple(branch.condition for branch in node.branches)
    return ()


def bodies_of(node: Node) -> tuple[Body, ...]:
    """The bodies of a node, in their order."""
    match node:
        case IfNode():
            return (*(branch.body for branch in node.branches), node.otherwise)
        case RangeNode():
            return (node.body, node.otherwise)
    return ()


def cut_after(template: GoTemplate, name: str) -> GoTemplate:
    """`template` without what comes after the first action that writes the field `name`."""
    return replace(template, body=_Cut(name).body(template.body))


def with_action(template: GoTemplate, name: str) -> GoTemplate:
    """`template` with an action at its end that writes the field `name`."""
    written = ActionNode(Pipeline(1, (PipelineCommand((FieldOperand((name,)),)),)))
    return replace(template, body=(*template.body, written))


class _Cut:
    """Copies nodes up to the one that writes a field."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_over = False

    def body(self, body: Body) -> Body:
        kept: list[Node] = []
        for node in body:
            if self._is_over:
                break
            kept.append(self._node(node))
        return tuple(kept)

    def _node(self, node: Node) -> Node:
        match node:
            case ActionNode():
                self._is_over = any(self._name in field_names(one) for one in operands_of(node.pipeline))
            case IfNode():
                branches = tuple(replace(branch, body=self.body(branch.body)) for branch in node.branches)
                return replace(node, branches=branches, otherwise=self.body(node.otherwise))
            case RangeNode():
                return replace(node, body=self.body(node.body), otherwise=self.body(node.otherwise))
        return node


def _all_operands(body: Body) -> Iterator[Operand]:
    for node in body:
        for pipeline in pipelines_of(node):
            yield from operands_of(pipeline)
        for inner in bodies_of(node):
            yield from _all_operands(inner)


def _with_inner(operand: Operand) -> Iterator[Operand]:
    yield operand
    if isinstance(operand, Pipeline):
        yield from operands_of(operand)
    elif isinstance(operand, ChainOperand):
        yield from _with_inner(operand.operand)
