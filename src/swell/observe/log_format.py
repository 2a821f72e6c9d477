"""The server's log, as lines for people or as JSON."""

import logging
from datetime import UTC, datetime

import msgspec

from swell.settings import LogFormat

_encode = msgspec.json.Encoder().encode
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """A line is an object: `time`, `level`, `logger`, `message`, the numbers of a request, and an error's traceback."""

    def format(self, record: logging.LogRecord) -> str:
        written = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            written["traceback"] = self.formatException(record.exc_info)
        return _encode(written).decode()


def set_up_log(level: int, form: LogFormat) -> None:
    """Write what this process logs to standard error. Does nothing if that was done before."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if form is LogFormat.JSON else logging.Formatter(_TEXT))
    logging.basicConfig(level=level, handlers=[handler])
