"""Finding a server for `run`: the one that is running, or a private one."""

import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from swell.cli.client import Client
from swell.cli.errors import ConnectionLostError, NoServerError
from swell.cli.private import PrivateServer
from swell.host import HostAddress


@contextmanager
def connected(address: HostAddress, start: Callable[[], PrivateServer] = PrivateServer) -> Iterator[Client]:
    """A client of the server at `address`; if this machine has none there, of a private one that ends with the block.

    Raises NoServerError if no server is at `address` and that is another machine's: the user wants to compute there.
    """
    with Client(address) as client:
        try:
            client.heartbeat()
        except NoServerError:
            if not is_local(address):
                raise
        else:
            yield client
            return
    with start() as server, Client(server.address) as client:
        try:
            yield client
        except (NoServerError, ConnectionLostError) as error:
            raise server.explain(error) from error


def is_local(address: HostAddress) -> bool:
    """Whether `address` says itself that it is this machine's; names are not looked up."""
    if address.host in ("", "localhost"):
        return True
    try:
        ip = ipaddress.ip_address(address.host)
    except ValueError:
        return False
    return ip.is_loopback or ip.is_unspecified
