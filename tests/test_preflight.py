"""The config is compared with the constructors before anything is built."""

import pytest

from zerosum.experiment.build import build
from zerosum.experiment.settings import validate
from zerosum.errors import UserError, did_you_mean
from zerosum.experiment.schema import check


class Widget:
    def __init__(self, size: int, rate: float = 0.1, pair: tuple[float, float] = (0.0, 0.0), name: str | None = None):
        self.arguments = size, rate, pair, name


def widget(**options):
    return {"_target_": f"{__name__}.Widget", **options}


def test_whole_numbers_become_floats_where_floats_are_expected():
    node = check(widget(size=3, rate=1, pair=[0, 0.9]), "widget")
    assert [type(value) for value in (node["size"], node["rate"], *node["pair"])] == [int, float, float, float]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 1, "rte": 0.1}, r"widget\.rte: .*no such option\. Did you mean rate\?"),
        ({"size": "big"}, r"widget\.size='big': expected int"),
        ({"size": True}, r"widget\.size=True: expected int"),
        ({"size": 1e5}, r"widget\.size=100000\.0: expected int, write 100000"),
        ({"size": 1, "rate": "fast"}, r"widget\.rate='fast': expected float"),
        ({"size": 1, "rate": None}, r"widget\.rate=None: expected float"),
        ({"size": 1, "pair": [1.0]}, r"widget\.pair=\[1\.0\]: expected tuple"),
        ({"size": 1, "name": 5}, r"widget\.name=5: expected str or null"),
        ({"rate": 0.1}, r"widget\.size is missing"),
        ({"size": "???"}, r"widget\.size is missing"),
    ],
)
def test_what_a_constructor_would_not_take_is_named(options, message):
    with pytest.raises(UserError, match=message):
        check({"widget": widget(**options)})


def test_a_partial_may_lack_what_it_will_be_called_with():
    assert check(widget(_partial_=True, rate=0.5), "widget")["rate"] == 0.5


def test_a_target_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"_target_=zerosum\.losses\.Nonsat cannot be imported"):
        check({"loss": {"_target_": "zerosum.gan.losses.Nonsat"}})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+modle.lr=1", "modle: there is no such option. Did you mean model"),
        ("optimizer.lr=abc", "optimizer.discriminator.lr='abc': expected float"),
        ("+trainer.max_stepz=5", "trainer.max_stepz: .*Did you mean max_steps"),
        ("+loss.smoth=0.1", "loss.smoth: .*no such option"),
        ("training.batch_size=0", "training.batch_size=0: at least 1"),
        ("+game.k=5", "game.k: .*no such option"),
        ("run.images=0", "run.images=0: .*at least 1"),
        ("seed=-1", "seed=-1: expected a whole number"),
        ("dataset.resolution=48", "16, 32, 64 or 128"),
        ("dataset=image_folder", "dataset.path is missing"),
    ],
)
def test_mistakes_on_the_command_line_stop_the_build(composed, override, message):
    with pytest.raises(UserError, match=message):
        build(validate(composed(override)))


def test_a_name_that_is_known_twice_is_proposed_once():
    assert did_you_mean("los", ["loss", "run", "loss"]) == " Did you mean loss?"
