"""What can go wrong in a command; each is shown to the user as `Error: <text>`.

CommandError
├── UsageError               the arguments make no sense together
├── NoServerError            nobody listens at the server's address
├── ConnectionLostError      the server went away before its answer was complete
│   └── PullBrokenOffError   which can be carried on
├── BadReplyError            the answer is not what the API promises
├── RefusedError             the server answered with a status of 400 or more
├── AnswerFailedError        the server gave up within a streamed answer
├── PrivateServerError       the server that `run` started for itself ended
└── NoAgentError             the coding agent that `launch` is to start isn't installed
"""

from dataclasses import dataclass

from swell.errors import SwellError


class CommandError(SwellError):
    """A command can't be carried out."""


@dataclass(eq=False, repr=False)
class UsageError(CommandError):
    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(eq=False, repr=False)
class NoServerError(CommandError):
    """`url` is where a server was looked for."""

    url: str

    def __str__(self) -> str:
        return "could not connect to swell server, run 'swell serve' to start it"


@dataclass(eq=False, repr=False)
class ConnectionLostError(CommandError):
    reason: str

    def __str__(self) -> str:
        return f"lost the connection to the server: {self.reason}"


@dataclass(eq=False, repr=False)
class PullBrokenOffError(ConnectionLostError):
    def __str__(self) -> str:
        return f"{super().__str__()}; the same command goes on where this one stopped"


@dataclass(eq=False, repr=False)
class BadReplyError(CommandError):
    reason: str

    def __str__(self) -> str:
        return f"the server's answer can't be understood: {self.reason}"


@dataclass(eq=False, repr=False)
class RefusedError(CommandError):
    """`status` and `phrase` are HTTP's. Only the texts of streamed calls show them, as in Ollama."""

    status: int
    phrase: str
    text: str
    streamed: bool

    def __str__(self) -> str:
        status = f"{self.status} {self.phrase}".strip()
        if not self.text:
            return status
        return f"{status}: {self.text}" if self.streamed else self.text


@dataclass(eq=False, repr=False)
class AnswerFailedError(CommandError):
    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(eq=False, repr=False)
class PrivateServerError(CommandError):
    """`exit_code` as in `subprocess`; `log` is the end of what the server wrote."""

    exit_code: int
    log: str

    def __str__(self) -> str:
        return f"the server stopped unexpectedly (exit code {self.exit_code})\n{self.log}".rstrip()


@dataclass(eq=False, repr=False)
class NoAgentError(CommandError):
    """`installation` is the command that installs it."""

    title: str
    installation: str

    def __str__(self) -> str:
        return f"{self.title} is not installed; this installs it: {self.installation}"
