"""The `swell` command: what it accepts.

A function with `command` above it is a command. Typer makes an argument or a flag of each of its parameters, so it has
as many parameters as the command has flags. Commands import what they need when they run, so that each starts quickly.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import TyperException

from swell.cli.completion import complete_line, model_names
from swell.cli.flags import Command, CommandGroup, parse_boolean
from swell.cli.names import clean, model_name
from swell.cli.tools import doctor, fleet, launch, top, worker
from swell.errors import SwellError

if TYPE_CHECKING:
    from swell.cli.client import Client

INTERRUPT_EXIT_CODE = 130

app = typer.Typer(
    name="swell",
    cls=CommandGroup,
    help="A local LLM server whose context window rises and falls with the conversation.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

bench = typer.Typer(cls=CommandGroup)
app.add_typer(bench, name="bench")

Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A model's name, or the path of a GGUF file.", autocompletion=model_names),
]
Name = Annotated[str, typer.Argument(metavar="MODEL", help="A model's name.", autocompletion=model_names)]
Insecure = Annotated[bool, typer.Option("--insecure", help="Registries may speak plain HTTP.")]
Prefix = Annotated[
    str,
    typer.Argument(metavar="PREFIX", help="Only models whose names start like this.", autocompletion=model_names),
]


def main() -> int:
    """Run the command line; returns the exit status. No error reaches the user as a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # an answer may hold what the terminal's encoding does not
    try:
        with complete_line(os.environ):
            return _finished(app(prog_name="swell", standalone_mode=False) or 0)
    except SystemExit as stop:
        return _finished(stop.code if isinstance(stop.code, int) else int(stop.code is not None))
    except KeyboardInterrupt:
        return INTERRUPT_EXIT_CODE
    except BrokenPipeError:
        return _finished(1)
    except (SwellError, OSError) as error:
        return _failed(str(error))
    except TyperException as error:
        return _failed(error.format_message())


