"""Damage to what a checkpoint holds, drawn by Hypothesis."""

import copy
import io
import math
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import torch
from damage import Draw, damaged_tree
from hypothesis import strategies as st
from torch import Tensor

TENSORS: dict[str, Callable[[Tensor], Any]] = {
    "transposed": lambda value: value.T if value.dim() == 2 and value.shape[0] != value.shape[1] else value[None],
    "longer": lambda value: torch.cat([value, value]),
    "scalar": lambda value: value.sum(),
    "empty": lambda value: value[:0],
    "expanded": lambda value: torch.zeros(1).expand(10**12),
    "half": lambda value: value.half(),
    "double": lambda value: value.double(),
    "whole numbers": lambda value: value.long(),
    "complex": lambda value: value.to(torch.complex64),
    "NaN": lambda value: torch.full_like(value, math.nan),
    "infinite": lambda value: torch.full_like(value, math.inf),
    "sparse": lambda value: value.to_sparse(),
    "meta": lambda value: value.to("meta"),
    "list": lambda value: value.tolist(),
    "number": lambda value: 1.0,
    "none": lambda value: None,
}


def damaged_weights(draw: Draw, stored: dict[str, Any]) -> dict[str, Any]:
    """One to three tensors of the state dict missing, under another name, or of another form, type or content."""
    stored = copy.deepcopy(stored)
    weights = stored["state_dict"]
    for name in draw(st.lists(st.sampled_from(sorted(weights)), min_size=1, max_size=3, unique=True)):
        how = draw(st.sampled_from(["missing", "renamed", *TENSORS]))
        value = weights.pop(name)
        if how == "renamed":
            weights[name + draw(st.sampled_from([".x", "_", "0"]))] = value
        elif how != "missing":
            weights[name] = TENSORS[how](value)
    return stored


def damaged_state(draw: Draw, stored: dict[str, Any]) -> dict[str, Any]:
    """Entries of a checkpoint other than the weights removed, renamed, replaced or moved."""
    rest = {key: value for key, value in stored.items() if key != "state_dict"}
    return {**damaged_tree(draw, rest), "state_dict": stored["state_dict"]}


def damaged_record(draw: Draw, content: bytes) -> bytes:
    """One byte of a weight changed, which means something whatever it is."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        records = [record for record in archive.infolist() if "/data/" in record.filename]
    record = draw(st.sampled_from(records))
    lengths = struct.unpack("<HH", content[record.header_offset + 26 : record.header_offset + 30])
    at = record.header_offset + 30 + sum(lengths) + draw(st.integers(0, record.file_size - 1))
    return content[:at] + bytes([content[at] ^ draw(st.integers(1, 255))]) + content[at + 1 :]
