"""Values that are extreme, and names that llama.cpp knows."""

import math

INTEGERS = (
    *(0, 1, 2, 3, 5, 7, 8, 31, 33, 64, 255, 256, 1000, 4096, 2**15, 2**16 - 1, 2**20, 2**24, 2**30),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**60, 2**63 - 1, 2**63, 2**64 - 1),
    *(-1, -2, -128, -(2**31), -(2**63)),
)
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e-6, 1e30, -1e30, math.inf, -math.inf, math.nan, 0.5, 2.0)
TEXTS = (b"", b"x", b"llama", b"gpt2", b"bert", b"t5", b"rwkv", b"none", b"\xff\xfe", b"a\0b", b"x" * 70_000)
TYPES = (*range(42), 99, 2**31, 2**32 - 1)
"""Of tensors."""
OFFSETS = (0, 1, 31, 32, 64, 2**20, 2**31, 2**40, 2**63 - 1, 2**63, 2**64 - 1, 2**64 - 32)

_MODELS = b"llama gpt2 bert t5 rwkv none plamo2 no_vocab gemma4 hybriddna whitespace"
_PRETOKENIZERS = b"""
    default llama-bpe deepseek-llm falcon starcoder gpt-2 qwen2 stablelm2 chatglm-bpe tekken smollm bloom gpt-4o
    superbpe kimi-k2 grok-2 jina-v2-zh jais whitespace
"""
_ARCHITECTURES = b"""
    llama llama4 deci falcon grok gpt2 gptj gptneox mpt baichuan starcoder refact bert nomic-bert nomic-bert-moe
    neo-bert jina-bert-v2 jina-bert-v3 bloom stablelm qwen qwen2 qwen2moe qwen2vl qwen3 qwen3moe qwen3next qwen3vl phi2
    phi3 phimoe plamo plamo2 codeshell orion internlm2 minicpm minicpm3 gemma gemma2 gemma3 gemma3n gemma4
    gemma-embedding starcoder2 mamba mamba2 jamba falcon-h1 xverse command-r cohere2 dbrx olmo olmo2 olmoe openelm
    arctic deepseek deepseek2 chatglm glm4 glm4moe bitnet t5 t5encoder jais nemotron nemotron_h exaone exaone4 rwkv6
    rwkv6qwen2 rwkv7 arwkv7 granite granitemoe granitehybrid chameleon wavtokenizer-dec plm bailingmoe bailingmoe2
    dots1 arcee afmoe ernie4_5 ernie4_5-moe hunyuan-moe hunyuan-dense smollm3 gpt-oss lfm2 lfm2moe dream smallthinker
    llada llada-moe seed_oss grovemoe apertus minimax-m2 cogvlm rnd1 pangu-embedded mistral3 mimo2 clip
"""
MODELS, PRETOKENIZERS, ARCHITECTURES = _MODELS.split(), _PRETOKENIZERS.split(), _ARCHITECTURES.split()

_COUNT, _REAL, _FLAG, _TEXT = (4, 5, 10, 9), (6, 6, 12), (7,), (8,)
_TOKENS = "bos eos eot eom unknown seperator padding cls mask fim_pre fim_suf fim_mid fim_pad fim_rep fim_sep"
_COUNTS = """
    vocab_size context_length embedding_length block_count feed_forward_length expert_count expert_used_count
    expert_shared_count expert_group_count expert_group_used_count expert_feed_forward_length leading_dense_block_count
    nextn_predict_layers attention.head_count attention.head_count_kv attention.key_length attention.value_length
    attention.key_length_mla attention.value_length_mla attention.q_lora_rank attention.kv_lora_rank
    attention.sliding_window attention.sliding_window_pattern rope.dimension_count rope.scaling.original_context_length
    ssm.conv_kernel ssm.inner_size ssm.state_size ssm.time_step_rank ssm.group_count wkv.head_size pooling_type
    classifier.output_labels decoder_start_token_id decoder_block_count full_attention_interval n_deepstack_layers
    attention.indexer.head_count attention.indexer.key_length attention.indexer.top_k attention.indexer.block_size
    moe_every_n_layers interleave_moe_layer_step attention.chunk_size shortconv.l_cache attention.temperature_length
    expert_gating_func rope.dimension_sections embedding_length_per_layer_input attention.shared_kv_layers
    embedding_length_out token_shift_count features_length posnet.block_count swiglu_clamp_exp
"""
_REALS = """
    attention.layer_norm_epsilon attention.layer_norm_rms_epsilon rope.freq_base rope.freq_base_swa rope.scaling.factor
    rope.scale_linear attention.scale attention.clamp_kqv attention.max_alibi_bias attn_logit_softcapping
    final_logit_softcapping router_logit_softcapping logit_scale residual_scale embedding_scale expert_weights_scale
    rope.scaling.yarn_log_multiplier rope.scaling.attn_factor attention.group_norm_epsilon rope.scaling.yarn_beta_fast
    rope.scaling.yarn_ext_factor attention.temperature_scale
"""
_FLAGS = """
    attention.causal use_parallel_residual expert_weights_norm ssm.dt_b_c_rms rope.scaling.finetuned swin_norm
    attention.recurrent_layers
"""
_ARRAYS = "attention.sliding_window_pattern attention.head_count_kv attention.head_count feed_forward_length"
KEYS: list[tuple[bytes, tuple[int, ...]]] = [
    *((f"tokenizer.ggml.{name}_token_id".encode(), _COUNT) for name in _TOKENS.split()),
    *((f"tokenizer.ggml.add_{name}_token".encode(), _FLAG) for name in ("bos", "eos", "sep")),
    (b"tokenizer.ggml.add_space_prefix", _FLAG),
    (b"tokenizer.ggml.remove_extra_whitespaces", _FLAG),
    *((f"tokenizer.ggml.{name}".encode(), (9, 8, 4)) for name in ("precompiled_charsmap", "merges", "scores")),
    *((f"tokenizer.ggml.{name}".encode(), (9,)) for name in ("token_type", "eog_token_ids", "tokens")),
    (b"tokenizer.ggml.suppress_tokens", (9, 4)),
    (b"tokenizer.ggml.token_type_count", _COUNT),
    (b"tokenizer.chat_template", (8, 9, 4)),
    *((f"%.{name}".encode(), _COUNT) for name in _COUNTS.split()),
    *((f"%.{name}".encode(), _REAL) for name in _REALS.split()),
    *((f"%.{name}".encode(), _FLAG) for name in _FLAGS.split()),
    *((f"%.{name}".encode(), (9,)) for name in _ARRAYS.split()),
    (b"%.rope.scaling.type", _TEXT),
    (b"split.count", (2, 4)),
    (b"split.no", (2, 4)),
    (b"split.tensors.count", (5, 4)),
    (b"general.file_type", _COUNT),
    (b"general.quantization_version", _COUNT),
    (b"general.type", _TEXT),
]
"""Keys of metadata, where % is the architecture, and types to give them."""
