"""The theory lab: short games with stated tolerances, its pages, its presets and its verb."""

import importlib
import math
import os
import subprocess
import sys

import pytest
import torch
from conftest import ROOT, verb
from omegaconf import OmegaConf
from PIL import Image
from torch.distributions import Normal

from zerosum.commands import theory
from zerosum.commands.theory import SUBJECTS, build_trial, check, examine
from zerosum.data.mixtures import Mixture1D, Ring
from zerosum.errors import UserError
from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.gan.losses import NonSaturating
from zerosum.gan.regularizers import R1
from zerosum.models.mlp import Discriminator
from zerosum.models.networks import Scores
from zerosum.report import palette
from zerosum.theory.density_ratio import fit_discriminator, optimal_discriminator
from zerosum.theory.dirac_game import Game, trajectory
from zerosum.theory.fixed_players import train_generator
from zerosum.theory.index import save_index
from zerosum.theory.modes import favourite_mode, found_modes
from zerosum.theory.options import OPTIONS, taken_by
from zerosum.theory.page import Page, Picture, Row, file_name, format_number, save_page
from zerosum.theory.pictures import COLOURS
from zerosum.theory.trial import play

PRESETS = ROOT / "conf" / "experiment" / "theory"


def test_d_becomes_the_density_ratio():
    """Mean |D - D*| < 0.03 after 500 steps, p_G = N(0, 1) against two modes."""
    torch.manual_seed(0)
    data, random = Mixture1D(), torch.Generator().manual_seed(0)
    real, fake = data.sample(50_000, random)[0], torch.randn(50_000, 1, generator=random)
    discriminator = fit_discriminator(Discriminator((1,), 32, 2), NonSaturating(), real, fake, 500, 512, 5e-3)
    both = torch.cat([real, fake])[::25]
    density = Normal(0.0, 1.0).log_prob(both[:, 0]).exp()
    best = optimal_discriminator(data.log_prob(both).exp(), density)
    with torch.no_grad():
        error = (discriminator(both).logits.sigmoid() - best).abs().mean()
    assert float(error) < 0.03
    assert float((best - 0.5).abs().mean()) > 0.1  # a D that knows nothing would fail


def test_g_against_a_frozen_d_becomes_the_point_that_d_likes_best():
    torch.manual_seed(0)
    best = torch.tensor([0.7, -0.3])

    def discriminator(points):
        return Scores(-(points - best).square().sum(1))

    generator = build_trial("fixed_players", ["model.width=16", "model.depth=1"]).module.generator
    seen = train_generator(generator, discriminator, NonSaturating(), 500, 128, lr=1e-2)
    last = seen[-1].fakes
    assert float((last.mean(0) - best).norm()) < 0.02
    assert float(last.std(0).max()) < 0.05 < float(seen[0].fakes.std(0).max())


def test_a_run_of_the_dirac_gan_follows_the_equations():
    trial = build_trial("dirac_gan", ["run.images=60"])
    seen = play(trial, 30, lambda gan: (float(gan.discriminator.psi), float(gan.generator.theta)))
    path = trajectory(Game(NonSaturating(), [R1(0.5)], 0.1, alternating=True), len(seen) - 1)
    assert len(seen) == 31
    torch.testing.assert_close(torch.tensor(seen).double(), path, atol=1e-5, rtol=0)


def test_further_steps_of_g_meet_the_same_d_with_new_noise():
    """After one step D is the same whatever G's steps, and G has moved three times with Adam."""
    plain, more = (build_trial("mode_collapse", [f"game.generator_steps={n}", "run.images=128"]) for n in (1, 3))
    before = [weight.clone() for weight in plain.module.generator.parameters()]
    for trial in (plain, more):
        play(trial, 1, lambda gan: None)
    for one, other in zip(plain.module.discriminator.parameters(), more.module.discriminator.parameters(), strict=True):
        assert torch.equal(one, other)
    counts = [trial.module.optimizers()[1].state_dict()["state"][0]["step"] for trial in (plain, more)]
    assert counts == [1, 3]
    moved = [
        max(
            float((new - old).abs().max()) for new, old in zip(trial.module.generator.parameters(), before, strict=True)
        )
        for trial in (plain, more)
    ]
    assert moved[1] > 2 * moved[0] > 0
    first = [more.module.noise(0, 4), more.module.noise(0, 4, "further", 1)]
    assert not torch.equal(*first)


