"""The explorer: its arithmetic, directions and walks against closed forms, on generators whose answer is known."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import ROOT, verb
from PIL import Image
from test_trained import DCGAN, conditional, untrained  # noqa: F401 (a fixture)
from torch import nn

from zerosum.commands.explore import VERBS, explore, name_options
from zerosum.errors import UserError
from zerosum.explorer.arithmetic import Arithmetic, Pool, add_means, judge
from zerosum.explorer.attributes import ink, slant, width
from zerosum.explorer.directions import find_directions, first_nonlinear_layer, principal_components, run_layer
from zerosum.explorer.expression import Goal, check_goal, find_goal, parse
from zerosum.explorer.invert import Invert, pairwise_errors, psnr, read_image
from zerosum.explorer.options import CHECKS
from zerosum.explorer.options import MASKS as MASK_NAMES
from zerosum.explorer.page import mix, square
from zerosum.explorer.page_arithmetic import show_arithmetic
from zerosum.explorer.sprites import make_sheet
from zerosum.explorer.subject import Subject
from zerosum.explorer.traverse import Traverse, measure_effect
from zerosum.explorer.truncate import Truncate
from zerosum.explorer.walk import Walk, straight_around, walk_around
from zerosum.models.code_space import CodeSpace
from zerosum.runs.trained import TrainedModel
from zerosum.sampling import latents

DIGITS = tuple("0123456789")


class Linear(nn.Module):
    """x = tanh(A z), with the columns of A of different lengths; the layer is exposed."""

    def __init__(self, scales, shape=(1, 8, 8)):
        super().__init__()
        self.latent_dim, self.shape = len(scales), shape
        basis = torch.linalg.qr(torch.randn(math.prod(shape), len(scales), generator=torch.Generator().manual_seed(0)))
        self.layer = nn.Linear(len(scales), math.prod(shape), bias=False)
        self.layer.weight = nn.Parameter(basis.Q * torch.tensor(scales), requires_grad=False)
        self.tanh = nn.Tanh()

    def forward(self, z, condition=None):
        return self.tanh(self.layer(z)).unflatten(1, self.shape)


class Given:
    """A network as a model."""

    images_seen = 0

    def __init__(self, network):
        self.network, self.latent_dim = network, network.latent_dim

    def sample(self, seeds, condition=None):
        return self.decode(latents(seeds, self.latent_dim), condition)

    def decode(self, z, condition=None):
        return self.network(z, condition)


def given(network):
    return TrainedModel(Given(network), "given", network)


SCALES = [3.0, 2.0, 1.0, 0.5, 0.25]


# Attributes


def stripe(lean=0.0, half=1.0, size=33):
    """A bright stripe of half-width `half` pixels, leaning to the right by `lean` pixels for each one up."""
    y, x = torch.meshgrid(torch.arange(size) - size // 2, torch.arange(size) - size // 2, indexing="ij")
    return torch.where((x + lean * y).abs() <= half, 1.0, -1.0)[None, None]


@pytest.mark.parametrize("lean", [-0.5, 0.0, 0.25, 0.5])
def test_slant_is_what_a_stripe_was_drawn_with(lean):
    assert float(slant(stripe(lean))[0]) == pytest.approx(lean, abs=0.03)  # of whole pixels


def test_width_of_a_stripe_is_that_of_a_uniform_distribution():
    half = 6
    expected = math.sqrt(((2 * half + 1) ** 2 - 1) / 12) * 2 / 32  # of 13 pixels, each 2 / 32 wide
    assert float(width(stripe(half=half))[0]) == pytest.approx(expected, rel=1e-5)


def test_ink_is_the_mean_brightness_and_black_images_have_finite_attributes():
    images = torch.stack([torch.full((1, 4, 4), value) for value in (-1.0, 0.0, 1.0)])
    torch.testing.assert_close(ink(images), torch.tensor([0.0, 0.5, 1.0]))
    assert slant(images).isfinite().all() and width(images).isfinite().all()


# Expressions


def test_an_analogy_has_the_goal_that_its_words_add_up_to():
    terms = parse("thick 3 - thin 3 + thin 8", DIGITS)
    assert [(term.sign, term.label, term.attributes) for term in terms] == [
        (1, 3, {"ink": 1}), (-1, 3, {"ink": -1}), (1, 8, {"ink": -1}),
    ]  # fmt: skip
    assert find_goal(terms) == Goal(8, {"ink": 1}) and find_goal(terms).describe(DIGITS) == "thick 8"
    assert find_goal(parse("8 - 3 + 3", DIGITS)) == Goal(8, {})
    assert find_goal(parse("3 + 8", DIGITS)).label is None
    for minus in "\u2212\u2013":  # as the page, or a word processor, writes it
        assert parse(f"thick 3 {minus} thin 3 + thin 8", DIGITS) == terms


def test_names_of_classes_may_have_several_words_and_capitals():
    classes = ("T-shirt/top", "Ankle boot")
    assert parse("wide dark ankle boot - 0", classes)[0].label == 1
    assert parse("wide dark ankle boot - 0", classes)[0].attributes == {"width": 1, "ink": -1}
    with pytest.raises(UserError, match="Did you mean Ankle boot"):
        parse("Ankle bot", classes)
    with pytest.raises(UserError, match="is no term"):
        parse("thick 3 - ", DIGITS)


@pytest.mark.parametrize("text", ["3 - 3", "thick 3 - thick 3", "3 - 8 + 8 - 3", "thick - bright"])
def test_terms_that_cancel_one_another_are_refused(text):
    with pytest.raises(UserError, match="cancel one another"):
        check_goal(text, parse(text, DIGITS))
    assert check_goal("thick 3 - thin 3", parse("thick 3 - thin 3", DIGITS)) == Goal(None, {"ink": 1})


def test_a_goal_that_says_nothing_is_not_judged():
    goal = check_goal("3 + 8", parse("3 + 8", DIGITS))
    assert judge(None, None, goal, torch.zeros(5, 1, 4, 4)) == {}


def test_a_group_is_the_upper_third_of_its_class():
    labels = torch.tensor([0] * 9 + [1] * 9)
    values = torch.arange(18.0)
    pool = Pool(torch.zeros(18, 2), None, torch.zeros(18, 1, 2, 2), labels, {"ink": values})
    thick, thin, plain, any_thick = (parse(text, ("a", "b"))[0] for text in ("thick a", "thin b", "a", "thick"))
    assert pool.rows(thick).tolist() == [6, 7, 8] and pool.rows(thin).tolist() == [9, 10, 11]
    assert pool.rows(plain).tolist() == list(range(9)) and pool.rows(any_thick).tolist() == list(range(12, 18))
    assert pool.median("ink", 0) == 4


def test_a_sum_of_means_is_as_long_as_a_code():
    """Three means of three independent N(0, I) have the variance 1 together."""
    sums = Arithmetic("thick - thin + thick", trials=2000)
    terms = parse("thick - thin + thick", DIGITS)
    codes = torch.randn(9000, 20, generator=torch.Generator().manual_seed(0))
    pool = Pool(codes, None, torch.zeros(1), torch.zeros(1), {})
    exemplars = sums.draw_exemplars([torch.arange(start, start + 3000) for start in (0, 3000, 6000)])
    found, condition = add_means(pool, terms, exemplars)
    assert condition is None
    assert found.shape == (2000, 20) and float(found.var()) == pytest.approx(1, abs=0.03)


# Directions


def test_principal_components_agree_with_the_singular_value_decomposition():
    for shape in ((40, 7), (7, 40)):
        rows = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        coordinates, variance = principal_components(rows, 3)
        left, values, _ = torch.linalg.svd(rows - rows.mean(0), full_matrices=False)
        torch.testing.assert_close(coordinates.abs(), (left * values)[:, :3].abs())
        torch.testing.assert_close(variance, (values.square() / values.square().sum())[:3])


def test_directions_of_a_linear_layer_are_its_singular_vectors():
    """x = A z has the covariance A A^T: its components are the axes of z, each one deviation of z long."""
    found = find_directions(CodeSpace(Linear(SCALES)), 5, "layer", samples=20_000)
    torch.testing.assert_close(found.vectors.abs(), torch.eye(5), rtol=0, atol=0.05)  # 20,000 draws
    expected = torch.tensor(SCALES).square()
    torch.testing.assert_close(found.variance, expected / expected.sum(), rtol=0.05, atol=0)


def test_the_first_layer_that_is_not_linear_is_found_and_layers_in_place_are_seen_before_they_work():
    network = nn.Sequential(
        nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(inplace=True), nn.Linear(6, 4), nn.Unflatten(1, (1, 2, 2))
    )
    network.latent_dim = 5
    network.eval()
    network.forward = lambda z, condition=None: nn.Sequential.forward(network, z)
    space = CodeSpace(network)
    assert first_nonlinear_layer(space) == "2"
    z = torch.randn(3, 5)
    torch.testing.assert_close(run_layer(space, "1", z, None), network[1](network[0](z)))
    assert run_layer(space, "2", z, None).min() == 0
    with pytest.raises(UserError, match="layer=9: there is none"):
        run_layer(space, "9", z, None)


def test_directions_change_pixels_in_the_order_of_their_variance():
    model = given(Linear([0.3, 0.2, 0.1]))
    found = find_directions(model.space, 3, "layer", samples=5000)
    pixels = [measure_effect(model, vector, None, 0)["pixels"] for vector in found.vectors]
    # tanh is nearly linear here: root mean square = scale / sqrt(64 pixels)
    assert pixels == pytest.approx([scale / 8 for scale in (0.3, 0.2, 0.1)], rel=0.1)


# Walks, planes, sheets


def test_a_walk_passes_its_stations_on_the_sphere_and_closes():
    stations = latents(range(3), 50)
    path = walk_around(stations, 4)
    assert path.shape == (12, 50)
    torch.testing.assert_close(path[::4], stations)
    cosine = torch.nn.functional.cosine_similarity(path, path.roll(-1, 0))
    assert (cosine > 0.8).all()  # the last step too: right angles are divided by four
    mixtures = straight_around(torch.eye(3), 4)
    torch.testing.assert_close(mixtures.sum(1), torch.ones(12))
    torch.testing.assert_close(mixtures[2], torch.tensor([0.5, 0.5, 0.0]))


def test_a_plane_has_its_seeds_in_the_corners():
    corners = latents(range(4), 30)
    plane = square(corners, 5)
    for place, corner in zip(((0, 0), (0, 4), (4, 0), (4, 4)), corners, strict=True):
        torch.testing.assert_close(plane[place], corner)
    weights = mix(torch.eye(4), 5)
    torch.testing.assert_close(weights.sum(2), torch.ones(5, 5))
    torch.testing.assert_close(weights[2, 2], torch.full((4,), 0.25))


def test_walking_through_labels_alone_keeps_z(conditional):  # noqa: F811
    walk = Walk(walkers=2, frames=3, labels=[1, 2], still=True)
    frames = walk.images(conditional)
    assert frames.shape == (6, 2, 1, 16, 16)
    torch.testing.assert_close(frames[0], torch.as_tensor(conditional.sample([0, 1], labels=1)), rtol=0, atol=1e-6)
    torch.testing.assert_close(frames[3], torch.as_tensor(conditional.sample([0, 1], labels=2)), rtol=0, atol=1e-6)
    for options, message in (({"still": True}, "name the labels"), ({"walkers": 0}, "walkers=0")):
        with pytest.raises(UserError, match=message):
            Walk(**options)


def test_a_sheet_keeps_every_pixel_of_small_images():
    import base64
    import io

    images = torch.rand(7, 3, 8, 6, generator=torch.Generator().manual_seed(0)) * 2 - 1
    sheet = make_sheet(images, 3, 10**6)
    picture = Image.open(io.BytesIO(base64.b64decode(sheet["source"].partition(",")[2])))
    assert picture.size == (18, 24) and (sheet["columns"], sheet["count"]) == (3, 7)
    pixel = picture.getpixel((6 * (5 % 3) + 2, 8 * (5 // 3) + 4))  # image 5, row 4, column 2
    assert pixel == tuple((images[5, :, 4, 2] * 127.5 + 128).to(torch.uint8).tolist())


def test_a_sheet_of_large_images_is_made_smaller_until_it_fits():
    noise = torch.rand(4, 3, 256, 256, generator=torch.Generator().manual_seed(0)) * 2 - 1
    sheet = make_sheet(noise, 2, 30_000)
    assert sheet["width"] in (64, 128) and len(sheet["source"]) < 4 / 3 * 30_000 + 100


# Inversion


def test_inversion_of_a_linear_generator_finds_the_code():
    network = Linear([1.0, 0.8, 0.6])
    model = given(network)
    z = latents([100, 101], 3)
    targets = model.decode(z)
    found = Invert(steps=500, starts=32, kept=2, prior=0.0).invert(model, targets)
    torch.testing.assert_close(found.codes, z, rtol=0, atol=1e-2)
    assert float(found.error.max()) < 1e-6 < float(found.start_error.min())


def test_a_prior_shortens_codes():
    model = given(Linear([0.1, 0.1]))
    targets = model.decode(torch.tensor([[3.0, 0.0]]))
    free, held = (
        Invert(steps=300, starts=8, kept=1, prior=prior).invert(model, targets).codes.norm() for prior in (0.0, 0.01)
    )
    assert float(held) < 0.9 * float(free)


def test_errors_of_pairs_and_decibels():
    one, other = torch.rand(3, 1, 4, 4), torch.rand(5, 1, 4, 4)
    expected = (one[:, None] - other[None]).square().mean((2, 3, 4))
    torch.testing.assert_close(pairwise_errors(other, one), expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(psnr(torch.tensor([4.0, 0.04])), torch.tensor([0.0, 20.0]))


def test_an_image_file_is_cropped_to_its_middle_and_what_is_none_is_refused(tmp_path):
    picture = Image.new("RGB", (64, 32), "black")
    picture.paste("white", (16, 0, 48, 32))
    picture.save(tmp_path / "middle.png")
    image = read_image(tmp_path / "middle.png", (1, 16, 16))
    assert image.shape == (1, 16, 16) and float(image.min()) == pytest.approx(1)
    (tmp_path / "text.png").write_text("<svg onload=alert(1)>")
    for name, message in (("text.png", "is no image of a known kind: give a PNG"), ("nothing.png", "there is no")):
        with pytest.raises(UserError, match=message):
            read_image(tmp_path / name, (1, 16, 16))


# The verb


def test_every_option_of_a_verb_stands_in_the_yaml_with_its_default():
    import inspect

    from hydra.utils import get_object
    from omegaconf import OmegaConf

    config = OmegaConf.load(ROOT / "conf" / "explore.yaml")
    for name, target in VERBS.items():
        parameters = inspect.signature(get_object(f"zerosum.explorer.{target}")).parameters
        assert list(config[name]) == list(parameters), name
        defaults = {key: each.default for key, each in parameters.items() if each.default is not each.empty}
        for option, default in defaults.items():
            plain = list(default) if isinstance(default, tuple) else default
            assert OmegaConf.to_container(config[name])[option] == plain, f"{name}.{option}"


def test_words_become_options_of_the_verb():
    assert name_options(["run=outputs/a", "walk", "labels=3,8", "frames=2"]) == [
        "run=outputs/a", "verb=walk", "walk.labels=[3,8]", "walk.frames=2",
    ]  # fmt: skip
    assert name_options(["arithmetic", "expression=thick 3 - thin 3"])[1] == "arithmetic.expression='thick 3 - thin 3'"
    assert name_options(["truncate", "values=0.5"])[1] == "truncate.values=[0.5]"
    assert name_options(["page", "seed=2", "hydra.verbose=true", "--help"])[1:] == [
        "page.seed=2",
        "hydra.verbose=true",
        "--help",
    ]
    for words, message in ((["wlak"], "Did you mean walk"), (["walk", "page"], "name one of")):
        with pytest.raises(UserError, match=message):
            name_options(words)


EARLY = """
import sys
from pathlib import Path
from zerosum.commands import evaluate, explore, export, sample
from zerosum.errors import UserError
calls = {calls!r}
for verb, options, message in calls:
    run = Path(options.pop("run", "."))
    try:
        if verb in explore.VERBS:
            shared = {{name: options.pop(name) for name in ("checkpoint", "output") if name in options}}
            explore.explore(run, verb, options, **shared)
        elif verb == "evaluate":
            evaluate.evaluate(run, **options)
        elif verb == "export":
            export.export(run, **options)
        else:
            sample.sample(run, asked=sample.Asked(1, 0), **options)
    except UserError as error:
        assert message in str(error), (verb, error)
    else:
        raise AssertionError(verb)
