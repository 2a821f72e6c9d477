"""Ways to damage a GGUF file. Each changes a document a little; by chance, but the same for the same seed."""

import copy
import random
import struct
from collections.abc import Callable

from tests.fuzz.document import ARRAY, SCALARS, STRING, Document, Entry, TensorEntry, string, string_array, strings
from tests.fuzz.known import ARCHITECTURES, FLOATS, INTEGERS, KEYS, MODELS, OFFSETS, PRETOKENIZERS, TEXTS, TYPES

Mutation = Callable[[random.Random, Document], str]


def mutate(chance: random.Random, sound: Document) -> tuple[bytes, str]:
    """A damaged copy of a file, and what was done to it."""
    document = copy.deepcopy(sound)
    done = []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        mutation = chance.choices(list(MUTATIONS), list(MUTATIONS.values()))[0]
        said = mutation(chance, document)
        done.append(said)
    content = document.encode()
    if chance.random() < 0.05:
        content = content[: chance.choice((chance.randrange(len(content)), len(content) - chance.randrange(100)))]
        done.append("cut")
    elif chance.random() < 0.05:
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 5)):
            damaged[chance.randrange(len(damaged) - len(document.data))] = chance.randrange(256)
        content = bytes(damaged)
        done.append("bytes of the header")
    return content, "; ".join(done)


def scalar(chance: random.Random, type_: int) -> bytes:
    """An extreme value of a type."""
    form = SCALARS[type_]
    if form in "fd":
        return struct.pack("<" + form, chance.choice(FLOATS))
    if form == "?":
        return bytes([chance.choice((0, 1, 2, 255))])
    size = struct.calcsize(form)
    return (chance.choice(INTEGERS) % (1 << (8 * size))).to_bytes(size, "little")


def _choose(chance: random.Random, document: Document) -> Entry:
    return chance.choice(document.entries)


def _value(chance: random.Random, document: Document) -> str:
    """Another value of the same type."""
    entry = _choose(chance, document)
    if entry.type == STRING:
        known = {b"tokenizer.ggml.model": MODELS, b"tokenizer.ggml.pre": PRETOKENIZERS}.get(entry.key, TEXTS)
        entry.payload = string(chance.choice(known))
    elif entry.type == ARRAY:
        return _array(chance, document)
    else:
        entry.payload = scalar(chance, entry.type)
    return f"{entry.key!r} = {entry.payload[:20]!r}"


