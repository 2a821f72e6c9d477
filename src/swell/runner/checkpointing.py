"""When a slot's state is saved while its prompt is read. Pure."""

from collections.abc import Callable, Sequence

FIRST_TOKENS = 64
"""Fewer tokens are computed again."""
APART_TOKENS = 1024
"""How far those are apart that are saved because a batch happens to end there."""


def stops(prompt: Sequence[int], is_control: Callable[[int], bool], branch: int) -> tuple[int, ...]:
    """The numbers of tokens of `prompt` before which to pause: at the first control token, at the last one, and at
    `branch`, where it leaves what was read before.

    Templates put control tokens around messages. So the first one ends the system prompt, with which other
    conversations begin too, and the last one begins the answer, where the next turn goes on without the thoughts. And
    a line that has changed once, a date or a hash, changes again.
    """
    places = range(FIRST_TOKENS, len(prompt))
    controls = (place for place in places if is_control(prompt[place]))
    last_controls = (place for place in reversed(places) if is_control(prompt[place]))
    found = {next(controls, None), next(last_controls, None), branch if branch in places else None}
    return tuple(sorted(place for place in found if place is not None))


def is_due(stored: int, read_tokens: int, stops: Sequence[int], saved: Sequence[int]) -> bool:
    """Whether to save a slot that stores so many tokens; `saved` says where it was saved before.

    It is at each stop, at the end of a prompt of `read_tokens`, and now and then between them.
    """
    last = saved[-1] if saved else 0
    if stored > read_tokens or stored == last:
        return False
    return stored in stops or stored == read_tokens or stored - last >= APART_TOKENS
