"""Every family of conf/model goes through training, resume, several processes, sampling, and refuses what it cannot."""

import pytest
import torch
from conftest import ROOT, run_two_processes

from zerosum.commands.sample import Asked, sample
from zerosum.errors import UserError
from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.experiment.train import train
from zerosum.runs.load import load
from zerosum.runs.resume import resume

DIGITS = ("dataset=binarized_digits", "protocol.n_fake=70", "callbacks.samples.count=4", "features.steps=20")
PIXELS = (*DIGITS, "metrics=likelihood")
SOUND = ("dataset=tones", "dataset.length=64", "protocol.n_fake=4", "callbacks.samples.count=4")
CODES = (*DIGITS, "metrics=reconstruction", "model.base_channels=8", "model.latent_dim=4")
GRAY = ("wavenet", "autoencoder", "autoencoder_gan")
"""Their samples are not black and white"""
RBM = ("model=rbm", "model.hidden=12", "model.sampling_steps=10", "model.ais_temperatures=9")
SMALL = {
    "made": [*PIXELS, "model=made", "model.width=16", "model.orders=3", "model.dropout=0.1"],
    "nade": [*PIXELS, "model=nade", "model.width=16"],
    "pixelcnn": [*PIXELS, "model=pixelcnn", "model.width=4", "model.depth=2"],
    "pixelrnn": [*PIXELS, "model=pixelrnn", "model.width=4", "model.depth=1"],
    "wavenet": [*SOUND, "model=wavenet", "model.width=8", "model.depth=3"],
    "rbm": [*PIXELS, *RBM],
    "rbm_persistent": [*PIXELS, *RBM, "model.chains=8"],
    "vae": [*PIXELS, "model=vae", "model.width=16", "model.depth=1", "model.latent_dim=4", "training.accumulate=2"],
    "autoencoder": [*CODES, "model=autoencoder"],
    "autoencoder_gan": [*CODES, "model=autoencoder_gan", "optimizer=adam", "model.start=32"],
    "flow": [*PIXELS, "model=flow", "model.width=4", "model.couplings=2", "model.glow=true"],
    "gaussian_mixture": [*PIXELS, "model=gaussian_mixture", "model.components=2", "training.accumulate=2"],
}
BUDGET = ("trainer=cpu", "training.batch_size=16", "callbacks.samples.frames=1", "~callbacks.progress")
SILENT = [f"~callbacks.{name}" for name in ("evaluate", "samples", "curves", "checkpoint", "interrupt", "doctor")]
SILENT += ["~callbacks.logits", "~callbacks.weights", "~callbacks.report", "~callbacks.banner", "~logger.csv"]
EPS = {name: ["+optimizer.eps=1e-3"] for name in SMALL} | {
    "autoencoder_gan": ["+optimizer.discriminator.eps=1e-3", "+optimizer.generator.eps=1e-3"],
    "gaussian_mixture": [],
}
"""With Adam's 1e-8 the rounding of a gradient that is 0 decides the direction of a whole step"""
AS_ONE = {name: options for name, options in SMALL.items() if name != "made"} | {
    "made": [*SMALL["made"], "model.dropout=0", "training.accumulate=2"]
}
"""Trained alike by one process and by two; dropout is drawn by each process"""


def floats(module):
    """All weights and buffers in one vector."""
    found = [value.flatten().double() for value in module.state_dict().values() if value.is_floating_point()]
    return torch.cat(found)


def test_every_family_is_here():
    configs = (ROOT / "conf" / "model").glob("*.yaml")
    families = {path.stem for path in configs if "_target_: zerosum.families." in path.read_text()}
    assert families == {name for name in SMALL if not name.startswith("rbm_")}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_run_resumes_bit_for_bit_and_is_sampled(composed, tmp_path, name):
    def run(folder, images):
        return composed(*SMALL[name], *BUDGET, f"run.images={images}", f"run.folder={tmp_path / folder}")

    train(run("straight", 96))
    train(run("resumed", 48))
    resume(tmp_path / "resumed", ["run.images=96"])
    one, other = (torch.load(tmp_path / folder / "last.ckpt", weights_only=True) for folder in ("straight", "resumed"))
    assert one["images_seen"] == other["images_seen"] == 96
    for key, value in one["state_dict"].items():
        assert torch.equal(value, other["state_dict"][key]), key
    model = load(tmp_path / "straight")
    samples = model.sample(range(5))
    if name == "wavenet":
        sample(tmp_path / "straight", "last", Asked(2, 7), None)
        written = (tmp_path / "straight" / "generated").glob("*.wav")
        assert sorted(path.name for path in written) == ["000007.wav", "000008.wav"]
    torch.testing.assert_close(model.sample([3])[0], samples[3], rtol=0, atol=1e-6 if name in GRAY else 0)
    assert samples.abs().max() <= 1 and (name in GRAY or samples.unique().tolist() == [-1, 1])


@pytest.mark.slow
def test_two_processes_train_as_one(composed, tmp_path):
    run_two_processes("families_in_two_processes.py", tmp_path)
    for name, options in AS_ONE.items():
        built = build(validate(composed(*options, *BUDGET, *SILENT, *EPS[name], "run.images=64")))
        built.trainer.fit(built.module, datamodule=built.data)
        together = torch.load(tmp_path / f"{name}.pt", weights_only=True)
        torch.testing.assert_close(
            together, floats(built.module), rtol=0, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["dataset=ring", "model=pixelcnn"], "this dataset has points"),
        (["dataset=ring", "model=made"], "this dataset has points"),
        (["dataset=digits", "model=nade"], "this dataset has pixels of 256 levels"),
        (["dataset=digits", "model=wavenet"], "WaveNet models sound, this dataset has images"),
        (["dataset=digits", "model=rbm"], "this dataset has pixels of 256 levels"),
        (["dataset=cifar10", "model=pixelrnn"], "models gray images, this dataset has 3 channels"),
        (["dataset=tones", "model=pixelcnn"], "models images, this dataset has"),
        (
            ["dataset=digits", "model=vae", "trainer.precision=bf16-true"],
            "VAE trains in 32-true, bf16-mixed or 16-mixed",
        ),
        (["dataset=ring", "model=vae"], "VAE models images, this dataset has points"),
        (["dataset=ring", "model=autoencoder"], "an autoencoder needs images, this dataset has points"),
        (["dataset=gaussian_1d", "model=flow"], "take data of two or more"),
        (["dataset=cifar10", "model=gaussian_mixture"], r"take model\.covariance=diagonal"),
        (
            ["model=vae", "dataset=digits", "model.decoder=bernoulli"],
            r"model\.decoder=bernoulli is for black and white",
        ),
        (
            ["dataset=digits", "model=autoencoder_gan", "optimizer=adam_single"],
            "needs one for each player: take optimizer=adam",
        ),
        (["dataset=digits", "model=vae", "optimizer=adam"], "VAE has one: take optimizer=adam_single"),
        (
            ["dataset=ring", "model=learning_triangle", "optimizer=adam_single"],
            "one for each player: take optimizer=adam",
        ),
        (["dataset=ar2", "model=scored_forecaster", "optimizer=adam"], "ScoredForecaster has one: take"),
    ],
)
def test_data_that_a_family_does_not_model_are_refused_before_training(composed, options, sentence):
    with pytest.raises(UserError, match=sentence):
        build(validate(composed(*options)))
