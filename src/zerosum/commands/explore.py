"""Explore a trained generator: zerosum explore run=outputs/<run> walk frames=24"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from zerosum.commands.messages import command, errors_as_sentences
from zerosum.errors import UserError, did_you_mean
from zerosum.experiment.compose import CONF
from zerosum.experiment.schema import check_node
from zerosum.experiment.source import read_options
from zerosum.explorer.options import CHECKS
from zerosum.runs.asked import check_exists, check_places, check_weights_asked

CONFIG_NAME = "explore"
VERBS = {
    "walk": "walk.Walk",
    "arithmetic": "arithmetic.Arithmetic",
    "invert": "invert.Invert",
    "inpaint": "inpaint.Inpaint",
    "neighbours": "neighbours.Neighbours",
    "traverse": "traverse.Traverse",
    "truncate": "truncate.Truncate",
    "page": "page.ExplorerPage",
    "serve": "serve.Serve",
}
"""Classes of zerosum.explorer; their options stand in conf/explore.yaml"""
SHARED = ("run", "verb", "checkpoint", "weights", "ema", "root", "output", "trusted")
"""Options of every verb"""


@command
def main() -> None:
    """Read `walk frames=24` as verb=walk walk.frames=24."""
    sys.argv[1:] = name_options(sys.argv[1:])
    explore_as_asked()


def name_options(words: Sequence[str]) -> list[str]:
    """The words with the verb's name before its options, and lists in brackets, as Hydra reads them."""
    plain = [word for word in words if "=" not in word and not word.startswith("-")]
    verbs = [word for word in plain if word in VERBS]
    if len(plain) != 1 or len(verbs) != 1:
        wrong = next((word for word in plain if word not in VERBS), "")
        if plain:
            raise UserError(f"{' '.join(plain)}: name one of {', '.join(VERBS)}.{did_you_mean(wrong, VERBS)}")
        return list(words)
    (verb,) = verbs
    return [f"verb={verb}" if word == verb else name_option(word, verb) for word in words]


def name_option(word: str, verb: str) -> str:
    """One option of a verb."""
    key, is_option, value = word.partition("=")
    if not is_option or word.startswith("-") or key.partition(".")[0] in ("hydra", *VERBS):
        return word
    if ("," in value or key == "values") and not value.startswith(("[", "'", '"')):
        value = f"[{value}]"
    if key == "expression" and not value.startswith(("'", '"')):
        value = f"'{value}'"
    return f"{key}={value}" if key in SHARED else f"{verb}.{key}={value}"


@hydra.main(version_base="1.3", config_path=str(CONF), config_name=CONFIG_NAME)
def explore_as_asked(config: DictConfig) -> None:
    """Run the verb and print what it found."""
    with errors_as_sentences(CONFIG_NAME):
        if OmegaConf.is_missing(config, "verb"):
            raise UserError(f"name what to do: one of {', '.join(VERBS)}, as in explore.py run={config.run} walk")
        options = OmegaConf.to_container(config[config.verb])
        weights = config.checkpoint, config.weights, config.ema
        print(explore(Path(config.run), config.verb, options, *weights, config.root, config.output, config.trusted))  # type: ignore[arg-type]


def explore(
    run: Path,
    verb: str,
    options: Mapping[str, Any],
    checkpoint: str = "best",
    weights: str = "ema",
    ema: float | None = None,
    root: str | None = None,
    output: str | None = None,
    trusted: str | Sequence[str] = (),
) -> str:
    """Build a verb from its options, let it explore the model of a run, and return what it found as text."""
    check_exists(run)
    check_weights_asked(checkpoint, weights, ema)
    check_places(root=root, output=output, trusted=trusted)
    node = {**options, "_target_": f"zerosum.explorer.{VERBS[verb]}"}
    checked = check_node(dict(node), verb, read_options)
    CHECKS[verb](**{name: value for name, value in checked.items() if name != "_target_"})
    from zerosum.experiment.build import make
    from zerosum.explorer.subject import Subject
    from zerosum.runs.trained import load
    from zerosum.training.process import silence_libraries

    silence_libraries()
    act = make(check_node(node, verb))
    model = load(run, checkpoint, weights, trusted, ema)
    beside = run if run.is_dir() else run.parent
    subject = Subject(model, run, Path(output) if output else beside / "explorer", root, tuple(trusted))
    found = act(subject)
    if not found.files:
        return "\n".join(found.lines)
    found.save(subject.folder, verb)
    return "\n".join([*found.lines, f"written to {', '.join(map(str, found.files))}"])


if __name__ == "__main__":
    main()
