import logging
import math
from pathlib import Path

import pytest

from swell.durations import LONGEST_S
from swell.host import HostAddress, parse_host
from swell.settings import Settings, table
from swell.template_preference import TemplatePreference
from swell.variables import TRACE, parse_workers


@pytest.mark.parametrize(
    ("text", "expected", "url"),
    [
        ("127.0.0.1:11434", ("http", "127.0.0.1", 11434), "http://127.0.0.1:11434"),
        ("example.com", ("http", "example.com", 11434), "http://example.com:11434"),
        (":8000", ("http", "", 8000), "http://127.0.0.1:8000"),
        ("0.0.0.0", ("http", "0.0.0.0", 11434), "http://127.0.0.1:11434"),
        ("[::1]:9000", ("http", "::1", 9000), "http://[::1]:9000"),
        ("http://example.com", ("http", "example.com", 80), "http://example.com:80"),
        ("https://example.com/base/", ("https", "example.com", 443, "/base"), "https://example.com:443/base"),
        ("example.com:notaport", ("http", "example.com", 11434), "http://example.com:11434"),
        ("example.com:70000", ("http", "example.com", 11434), "http://example.com:11434"),
    ],
)
def test_addresses_take_every_form(text: str, expected: tuple[str, str, int], url: str) -> None:
    assert parse_host(text) == HostAddress(*expected)
    assert parse_host(text).url == url


def test_values_are_trimmed_and_parsed() -> None:
    settings = Settings.from_environment(
        {
            "OLLAMA_HOST": ' "0.0.0.0:1234" ',
            "OLLAMA_KEEP_ALIVE": "-1",
            "OLLAMA_LOAD_TIMEOUT": "0",
            "OLLAMA_DEBUG": "2",
            "OLLAMA_KV_CACHE_DYNAMIC": "false",
            "OLLAMA_KV_CACHE_INIT": "512",
            "OLLAMA_ORIGINS": "http://a, http://b,",
        }
    )
    assert settings.host == ("http", "0.0.0.0", 1234, "")
    assert settings.keep_alive_s == settings.load_timeout_s == math.inf
    assert settings.log_level == TRACE
    assert settings.kv_dynamic is False
    assert settings.kv_initial_tokens == 512
    assert settings.origins == ("http://a", "http://b")


@pytest.mark.parametrize(("text", "seconds"), [("300", 300.0), ("1h30m", 5400.0), ("0", 0.0), ("250ms", 0.25)])
def test_keep_alive_is_seconds_or_a_duration(text: str, seconds: float) -> None:
    assert Settings.from_environment({"OLLAMA_KEEP_ALIVE": text}).keep_alive_s == seconds


@pytest.mark.parametrize(("text", "level"), [("1", logging.DEBUG), ("yes", logging.DEBUG), ("f", logging.INFO)])
def test_anything_that_is_not_false_is_true(text: str, level: int) -> None:
    assert Settings.from_environment({"OLLAMA_DEBUG": text}).log_level == level


def test_a_bad_value_is_logged_and_ignored(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings.from_environment({"OLLAMA_KV_CACHE_GROW": "-5", "OLLAMA_NUM_PARALLEL": "many"})
    assert settings == Settings()
    assert "OLLAMA_KV_CACHE_GROW=-5" in caplog.text
    assert "OLLAMA_NUM_PARALLEL=many" in caplog.text


@pytest.mark.parametrize("name", ["OLLAMA_KV_CACHE_INIT", "OLLAMA_KV_CACHE_GROW", "OLLAMA_NUM_PARALLEL"])
@pytest.mark.parametrize("text", ["-1", "0x10", "99999999999999999999", "9" * 5000, "1.5", "١"])
def test_what_is_allowed_is_said(name: str, text: str, caplog: pytest.LogCaptureFixture) -> None:
    assert Settings.from_environment({name: text}) == Settings()
    assert "not a whole number from" in caplog.text


def test_a_grant_is_at_least_one_token(caplog: pytest.LogCaptureFixture) -> None:
    assert Settings.from_environment({"OLLAMA_KV_CACHE_INIT": "0", "OLLAMA_KV_CACHE_GROW": "0"}) == Settings()
    assert caplog.text.count("not a whole number from 1 to 2147483647") == 2
    assert Settings.from_environment({"OLLAMA_KV_CACHE_INIT": "1"}).kv_initial_tokens == 1


def test_a_first_grant_may_be_learned() -> None:
    settings = Settings.from_environment({"OLLAMA_KV_CACHE_INIT": "auto"})
    assert settings.kv_initial_tokens is None
    assert settings.learns_first_grant
    assert not Settings().learns_first_grant


def test_more_slots_than_llama_cpp_has_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    assert Settings.from_environment({"OLLAMA_NUM_PARALLEL": "257"}).num_parallel == 0
    assert "not a whole number from 0 to 256" in caplog.text


@pytest.mark.parametrize("text", ["9" * 400, "9" * 90 + "h", "9007199254740991"])
def test_endless_times_are_long(text: str) -> None:
    """Longer ones overflow the numbers of clocks."""
    settings = Settings.from_environment({"OLLAMA_KEEP_ALIVE": text, "SWELL_DRAIN": text, "SWELL_KV_WAIT": text})
    assert settings.keep_alive_s == math.inf
    assert settings.drain_s == settings.kv_wait_s == LONGEST_S


def test_somebody_looks_for_stuck_runners_often_but_not_always() -> None:
    assert Settings.from_environment({"SWELL_STUCK": "1ns"}).stuck_s == 0.1


def test_the_page_of_settings_is_up_to_date() -> None:
    page = Path(__file__).parents[1] / "docs/settings.md"
    assert page.read_text() == table() + "\n"


@pytest.mark.parametrize(
    "text", ["far", "far:", ":1", "far:0", "far:65536", "far:x", "[::1]:1", ",".join(["far:1"] * 17)]
)
def test_addresses_of_workers_are_checked(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not host:port|more than 16"):
        parse_workers(text)


def test_addresses_of_workers() -> None:
    assert parse_workers("far:1, 10.0.0.2:50052") == ("far:1", "10.0.0.2:50052")


@pytest.mark.parametrize(
    ("text", "preference"), [("auto", "auto"), ("1", "go"), ("yes", "go"), ("0", "jinja"), ("False", "jinja")]
)
def test_which_templates_go_first(text: str, preference: str) -> None:
    assert Settings.from_environment({"OLLAMA_GO_TEMPLATE": text}).template_preference.value == preference
    assert Settings.from_environment({}).template_preference is TemplatePreference.AUTO