def _finished(exit_code: int) -> int:
    """Flush what was written and return `exit_code`; 1 if the reader of the output is gone."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes at exit and would print a traceback about what is still buffered.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return exit_code


def _failed(reason: str) -> int:
    """Print `reason` for the user and return the exit status of a failure."""
    _finished(1)
    print(f"Error: {reason}", file=sys.stderr)
    return 1


@app.callback(invoke_without_command=True)
def without_command(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", "-v", help="Show version information.")] = False,
) -> None:
    if version:
        from swell.cli.version import version_lines

        with _client() as client:
            for line in version_lines(client):
                print(line)
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command(cls=Command)
def serve(
    listen_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
    until_stdin_closes: Annotated[bool, typer.Option("--until-stdin-closes", hidden=True)] = False,
) -> None:
    """Start the server in the foreground."""
    from swell.serve import serve as run_server
    from swell.settings import Settings

    run_server(Settings.from_environment(), listen_fd=listen_fd, until_stdin_closes=until_stdin_closes)


app.command("start", cls=Command, hidden=True, help="Same as serve.")(serve)


@app.command(cls=Command)
def run(
    model: Model,
    prompt: Annotated[list[str] | None, typer.Argument(metavar="PROMPT", help="What to ask.")] = None,
    keepalive: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long the model stays loaded (e.g. 5m).")
    ] = None,
    think: Annotated[
        str | None,
        typer.Option(metavar="[=LEVEL]", help="Whether to think: true, false, or how hard: low, medium, high, max."),
    ] = None,
    hidethinking: Annotated[bool, typer.Option("--hidethinking", help="Don't show what the model thinks.")] = False,
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="What the answer must be: json, or a JSON schema.")
    ] = "",
    verbose: Annotated[bool, typer.Option("--verbose", help="Show timings after the answer.")] = False,
    nowordwrap: Annotated[bool, typer.Option("--nowordwrap", help="Don't wrap words to the next line.")] = False,
    truncate: Annotated[
        str | None,
        typer.Option(
            metavar="[=false]", help="Models for embeddings: whether to cut what is longer than their window."
        ),
    ] = None,
    dimensions: Annotated[
        int, typer.Option(metavar="N", help="Models for embeddings: cut the vector to N numbers.", show_default=False)
    ] = 0,
    insecure: Insecure = False,
) -> None:
    """Ask a model; without a prompt, hold a conversation. With a model for embeddings, print a text's vector.

    A model that isn't there is pulled first.
    """
    from swell.cli.connect import connected
    from swell.cli.embedding import print_embedding
    from swell.cli.run import RunOptions, answer_once, is_conversation, parse_format, parse_think, read_prompt
    from swell.cli.transfers import show_or_pull
    from swell.settings import Settings

    request = RunOptions(
        model_name(model),
        keepalive,
        think=None if think is None else parse_think(think),
        hide_thinking=hidethinking,
        verbose=verbose,
        wordwrap=not nowordwrap,
        format=parse_format(format_),
    )
    cuts = None if truncate is None else parse_boolean("--truncate", truncate)
    words = prompt or []
    text = read_prompt(words)
    settings = Settings.from_environment()
    with connected(settings.host) as client:
        if show_or_pull(client, request.model, insecure=insecure).is_embedder:
            print_embedding(client, request, text, truncate=cuts, dimensions=dimensions)
        elif is_conversation(words):
            from swell.cli.chat import converse
            from swell.cli.keyboard import Keyboard, history_file

            converse(client, request, Keyboard(None if settings.no_history else history_file()))
        else:
            answer_once(client, request, text)


@app.command(cls=Command)
def create(
    model: Name,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", "-f", metavar="FILE", help="The Modelfile; ./Modelfile unless given.", show_default=False
        ),
    ] = None,
    quantize: Annotated[
        str, typer.Option("--quantize", "-q", metavar="TYPE", help="Quantize to this type (e.g. q4_K_M).")
    ] = "",
) -> None:
    """Make a model from a Modelfile."""
    from swell.cli.create import create_model

    with _client() as client:
        create_model(client, clean(model), file, clean(quantize))


@app.command(cls=Command)
def pull(model: Name, insecure: Insecure = False) -> None:
    """Fetch a model from a registry."""
    from swell.cli.transfers import pull as pull_model

    with _client() as client:
        client.heartbeat()
        pull_model(client, clean(model), insecure=insecure)


@app.command(cls=Command)
def push(model: Name, insecure: Insecure = False) -> None:
    """Send a model to a registry."""
    from swell.cli.transfers import push as push_model

    with _client() as client:
        client.heartbeat()
        push_model(client, clean(model), insecure=insecure)


@app.command(cls=Command)
def cp(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A model's name.", autocompletion=model_names)],
    destination: Annotated[str, typer.Argument(metavar="DESTINATION", help="The other name it gets.")],
) -> None:
    """Give a model another name."""
    from swell.cli.manage import copy_model

    with _client() as client:
        copy_model(client, clean(source), clean(destination))
    print(f"copied '{source}' to '{destination}'")


@app.command(cls=Command)
def rm(
    models: Annotated[list[str], typer.Argument(metavar="MODEL", help="Models' names.", autocompletion=model_names)],
) -> None:
    """Delete models."""
    from swell.cli.manage import remove_model

    with _client() as client:
        for model in models:
            remove_model(client, clean(model))
            print(f"deleted '{model}'")


@app.command(cls=Command)
def show(
    model: Model,
    license_: Annotated[bool, typer.Option("--license", help="Show the license.")] = False,
    modelfile: Annotated[bool, typer.Option("--modelfile", help="Show the Modelfile.")] = False,
    parameters: Annotated[bool, typer.Option("--parameters", help="Show the parameters.")] = False,
    template: Annotated[bool, typer.Option("--template", help="Show the template.")] = False,
    system: Annotated[bool, typer.Option("--system", help="Show the system message.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show metadata and tensors too.")] = False,
) -> None:
    """Show information about a model."""
    from swell.cli.errors import UsageError
    from swell.cli.show import sections, show_model

    flags = {
        "license": license_,
        "modelfile": modelfile,
        "parameters": parameters,
        "system": system,
        "template": template,
    }
    asked = [name for name, is_asked in flags.items() if is_asked]
    if len(asked) > 1:
        raise UsageError(
            "only one of '--license', '--modelfile', '--parameters', '--system', or '--template' can be specified"
        )
    with _client() as client:
        shown = show_model(client, model_name(model), verbose=verbose)
    if asked:
        print(getattr(shown, asked[0]))
    else:
        sys.stdout.write(sections(shown, verbose=verbose))


@app.command(cls=Command)
def stop(model: Model) -> None:
    """Unload a model."""
    from swell.cli.stop import stop_model

    with _client() as client:
        stop_model(client, model_name(model), shown_name=model)


@app.command("list", cls=Command)
def list_(prefix: Prefix = "") -> None:
    """List the models there are."""
    from swell.cli.listing import list_models

    with _client() as client:
        sys.stdout.write(list_models(client, prefix))


app.command("ls", cls=Command, hidden=True, help="Same as list.")(list_)


@app.command(cls=Command)
def ps(
    prefix: Prefix = "",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show active context and memory too.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on showing them; with -v the same as top.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print an object of JSON for each model.")] = False,
) -> None:
    """List the models that are loaded."""
    from swell.cli.tools import show_running

    show_running(prefix, verbose=verbose, watch=watch, as_json=json)


app.command()(worker)
app.command()(fleet)
app.command(cls=Command)(doctor)
app.command(cls=Command)(launch)
app.command(cls=Command)(top)


@bench.callback(invoke_without_command=True)  # without a callback, the only command would have no name
def bench_top(context: typer.Context) -> None:
    """Measure what Swell costs."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@bench.command("kv")
