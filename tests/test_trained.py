"""zerosum.load: runs, exported folders and files give the same images; labels, truncation, pictures in notebooks."""

import io
import json

import pytest
import torch
from conftest import SMALL_POINTS
from PIL import Image
from safetensors.torch import load_file, save_file

import zerosum
from zerosum.data.dataset import DataShape
from zerosum.errors import UserError
from zerosum.experiment.build import build_module
from zerosum.experiment.settings import validate
from zerosum.models.code_space import CodeSpace
from zerosum.runs import exported
from zerosum.runs.trained import TrainedModel

STYLEGAN2 = ("model=stylegan2", "model.channel_max=8", "model.latent_dim=8", "model.generator.style_dim=8")
DCGAN = ("model=dcgan", "model.base_channels=4", "model.latent_dim=8")


def magnify(network):
    """Make the weights of a DCGAN, which start tiny, large enough for images that differ."""
    for layer in network.modules():
        if isinstance(layer, torch.nn.ConvTranspose2d):
            layer.weight.data.mul_(10)


def untrained(composed, folder, *options, shape=(1, 16, 16), classes=None):
    """A model with random weights, as an exported folder that is read again."""
    config = validate(composed(*options))
    module = build_module(config, DataShape(shape, classes)).eval()
    magnify(module.ema.network)
    config["data"] = {"sample_shape": list(shape), "num_classes": classes, "num_attributes": None}
    exported.save(module, exported.describe(module, config, "untrained", "ema", None), folder)
    return zerosum.load(folder)


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    """An untrained DCGAN of four labels."""
    config = zerosum.compose(*DCGAN, "labels=projection", "dataset=digits", "run.folder=nowhere")
    module = build_module(validate(config), DataShape((1, 16, 16), 4)).eval()
    magnify(module.ema.network)
    for layer in module.ema.network.modules():
        if hasattr(layer, "gain") and isinstance(layer.gain, torch.nn.Linear):
            torch.nn.init.normal_(layer.gain.weight)  # images of two labels differ
    folder = tmp_path_factory.mktemp("conditional")
    config = validate(config) | {"data": {"sample_shape": [1, 16, 16], "num_classes": 4, "num_attributes": None}}
    exported.save(module, exported.describe(module, config, "conditional", "ema", ["a", "b", "c", "d"]), folder)
    return zerosum.load(folder)


def test_run_folder_and_file_give_the_same_images(finished_run, tmp_path):
    from zerosum.commands.export import export

    said = export(finished_run, checkpoint="last", output=str(tmp_path / "shared"))
    assert "generator.safetensors" in said
    images = [zerosum.load(finished_run, "last").sample(range(5)), zerosum.load(tmp_path / "shared").sample(range(5))]
    images.append(zerosum.load(tmp_path / "shared" / exported.WEIGHTS).sample(range(5)))
    assert images[0].shape == (5, 1, 16, 16)
    assert all(torch.equal(images[0].as_subclass(torch.Tensor), other) for other in images[1:])
    raw = zerosum.load(finished_run, "last", weights="raw").sample(range(5))
    assert not torch.equal(raw.as_subclass(torch.Tensor), images[0])


def test_all_else_is_asked_of_the_runs_module(finished_run):
    model = zerosum.load(finished_run, "last")
    assert model.images_seen == 320 and "320 images seen" in repr(model)
    assert model.ema.network is model.network and model.latent_dim == 8
    with pytest.raises(AttributeError, match="nothing"):
        print(model.nothing)


def test_points_have_no_picture_and_no_codes_are_asked_for(made):
    points = zerosum.load(made).sample(seeds=range(7))
    assert points.shape == (7, 2) and points._repr_png_() is None
    assert any(option == "dataset=ring" for option in SMALL_POINTS)


def test_samples_are_a_tensor_that_a_notebook_shows(finished_run):
    samples = zerosum.load(finished_run).sample(range(9))
    with Image.open(io.BytesIO(samples._repr_png_())) as picture:
        assert picture.size == samples.picture().size and picture.width >= 3 * 16
    assert type(samples + 1) is torch.Tensor and type(samples[0]) is torch.Tensor
    samples.add_(1).requires_grad_()  # not an inference tensor
    (samples * 2).sum().backward()


def test_labels_are_one_for_all_or_one_for_each(conditional):
    every = conditional.sample(range(4), labels=2)
    each = conditional.sample(range(4), labels=[2, 2, 2, 3])
    torch.testing.assert_close(each[:3], every[:3])
    assert (each[3] - every[3]).abs().max() > 1e-3
    for labels, message in ((4, "labels 0 to 3"), ([0, 1], "2 for 4 seeds")):
        with pytest.raises(UserError, match=message):
            conditional.sample(range(4), labels=labels)


def test_a_mixture_of_labels_lies_between_them_and_a_pure_one_is_the_label(conditional):
    z = torch.randn(3, 8)
    pure = torch.eye(4)[[1, 1, 1]]
    torch.testing.assert_close(
        conditional.decode(z, pure), conditional.decode(z, torch.tensor([1, 1, 1])), rtol=0, atol=1e-6
    )


