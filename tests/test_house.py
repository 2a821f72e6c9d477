"""The house's numbers: what is too large to be read, or has two names or two meanings, is noticed."""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/swell"
LINES_MAX, MEDIAN_LINES_MAX, FUNCTION_LINES_MAX, PARAMETERS_MAX = 400, 150, 60, 6
BODIES = ("api/ollama/", "api/openai/", "api/anthropic/", "cli/replies.py")
"""Where names are those of an API's objects."""
TWO_FORMS = {"ToolCall"}
"""A call as a message holds it, and as a model's output gives it."""
MANY_PARAMETERS = {("cli/main.py", name) for name in ("run", "show", "bench_kv")}
"""A command's parameters are its flags; typer reads them from the signature."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> Iterator[tuple[str, str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text()
        yield path.relative_to(SOURCE).as_posix(), text, ast.parse(text)


def functions() -> Iterator[tuple[str, Function]]:
    for path, _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield path, node


def test_files_are_short() -> None:
    lines = {path: text.count("\n") for path, text, _ in modules()}
    assert {path: count for path, count in lines.items() if count > LINES_MAX} == {}
    assert median(lines.values()) < MEDIAN_LINES_MAX


def test_functions_are_short() -> None:
    lengths = {f"{path}:{node.name}": (node.end_lineno or 0) - node.lineno + 1 for path, node in functions()}
    assert {name: length for name, length in lengths.items() if length > FUNCTION_LINES_MAX} == {}


def test_functions_have_few_parameters() -> None:
    many = set()
    for path, node in functions():
        names = [one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        if len([name for name in names if name not in ("self", "cls")]) > PARAMETERS_MAX:
            many.add((path, node.name))
    assert many == MANY_PARAMETERS


def test_a_class_has_a_name_of_its_own() -> None:
    places = defaultdict[str, list[str]](list)
    for path, _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not path.startswith(BODIES):
                places[node.name].append(path)
    assert {name: found for name, found in places.items() if len(found) > 1 and name not in TWO_FORMS} == {}


def test_no_module_is_named_as_a_room_beside_it() -> None:
    """`scheduler.py` beside `scheduling/` made people look in the wrong one."""
    names = Counter(path.name.removesuffix(".py") for path in SOURCE.iterdir() if not path.name.startswith("_"))
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("page", ["words.md", "architecture.md"])
def test_what_the_pages_for_newcomers_name_is_there(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    classes = {node.name for _, _, tree in modules() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    named = set(re.findall(r"`([A-Z][a-z]+[A-Z][A-Za-z]+)`", text))
    assert named
    assert named - classes == set()
    places = re.findall(r"`([a-z]+/[a-z_/]+)`", text)
    assert [place for place in places if not _is_there(place)] == []


def _is_there(place: str) -> bool:
    return any(path.exists() for path in (SOURCE / place, SOURCE / f"{place}.py", ROOT / place, ROOT / f"{place}.py"))
