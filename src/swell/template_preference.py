"""Which of two chat templates a model uses if it has one in each language."""

from enum import Enum


class TemplatePreference(Enum):
    """AUTO takes the one in Go's language unless the other can do more."""

    AUTO = "auto"
    GO = "go"
    JINJA = "jinja"