def test_truncation_scales_z_and_1_changes_nothing(conditional):
    model, seeds, labels = conditional, range(5), [0, 1, 2, 3, 0]
    condition = torch.tensor(labels)
    z = zerosum.sampling.latents(seeds, 8)
    expected = model.decode(0.5 * z, condition)
    torch.testing.assert_close(torch.as_tensor(model.sample(seeds, labels=labels, truncation=0.5)), expected)
    for bad in (-0.1, float("nan"), 3):
        with pytest.raises(UserError, match="truncation"):
            model.sample(seeds, truncation=bad)


@pytest.mark.parametrize("labels", [(), ("labels=own", "dataset=digits"), ("labels=concat", "dataset=digits")])
def test_truncation_pulls_styles_to_their_mean(composed, tmp_path, labels):
    """Against the equation with a mean of its own; at 0 images of one label are all the same."""
    model = untrained(composed, tmp_path, *STYLEGAN2, *labels, classes=4 if labels else None)
    space = model.space
    assert space.name == "w"
    label = torch.tensor([2]) if labels else None
    condition = None if label is None else label.expand(6)
    codes = model.codes(range(6), condition)
    z = torch.randn(20_000, 8, generator=torch.Generator().manual_seed(1))
    mean = space.encode(z, None if label is None else label.expand(20_000)).mean(0)
    truncated = space.truncate(codes, 0.3, condition)
    torch.testing.assert_close(truncated, mean + 0.3 * (codes - mean), rtol=0, atol=0.05)  # 4,096 styles
    images = model.sample(range(6), condition, truncation=0.0)
    assert (images - images[:1]).abs().max() < 1e-5 < model.sample(range(6), condition).std(0).max()
    torch.testing.assert_close(model.decode(codes, condition), torch.as_tensor(model.sample(range(6), condition)))


def test_the_codes_of_a_network_without_styles_are_z(conditional):
    assert isinstance(conditional.space, CodeSpace) and conditional.space.name == "z"
    codes = conditional.codes(range(3), torch.tensor([0, 1, 2]))
    assert torch.equal(codes, zerosum.sampling.latents(range(3), 8))


def test_a_model_without_codes_says_so():
    class Sampler:
        images_seen = 3

        def sample(self, seeds, condition=None):
            return torch.zeros(len(seeds), 1, 4, 4)

    model = TrainedModel(Sampler(), "table")
    assert model.sample(range(2)).shape == (2, 1, 4, 4)
    with pytest.raises(UserError, match="table is a Sampler: codes, truncation and the explorer are of GANs alone"):
        model.sample(range(2), truncation=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"condition": torch.tensor([0, 1])},
            r"\[2\] int64 was given, and conditional takes \[3\] int64 or \[3, 4\] float",
        ),
        ({"condition": torch.zeros(3)}, r"\[3\] float32 was given"),
        ({"condition": torch.zeros(3, 5)}, r"\[3, 5\] float32 was given"),
        ({"condition": torch.tensor([0, 1, 4])}, "labels 0 to 3"),
        ({"condition": torch.full((3, 4), torch.nan)}, "NaN or infinite"),
        ({"condition": "a"}, "a str is no tensor"),
        ({"condition": [[1], [2, 3]]}, "a list is no tensor"),
        ({"batch_size": 0}, "batch_size=0: give a whole number"),
        ({"batch_size": 2.5}, "batch_size=2.5"),
        ({"batch_size": "8"}, "batch_size='8'"),
        ({"batch_size": True}, "batch_size=True"),
        ({"truncation": "0.5"}, "truncation=0.5: choose from 0"),
    ],
)
def test_wrong_options_of_sample_are_one_sentence(conditional, options, message):
    with pytest.raises(UserError, match=message):
        conditional.sample(range(3), **options)


def test_conditions_may_come_from_numpy_and_a_model_without_any_says_so(conditional, finished_run):
    array = torch.tensor([0, 1, 3]).numpy()
    given, asked = conditional.sample(range(3), condition=array), conditional.sample(range(3), labels=[0, 1, 3])
    assert torch.equal(given.as_subclass(torch.Tensor), asked)
    with pytest.raises(UserError, match="is not conditioned on anything"):
        zerosum.load(finished_run).sample(range(2), condition=torch.zeros(2))


def test_samples_are_saved_as_png_alone(conditional, tmp_path):
    samples = conditional.sample(range(4))
    samples.save(tmp_path / "a.PNG")
    with Image.open(tmp_path / "a.PNG") as picture:
        assert picture.format == "PNG"
    for name in ("a.jpg", "a", "a.png.gif"):
        with pytest.raises(UserError, match=r"name a file that ends in \.png"):
            samples.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["a.PNG"]


@pytest.mark.parametrize("seeds", [[-1], [0.5], ["0"], [True], [2**63]])
def test_what_is_no_seed_is_refused(conditional, seeds):
    with pytest.raises(UserError, match="is no seed"):
        conditional.sample(seeds)


def test_one_seed_is_given_as_a_list(conditional):
    with pytest.raises(UserError, match="seeds: 3 is one: give a list"):
        conditional.sample(3)


