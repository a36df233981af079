"""A module as a message: what it is made of in one piece, its tensors apart, so that they can go the fast way."""

import io
import pickle
from typing import Any

import torch
from sentence_transformers.base.model_card import BaseModelCardData
from torch import Tensor, nn

_TENSOR = "tensor"
_NOTHING = "nothing"


class _Packer(pickle.Pickler):
    """Leaves tensors out, each once; and the model card, which knows the Trainer and through it the texts."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.tensors: list[Tensor] = []
        self._numbers: dict[int, int] = {}

    def persistent_id(self, value: object) -> tuple[Any, ...] | None:
        if isinstance(value, BaseModelCardData):
            return (_NOTHING,)
        if not isinstance(value, Tensor):
            return None
        number = self._numbers.setdefault(id(value), len(self.tensors))
        if number == len(self.tensors):
            self.tensors.append(value)
        kind = isinstance(value, nn.Parameter), value.requires_grad
        return (_TENSOR, number, tuple(value.shape), value.dtype, *kind)


class _Unpacker(pickle.Unpickler):
    """Puts empty tensors in the places of those that were left out."""

    def __init__(self, file: io.BytesIO, device: torch.device) -> None:
        super().__init__(file)
        self.tensors: dict[int, Tensor] = {}
        self._device = device

    def persistent_load(self, name: Any) -> Tensor | None:
        if name[0] == _NOTHING:
            return None
        _, number, shape, dtype, is_parameter, requires_grad = name
        if number not in self.tensors:
            empty = torch.empty(shape, dtype=dtype, device=self._device)
            self.tensors[number] = nn.Parameter(empty, requires_grad=requires_grad) if is_parameter else empty
        return self.tensors[number]


def pack(module: nn.Module) -> tuple[bytes, list[Tensor]]:
    """Return a module without its tensors, and these, in the order in which `unpack` returns their places."""
    file = io.BytesIO()
    packer = _Packer(file)
    packer.dump(module)
    return file.getvalue(), packer.tensors


def unpack(packed: bytes, device: torch.device) -> tuple[Any, list[Tensor]]:
    """Return the module on a device, and its tensors, which are empty: the caller fills them."""
    unpacker = _Unpacker(io.BytesIO(packed), device)
    module = unpacker.load()
    return module, [unpacker.tensors[number] for number in sorted(unpacker.tensors)]
