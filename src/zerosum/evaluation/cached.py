"""What is computed from a dataset once and kept beside it, with what it was computed from."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from zerosum.errors import UserError
from zerosum.files import save_whole

log = logging.getLogger("zerosum")


def derived(path: Path, made_of: dict[str, str], compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The content of the file at `path`, computed and written where there is none or it is damaged.

    `made_of` is kept with it: a file that was made of something else is refused, whatever its name.
    """
    content = stored(path)
    if content is None:
        content = {**compute(), "made_of": made_of}
        save_whole(path, lambda partial: torch.save(content, partial))
    if content.get("made_of") != made_of:
        raise UserError(f"{path} was made of other data ({content.get('made_of')}, not {made_of}): delete it")
    return content


def stored(path: Path) -> dict[str, Any] | None:
    """What the file holds; None where it is not there or cannot be read."""
    if not path.exists():
        return None
    try:
        content = torch.load(path, weights_only=True)
    except Exception as error:  # torch.load raises whatever the damage makes it
        log.warning("%s is damaged (%s) and is made anew.", path, str(error).partition("\n")[0])
        return None
    return content if isinstance(content, dict) and "made_of" in content else None
