"""How far a change to the store has come, as clients are told it."""

import msgspec

SUCCESS = "success"


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of a pull, a push or a creation. The sizes are bytes of the blob that it names, if it names one."""

    status: str
    digest: str = ""
    total: int = 0
    completed: int = 0
