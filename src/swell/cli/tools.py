"""Commands beside Ollama's own, as the command line takes them."""

import sys
from typing import Annotated

import typer

from swell.cli.completion import agent_names, model_names


def worker(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="The IPv4 address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 is any that is free.")] = 50052,
    memory: Annotated[
        str, typer.Option(metavar="SIZE", help="How much to lend (8GB, 8GiB, 50%); all there is unless given.")
    ] = "",
    threads: Annotated[int, typer.Option(min=0, help="Threads; 0 is as many as the machine can give.")] = 0,
) -> None:
    """Lend this machine's memory and processor to servers elsewhere (docs/workers.md)."""
    from swell.cli.errors import UsageError
    from swell.memory.probe import MemoryProbe
    from swell.remote.worker import work
    from swell.settings import Settings
    from swell.variables import parse_optional_budget

    try:
        budget = parse_optional_budget(memory)
    except ValueError as error:
        raise UsageError(f"--memory: {error}") from error
    limit_bytes = budget.limit_bytes(MemoryProbe().total_bytes()) if budget else None
    log_level = Settings.from_environment().log_level
    work(host, port, limit_bytes=limit_bytes, threads=threads or None, log_level=log_level)


def fleet(
    address: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="The Ray cluster; the one of this machine unless given.")
    ] = "",
    least: Annotated[int, typer.Option("--min", min=0, help="Replicas that there are at least.")] = 1,
    most: Annotated[int, typer.Option("--max", min=1, help="Replicas that there are at most, one on each node.")] = 1,
    gpus: Annotated[float, typer.Option(min=0, help="Of what Ray counts as GPUs, how many a replica takes.")] = 0,
) -> None:
    """Serve from many machines, the nodes of a Ray cluster (docs/fleet.md)."""
    from swell.cli.errors import UsageError

    if least > most:
        raise UsageError("--min is more than --max")
    try:
        from swell.fleet.command import given_environment, run
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise UsageError("swell fleet needs Ray: pip install 'swell[fleet]'") from error
    from swell.fleet.application import FleetOptions

    options = FleetOptions(min_replicas=least, max_replicas=most, replica_gpus=gpus, environment=given_environment())
    run(options, address)


def doctor(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL", help="Models' names or files; all there are unless given.", autocompletion=model_names
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one object of JSON.")] = False,
) -> int:
    """Say what this machine has, what fits, what can't work and what would help.

    The exit status is 1 if something can't work.
    """
    from swell.cli.doctor import doctor as examine
    from swell.cli.names import model_name

    return examine([model_name(model) for model in models or []], as_json=json)


def launch(
    agent: Annotated[
        str, typer.Argument(metavar="AGENT", help="claude, codex or opencode.", autocompletion=agent_names)
    ] = "",
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="-- ARGS", help="What the agent itself is to be told.")
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="MODEL", help="The model; the only one there is unless given.", autocompletion=model_names
        ),
    ] = "",
    print_: Annotated[bool, typer.Option("--print", help="Print what would be run, for a shell.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Is accepted; nothing is asked.", hidden=True)] = False,
) -> int:
    """Start a coding agent that uses this server; without one, say which there are."""
    from swell.cli.client import Client
    from swell.cli.connect import connected
    from swell.cli.launch import agent_lines, agent_named, shell_lines, target
    from swell.cli.launch import launch as run_agent
    from swell.cli.names import clean
    from swell.settings import Settings

    if not agent:
        print("\n".join(agent_lines()))
        return 0
    found, address = agent_named(agent), Settings.from_environment().host
    if print_:
        with Client(address) as client:
            telling = found.tell(target(client, clean(model)))
        print("\n".join(shell_lines(found, telling, arguments or [])))
        return 0
    with connected(address) as client:
        return run_agent(found, found.tell(target(client, clean(model))), arguments or [])


def top(
    prefix: Annotated[
        str,
        typer.Argument(metavar="PREFIX", help="Only models whose names start like this.", autocompletion=model_names),
    ] = "",
) -> None:
    """Watch the loaded models: their windows, memory and speed, and what happens to them."""
    from swell.cli.live.top import top as watch
    from swell.settings import Settings

    watch(Settings.from_environment().host, prefix)


def show_running(prefix: str, *, verbose: bool, watch: bool, as_json: bool) -> None:
    """`ps`, once or going on."""
    from swell.cli.client import Client
    from swell.cli.listing import list_running
    from swell.cli.live import top as live
    from swell.settings import Settings

    address = Settings.from_environment().host
    if watch and as_json:
        live.watch_as_json(address, prefix)
    if watch and verbose:
        live.top(address, prefix)
        return
    with Client(address) as client:
        if as_json:
            live.print_as_json(client, prefix)
        elif watch:
            live.watch_table(client, prefix)
        else:
            sys.stdout.write(list_running(client, prefix, verbose=verbose))
