"""What tells a model from all others on every node, wherever its files lie there."""

from swell.models.model import Model


def model_key(model: Model) -> str:
    """The digests of all files that a runner loads."""
    return " ".join(file.digest for file in model.files)