def edit(folder, change):
    """Change the config of an exported folder."""
    config = json.loads((folder / exported.CONFIG).read_text())
    change(config)
    (folder / exported.CONFIG).write_text(json.dumps(config))


@pytest.fixture
def shared(composed, tmp_path):
    """An exported folder that a test may tamper with."""
    untrained(composed, tmp_path / "shared", *DCGAN)
    return tmp_path / "shared"


HOSTILE = {
    "a class of the standard library": (
        lambda config: config["model"].update(generator={"_target_": "os.system", "command": "touch {touched}"}),
        "may name only classes that zerosum allows in model",
    ),
    "a function of zerosum": (
        lambda config: config["model"]["generator"].update(_target_="zerosum.files.save_whole"),
        "may name only",
    ),
    "code among the labels": (
        lambda config: config["labels"].update(_target_="builtins.exec", source="1"),
        "may name only",
    ),
    "an unknown package": (
        lambda config: config["model"]["generator"].update(_target_="their_models.Generator"),
        r"trusted=\[their_models\]",
    ),
    "the environment": (
        lambda config: config["model"]["generator"].update(latent_dim="${oc.env:HOME}"),
        "refers to something else",
    ),
    "a huge network": (lambda config: config["model"]["generator"].update(base_channels=4096), "another generator"),
    "a huge number": (lambda config: config["model"]["generator"].update(latent_dim=10**12), "less than"),
    "arguments without names": (lambda config: config["model"]["generator"].update(_args_=[1]), "_args_"),
    "more than a generator": (lambda config: config["model"].update(discriminator={}), "something else"),
    "a shape that is none": (lambda config: config["data"].update(sample_shape=[1, 0, 16]), "sample_shape"),
    "a name that is a number": (lambda config: config.update(name=3), "name is no str"),
    "a key too many": (lambda config: config.update(trusted=["os"]), "it is no"),
    "another shape of data": (lambda config: config["data"].update(sample_shape=[3, 16, 16]), "another generator"),
    "a mistyped option": (lambda config: config["model"]["generator"].update(base_chanels=4), "Did you mean"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_strangers_folder_runs_no_code_and_is_refused_in_one_sentence(shared, name, tmp_path):
    change, message = HOSTILE[name]
    edit(shared, change)
    with pytest.raises(UserError, match=message):
        zerosum.load(shared)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shared"]


def test_the_header_of_a_file_is_checked_as_the_config_is(shared):
    file = shared / exported.WEIGHTS
    state, config = load_file(file), json.loads((shared / exported.CONFIG).read_text())
    config["model"]["generator"]["_target_"] = "os.system"
    save_file(state, file, {"zerosum": json.dumps(config)})
    with pytest.raises(UserError, match="may name only"):
        zerosum.load(file)
    save_file(state, file)
    with pytest.raises(UserError, match="zerosum did not write it"):
        zerosum.load(file)


@pytest.mark.parametrize("damage", ["nothing", "half", "missing", "extra", "nan", "type"])
def test_damaged_weights_are_refused(shared, damage):
    file = shared / exported.WEIGHTS
    state = load_file(file)
    name = "generator.project.weight"
    changed = {
        "missing": {key: value for key, value in state.items() if key != name},
        "extra": state | {"another": torch.zeros(1)},
        "nan": state | {name: torch.full_like(state[name], torch.nan)},
        "type": state | {name: state[name].double()},
    }
    if damage in changed:
        save_file(changed[damage], file)
    else:
        file.write_bytes(b"" if damage == "nothing" else file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(UserError, match=r"cannot be read|another generator|NaN or infinite"):
        zerosum.load(shared)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: (folder / "config.json").unlink(),
            r"there is no .*config\.json: load .*generator\.safetensors",
        ),
        (lambda folder: (folder / "config.json").write_text("{"), r"config\.json cannot be read"),
        (lambda folder: (folder / "generator.safetensors").unlink(), r"there is no .*generator\.safetensors"),
        (lambda folder: (folder / "generator.safetensors").write_bytes(b"x"), r"generator\.safetensors cannot be read"),
        (lambda folder: edit(folder, lambda config: config["data"].pop("sample_shape")), r"config\.json has no data"),
        (
            lambda folder: edit(folder, lambda config: config["model"]["generator"].pop("_target_")),
            r"config\.json cannot",
        ),
    ],
)
def test_a_damaged_folder_is_told_by_the_name_of_its_damaged_file(shared, damage, message):
    damage(shared)
    with pytest.raises(UserError, match=message) as told:
        zerosum.load(shared)
    assert "config.yaml" not in str(told.value)


def test_a_deep_config_is_refused_not_a_crash(shared):
    (shared / exported.CONFIG).write_text("[" * 100_000)
    with pytest.raises(UserError, match="cannot be read"):
        zerosum.load(shared)


def test_weights_that_an_exported_model_does_not_have_are_refused(shared):
    for choice in ({"weights": "raw"}, {"checkpoint": "last"}, {"ema": 0.1}):
        with pytest.raises(UserError, match="has one set of weights, ema"):
            zerosum.load(shared, **choice)
