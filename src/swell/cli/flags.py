"""Command lines read as Ollama's: scripts written for it use Go's forms of flags and look for these errors.

`--name` and `--name=false` for switches, `--name value` and `--name=value` for other flags, anywhere among the
arguments until `--`. The last one counts.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from typer.core import TyperCommand, TyperGroup

from swell.booleans import BOOLEANS
from swell.cli.errors import UsageError

_BARE = {"--think": "true", "--truncate": "true"}
"""Flags whose value may be left out, and what it is then: a word after them is an argument."""
_HELP = ("-h", "--help")


class Command(TyperCommand):
    """A command that takes its flags and arguments as pflag and cobra do."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:  # a line that is being typed, for completion
            return super().parse_args(ctx, args)
        flags, words = split(self.get_params(ctx), args)
        if not any(name in flags for name in _HELP):
            _check_count([param for param in self.params if param.param_type_name == "argument"], len(words))
        return super().parse_args(ctx, [*flags, "--", *words])


class CommandGroup(TyperGroup):
    """Commands by their names. Flags of the group may stand before the name, and `help` there is `--help` after it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        if args[:1] == ["help"]:
            args = [*args[1:], "--help"]
        name_at = next((index for index, word in enumerate(args) if not word.startswith("-")), len(args))
        flags, _ = split(self.get_params(ctx), args[:name_at])
        return super().parse_args(ctx, [*flags, *args[name_at:]])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name not in self.commands and not ctx.resilient_parsing:
            likely = get_close_matches(name, [known for known, command in self.commands.items() if not command.hidden])
            hint = "\n\nDid you mean this?\n" + "".join(f"\t{known}\n" for known in likely) if likely else ""
            raise UsageError(f'unknown command "{name}" for "{ctx.command_path}"{hint}')
        return super().resolve_command(ctx, args)


def split(params: Iterable[Any], args: Sequence[str]) -> tuple[list[str], list[str]]:
    """`args` as flags in a form that Typer takes, and the words between them. Raises UsageError in pflag's words."""
    known = {name: param for param in params if param.param_type_name == "option" for name in param.opts}
    switches: dict[str, bool] = {}
    values: list[str] = []
    words: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        if word == "-" or not word.startswith("-"):
            words.append(word)
            continue
        name, equals, value = word.partition("=")
        if name[2:] and name[:2] in known and not known[name[:2]].is_flag:  # -fFILE
            name, equals, value = word[:2], "=", word[2:]
        if name not in known:
            is_long = name.startswith("--")
            raise UsageError(f"unknown flag: {name}" if is_long else f"unknown shorthand flag: '{name[1]}' in {name}")
        if known[name].is_flag:
            names = known[name].opts
            switches[names[0]] = not equals or parse_boolean(", ".join(sorted(names, key=len)), value)
        elif equals or name in _BARE or rest:
            given = value if equals else _BARE.get(name) or rest.pop(0)
            values.append(f"{max(known[name].opts, key=len)}={given}")
        else:
            raise UsageError(f"flag needs an argument: {name}")
    return [*(name for name, is_on in switches.items() if is_on), *values], words


def parse_boolean(flag: str, value: str) -> bool:
    """The value of `flag`. Raises UsageError, in Go's words."""
    if value not in BOOLEANS:
        reason = f'strconv.ParseBool: parsing "{value}": invalid syntax'
        raise UsageError(f'invalid argument "{value}" for "{flag}" flag: {reason}')
    return BOOLEANS[value]


def _check_count(arguments: Sequence[Any], received: int) -> None:
    least = sum(argument.required for argument in arguments)
    if any(argument.nargs == -1 for argument in arguments):
        if received < least:
            raise UsageError(f"requires at least {least} arg(s), only received {received}")
    elif received > len(arguments) or received < least:
        most = "" if least == len(arguments) else "at most "
        raise UsageError(f"accepts {most}{len(arguments)} arg(s), received {received}")