def test_the_palette_is_that_of_every_chart():
    assert COLOURS == palette.COLOURS


def test_subjects_have_a_preset_and_a_file_each():
    assert {path.stem for path in PRESETS.glob("*.yaml")} == set(SUBJECTS)
    for name in SUBJECTS:
        assert (ROOT / "src" / "zerosum" / "theory" / f"{name}.py").exists()


@pytest.mark.parametrize("name", SUBJECTS)
def test_every_preset_builds_as_a_run_and_says_the_command_that_runs_it(composed, name):
    assert f"experiment=theory/{name}" in (PRESETS / f"{name}.yaml").read_text()
    assert build(validate(composed(f"experiment=theory/{name}", "trainer=cpu"))).run.images > 0


def test_docs_have_a_page_of_each_subject_with_small_pictures():
    folder = ROOT / "docs" / "theory"
    index = (folder / "index.md").read_text()
    for name in SUBJECTS:
        assert f"]({name}.md)" in index
        page = (folder / f"{name}.md").read_text()
        assert "| quantity | measured | analytic |" in page and f"    python theory.py {name}\n" in page
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert max(size for name, size in sizes.items() if name.endswith(".png")) < 200_000
    assert max(sizes.values()) < 600_000


QUICK = {
    "density_ratio": ["run.images=1024", "model.width=8"],
    "game_value": ["run.images=1024", "model.width=8", "game.critic_steps=1", "training.batch_size=16"],
    "vanishing_gradients": ["run.images=10_240", "model.width=8"],
    "divergences": ["run.images=640", "training.batch_size=32"],
    "mode_collapse": ["run.images=832", "model.width=8", "training.batch_size=32"],
    "latent_dimension": ["run.images=10_240", "model.width=8"],
    "label_smoothing": ["run.images=2048", "model.width=8"],
    "discriminator_steps": ["run.images=2560", "model.width=8", "training.batch_size=32"],
    "batch_norm": ["run.images=64", "model.base_channels=8"],
    "dirac_gan": ["run.images=20"],
    "fixed_players": ["run.images=12_800", "model.width=8"],
}


HOLDS: dict[str, dict[str, tuple[float, float]]] = {
    "batch_norm": {
        "batch, as in training": (0.005, 1),
        "reference, as in training": (0, 1e-9),
        "virtual, as in training": (0, 1e-9),
        "batch, running statistics": (0, 1e-9),
        "norm layers": (0, 0),
    },
    "divergences": {
        "KL(data, model): standard deviation": (1.580, 1.582),
        "KL(model, data): abs(mean)": (1.48, 1.51),
        "greatest difference of their weights": (0, 1e-5),
    },
    "discriminator_steps": {"k = 1: steps of G": (80, 80), "k = 20: steps of G": (4, 4), "k = 1: V(G, D)": (-1.5, 0)},
    "latent_dimension": {"dim z = 1: box-counting dimension": (0.5, 1.1)},
    "mode_collapse": {"max and min exchanged, nothing (": (0, 1)},
}
"""What holds already at the budgets of QUICK: rows whose name begins so lie between these"""


