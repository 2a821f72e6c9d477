import os
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from tests.waiting import is_alive, wait_until

from swell.cli import private
from swell.cli.connect import connected
from swell.cli.errors import NoServerError, PrivateServerError
from swell.cli.private import PrivateServer
from swell.cli.replies import Chunk
from swell.host import HostAddress, parse_host

NOBODY = HostAddress("http", "127.0.0.1", 1)

SERVER = """
import http.server, os, socket, sys, threading

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"response":"%s","done":true}' % os.environ["OLLAMA_HOST"].encode())

def end_with_stdin():
    sys.stdin.read()
    os._exit(0)

threading.Thread(target=end_with_stdin).start()
server = http.server.HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=int(sys.argv[1]))
server.serve_forever()
"""


def python(code: str) -> PrivateServer:
    return PrivateServer((sys.executable, "-c", code))


def ask(server: PrivateServer) -> str:
    with connected(NOBODY, lambda: server) as client:
        return "".join(chunk.text for chunk in client.stream("/api/generate", {"model": "m"}, Chunk))


def test_requests_wait_until_the_server_is_ready() -> None:
    server = python("import time; time.sleep(0.3)\n" + SERVER)
    assert ask(server) == f"127.0.0.1:{server.address.port}"
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", server.address.port)) != 0  # it is gone


def test_a_server_that_dies_at_once_is_reported_with_its_last_words() -> None:
    with pytest.raises(PrivateServerError) as caught:
        ask(python("import sys; print('loading'); print('no memory', file=sys.stderr); sys.exit(3)"))
    assert caught.value.exit_code == 3
    assert set(caught.value.log.splitlines()) == {"loading", "no memory"}
    assert str(caught.value).startswith("the server stopped unexpectedly (exit code 3)\n")


def test_a_server_that_dies_with_a_request_waiting_does_not_hang() -> None:
    with pytest.raises(PrivateServerError) as caught:
        ask(python("import os, time; time.sleep(0.5); os.kill(os.getpid(), 9)"))
    assert caught.value.exit_code == -9


def test_only_the_end_of_a_long_log_is_shown() -> None:
    with pytest.raises(PrivateServerError) as caught:
        ask(python("for n in range(5000): print('line', n)\nraise SystemExit(1)"))
    assert caught.value.log.splitlines() == [f"line {n}" for n in range(4990, 5000)]


def test_a_server_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "_EXIT_TIMEOUT_S", 0.2)
    with python("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)") as server:
        process = server._process
    assert process.returncode == -signal.SIGKILL


def test_the_server_ends_when_the_command_is_killed() -> None:
    code = f"""
import time
from swell.cli.private import PrivateServer
server = PrivateServer(({sys.executable!r}, "-c", {SERVER!r}))
print(server._process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as command:
        assert command.stdout
        server = psutil.Process(int(command.stdout.readline()))
        os.kill(command.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(server), "the server ends")


def test_a_running_server_is_used(address: str) -> None:
    def start() -> PrivateServer:
        raise AssertionError("a private server was started")

    with connected(parse_host(address), start) as client:
        assert client.url == f"http://{address}"


def test_another_machines_server_is_not_replaced() -> None:
    with pytest.raises(NoServerError), connected(HostAddress("http", "name.invalid", 1)):
        pass