def _small(chance: random.Random, document: Document) -> str:
    """A count a little larger or smaller than it is: what is wrong is then found late."""
    found = [entry for entry in document.entries if entry.type in (4, 5)]
    if not found:
        return "nothing"
    entry = chance.choice(found)
    (before,) = struct.unpack("<I", entry.payload)
    after = chance.choice((before + 1, before - 1, before * 2, before // 2, before * 3, 0, 1, before + 32)) % (1 << 32)
    entry.payload = struct.pack("<I", after)
    return f"{entry.key!r} = {after} instead of {before}"


def _type(chance: random.Random, document: Document) -> str:
    entry = _choose(chance, document)
    entry.type = chance.choice((*SCALARS, STRING, ARRAY))
    if entry.type == STRING:
        entry.payload = string(chance.choice(TEXTS))
    elif entry.type == ARRAY:
        entry.payload = _any_array(chance)
    else:
        entry.payload = scalar(chance, entry.type)
    return f"{entry.key!r} of type {entry.type} = {entry.payload[:20]!r}"


def _any_array(chance: random.Random) -> bytes:
    type_, length = chance.choice((*SCALARS, STRING, ARRAY)), chance.choice((0, 1, 2, 4, 5, 64, 513, 3000))
    if type_ == ARRAY:
        return struct.pack("<IQ", ARRAY, length) + struct.pack("<IQI", 4, 1, 7) * length
    if type_ == STRING:
        return string_array([chance.choice(TEXTS[:-1]) for _ in range(length)])
    return struct.pack("<IQ", type_, length) + b"".join(scalar(chance, type_) for _ in range(length))


def _array(chance: random.Random, document: Document) -> str:
    """An array that is shorter, longer, of other items, or of another type."""
    found = [entry for entry in document.entries if entry.is_array]
    if not found:
        return "nothing"
    entry = chance.choice(found)
    (type_, length) = struct.unpack_from("<IQ", entry.payload)
    if type_ == STRING:
        texts = strings(entry.payload)
        _change_texts(chance, texts)
        entry.payload = string_array(texts)
        return f"texts of {entry.key!r}"
    if type_ not in SCALARS:
        entry.payload = _any_array(chance)
        return f"{entry.key!r} = another array"
    size = struct.calcsize(SCALARS[type_])
    items = [entry.payload[start : start + size] for start in range(12, 12 + length * size, size)]
    kind = chance.randrange(5)
    if kind == 0:
        items = items[: chance.choice((0, 1, len(items) // 2, len(items) - 1))]
    elif kind == 1:
        items += [scalar(chance, type_)] * chance.choice((1, 2, 100, 5000))
    elif kind == 2:
        for _ in range(chance.choice((1, 3, 30))):
            if items:
                items[chance.randrange(len(items))] = scalar(chance, type_)
    elif kind == 3:
        items = [scalar(chance, type_)] * len(items)
    else:
        entry.payload = _any_array(chance)
        return f"{entry.key!r} = another array"
    entry.payload = struct.pack("<IQ", type_, len(items)) + b"".join(items)
    return f"{entry.key!r}: items, {kind}"


def _change_texts(chance: random.Random, texts: list[bytes]) -> None:
    kind = chance.randrange(6)
    if kind == 0:
        del texts[chance.choice((0, 1, len(texts) // 2, max(len(texts) - 1, 0))) :]
    elif kind == 1:
        texts += [chance.choice(TEXTS)] * chance.choice((1, 2, 100))
    elif kind == 2:
        texts[:] = [chance.choice(TEXTS)] * len(texts)
    else:
        for _ in range(chance.choice((1, 3, 30))):
            if texts:
                place = chance.randrange(len(texts))
                texts[place] = chance.choice(
                    (*TEXTS, *texts[:9], texts[place][:1], texts[place] + b" x", b"<0x", b"<0xZZ>")
                )


def _absent(chance: random.Random, document: Document) -> str:
    entry = _choose(chance, document)
    document.entries.remove(entry)
    return f"no {entry.key!r}"


def _doubled(chance: random.Random, document: Document) -> str:
    entry = _choose(chance, document)
    document.entries.append(copy.deepcopy(entry))
    return f"two {entry.key!r}"


def _added(chance: random.Random, document: Document) -> str:
    """A value that the file had not, but llama.cpp reads."""
    architecture = document.find(b"general.architecture")
    prefix = architecture.payload[8:] if architecture else b"llama"
    key, types = chance.choice(KEYS)
    key = key.replace(b"%", prefix)
    type_ = chance.choice(types)
    payload = {STRING: lambda: string(chance.choice(TEXTS)), ARRAY: lambda: _any_array(chance)}.get(
        type_, lambda: scalar(chance, type_)
    )()
    document.put(key, type_, payload)
    return f"{key!r} of type {type_} = {payload[:20]!r}"


def _tensor(chance: random.Random, document: Document) -> str:
    if not document.tensors:
        return "nothing"
    tensor = chance.choice(document.tensors)
    before = f"{tensor}"
    kind = chance.randrange(10)
    if kind == 0:
        document.tensors.remove(tensor)
        return f"no {tensor.name!r}"
    if kind == 1:
        document.tensors.append(copy.deepcopy(tensor))
        return f"two {tensor.name!r}"
    if kind == 2:
        name = chance.choice(
            (b"", b"x", b"blk.0.x", b"output.weight", b"rope_freqs.weight", tensor.name + b"x", b"y" * 100)
        )
        document.tensors.append(TensorEntry(name, list(tensor.shape), tensor.type, tensor.start_bytes))
    elif kind == 3:
        tensor.name = chance.choice(
            (b"", b"x" * 63, b"x" * 64, chance.choice(document.tensors).name, b"\xff", b"output.weight")
        )
    elif kind == 4:
        tensor.shape = [chance.choice((*INTEGERS[:-5], *tensor.shape)) for _ in range(chance.randrange(6))]
    elif kind == 5:
        place = chance.randrange(len(tensor.shape)) if tensor.shape else 0
        tensor.shape[place : place + 1] = [chance.choice((0, 1, 3, 32, 63, 65, 128, 512))]
    elif kind == 6:
        tensor.shape = list(reversed(tensor.shape)) if chance.random() < 0.5 else [*tensor.shape, chance.choice((1, 2))]
    elif kind == 7:
        tensor.type = chance.choice(TYPES)
    elif kind == 8:
        tensor.start_bytes = chance.choice(OFFSETS)
    else:
        tensor.start_bytes = (tensor.start_bytes + chance.choice((-32, -1, 1, 4, 16, 32, 64))) % (1 << 64)
    return f"{before} -> {tensor}"


def _weights(chance: random.Random, document: Document) -> str:
    """Weights that are no numbers."""
    if not document.data:
        return "nothing"
    start = chance.randrange(len(document.data))
    size = chance.choice((2, 64, 4096, len(document.data)))
    data = bytearray(document.data)
    end = min(start + size, len(data))
    data[start:end] = chance.choice((b"\xff", b"\0", b"\x7f", b"\x80"))[:1] * (end - start)
    document.data = bytes(data)
    return f"weights {start}..{end}"


def _frame(chance: random.Random, document: Document) -> str:
    kind = chance.randrange(5)
    if kind == 0:
        document.version = chance.choice((0, 1, 2, 4, 2**31, 3 << 24))
    elif kind == 1:
        document.magic = chance.choice((b"GGML", b"gguf", b"FUGG", b"\0\0\0\0"))
    elif kind == 2:
        counts = [len(document.tensors), len(document.entries)]
        counts[chance.randrange(2)] = chance.choice(INTEGERS) % (1 << 64)
        document.claimed = counts[0], counts[1]
    elif kind == 3:
        document.entries.append(Entry(b"general.alignment", 4, struct.pack("<I", chance.choice(INTEGERS) % (1 << 32))))
    else:
        document.data = document.data[: chance.randrange(len(document.data) + 1)]
    return f"frame, {kind}"


def _architecture(chance: random.Random, document: Document) -> str:
    """Another architecture, with all keys renamed."""
    entry = document.find(b"general.architecture")
    if entry is None or entry.type != STRING:
        return "nothing"
    before, after = entry.payload[8:], chance.choice(ARCHITECTURES)
    for other in document.entries:
        if other.key.startswith(before + b"."):
            other.key = after + other.key[len(before) :]
    entry.payload = string(after)
    return f"architecture {after!r}"


MUTATIONS = {
    _value: 6,
    _small: 4,
    _type: 3,
    _array: 3,
    _absent: 2,
    _doubled: 0.3,
    _added: 5,
    _tensor: 5,
    _weights: 0.5,
    _frame: 1,
    _architecture: 1,
}
