"""Cutting an ONNX model down to some of its inner results, without the `onnx` package.

A model is a protocol buffer (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto): fields of a
number, a wire type and a value. Those that are not touched are copied as they are.
"""

from collections.abc import Iterator, Sequence

_GRAPH = 7  # field of ModelProto
_NODE, _INITIALIZER, _OUTPUT = 1, 5, 12  # fields of GraphProto
_NODE_INPUT, _NODE_OUTPUT = 1, 2
_TENSOR_NAME = 8
_VALUE_NAME = 1
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # wire types


def keep_outputs(model: bytes, names: Sequence[str]) -> bytes:
    """The model with the named inner results as its outputs, and only the nodes these need.

    onnxruntime computes every node of a graph, needed or not. Raises ValueError for a name that no
    node gives.
    """
    parts = [
        _field(_GRAPH, _cut_graph(value, names)) if number == _GRAPH else raw
        for number, raw, value in _fields(model)
    ]
    return b"".join(parts)


def _cut_graph(graph: bytes, names: Sequence[str]) -> bytes:
    fields = list(_fields(graph))
    needed, nodes = set(names), set()
    for place in reversed(range(len(fields))):  # nodes come after those they need
        number, _, value = fields[place]
        if number != _NODE:
            continue
        inner = [(n, v.decode()) for n, _, v in _fields(value) if n in (_NODE_INPUT, _NODE_OUTPUT)]
        if needed & {name for n, name in inner if n == _NODE_OUTPUT}:
            nodes.add(place)
            needed -= {name for n, name in inner if n == _NODE_OUTPUT}
            needed |= {name for n, name in inner if n == _NODE_INPUT}
    if unknown := sorted(needed & set(names)):
        raise ValueError(f"the model has no result {unknown[0]!r}")

    def is_kept(place: int) -> bool:
        number, _, value = fields[place]
        if number == _NODE:
            return place in nodes
        if number == _INITIALIZER:
            return any(n == _TENSOR_NAME and v.decode() in needed for n, _, v in _fields(value))
        return number != _OUTPUT

    kept = [raw for place, (_, raw, _) in enumerate(fields) if is_kept(place)]
    return b"".join(kept + [_field(_OUTPUT, _field(_VALUE_NAME, n.encode())) for n in names])


def _fields(message: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, raw bytes and value of each field; the value is empty where it is no byte string."""
    place = 0
    while place < len(message):
        start, (key, place) = place, _varint(message, place)
        kind, value = key & 7, b""
        if kind == _VARINT:
            _, place = _varint(message, place)
        elif kind == _BYTES:
            length, place = _varint(message, place)
            value = message[place : place + length]
            place += length
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            place += 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"not a protocol buffer: wire type {kind}")
        yield key >> 3, message[start:place], value


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """An integer of seven bits a byte, the lowest first; and the place behind it."""
    result = shift = 0
    while True:
        byte, place = message[place], place + 1
        result |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return result, place


def _field(number: int, value: bytes) -> bytes:
    return _encode(number << 3 | _BYTES) + _encode(len(value)) + value


def _encode(value: int) -> bytes:
    result = bytearray()
    while value > 127:
        result.append(value & 127 | 128)
        value >>= 7
    return bytes([*result, value])
