"""Every shipped config composes, passes the pre-flight check and builds."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from zerosum.experiment.build import build
from zerosum.experiment.settings import validate

CONF = Path(__file__).parents[1] / "conf"
SPECTRAL = ["model.spectral_norm=true"]
ANNEALED = ["regularizer=r1", "callbacks.anneal.attribute=regularizers.r1.weight"]
FAMILY = [f"hydra.searchpath=[file://{CONF.parent}/tests/own_parts/conf]", "model=pixel_gaussian"]
FUTURES = ["dataset=ar2", "model=recurrent"]
PLAYED = ["dataset=cart_pole", "model=gail"]
ANSWERED = ["dataset=super_resolution", "model=image_to_image"]
NEEDS = {
    ("dataset", "image_folder"): ["dataset.path=somewhere"],
    ("dataset", "npz"): ["dataset.path=somewhere"],
    ("dataset", "hugging_face"): ["dataset.path=somewhere"],
    ("features", "patches"): ["metrics=sliced_wasserstein"],
    ("metrics", "sliced_wasserstein"): ["features=patches"],
    ("callbacks", "anneal"): ANNEALED,
    ("regularizer", "gradient_penalty"): SPECTRAL,
    ("regularizer", "dragan"): SPECTRAL,
    ("optimizer", "adam_single"): FAMILY,
    ("optimizer", "adam_single_fast"): FAMILY,
    ("labels", "own"): ["model=r3gan", "model.width=32"],
    ("model", "dirac"): ["dataset=gaussian_1d"],
    ("model", "gail"): ["dataset=cart_pole"],
    ("model", "behaviour_cloning"): ["dataset=acrobot"],
    ("model", "recurrent"): ["dataset=ar2"],
    ("model", "scored_forecaster"): ["dataset=ar2"],
    ("labels", "past"): ["model=recurrent", "dataset=ar2"],
    ("model", "image_to_image"): ["dataset=super_resolution"],
    ("labels", "image"): ["dataset=super_resolution", "model=image_to_image"],
    ("model", "made"): ["dataset=binarized_digits"],
    ("model", "nade"): ["dataset=binarized_digits"],
    ("model", "rbm"): ["dataset=binarized_digits"],
    ("model", "wavenet"): ["dataset=tones"],
    ("metrics", "tone_power"): ["dataset=tones"],
    ("protocol", "tones256"): ["dataset=tones"],
    ("protocol", "points10k"): ["dataset=ring"],
    ("protocol", "futures"): FUTURES,
    ("protocol", "episodes"): PLAYED,
    ("metrics", "mode_coverage"): ["dataset=ring"],
    ("metrics", "points_wasserstein"): ["dataset=ring"],
    ("metrics", "forecasts"): FUTURES,
    ("metrics", "series_scores"): FUTURES,
    ("metrics", "catch"): FUTURES,
    ("metrics", "episode_return"): PLAYED,
    ("generator_regularizer", "l1"): ANSWERED,
    ("generator_regularizer", "l2"): ANSWERED,
}


def options() -> list[tuple[str, str]]:
    groups = [folder for folder in CONF.iterdir() if folder.is_dir() and folder.name != "hydra"]
    return sorted((group.name, path.stem) for group in groups for path in group.glob("*.yaml"))


@pytest.mark.parametrize(("group", "option"), options())
def test_every_option_composes_and_builds(composed, group, option, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    prefix = [] if (group, option) != ("trainer", "gpu") else ["trainer.accelerator=cpu"]
    config = composed(f"{group}={option}", *NEEDS.get((group, option), []), *prefix)
    built = build(validate(config))
    assert built.run.images > 0


def test_several_loggers_compose_and_each_brings_the_csv_file_that_resume_reads(composed):
    loggers = sorted(path.stem for path in (CONF / "logger").glob("*.yaml"))
    together = composed(f"logger=[{','.join(loggers)}]").logger
    assert sorted(together) == loggers
    for name in loggers:
        alone = composed(f"logger={name}").logger
        assert alone.keys() == {"csv", name} and alone.csv == together.csv and alone[name] == together[name]


def test_every_option_says_what_it_is_or_is_one_class():
    for group, option in options():
        lines = (CONF / group / f"{option}.yaml").read_text().splitlines()
        assert any(line.startswith("#") for line in lines) or len(lines) <= 6, f"{group}/{option}"


@pytest.mark.parametrize(("group", "option"), [pair for pair in options() if pair[0] in ("experiment", "recipe")])
def test_every_preset_says_the_command_that_runs_it(group, option):
    assert f"python train.py {group}={option}" in (CONF / group / f"{option}.yaml").read_text()


def test_the_command_line_beats_a_preset_and_a_preset_beats_the_default(composed):
    assert composed("experiment=ring").training.batch_size == 512
    assert composed("experiment=ring", "training.batch_size=7").training.batch_size == 7
    assert composed("dataset=cifar10").features["_target_"].endswith("InceptionFeatures")
    assert composed("dataset=cifar10", "features=classifier").features["_target_"].endswith("ClassifierFeatures")


def test_no_config_but_run_and_hydra_knows_hydras_runtime():
    for path in CONF.rglob("*.yaml"):
        if path.parent.name in ("job_logging", "help") or path.name in ("sample.yaml", "evaluate.yaml"):
            continue
        config = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
        for key, value in (config or {}).items():
            assert key in ("run", "hydra") or "${hydra:" not in str(value), f"{path}: {key}"
