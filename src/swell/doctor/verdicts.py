"""One thing that was found, and how bad it is."""

from enum import Enum

import msgspec


class Severity(Enum):
    """Whether something can't work, or only could be better."""

    PROBLEM = "problem"
    REMARK = "remark"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`subject` is a word for programs, which stays the same; `text` and `help` are for people."""

    severity: Severity
    subject: str
    text: str
    help: str


def problem(subject: str, text: str, help: str) -> Finding:
    """Something that can't work."""
    return Finding(severity=Severity.PROBLEM, subject=subject, text=text, help=help)


def remark(subject: str, text: str, help: str) -> Finding:
    """Something that works and could be better."""
    return Finding(severity=Severity.REMARK, subject=subject, text=text, help=help)
