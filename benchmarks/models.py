"""`python -m benchmarks.models FOLDER`: models with other kinds of memory than the bundled one's, for `swell bench kv`.

Their weights are random, and they are as large as layers of a small model: 512 numbers per token, windows of 512. A
token is a byte.
"""

import importlib
import sys
from pathlib import Path

from tests.tiny import attention, layers, recurrent
from tests.tiny.weights import ModelFile, add_bytes

WIDTH, HEAD, FEED_FORWARD, WINDOW = 512, 256, 2048, 512  # Gemma's heads are as large
TRAINED_TOKENS = 16_384


def main(folder: Path) -> None:
    layers.WIDTH, layers.HEAD, layers.FEED_FORWARD = WIDTH, HEAD, FEED_FORWARD
    for module in (attention, recurrent):  # they have taken over the sizes of tiny models
        importlib.reload(module)
    ModelFile.write.__defaults__ = (add_bytes,)
    attention.WINDOW = WINDOW
    attention.SLIDING_TOKENS = recurrent.HYBRID_TOKENS = TRAINED_TOKENS
    folder.mkdir(parents=True, exist_ok=True)
    attention.write_gemma3(folder / "sliding-gemma3.gguf")
    recurrent.write_lfm2(folder / "hybrid-lfm2.gguf")
    recurrent.write_granite_hybrid(folder / "hybrid-granite.gguf")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