@pytest.mark.slow
@pytest.mark.parametrize("name", SUBJECTS)
def test_every_subject_measures_and_draws(name, tmp_path, monkeypatch):
    monkeypatch.setattr("zerosum.theory.dirac_pictures.STEPS", 50)
    monkeypatch.setattr("zerosum.theory.dirac_gan.LONG", 60)
    monkeypatch.setattr("zerosum.theory.latent_dimension.SAMPLES", 32_000)
    monkeypatch.setattr("zerosum.theory.batch_norm.SIZES", (4, 32))
    page = examine(name, QUICK[name])
    assert page.rows and all(isinstance(row.measured, int | float) for row in page.rows)
    for beginning, (low, high) in HOLDS.get(name, {}).items():
        found = [row.measured for row in page.rows if row.quantity.startswith(beginning)]
        assert found and all(low <= value <= high for value in found), beginning
    text = save_page(page, name, "python theory.py", tmp_path).read_text()
    assert text.count("\n| ") >= len(page.rows)
    for picture in page.pictures:
        assert (tmp_path / file_name(picture)).stat().st_size > 2000


def test_the_value_of_the_game_is_measured_while_it_is_played():
    """V(G, D*) two ways to 1e-3, at three moments of a short game; V(G, D) is never above."""
    from zerosum.theory.game_value import measure, value_of_divergence

    options = ["run.images=6400", "model.width=16", "game.critic_steps=1", "training.batch_size=64"]
    trial = build_trial("game_value", options)
    for moment in play(trial, 2, lambda gan: measure(trial, gan, count=8000)):
        assert moment.optimal == pytest.approx(value_of_divergence(moment.divergence), abs=1e-3)
        assert moment.value < moment.optimal


def test_a_page_has_its_numbers_pictures_and_command(tmp_path):
    frames = [Image.new("RGB", (40, 30), (value, 0, 0)) for value in (0, 99, 200)]
    page = Page("A title", "$x$", "Look.", [Row("one", 0.12347, 0.0), Row("two", 3.0)], [])
    page = page._replace(pictures=[Picture("still", "A still.", frames[:1]), Picture("film", "A film.", frames)])
    text = save_page(page, "subject", "python theory.py subject", tmp_path).read_text()
    assert "| one | 0.1235 | 0 |" in text and "| two | 3 |  |" in text
    assert "](still.png)" in text and "](film.gif)" in text and "    python theory.py subject\n" in text
    assert Image.open(tmp_path / "still.png").size == (40, 30) and Image.open(tmp_path / "film.gif").n_frames == 3
    save_index({"subject": "a meaning", "other": "has no page"}, tmp_path)
    index = (tmp_path / "index.md").read_text()
    assert "| [A meaning](subject.md) | one | 0.1235 | 0 |" in index and "has no page" not in index


def test_what_stands_still_in_a_film_keeps_its_colours(tmp_path):
    """A hundred still colours beside ever more of another: a palette of each frame alone would change them."""
    frames = [Image.new("RGB", (200, 20), "white") for _ in range(24)]
    for moment, frame in enumerate(frames):
        for index in range(100):
            frame.paste((2 * index, 90, 255 - 2 * index), (index, 0, index + 1, 20))
            if index < 4 * moment:
                frame.paste((255, 2 * index, 0), (100 + index, 0, 101 + index, 20))
    page = Page("A title", "$x$", "Look.", [], [Picture("film", "A film.", frames)])
    save_page(page, "subject", "command", tmp_path)
    film, still = Image.open(tmp_path / "film.gif"), set()
    for index in range(film.n_frames):
        film.seek(index)
        still.add(film.convert("RGB").crop((0, 0, 100, 20)).tobytes())
    assert film.n_frames == 24 and len(still) == 1


