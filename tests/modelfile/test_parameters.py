import msgspec
import pytest

from swell.errors import InvalidParameterError
from swell.modelfile.parameters import Parameter, parse_parameter
from swell.options import Options, merge


@pytest.mark.parametrize(
    ("name", "values", "parsed"),
    [
        ("num_ctx", ["4096", "more"], 4096),
        ("seed", ["-1"], -1),
        ("temperature", ["1e-1"], 0.1),
        ("top_p", ["1"], 1.0),
        ("use_mmap", ["F"], False),
        ("stop", ["a", "b"], ["a", "b"]),
    ],
)
def test_values(name: str, values: list[str], parsed: Parameter) -> None:
    assert parse_parameter(name, values) == parsed
    assert type(parse_parameter(name, values)) is type(parsed)


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("num_ctx", ["1.5"], "invalid int value [1.5]"),
        ("num_ctx", ["many", "more"], "invalid int value [many more]"),
        ("seed", ["9" * 40], f"invalid int value [{'9' * 40}]"),
        ("top_k", ["١"], "invalid int value [١]"),
        ("temperature", ["hot"], "invalid float value [hot]"),
        ("temperature", ["nan"], "invalid float value [nan]"),
        ("use_mmap", ["maybe"], "invalid bool value [maybe]"),
        ("numa", ["1"], "unknown parameter 'numa'"),
    ],
)
def test_values_that_make_no_sense(name: str, values: list[str], reason: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        parse_parameter(name, values)
    assert str(caught.value) == reason


def test_all_of_the_servers_options_can_be_set() -> None:
    options = {field.name: parse_parameter(field.name, ["1"]) for field in msgspec.structs.fields(Options)}
    assert msgspec.structs.asdict(merge(options)) == {**options, "stop": ("1",)}
