"""Write models of one random layer without a vocabulary, with which runners check what they can rely on.

`src/swell/kv/probe.gguf`, in f16, is for the Reserved store's self-check; `src/swell/llama/probe_q8_0.gguf` for AMX.

python scripts/make_probe_models.py
"""

from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType

WIDTH, FEED_FORWARD, VOCABULARY, CONTEXT = 64, 32, 32, 512
ROOMS = Path(__file__).parents[1] / "src/swell"


def main() -> None:
    write(ROOMS / "kv/probe.gguf", GGMLQuantizationType.F16)
    write(ROOMS / "llama/probe_q8_0.gguf", GGMLQuantizationType.Q8_0)


def write(path: Path, weights: GGMLQuantizationType) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Swell self-check")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("none")
    random = np.random.default_rng(2547)

    def add(name: str, *shape: int) -> None:
        values = random.normal(0, 0.3, shape).astype(np.float32)
        writer.add_tensor(name, gguf.quantize(values, weights), raw_dtype=weights)

    add("token_embd.weight", VOCABULARY, WIDTH)
    add("output.weight", VOCABULARY, WIDTH)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        add(f"blk.0.{name}.weight", WIDTH, WIDTH)
    add("blk.0.ffn_gate.weight", FEED_FORWARD, WIDTH)
    add("blk.0.ffn_up.weight", FEED_FORWARD, WIDTH)
    add("blk.0.ffn_down.weight", WIDTH, FEED_FORWARD)
    for name in ("output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight"):
        writer.add_tensor(name, np.ones(WIDTH, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
