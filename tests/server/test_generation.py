"""What a runner is told about one generation."""

import pytest

from swell.server.generation import Generation, Wish
from swell.server.options import Options


@pytest.mark.parametrize(("num_batch", "told"), [(None, None), (7, 7), (0, None), (-3, None)])
def test_num_batch_is_the_requests_own(num_batch: int | None, told: int | None) -> None:
    generation = Generation([1, 2], Options(num_batch=num_batch), Wish(), window_tokens=9)
    assert generation.order().batch_tokens == told
