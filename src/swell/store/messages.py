"""The messages with which a model's conversations begin, as a layer holds them: a list of these in JSON."""

import msgspec


class SavedMessage(msgspec.Struct, frozen=True):
    """One message."""

    role: str
    content: str = ""
