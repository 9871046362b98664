"""Nested plain data with tensors as one flat set of tensors, such as a safetensors file holds, and back; no pickle.

    flatten({"step": 3, "seen": (w,)})  ->  {"0": w, "note": JSON as bytes, "checksum": SHA-256 of all the rest}

Numbers, texts, tensors and lists, tuples, dicts and sets of them come back as they were, bit for bit: JSON has the
shortest text of every float that reads back as the same float.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

ATOMS = (type(None), bool, int, float, str)
ROWS = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


def leaves(value: Any) -> Iterator[Any]:
    """Everything in nested plain containers that is no such container."""
    if type(value) is dict:
        value = [*value.keys(), *value.values()]
    if type(value) in ROWS.values():
        for part in value:
            yield from leaves(part)
    else:
        yield value


def foreign(value: Any) -> str | None:
    """Name of the first type in it that is neither a container, an atom nor a dense tensor; None where all is plain."""
    for leaf in leaves(value):
        plain = type(leaf) is Tensor and leaf.layout == torch.strided and not leaf.is_quantized
        if not plain and type(leaf) not in ATOMS:
            return type(leaf).__name__
    return None


def flatten(value: Any) -> dict[str, Tensor]:
    """The value as tensors of this machine's memory, none of which shares memory with another one.

    Raises TypeError for what is not plain.
    """
    if (name := foreign(value)) is not None:
        raise TypeError(f"only numbers, texts, tensors and plain containers of them can be saved, got {name}")
    tensors: dict[str, Tensor] = {}
    note = json.dumps(_Flattening(tensors).node(value)).encode()
    tensors["note"] = torch.frombuffer(bytearray(note), dtype=torch.uint8)
    tensors["checksum"] = torch.frombuffer(bytearray(_digest(tensors)), dtype=torch.uint8)
    return tensors


def unflatten(tensors: Mapping[str, Tensor]) -> Any:
    """The value that `flatten` made them of. Raises ValueError for tensors that it has not made."""
    try:
        kept = dict(tensors)
        checksum = kept.pop("checksum").numpy().tobytes()
        if checksum != _digest(kept):
            raise ValueError("the checksum does not match the content")
        return _value(json.loads(kept["note"].numpy().tobytes()), kept, {})
    except (KeyError, TypeError, AttributeError, RuntimeError, RecursionError) as error:
        raise ValueError(f"not made by flatten ({type(error).__name__}: {error})") from error


class _Flattening:
    """Numbers tensors while a value is turned into JSON; one that occurs twice is kept once."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors
        self.known: dict[tuple[Any, ...], str] = {}
        self.storages: set[int] = set()

    def node(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return {"tensor": self.key(value), "device": str(value.device), "grad": value.requires_grad}
        if type(value) is dict:
            return {"dict": [[self.node(key), self.node(item)] for key, item in value.items()]}
        if type(value) in ATOMS:
            return value
        return {type(value).__name__: [self.node(item) for item in value]}

    def key(self, tensor: Tensor) -> str:
        place = (tensor.data_ptr(), tensor.device, tensor.dtype, tensor.shape, tensor.stride())
        if tensor.numel() and place in self.known:
            return self.known[place]
        dense = tensor.detach().cpu().contiguous()
        if dense.untyped_storage().data_ptr() in self.storages:
            dense = dense.clone()
        self.storages.add(dense.untyped_storage().data_ptr())
        key = self.known[place] = str(len(self.tensors))
        self.tensors[key] = dense
        return key


def _value(node: Any, tensors: Mapping[str, Tensor], made: dict[str, Tensor]) -> Any:
    if type(node) in ATOMS:
        return node
    if "tensor" in node:
        key = node["tensor"]
        if key not in made:
            made[key] = tensors[key].clone().to(node["device"]).requires_grad_(node["grad"])
        return made[key]
    ((name, items),) = node.items()
    if name == "dict":
        return {_value(key, tensors, made): _value(item, tensors, made) for key, item in items}
    return ROWS[name](_value(item, tensors, made) for item in items)


def _digest(tensors: Mapping[str, Tensor]) -> bytes:
    digest = hashlib.sha256()
    for key in sorted(tensors):
        tensor = tensors[key]
        digest.update(f"{key} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.digest()
