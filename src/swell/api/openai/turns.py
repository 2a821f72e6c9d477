"""From the events of a model's turn to OpenAI's chat answers, in one piece or many."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from swell.api.openai.replies import (
    FINGERPRINT,
    Call,
    ChatChunk,
    ChatCompletion,
    Choice,
    ChunkChoice,
    Delta,
    Identity,
    Logprobs,
    ReplyMessage,
    Usage,
)
from swell.text.parsing.parts import Likelihood, Text, Thought, ToolCall
from swell.turns.events import Finish, TurnEvent


@dataclass
class Turn:
    """One answer, gathered from its events."""

    text: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    likelihoods: list[Likelihood] = field(default_factory=list)
    finish: Finish | None = None

    def add(self, event: TurnEvent) -> None:
        match event:
            case Text():
                self.text.append(event.text)
                self.likelihoods.extend(event.likelihoods)
            case Thought():
                self.thoughts.append(event.text)
                self.likelihoods.extend(event.likelihoods)
            case ToolCall():
                self.calls.append(Call.of(len(self.calls), event))
            case Finish():
                self.finish = event

    @property
    def finish_reason(self) -> str:
        assert self.finish is not None
        reason = self.finish.done_reason
        return "tool_calls" if self.calls and reason == "stop" else reason

    def choice(self, index: int) -> Choice:
        message = ReplyMessage(
            role="assistant", content="".join(self.text), reasoning="".join(self.thoughts), tool_calls=self.calls
        )
        return Choice(
            index=index, message=message, finish_reason=self.finish_reason, logprobs=Logprobs.of(self.likelihoods)
        )


class Turns:
    """The answers to one request, as one object at the end or as chunks on the way."""

    def __init__(self, identity: Identity, count: int) -> None:
        self._identity = identity
        self._turns = [Turn() for _ in range(count)]
        self._begun: set[int] = set()

    def add(self, index: int, event: TurnEvent) -> None:
        self._turns[index].add(event)

    def chunks(self, index: int, event: TurnEvent) -> Iterator[ChatChunk]:
        """Adds `event` to answer `index`; gives what a stream says of it."""
        turn = self._turns[index]
        turn.add(event)
        match event:
            case Text():
                yield self._chunk(index, Delta(content=event.text), event.likelihoods)
            case Thought():
                yield self._chunk(index, Delta(content="", reasoning=event.text), event.likelihoods)
            case ToolCall():
                yield self._chunk(index, Delta(content="", tool_calls=turn.calls[-1:]))
            case Finish():
                if index not in self._begun:  # nothing was said: the role still is
                    yield self._chunk(index, Delta(content=""))
                choice = ChunkChoice(index=index, delta=Delta(), finish_reason=turn.finish_reason)
                yield self._with([choice])

    def usage_chunk(self) -> ChatChunk:
        """The last chunk of a stream that counts tokens."""
        return self._with([], self._usage())

    def completion(self) -> ChatCompletion:
        """All answers, when all have ended."""
        identity = self._identity
        return ChatCompletion(
            id=identity.id,
            object="chat.completion",
            created=identity.created_s,
            model=identity.model,
            system_fingerprint=FINGERPRINT,
            choices=[turn.choice(index) for index, turn in enumerate(self._turns)],
            usage=self._usage(),
        )

    def _chunk(self, index: int, delta: Delta, likelihoods: tuple[Likelihood, ...] = ()) -> ChatChunk:
        if index not in self._begun:
            self._begun.add(index)
            delta.role = "assistant"
        choice = ChunkChoice(index=index, delta=delta, finish_reason=None, logprobs=Logprobs.of(likelihoods))
        return self._with([choice])

    def _with(self, choices: list[ChunkChoice], usage: Usage | None = None) -> ChatChunk:
        identity = self._identity
        return ChatChunk(
            id=identity.id,
            object="chat.completion.chunk",
            created=identity.created_s,
            model=identity.model,
            system_fingerprint=FINGERPRINT,
            choices=choices,
            usage=usage,
        )

    def _usage(self) -> Usage:
        return Usage.of([turn.finish for turn in self._turns if turn.finish is not None])
