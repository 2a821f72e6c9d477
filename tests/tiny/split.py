"""A GGUF file cut into several, as llama.cpp's `gguf-split` does it."""

from collections.abc import Sequence
from pathlib import Path

import gguf


def split_gguf(path: Path, count: int) -> Sequence[Path]:
    """Files beside the one at `path` with about as many of its tensors each; the first has all the metadata."""
    reader = gguf.GGUFReader(path)
    size = -(-len(reader.tensors) // count)
    paths = [path.with_name(f"{path.stem}-{number:05d}-of-{count:05d}.gguf") for number in range(1, count + 1)]
    for index, part in enumerate(paths):
        writer = gguf.GGUFWriter(part, "llama")
        if index == 0:
            for field in reader.fields.values():
                if not field.name.startswith("GGUF.") and field.name != "general.architecture":
                    kind = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
                    writer.add_key_value(field.name, field.contents(), field.types[0], kind)
        writer.add_uint16("split.no", index)
        writer.add_uint16("split.count", count)
        writer.add_int32("split.tensors.count", len(reader.tensors))
        for tensor in reader.tensors[index * size : (index + 1) * size]:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return paths
