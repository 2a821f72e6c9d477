"""What llama.cpp ends the process over, as far as a header tells: such files are refused before a runner is started.

Here is what holds for all architectures. What is wrong with a single one a runner finds out (`scheduler/crashes`).
"""

import math
from collections.abc import Iterator

from swell.models.gguf import GgufArray, GgufHeader, Scalar

_NO_VOCABULARY = ("none", "no_vocab")
_ENDS = {"tokenizer.ggml.bos_token_id": 101, "tokenizer.ggml.seperator_token_id": 102}
"""Tokens that stand around a text for BERT, and what they are if the file doesn't say."""
_ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")
_POOLINGS = 5
_EPSILONS = ("attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon", "attention.group_norm_epsilon")


def problems(header: GgufHeader) -> Iterator[str]:
    """What is wrong with a language model of this header."""
    prefix = f"{header.metadata.get('general.architecture')}."
    yield from _vocabulary_problems(header)
    yield from _rope_problems(header, prefix + "rope.")
    yield from _expert_problems(header, prefix + "expert_")
    values = header.metadata
    if values.get(key := prefix + "context_length") == 0:
        yield f"{key} is 0"
    if _count(values.get(key := prefix + "pooling_type")) >= _POOLINGS:
        yield f"{key} is {values[key]}"
    if _count(values.get(key := prefix + "nextn_predict_layers")) > _count(values.get(prefix + "block_count")):
        yield f"{key} is {values[key]}, which is more than there are layers"
    for key in (prefix + name for name in _EPSILONS):
        epsilon = values.get(key, 0.0)
        if isinstance(epsilon, float) and not 0 <= epsilon < math.inf:
            yield f"{key} is {epsilon}"


def _vocabulary_problems(header: GgufHeader) -> Iterator[str]:
    values, tokens = header.metadata, header.metadata.get("tokenizer.ggml.tokens")
    model = values.get("tokenizer.ggml.model")
    if model in _NO_VOCABULARY:
        yield "it has no vocabulary, so that it can't read texts"
    if header.vocabulary_problem is not None:
        yield header.vocabulary_problem
    if model == "bert" and isinstance(tokens, GgufArray):
        for key, otherwise in _ENDS.items():
            if min(_count(values.get(key, otherwise)), otherwise) >= tokens.length:
                yield f"{key} is no token of the {tokens.length} that there are"


def _rope_problems(header: GgufHeader, prefix: str) -> Iterator[str]:
    """llama.cpp turns pairs of numbers, and goes on for ever if there are none. Who has states may turn none."""
    values, key = header.metadata, prefix + "dimension_count"
    dimensions, largest = values.get(key), _largest(header)
    if _count(dimensions) > largest:
        yield f"{key} is {dimensions}, which no tensor has room for"
    if _count(dimensions) % 2:
        yield f"{key} is {dimensions}, which is odd"
    if dimensions == 0 and not any(".ssm_" in tensor.name for tensor in header.tensors):
        yield f"{key} is 0"
    scaling = values.get(prefix + "scaling.type", "none")
    if isinstance(scaling, str) and scaling not in _ROPE_SCALINGS:
        yield f"{prefix}scaling.type is {scaling[:99]!r}"


def _expert_problems(header: GgufHeader, prefix: str) -> Iterator[str]:
    values = header.metadata
    used = values.get(prefix + "used_count", 0)
    counts = [values.get(prefix + name, 0) for name in ("count", "group_count", "group_used_count")]
    experts, groups, used_groups = map(_count, counts)
    if experts > _largest(header):
        yield f"{prefix}count is {experts}, which no tensor has room for"
    if isinstance(used, GgufArray) or (experts <= 1 and prefix.startswith("hunyuan")):
        return  # one number for each layer; there llama.cpp takes one expert for none
    if not min(experts, 1) <= _count(used) <= experts:
        yield f"{prefix}used_count is {used} of {experts} experts"
    if groups and (groups >= experts or (groups > 1 and (experts % groups or not 0 < used_groups < groups))):
        yield f"{prefix}group_count is {groups}, of which {used_groups} are used, for {experts} experts"


def _largest(header: GgufHeader) -> int:
    return max((size for tensor in header.tensors for size in tensor.shape), default=0)


def _count(value: Scalar | GgufArray | None) -> int:
    """A number as llama.cpp reads it where it wants one of 32 bits; 0 for what it refuses."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
