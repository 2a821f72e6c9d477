"""A model as weights and a manifest."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from swell.models.gguf import GgufHeader
from swell.models.manifest import Manifest
from swell.models.model import Model, open_model
from swell.models.weights import Weights

PLAIN, WITH_TOOLS = "{{ messages }}", "{{ messages }}{{ tools }}<tool_call>"


def _weights(**templates: str) -> Weights:
    header = GgufHeader(3, {**templates}, (), (), 0, 0, "", fills_middle=False)
    return Weights(
        path=Path("/a"), digest="a", size_bytes=0, modified_at=datetime(2026, 8, 21, tzinfo=UTC), header=header
    )


@pytest.mark.parametrize(
    ("templates", "manifest"),
    [
        ({}, Manifest()),
        ({"tokenizer.chat_template": ""}, Manifest()),
        ({"tokenizer.chat_template": PLAIN}, Manifest(chat_template=PLAIN, tools_template=PLAIN)),
        (
            {"tokenizer.chat_template": PLAIN, "tokenizer.chat_template.tool_use": WITH_TOOLS},
            Manifest(chat_template=PLAIN, tools_template=WITH_TOOLS),
        ),
    ],
)
def test_the_header_says_how_to_use_the_weights(templates: dict[str, str], manifest: Manifest) -> None:
    assert Manifest.from_header(_weights(**templates)) == manifest


def test_a_model_is_able_to_do_what_its_manifest_says() -> None:
    weights = _weights()
    plain = Model("a", "a", weights, Manifest(chat_template=PLAIN, tools_template=PLAIN))
    calling = Model("b", "b", weights, Manifest(chat_template=PLAIN, tools_template=WITH_TOOLS))

    assert plain.capabilities == ("completion",)
    assert calling.capabilities == ("completion", "tools")


def test_models_may_share_their_weights(tiny_gguf: Path) -> None:
    one, other = open_model(tiny_gguf, "a:latest", "a"), open_model(tiny_gguf, "b:latest", "b")

    assert one != other
    assert one.weights == other.weights
