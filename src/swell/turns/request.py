"""What is asked of a model in one turn, whichever API asked for it."""

import time
from dataclasses import dataclass, field

from swell.models.model import Model
from swell.options import Options
from swell.protocol.messages import Loaded


@dataclass(frozen=True, kw_only=True)
class TurnRequest:
    """A checked request to one model, without its prompt.

    `keep_alive_s`: how long the model stays loaded afterwards; None leaves that as it is. `started_ns` is when the
    request came, by `time.perf_counter_ns`. `shifts`: the middle of the conversation may be given up when the window is
    full. `schema` is a JSON schema for the output; `top_logprobs` is None where no likelihoods are wanted. `content` is
    all that the request consists of, to recognise one that ends every runner.
    """

    model: Model
    options: Options = field(default_factory=Options)
    keep_alive_s: float | None = None
    started_ns: int = field(default_factory=time.perf_counter_ns)
    shifts: bool = True
    schema: str | None = None
    top_logprobs: int | None = None
    content: object = None

    def keep_tokens(self, facts: Loaded) -> int:
        """How many tokens at the beginning a shift or a cut must keep; negative is as many as possible."""
        wanted = self.options.num_keep
        return wanted + facts.add_bos if wanted >= 0 else wanted
