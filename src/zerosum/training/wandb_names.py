"""How a run is named, tagged and identified in Weights & Biases."""

import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zerosum.files import save_whole

NOISE = ("run", "callbacks", "logger", "trainer", "hydra", "resume", "resume_force", "trusted", "objective")
"""Keys that say where and how a run was made, not what it is"""
TAGGED = ("dataset", "model", "loss")
LONGEST_NAME = 120
"""Characters; W&B takes 128"""
LONGEST_TAG = 64
"""Characters that W&B takes"""
ID = re.compile(r"[a-z0-9]{8}")
"""An id of a W&B run"""


def name_of(params: Mapping[str, Any]) -> str | None:
    """The overrides of the command line as 'loss=hinge, seed=1'; run.name if there are none, or if it was typed."""
    typed = [str(override) for override in (params.get("command") or {}).get("overrides", [])]
    telling = [override for override in typed if is_telling(override)]
    name = ", ".join(override.lstrip("+") for override in telling)
    own = (params.get("run") or {}).get("name")
    is_chosen = any(override.startswith("run.name=") for override in typed)
    return own if is_chosen or not 0 < len(name) <= LONGEST_NAME else name


def is_telling(override: str) -> bool:
    """Whether an override says what the run is."""
    key = override.lstrip("+~").partition("=")[0]
    return key.split(".")[0] not in NOISE and key not in ("dataset.root", "dataset.download")


def tags_of(params: Mapping[str, Any]) -> list[str]:
    """The chosen dataset, model and loss."""
    choices = (params.get("command") or {}).get("choices", {})
    return [str(choices[group])[:LONGEST_TAG] for group in TAGGED if choices.get(group)]


def without_copies(config: dict[str, Any]) -> dict[str, Any]:
    """The config with `${group}` in place of copies of a whole group inside others, as the protocol's features are."""
    groups = {name: node for name, node in config.items() if isinstance(node, dict) and node}

    def replace(node: Any, inside: str) -> Any:
        if not isinstance(node, dict):
            return node
        same = [name for name, group in groups.items() if name != inside and group == node]
        return f"${{{same[0]}}}" if same else {key: replace(value, inside) for key, value in node.items()}

    return {
        name: {key: replace(value, name) for key, value in node.items()} if isinstance(node, dict) else node
        for name, node in config.items()
    }


def read_run_id(path: Path) -> str:
    """The id of this folder's W&B run, made up at the first start and where the file holds no such id.

    A link is not followed: the first line of another file would become the id, which is uploaded.
    """
    if path.is_file() and not path.is_symlink() and path.stat().st_size <= 16:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
        if ID.fullmatch(text):
            return text
    text = uuid.uuid4().hex[:8]
    save_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))
    return text