assert not {{"torch", "lightning", "PIL"}} & sys.modules.keys(), "torch"
"""
WRONG = [
    ("walk", {"walkers": 0}, "walk.walkers=0: choose 1 or more"),
    ("walk", {"walkers": "two"}, "expected a whole number"),
    ("walk", {"frames": 10**6}, "100,000 images or fewer"),
    ("walk", {"format": "avi"}, "expected gif or mp4"),
    ("walk", {"truncation": 3.0}, "truncation=3"),
    ("walk", {"walkres": 3}, "Did you mean"),
    ("walk", {"checkpoint": "bets"}, "choose best, last or previous"),
    ("walk", {"output": 3}, "name a folder"),
    ("arithmetic", {}, "arithmetic.expression is missing"),
    ("arithmetic", {"expression": "a", "trials": 0}, "arithmetic.trials=0"),
    ("arithmetic", {"expression": "3"}, "'3' has one term"),
    ("invert", {"rate": 0.0}, "choose numbers above 0"),
    ("inpaint", {"mask": "centre"}, "Did you mean center"),
    ("neighbours", {"seed": -1}, "is no seed"),
    ("traverse", {"reach": 0.0}, "reach=0.0"),
    ("truncate", {"values": [1.0]}, "two truncations or more"),
    ("page", {"expressions": 3}, "expected a list"),
    ("serve", {"port": 0}, "from 1 to 65535"),
    ("serve", {"host": "203.0.113.1"}, "host=203.0.113.1 port=8000 cannot be opened"),
    ("serve", {"host": 3}, "expected text"),
    ("serve", {"count": 65}, "serve.count=65: choose 64 or fewer"),
    ("export", {"formats": ["onxn"]}, "Did you mean onnx"),
    ("export", {"checkpoint": "bets"}, "choose best"),
    ("export", {"trusted": 3}, "name packages"),
    ("sample", {"checkpoint": "bets", "output": None}, "choose best"),
    ("sample", {"checkpoint": "best", "output": 3}, "name a folder"),
    ("sample", {"checkpoint": "best", "output": None, "ema": 3}, "ema=3"),
    ("evaluate", {"checkpoint": "bets"}, "choose best"),
    ("walk", {"run": "nowhere"}, "nowhere: there is no such folder"),
    ("export", {"run": "nowhere"}, "nowhere: there is no such folder"),
    ("evaluate", {"run": "nowhere", "checkpoint": "best"}, "nowhere: there is no such folder"),
]


def test_wrong_values_are_answered_before_torch_is_imported():
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", EARLY.format(calls=WRONG)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {verb for verb, _, _ in WRONG} >= set(VERBS) == set(CHECKS)
    from zerosum.applications.inpainting import MASKS

    assert set(MASK_NAMES) == set(MASKS)


@pytest.fixture(scope="module")
def explored(finished_run, tmp_path_factory):
    """Every verb on a tiny run, with few samples: {verb: (what it said, its values)}."""
    folder = tmp_path_factory.mktemp("explored")
    root = str(finished_run.parent / "data")
    verbs = {
        "walk": {"walkers": 2, "stations": 2, "frames": 2},
        "arithmetic": {
            "count": 200, "trials": 10,
            "expression": "bright - dark + dark",
        },
        "invert": {"count": 2, "steps": 5, "starts": 4, "kept": 2},
        "neighbours": {"count": 20, "shown": 3},
        "traverse": {"count": 2, "rows": 1, "samples": 100},
        "truncate": {"values": [0.5, 1.0], "count": 64},
    }  # fmt: skip
    found = {}
    for name, options in verbs.items():
        said = explore(finished_run, name, options, root=root, output=str(folder), checkpoint="last")
        found[name] = said, json.loads((folder / f"{name}.json").read_text())
    return folder, found


def test_every_verb_writes_its_pictures_and_numbers(explored):
    folder, found = explored
    names = (
        "walk.gif",
        "arithmetic.png",
        "invert.png",
        "neighbours.png",
        "traverse.png",
        "truncate.png",
        "truncate_curve.png",
    )
    for name in names:
        with Image.open(folder / name) as picture:
            assert picture.width > 60
            assert getattr(picture, "n_frames", 1) == (4 if name == "walk.gif" else 1)
    assert all("written to" in said for said, _ in found.values())


def test_numbers_stand_beside_what_they_are_compared_with(explored):
    values = {name: values for name, (_, values) in explored[1].items()}
    assert set(values["arithmetic"]) == {"goal", "result", "last_term_alone", "any_sample", "direction"}
    assert values["arithmetic"]["goal"] == "thick" and 0 <= values["arithmetic"]["result"]["ink"] <= 1
    assert set(values["truncate"]["values"]) == {"0.5", "1"} and "recall" in values["truncate"]["floor"]
    assert values["truncate"]["protocol"]["n_fake"] == 64
    for name in ("pixels", "features"):
        assert set(values["neighbours"][name]) == {"samples", "held_out_images"}
    for error, start in zip(values["invert"]["psnr"], values["invert"]["psnr_of_nearest_start"], strict=True):
        assert error > start
    assert len(values["invert"]["codes"]) == 2 and values["invert"]["space"] == "z"


def test_without_data_it_says_what_to_name(composed, tmp_path, finished_run):
    from zerosum.commands.export import export

    export(finished_run, output=str(tmp_path / "shared"))
    node = {}
    with pytest.raises(UserError, match="name the run that it was made of"):
        explore(tmp_path / "shared", "neighbours", node)
    walk = {"walkers": 1, "frames": 1, "stations": 2}
    assert "walk.gif" in explore(tmp_path / "shared", "walk", walk)
    assert (tmp_path / "shared" / "explorer" / "walk.gif").is_file()


def test_a_run_does_not_choose_the_folder_of_its_data_and_caches(finished_run, tmp_path):
    import shutil

    import yaml

    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["dataset"]["root"] = str(run / "data")
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match="say where your data is"):
        explore(run, "neighbours", {})


@pytest.mark.parametrize("name", ["traverse", "walk"])
def test_points_are_refused_in_one_sentence(made, tmp_path, name):
    with pytest.raises(UserError, match=r"makes samples of \[2\]"):
        explore(made, name, {}, output=str(tmp_path))


@pytest.mark.slow
def test_the_verb_from_a_shell_and_films_as_mp4(finished_run, tmp_path):
    import shutil

    options = [f"run={finished_run}", f"output={tmp_path}", "walk", "walkers=1", "frames=2"]
    assert "walk.gif" in verb("explore.py", *options, cwd=tmp_path)
    assert "Did you mean" in verb("explore.py", *options, "framse=3", cwd=tmp_path, fails=True)
    assert "expected a whole number" in verb("explore.py", *options, "stations=two", cwd=tmp_path, fails=True)
    if shutil.which("ffmpeg"):
        verb("explore.py", *options, "format=mp4", cwd=tmp_path)
        assert (tmp_path / "walk.mp4").read_bytes()[4:8] == b"ftyp"


@pytest.mark.parametrize(
    ("verb", "options", "message"),
    [
        (Walk, {"truncation": -1.0}, "choose from 0"),
        (Walk, {"truncation": math.nan}, "choose from 0"),
        (Walk, {"seed": 2**64}, "is no seed"),
        (Invert, {"seed": -1}, "is no seed"),
        (Traverse, {"samples": 1}, "2 or more"),
        (Truncate, {"count": 1}, "2 samples or more"),
    ],
)
def test_impossible_options_are_refused(verb, options, message):
    with pytest.raises(UserError, match=message):
        verb(**options)


def test_more_held_out_images_than_there_are_are_refused(finished_run, tmp_path):
    with pytest.raises(UserError, match="has 256 images"):
        explore(finished_run, "invert", {"count": 10**9}, "last", output=str(tmp_path))


def test_an_image_file_is_read_as_data_are(tmp_path):
    """16 bits keep their values, transparency is white, and a camera's turn is undone."""
    Image.fromarray(np.full((8, 8), 30_000, np.uint16)).save(tmp_path / "deep.png")
    deep = read_image(tmp_path / "deep.png", (1, 8, 8))
    torch.testing.assert_close(deep, torch.full((1, 8, 8), 117 / 127.5 - 1))  # 30,000 / 257
    glyph = Image.new("RGBA", (8, 8))
    glyph.paste((0, 0, 0, 255), (0, 0, 4, 8))
    glyph.save(tmp_path / "glyph.png")
    expected = torch.tensor([-1.0] * 4 + [1.0] * 4).expand(1, 8, 8)
    torch.testing.assert_close(read_image(tmp_path / "glyph.png", (1, 8, 8)), expected)
    exif = Image.Exif()
    exif[274] = 6  # turned to the right
    glyph.convert("RGBA").save(tmp_path / "turned.png", exif=exif)
    torch.testing.assert_close(read_image(tmp_path / "turned.png", (1, 8, 8)), expected.transpose(1, 2))


def test_arithmetic_of_codes_is_one_sentence_and_pages_leave_it_out(composed, tmp_path):
    """InfoGAN is asked by codes, whose categories have no sums."""
    model = untrained(composed, tmp_path, *DCGAN, "labels=infogan", "dataset=digits")
    subject = Subject(model, ROOT, tmp_path)
    subject.dataset = SimpleNamespace(classes=DIGITS, channels=1)
    with pytest.raises(UserError, match="adds labels, and untrained is asked by codes"):
        Arithmetic("thick 3 - thin 3 + thin 8")(subject)
    assert "Left out: arithmetic adds labels" in show_arithmetic(subject, [], 0, {"arithmetic": []})
