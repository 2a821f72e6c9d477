"""Which slot a request gets: the one that saves most, and at whose cost."""

from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st
from tests.runner.bare import bare_request, bare_slot

from swell.kv.cells import SlotCells
from swell.runner.slot_choice import COPY_TOKENS_MIN, SlotChoice, choose_slot
from swell.runner.slots import Slot

BUSY = bare_request()
STORY = list(range(500))


def anything(_slot: int, tokens: int) -> int:
    """Cells of every slot can be copied."""
    return tokens


def nothing(_slot: int, _tokens: int) -> int:
    return 0


def hundreds(_slot: int, tokens: int) -> int:
    """There are checkpoints."""
    return tokens // 100 * 100


@st.composite
def slots_with_beginnings(draw: st.DrawFn) -> list[Slot]:
    """Each holds some of the story, and then something else."""
    return [
        bare_slot(
            index,
            [*STORY[: draw(st.integers(0, 300))], *([-1] * draw(st.integers(0, 200)))],
            last_used_ns=draw(st.integers(0, 9)),
            request=BUSY if draw(st.booleans()) else None,
        )
        for index in range(draw(st.integers(1, 5)))
    ]


@given(
    slots=slots_with_beginnings(),
    prompt_tokens=st.integers(1, 400),
    copyable=st.sampled_from([anything, nothing, hundreds]),
)
def test_a_slot_is_idle_and_nothing_is_computed_that_needs_not_be(
    slots: list[Slot], prompt_tokens: int, copyable: Callable[[int, int], int]
) -> None:
    prompt = STORY[:prompt_tokens]
    choice = choose_slot(slots, prompt, copyable)
    idle = [slot for slot in slots if slot.request is None]
    if choice is None:
        assert not idle
        return
    most = max(slot.common_prefix(prompt) for slot in idle)
    assert choice.slot in idle
    if choice.source is None:
        assert choice.slot.common_prefix(prompt) > most - COPY_TOKENS_MIN
    else:
        assert choice.source is not choice.slot
        copied = copyable(choice.source.index, choice.source.common_prefix(prompt))
        assert copied >= most
        assert copied >= max(choice.slot.common_prefix(prompt), COPY_TOKENS_MIN)


@given(slots=slots_with_beginnings(), prompt_tokens=st.integers(1, 400))
def test_a_copy_loses_no_more_than_it_saves_from_loss(slots: list[Slot], prompt_tokens: int) -> None:
    """What the target holds is given up, so that the source keeps what it holds beyond the prompt."""
    choice = choose_slot(slots, STORY[:prompt_tokens], anything)
    if choice is not None and choice.source is not None and choice.source.request is None:
        assert choice.slot.stored <= choice.source.stored - choice.source.common_prefix(STORY[:prompt_tokens])


def test_the_slot_that_shares_most_is_chosen() -> None:
    slots = [
        bare_slot(0, [1, 2, 3], last_used_ns=5),
        bare_slot(1, [1, 2, 3, 4, 5], last_used_ns=6),
        bare_slot(2, [], last_used_ns=7),
    ]
    for prompt, expected, shared in (([1, 2, 3, 4, 9], 1, 4), ([9, 9], 2, 0), ([1, 2, 3], 0, 3)):
        assert choose_slot(slots, prompt, anything) == SlotChoice(slots[expected], None, shared, shared)
    assert choose_slot([bare_slot(0, [], request=BUSY)], [1], anything) is None


def test_a_conversation_is_not_given_up_for_the_few_tokens_with_which_all_begin() -> None:
    held, empty = bare_slot(0, STORY, last_used_ns=1), bare_slot(1, [], last_used_ns=2)
    assert choose_slot([held, empty], [*STORY[:9], -1], anything) == SlotChoice(empty, None, 0, 9)
    assert choose_slot([held, empty], [*STORY[:9], -1], nothing) == SlotChoice(empty, None, 0, 9)
    assert choose_slot([held], [*STORY[:9], -1], nothing) == SlotChoice(held, None, 0, 9)


def test_nothing_is_compared_while_all_slots_are_busy() -> None:
    """It is asked before every step, and 100,000 shared tokens take 5 ms per slot."""

    class Unread(Slot):
        def common_prefix(self, prompt: Sequence[int]) -> int:
            raise AssertionError

    busy = [Unread(index, SlotCells(), [1], request=BUSY) for index in range(4)]
    assert choose_slot(busy, [1], anything) is None


def test_copying_is_chosen_only_where_it_pays() -> None:
    busy, idle = bare_slot(0, STORY, last_used_ns=1, request=BUSY), bare_slot(1, [], last_used_ns=2)
    assert choose_slot([busy, idle], [*STORY[:300], -1], anything) == SlotChoice(idle, busy, 300, 300)
    assert choose_slot([busy, idle], [*STORY[:300], -1], nothing) == SlotChoice(idle, None, 0, 300)
    assert choose_slot([busy, idle], [*STORY[:20], -1], anything) == SlotChoice(idle, None, 0, 20)
    rested = bare_slot(2, STORY, last_used_ns=3)
    assert choose_slot([rested, idle], [*STORY, -1], anything) == SlotChoice(rested, None, 500, 500)
    assert choose_slot([rested, idle], [*STORY[:300], -1], anything) == SlotChoice(idle, rested, 300, 300)
