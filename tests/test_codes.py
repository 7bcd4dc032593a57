"""InfoGAN: codes, the bound on the information about them, and pictures of what they change."""

import csv
import math

import numpy as np
import pytest
import torch
from PIL import Image

from zerosum.data.dataset import Batch, DataShape
from zerosum.errors import UserError
from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.gan.labels.codes import Codes, MutualInformation, bound_information
from zerosum.gan.labels.traversals import draw_code
from zerosum.gan.regularizers import ScoredBatch
from zerosum.models import dcgan
from zerosum.models.networks import Scores
from zerosum.models.recognition import LEAST_DEVIATION, CodeShape, JoinedCodes, RecognizingDiscriminator
from zerosum.pixels import to_uint8
from zerosum.report.run_report import make_run_page
from zerosum.sampling import latents

SHAPE = CodeShape((10, 3), 2)
NARROW, WIDE = -50.0, 50.0


def codes(**options) -> Codes:
    return Codes(DataShape((1, 16, 16)), **{"categorical": [10, 3], "continuous": 2, **options})


def everywhere(count: int = 30_000) -> torch.Tensor:
    """Every pair of categorical values equally often, continuous codes at equal distances over [-1, 1]."""
    row = torch.arange(count)
    along = 2 * (row + 0.5) / count - 1
    return torch.stack([row % 10, row // 10 % 3, along, -along], 1).float()


def parameters_of(condition: torch.Tensor, sure: float, deviation: float) -> torch.Tensor:
    """Of a Q that is `sure` of the values of categorical codes, and knows continuous ones with a deviation."""
    hot = JoinedCodes(SHAPE)(condition)
    raw = math.log(math.expm1(deviation)) if deviation > 0 else NARROW
    return torch.cat([sure * hot[:, :13], hot[:, 13:], torch.full((len(hot), 2), raw)], 1)


def test_a_perfect_q_knows_the_entropy_of_each_categorical_code_and_no_more():
    condition = everywhere()
    bounds = bound_information(SHAPE, parameters_of(condition, 100.0, 0.0), condition)
    assert float(bounds["categorical_1"]) == pytest.approx(math.log(10), abs=1e-5)
    assert float(bounds["categorical_2"]) == pytest.approx(math.log(3), abs=1e-5)
    greatest = math.log(2) - math.log(LEAST_DEVIATION * math.sqrt(2 * math.pi))  # of a mean that is the code
    for name in ("continuous_1", "continuous_2"):
        assert float(bounds[name]) == pytest.approx(greatest, abs=1e-4)


def test_an_ignorant_q_knows_nothing():
    condition = everywhere()
    bounds = bound_information(SHAPE, parameters_of(torch.zeros_like(condition), 0.0, 0.4), condition)
    assert float(bounds["categorical_1"]) == pytest.approx(0, abs=1e-5)
    assert float(bounds["categorical_2"]) == pytest.approx(0, abs=1e-5)
    # N(0, s^2) in the place of U(-1, 1): -1/2 log(2 pi s^2) - E c^2 / (2 s^2) + log 2, with E c^2 = 1/3
    variance = (LEAST_DEVIATION + 0.4) ** 2
    expected = math.log(2) - 0.5 * math.log(2 * math.pi * variance) - 1 / (6 * variance)
    assert float(bounds["continuous_1"]) == pytest.approx(expected, abs=1e-4) and expected < 0


def test_the_bound_never_exceeds_the_entropy_of_a_categorical_code_and_equals_the_information_of_a_noisy_channel():
    torch.manual_seed(0)
    condition = codes().draw(range(500))
    for scale in (0.1, 1.0, 10.0):
        bounds = bound_information(SHAPE, scale * torch.randn(500, SHAPE.parameters), condition)
        assert all(float(bounds[name]) <= SHAPE.entropies[name] for name in ("categorical_1", "categorical_2"))
    # A symmetric channel of 10 values that is right with probability p, and its exact posterior as Q.
    right, sent = 0.7, torch.arange(1000) % 10
    received = torch.where(torch.arange(1000) < 700, sent, (sent + 1 + torch.arange(1000) // 10 % 9) % 10)
    posterior = torch.full((10, 10), 0.3 / 9).fill_diagonal_(right).log()
    channel = CodeShape((10,), 0)
    found = bound_information(channel, posterior[received], sent[:, None].float())["categorical_1"]
    expected = math.log(10) + right * math.log(right) + 0.3 * math.log(0.3 / 9)
    assert float(found) == pytest.approx(expected, abs=0.02)


def test_the_term_is_the_weighted_sum_of_fakes_alone_packed_or_not():
    condition, parameters = codes().draw(range(8)), torch.randn(8, SHAPE.parameters)
    bounds = list(bound_information(SHAPE, parameters, condition).values())
    expected = -2.0 * float(bounds[0] + bounds[1] + 0.1 * (bounds[2] + bounds[3]))
    term = MutualInformation(2.0, [10, 3], 2)
    broken = ScoredBatch(torch.zeros(8, 1), Scores(torch.zeros(8), torch.full_like(parameters, math.nan)), condition)
    for rows in (8, 4):
        scores = Scores(torch.zeros(rows), parameters.reshape(rows, -1))
        found = term(None, broken, ScoredBatch(torch.zeros(8, 1), scores, condition))
        assert float(found) == pytest.approx(expected, rel=1e-5)
    assert {name.removeprefix("information/"): float(value) for name, value in term.curves().items()} == pytest.approx(
        dict(zip(SHAPE.names, map(float, bounds), strict=True))
    )


def test_codes_of_a_batch_depend_on_seed_and_index_and_two_processes_share_those_of_one(monkeypatch):
    def of_batch(size, *seed):
        return codes().of_batch(Batch(torch.zeros(size, 1), torch.zeros(size)), *seed)

    whole = of_batch(8, 3, 5)
    assert torch.equal(whole, of_batch(8, 3, 5))
    assert not torch.equal(whole, of_batch(8, 3, 6)) and not torch.equal(whole, of_batch(8, 4, 5))
    halves = []
    for rank in range(2):
        monkeypatch.setattr("zerosum.gan.labels.codes.rank_and_world_size", lambda rank=rank: (rank, 2))
        halves.append(of_batch(4, 3, 5))
    assert torch.equal(torch.cat(halves), whole)


def test_codes_of_a_sample_depend_on_its_seed_alone_and_are_uniform():
    drawn = codes().draw(range(6000))
    assert torch.equal(codes().draw([7, 4000]), drawn[[7, 4000]])
    counts = [torch.bincount(drawn[:, column].long()).tolist() for column in range(2)]
    assert [len(each) for each in counts] == [10, 3]
    assert min(counts[0]) > 500 and max(counts[0]) < 700 and min(counts[1]) > 1850
    continuous = drawn[:, 2:]
    assert continuous.min() >= -1 and continuous.max() < 1
    torch.testing.assert_close(continuous.var(0), torch.full((2,), 1 / 3), atol=0.02, rtol=0)
    z = latents(range(2000), 1)
    assert torch.corrcoef(torch.cat([z, drawn[:2000]], 1).T)[0, 1:].abs().max() < 0.08, "codes follow z"


def test_codes_become_ones_and_zeros_and_numbers():
    condition = torch.tensor([[2.0, 0.0, -0.5, 0.25], [9.0, 1.0, 0.0, 1.0]])
    expected = torch.zeros(2, 15)
    expected[0, [2, 10]] = expected[1, [9, 11]] = 1
    expected[:, 13:] = condition[:, 2:]
    assert torch.equal(JoinedCodes(SHAPE)(condition), expected)
    packed = JoinedCodes(SHAPE, pack=2)
    assert packed.size == 30 and torch.equal(packed(condition[None]), expected.reshape(1, 30))


def test_a_traversal_changes_one_code_and_a_picture_has_a_column_for_each_value():
    made = codes()
    for code, count in enumerate((10, 3, 9, 9)):
        values = made.values_of(code)
        condition, columns, _ = made.traverse(code, values, range(5))
        rows = condition.reshape(5, columns, 4)
        assert columns == count and torch.equal(rows[:, :, code], values.expand(5, -1))
        others = [column for column in range(4) if column != code]
        assert torch.equal(rows[:, :, others], made.draw(range(5))[:, None, others].expand(-1, columns, -1))
    condition, columns, _ = made.arrange(64)
    assert columns == 10 and len(condition) == 60
    assert torch.equal(condition.reshape(6, 10, 4)[:, :, 0], torch.arange(10.0).expand(6, -1))
    assert codes(categorical=[40]).arrange(64).columns == 16
    assert codes(categorical=[]).arrange(64).columns == 9
    assert len(made.arrange(1).condition) == 1


class Painter:
    """A model whose image's gray is the first code, and whose size of the bright part comes from the seed."""

    def sample(self, seeds, condition=None):
        images = torch.full((len(seeds), 1, 8, 8), -1.0)
        for image, seed, row in zip(images, seeds, condition, strict=True):
            image[:, : 2 + 2 * seed] = row[0] / 5 - 1
        return images


def test_the_picture_of_a_code_has_one_row_for_each_seed_and_only_the_code_moves_along_it():
    picture = draw_code(Painter(), codes(), 0, rows=2, reach=2.0)
    pixels = np.asarray(picture.convert("L"))
    cell = pixels.shape[1] // 10
    heading = pixels.shape[0] - 2 * cell
    middles = [int(cell * (column + 0.5)) for column in range(10)]
    top = [int(pixels[heading + 6, middle]) for middle in middles]
    assert top == to_uint8((torch.arange(10.0) / 5 - 1)[:, None, None, None]).flatten().tolist()
    low = heading + cell // 2
    assert {int(pixels[low, middle]) for middle in middles} == {0}  # the first seed's bright part ends above
    assert [int(pixels[low + cell - 8, middle]) for middle in middles] == top


def test_scores_of_real_images_do_not_depend_on_codes():
    discriminator = RecognizingDiscriminator(
        lambda sample_shape: dcgan.Discriminator(sample_shape, 4), JoinedCodes(SHAPE), (1, 16, 16)
    )
    images = torch.randn(6, 1, 16, 16)
    scores = [discriminator(images, condition) for condition in (codes().draw(range(6)), None)]
    assert torch.equal(scores[0].logits, scores[1].logits) and scores[0].class_logits.shape == (6, SHAPE.parameters)


@pytest.mark.parametrize("wrong", [{"categorical": [1]}, {"continuous": -1}, {"categorical": [], "continuous": 0}])
def test_impossible_codes_are_refused(wrong):
    with pytest.raises(UserError, match="at least one code"):
        codes(**wrong)


def trained(tiny, *options):
    built = build(
        validate(tiny("labels=infogan", "run.images=64", "~callbacks.progress", "~callbacks.evaluate", *options))
    )
    built.trainer.fit(built.module, datamodule=built.data)
    return built


@pytest.mark.parametrize(
    "options",
    [["game.pack=2"], ["model.spectral_norm=true", "loss=hinge"], ["training.accumulate=2"], ["game.unroll=1"]],
)
def test_it_trains_with_other_parts(tiny, options):
    gan = trained(tiny, *options, "regularizer=none").module
    curves = gan.curves()
    assert set(curves) >= {f"information/{name}" for name in ("categorical_1", "continuous_1", "continuous_2")}
    assert curves["information/categorical_1"] <= math.log(10)
    assert gan.equilibrium() and gan.label_use == "none"


def test_codes_that_d_does_not_recognize_are_refused_before_training(tiny):
    for options in (
        ["regularizer.information.categorical=[5]"],
        ["labels/discriminator=concat"],
    ):
        with pytest.raises(UserError, match="set labels=infogan, and name the codes"):
            build(validate(tiny("labels=infogan", *options)))


def test_a_resumed_run_ends_as_one_that_was_not_interrupted_and_has_its_picture_and_curves(tiny, tmp_path):
    from zerosum.experiment.train import train
    from zerosum.runs.resume import resume

    ends = {}
    for name in ("straight", "halved"):
        options = [f"run.folder={tmp_path}/{name}", "run.images=64", "callbacks.curves.every=16", "labels=infogan"]
        options += ["callbacks.checkpoint.every=32", "protocol.n_fake=16", "~callbacks.progress"]
        train(tiny(*options))
        folder = tmp_path / name
        if name == "halved":
            (folder / "last.ckpt").write_bytes((folder / "previous.ckpt").read_bytes())
            resume(folder, [])
        ends[name] = torch.load(folder / "last.ckpt", weights_only=True)
        with Image.open(folder / "report" / "codes.png") as picture:
            assert picture.width > 500
        assert "What each code changes" in make_run_page(folder)
        rows = list(csv.DictReader((folder / "metrics.csv").open()))
        assert any(row["game/information/categorical_1"] for row in rows)
    weights = [end["state_dict"] for end in ends.values()]
    assert ends["straight"]["images_seen"] == 64 and weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
