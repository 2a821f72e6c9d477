"""The interpreter against the real text/template, whose answers `expected/` holds."""

import pytest
from tests.gotemplate.cases import GROUPS, Case, outcomes

from swell.errors import GoTemplateError
from swell.gotemplate.execution import execute
from swell.gotemplate.parser import parse


def _write(case: Case) -> str | None:
    """What the template writes; None if it fails."""
    try:
        return execute(parse(case.template), case.data)
    except GoTemplateError:
        return None


@pytest.mark.parametrize("group", ["written", "generated"])
def test_templates_write_what_go_writes(group: str) -> None:
    cases, expected = GROUPS[group], outcomes(group)
    wrong = [
        (case.template, written, outcome.expected)
        for case, outcome in zip(cases, expected, strict=True)
        if (written := _write(case)) != outcome.expected
    ]
    assert wrong == []