def bench_kv(
    model: Model,
    minutes: Annotated[float, typer.Option(min=0.1, help="How long all of it may take, about.")] = 10,
    full: Annotated[bool, typer.Option("--full", help="Fill every cache to its end, however long it takes.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Only see whether it works, with 512 tokens.")] = False,
    slots: Annotated[list[int] | None, typer.Option(min=1, help="Slots, may be repeated; 1, 4 and 8.")] = None,
    window: Annotated[int, typer.Option(min=0, help="Tokens per slot, 512 at least; 0 is the trained length.")] = 0,
    threads: Annotated[int, typer.Option(min=0, help="Threads; 0 is one for each physical core.")] = 0,
    peer: Annotated[bool, typer.Option(help="Compare with llama.cpp's own server.")] = True,
    results: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("."),
) -> None:
    """Measure the KV cache: memory, growth, creation and speed of every store."""
    import math
    import shlex

    from swell.bench.command import bench_kv as measure
    from swell.bench.kv import LEAST_WINDOW_TOKENS, BenchOptions
    from swell.models.catalog import Catalog
    from swell.processors.allowance import Allowance

    found = Catalog().find(model, allow_path=True)
    options = BenchOptions(
        model=found.path.resolve(),
        name=Path(found.name).name,
        window_tokens=LEAST_WINDOW_TOKENS if quick else min(window or found.context_length, found.context_length),
        slot_counts=tuple(sorted(set(slots or (1, 4, 8)))),
        budget_s=math.inf if full or quick else minutes * 60,
        threads=threads or Allowance().threads(),
        with_peer=peer,
        quick=quick,
    )
    words = (Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:])
    measure(options, shlex.join(["swell", *words]), results)


def _client() -> "Client":
    from swell.cli.client import Client
    from swell.settings import Settings

    return Client(Settings.from_environment().host)
