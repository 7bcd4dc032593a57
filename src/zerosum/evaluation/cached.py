"""Results that are computed from a dataset once and kept beside it, with a note of what they were computed from."""

import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from zerosum.errors import UserError, one_line
from zerosum.files import save_whole

log = logging.getLogger("zerosum")

Content = dict[str, Any]


def load_or_compute(
    path: Path, made_of: dict[str, str], compute: Callable[[], Content], check: Callable[[Content], None]
) -> Content:
    """Load the file at `path`; compute and save its content if there is no such file or it is damaged.

    `made_of` is saved too, and a file made of anything else is refused. `check` raises a ValueError unless names,
    shapes and values are those that the caller needs.
    """
    content = load_undamaged(path, made_of, check)
    if content is None:
        content = {**compute(), "made_of": made_of}
        try:
            check(content)
        except ValueError as error:
            raise UserError(f"{path} is not written: {error}; check the images and the feature network") from error
        saved = content
        save_whole(path, lambda partial: torch.save(saved, partial))
    return content


def load_undamaged(path: Path, made_of: dict[str, str], check: Callable[[Content], None]) -> Content | None:
    """The file's content; None, with a line in the log, if it is missing or damaged."""
    if not path.exists():
        return None
    if not path.is_file():
        raise UserError(f"{path} is a pipe, a device or a folder: delete it, and it is made anew as a file")
    try:
        refuse_damage(path)
        content = torch.load(path, weights_only=True, map_location="cpu")
        found = content["made_of"]
        if found == made_of:
            check(content)
    except Exception as error:  # torch.load raises anything at a damaged file
        log.warning("%s is damaged (%s) and is made anew.", path, one_line(error))
        return None
    if found != made_of:
        raise UserError(f"{path} was made of other data ({found}, not {made_of}): delete it")
    return content


def refuse_damage(path: Path) -> None:
    """Raise at a wrong checksum in a file of torch.save, which torch.load ignores, or at a compressed record."""
    with zipfile.ZipFile(path) as archive:
        records = archive.infolist()
        packed = any(record.compress_type != zipfile.ZIP_STORED for record in records)
        if packed or sum(record.file_size for record in records) > path.stat().st_size:
            raise ValueError("it is compressed, which torch.save never does")
        if len({record.filename for record in records}) < len(records):
            raise ValueError("it has a record twice")
        if broken := archive.testzip():
            raise ValueError(f"the checksum of {broken} is wrong")


def check_tensor(name: str, value: Any, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> None:
    """ValueError unless `value` is a tensor of this shape and dtype with finite values."""
    if not isinstance(value, torch.Tensor) or value.shape != shape or value.dtype != dtype:
        raise ValueError(f"{name} is not {dtype} of shape {tuple(shape)}")
    if not value.isfinite().all():
        raise ValueError(f"{name} has NaN or infinite values")