def test_points_spread_over_a_disc_find_no_mode_and_those_of_the_data_all():
    ring, random = Ring(sigma=0.1), torch.Generator().manual_seed(0)
    angle, radius = 2 * math.pi * torch.rand(2000, generator=random), 2.3 * torch.rand(2000, generator=random).sqrt()
    disc = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
    assert found_modes(ring, disc) == 0
    assert found_modes(ring, ring.sample(2000, random)[0]) == 8
    assert favourite_mode(ring, ring.means[3] + torch.zeros(5, 2)) == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (8, "8"), (-1.38629, "-1.386"), (12345.678, "1.235e+04"), (0.00012, "1.2e-04"), (1.00031, "1.00031")],
)
def test_numbers_have_four_digits(value, text):
    assert format_number(value) == text


def test_the_verb_lists_its_subjects_without_importing_torch(monkeypatch):
    assert all(name in verb("theory.py") for name in SUBJECTS)
    code = "import sys\nfrom zerosum.commands.theory import run\ntry:\n    run(['density_ratio', 'run.images=0'])\n"
    code += (
        "except ValueError as error:\n    print(error, sorted({'torch', 'lightning', 'matplotlib'} & set(sys.modules)))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout == "run.images=0: the budget is a number of images, at least 1 []\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["density_ration"], "density_ration: there is no such subject"),
        (["density_ratio", "model.widht=3"], "Did you mean model.width"),
        (["density_ratio", "run.images=many"], "run.images"),
        (["density_ratio", "seed"], "seed: write an option as key=value, such as run.images=100_000"),
        (["discriminator_steps", "game.critic_steps=3"], "game.critic_steps: theory.py discriminator_steps takes only"),
        (["label_smoothing", "loss.smooth=0.4"], "train.py experiment=theory/label_smoothing takes every option"),
        (["density_ratio", "dataset=digits"], "dataset: theory.py density_ratio takes only"),
        (["batch_norm", "++model.norm=batch"], "model.norm: theory.py batch_norm takes only"),
        (["vanishing_gradients", "run.images=5000"], "needs 10,240 or more, 40 batches of training.batch_size=256"),
        (["dirac_gan", "--folder", "/proc/x"], "--folder /proc/x: .*: choose a folder that can be written to"),
        (["dirac_gan", "--folder", __file__], "--folder .*test_theory.py: File exists: choose a folder"),
    ],
)
def test_mistakes_are_sentences(words, message):
    with pytest.raises(UserError, match=message.replace(".", r"\.").replace(r"\.*", ".*").replace("++", "")):
        theory.run(words)


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_subject_takes_what_it_heeds_and_not_what_its_variants_set(name, composed):
    """Every name in the table is an option of the preset; divergences, whose rings have a budget, takes run.images."""
    config = composed(f"experiment=theory/{name}")
    assert all(OmegaConf.select(config, option) is not None for option in taken_by(name))
    variants = importlib.import_module(f"zerosum.theory.{name}").VARIANTS
    set_by_variants = {word.partition("=")[0] for words in variants.values() for word in words.split()}
    assert set_by_variants.isdisjoint(OPTIONS[name].options)
    for option in (*set_by_variants - {"run.images"}, "loss", "regularizer", "optimizer", "model", "callbacks"):
        with pytest.raises(UserError, match=f"{option}: theory.py {name} takes only .*run.images"):
            check(name, [f"{option}=1"])
    check(name, QUICK[name])


def test_an_interrupt_names_the_pages_that_were_written_and_the_index_has_them(tmp_path, monkeypatch):
    def write(name, options, folder):
        if name == "game_value":
            raise KeyboardInterrupt
        return save_page(Page("A title", "$x$", "Look.", [Row("one", 1.0)], []), name, "command", folder).stem

    monkeypatch.setattr(theory, "write", write)
    with pytest.raises(KeyboardInterrupt, match=r"Interrupted; in .*: density_ratio\."):
        theory.run(["all", "--folder", str(tmp_path)])
    assert "](density_ratio.md)" in (tmp_path / "index.md").read_text()


def test_options_of_every_subject_are_checked_before_any_is_measured():
    with pytest.raises(UserError, match=r"game\.critic_steps=0"):
        check("game_value", ["game.critic_steps=0"])
