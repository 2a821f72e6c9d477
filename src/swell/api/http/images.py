"""Images in requests."""

import base64
import binascii

from swell.errors import InvalidRequestError


def checked_base64(data: object) -> str:
    """`data` if it is base64 and not empty. Raises InvalidRequestError."""
    try:
        if isinstance(data, str) and base64.b64decode(data, validate=True):
            return data
    except (binascii.Error, ValueError) as error:
        raise InvalidRequestError("invalid image input") from error
    raise InvalidRequestError("invalid image input")
