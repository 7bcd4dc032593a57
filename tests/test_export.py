"""export.py: a card that tells the truth, and graphs that compute what the generator does, in batches of any size."""

import re
import shutil

import numpy as np
import pytest
import torch
from conftest import verb
from test_trained import DCGAN, STYLEGAN2, untrained

from zerosum.commands.export import describe_command, export
from zerosum.errors import UserError
from zerosum.evaluation.measurement import read_record
from zerosum.export.graph import Graph, save_onnx, save_torch_export
from zerosum.sampling import latents

LABELLED = "dataset=digits"
ZOO = {
    "dcgan": (DCGAN, (3, 16, 16), None),
    "conditional batch norm": ((*DCGAN, "labels=projection", LABELLED), (1, 16, 16), 10),
    "codes": ((*DCGAN, "labels=infogan", LABELLED), (1, 16, 16), None),
    "virtual batch norm": ((*DCGAN, "model.norm=virtual"), (1, 16, 16), None),
    "points": (("model=mlp", "dataset=ring", "model.generator.width=8"), (2,), None),
    "salimans": (("model=salimans", LABELLED, "model.generator.width=8"), (1, 16, 16), None),
    "stylegan2": ((*STYLEGAN2, "labels=own", LABELLED), (3, 16, 16), 10),
    "r3gan": (("model=r3gan", "model.width=16", "labels=own", LABELLED), (3, 16, 16), 10),
}
DEEP = {
    "sngan": (("model=sngan", "model.base_channels=4"), (3, 32, 32), None),
    "sagan": (("model=sagan", "model.base_channels=8", "labels=projection", LABELLED), (3, 32, 32), 10),
    "biggan": (
        ("model=biggan", "model.base_channels=4", "labels=projection", "labels/generator=own", LABELLED),
        (3, 32, 32),
        10,
    ),
}
"""Of 32 pixels and more alone, and slow to trace"""
TOLERANCE = 1e-4
"""Between two libraries in float32, of images in [-1, 1]"""


def one_fast(first, *others):
    """The first in every run, the others, once each, in those of slow tests."""
    return [first, *(pytest.param(name, marks=pytest.mark.slow) for name in others if name != first)]


def inputs_of(model, count):
    z = latents(range(count), model.latent_dim)
    return z, None if model.conditions is None else model.conditions.draw(range(count))


def check_parity(model, run):
    """`run` computes what the model does, of one and of seven."""
    for count in (1, 7):
        z, condition = inputs_of(model, count)
        with torch.no_grad():
            expected = model.model.decode(z, condition)
        assert count == 1 or expected.std(0).max() > 1e-3  # images that differ
        found = run(*(part for part in (z, condition) if part is not None))
        assert found.shape == expected.shape
        assert float((expected - found).abs().max()) < TOLERANCE


def of_the_zoo(composed, folder, name):
    """An untrained model of the zoo, its weights that start as 0 drawn too."""
    options, shape, classes = {**ZOO, **DEEP}[name]
    model = untrained(composed, folder, *options, shape=shape, classes=classes)
    random = torch.Generator().manual_seed(0)
    for weight in model.network.parameters():
        if not weight.any():
            weight.data.normal_(std=0.3, generator=random)
    return model


@pytest.mark.parametrize("name", one_fast("virtual batch norm", "stylegan2", "biggan"))
def test_torch_export_computes_the_same_with_torch_alone(composed, tmp_path, name):
    model = of_the_zoo(composed, tmp_path, name)
    save_torch_export(model.model, tmp_path / "generator.pt2")
    program = torch.export.load(tmp_path / "generator.pt2")
    graph = Graph(model.model)
    noise = program.example_inputs[0][len(graph.inputs) - len(graph.noise) :]  # as the card says
    check_parity(model, lambda *inputs: program.module()(*inputs, *noise))
    assert not list(tmp_path.glob(".*partial*"))


