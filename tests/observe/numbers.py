"""Any numbers of models, for tests of those who show them."""

from hypothesis import strategies as st

from swell.observe.numbers import ModelNumbers, Sample, SlotNumbers
from swell.protocol.messages import SlotState
from swell.sizes.learning import summary

_COUNT = st.integers(0, 1 << 40)


def any_model() -> st.SearchStrategy[ModelNumbers]:
    slot = st.builds(SlotNumbers, st.sampled_from(SlotState), _COUNT, _COUNT, _COUNT)
    names = [name for name in ModelNumbers.__struct_fields__ if name.endswith(("_tokens", "_bytes"))]
    others = ["slots", "slots_busy", "threads", "threads_allowed", "growths", "shrinks"]
    return st.builds(
        ModelNumbers,
        model=st.text(max_size=12),
        sizes=st.lists(st.integers(1, 1 << 31), max_size=100).map(summary),
        slots_detail=st.lists(slot, max_size=4).map(tuple),
        **dict.fromkeys((*names, *others), _COUNT),
    )


def any_sample() -> st.SearchStrategy[Sample]:
    models = st.lists(any_model(), max_size=3, unique_by=lambda one: one.model).map(tuple)
    return st.builds(Sample, st.floats(0, 1e10), _COUNT, _COUNT, models)