@pytest.mark.parametrize("name", one_fast("conditional batch norm", *{**ZOO, **DEEP}))
def test_onnx_computes_the_same_by_onnxruntime(composed, tmp_path, name):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = of_the_zoo(composed, tmp_path, name)
    save_onnx(model.model, tmp_path / "generator.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "generator.onnx", providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    assert names == (["z"] if model.conditions is None else ["z", "condition"])

    def run(*inputs):
        return torch.from_numpy(session.run(None, dict(zip(names, (part.numpy() for part in inputs), strict=True)))[0])

    check_parity(model, run)


@pytest.mark.slow
def test_the_lines_of_the_card_run_onnxruntime_without_a_warning(composed, tmp_path, monkeypatch, capfd):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from zerosum.export import card

    model = of_the_zoo(composed, tmp_path, "stylegan2").model
    save_onnx(model, tmp_path / "generator.onnx")
    monkeypatch.chdir(tmp_path)
    capfd.readouterr()
    found: dict = {}
    exec("\n".join(card.show_onnx(model)[1:-1]), found)
    assert found["images"].shape == (7, 3, 16, 16) and capfd.readouterr().err == ""


@pytest.mark.slow
def test_noise_is_an_input_that_changes_the_image(composed, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = of_the_zoo(composed, tmp_path, "stylegan2")
    save_onnx(model.model, tmp_path / "generator.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "generator.onnx", providers=["CPUExecutionProvider"])
    defaults = [entry.name for entry in session.get_overridable_initializers()]
    graph = Graph(model.model)
    assert sorted(name for name in graph.inputs if name.startswith("noise")) == sorted(
        name for name in defaults if name.startswith("noise")
    )
    z, condition = inputs_of(model, 2)
    feed = {"z": z.numpy(), "condition": condition.numpy()}
    name = graph.inputs[-1]
    other = np.random.default_rng(0).normal(size=(16, 16)).astype(np.float32)
    (usual,), (changed,) = session.run(None, feed), session.run(None, {**feed, name: other})
    assert np.abs(usual - changed).max() > 1e-3
    layer = model.network.network.layers[-1]
    layer.noise.copy_(torch.from_numpy(other))
    with torch.no_grad():
        expected = model.model.decode(z, condition)
    assert float((expected - torch.from_numpy(changed)).abs().max()) < TOLERANCE


def test_the_card_has_the_figures_of_the_exported_weights_with_their_floor(finished_run, tmp_path):
    run = shutil.copytree(finished_run, tmp_path / "run", ignore=shutil.ignore_patterns("evaluation_*"))
    folder = tmp_path / "export"
    export(run, ["torch_export"], "last", output=str(folder), licences={"license": "mit"})
    text = (folder / "README.md").read_text()
    record = read_record(finished_run / "metrics.json")
    row = re.search(r"\| fid ↓ \| (\S+) \| (\S+) \|", text)
    assert row[1] == f"{record.last.values['fid']:.4g}" and row[2] == f"{record.floor['fid']:.4g}"
    assert "n\\_fake 64" in text and "split test" in text and 'license: "mit"' in text
    assert "none needed: computed by zerosum" in text and "320 images" in text
    assert str(finished_run.parent) not in text
    assert (folder / "samples.png").is_file() and (folder / "generator.pt2").is_file()
    export(run, [], "last", weights="raw", output=str(folder))
    text = (folder / "README.md").read_text()
    assert "These weights were not measured" in text and "those of the last step" in text
    assert not (folder / "generator.pt2").exists()  # it would have other weights than the rest


def test_the_lines_of_the_card_run(composed, tmp_path, monkeypatch):
    """Of a conditional model with noise, which has the most to say."""
    from zerosum.export import card

    model = of_the_zoo(composed, tmp_path, "stylegan2").model
    save_torch_export(model, tmp_path / "generator.pt2")
    text = card.show_use(model, ["torch_export"])
    monkeypatch.chdir(tmp_path)
    for code in re.findall(r"```python\n(.*?)```", text, flags=re.S):
        found: dict = {}
        exec(code.replace("this_folder", "."), found)
        images = found.get("images", found.get("model") and found["model"].sample(range(2)))
        assert images.shape[1:] == (3, 16, 16)


def test_a_strangers_names_are_no_markup(finished_run, tmp_path):
    from zerosum.export.card import safe

    assert safe("<b>*a*\n# b</b>|") == "\\<b\\>\\*a\\*\\\\n\\# b\\</b\\>\\|"


def test_the_command_names_no_folder_of_a_machine():
    words = ["dataset=mnist", "dataset.root=/home/me", "hydra.run.dir=/home/me/run", "name=a b"]
    assert describe_command({"command": {"overrides": words}}) == "python train.py dataset=mnist 'name=a b'"
    assert describe_command({}) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formats": ["onxn"]}, "Did you mean onnx"),
        ({"checkpoint": "bets"}, "choose best, last"),
        ({"weights": "emma"}, "weights=emma"),
        ({"licences": {"license": 3}}, "name a licence"),
    ],
)
def test_a_mistyped_option_is_one_sentence(finished_run, options, message):
    with pytest.raises(UserError, match=message):
        export(finished_run, **options)


@pytest.mark.slow
def test_the_verb(finished_run, tmp_path):
    said = verb("export.py", f"run={finished_run}", "checkpoint=last", f"output={tmp_path / 'out'}", cwd=tmp_path)
    assert "320 images, ema" in said and (tmp_path / "out" / "config.json").is_file()
    assert "Did you mean" in verb("export.py", f"run={finished_run}", "formt=onnx", cwd=tmp_path, fails=True)
