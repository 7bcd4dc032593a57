"""Each finding of the doctor in made-up curves, its advice, and the callback in real runs."""

import importlib
import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings, strategies

from zerosum.doctor.callback import Doctor
from zerosum.doctor.case import Case, Settings
from zerosum.doctor.examine import examine, merge
from zerosum.doctor.history import MOST_POINTS, History
from zerosum.doctor.rules import RULES
from zerosum.errors import UserError
from zerosum.experiment.compose import compose
from zerosum.experiment.settings import validate
from zerosum.experiment.train import train
from zerosum.training.callbacks.evaluate import Evaluate

HEALTHY = {
    "quality/fid": [2900, 300, 90, 40, 20, 12, 9, 8],
    "quality/diversity": [0, 0.6, 0.8, 0.9, 0.95, 0.97, 0.98, 1.0],
    "quality/classes_missing": [9, 3, 0, 0, 0, 0, 0, 0],
    "quality/classes_missing_share": [0.9, 0.3, 0, 0, 0, 0, 0, 0],
    "quality/nearer_to_train": [1.0, 0.9, 0.7, 0.6, 0.6, 0.55, 0.55, 0.55],
    "quality/nearest/train": [9, 5, 4, 3, 3, 3, 3, 3],
    "quality/nearest/held_out": [9.1, 5.2, 4.2, 3.1, 3.1, 3.1, 3.1, 3.1],
    "game/separation/train": [0.99, 0.95, 0.9, 0.85, 0.8, 0.8, 0.8, 0.8],
    "game/separation/held_out": [0.99, 0.94, 0.88, 0.82, 0.77, 0.76, 0.75, 0.75],
    "game/overfitting/r_v": [0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.22, 0.25],
    "game/gradient_norm/generator": [5, 9, 8, 7, 6, 5, 4, 4],
    "game/logits/greatest": [1, 3, 4, 4, 4, 4, 4, 4],
    "game/update_ratio/generator": [0.02, 0.01, 0.008, 0.007, 0.006, 0.005, 0.004, 0.004],
    "game/update_ratio/discriminator": [0.02, 0.01, 0.008, 0.007, 0.006, 0.005, 0.004, 0.004],
    "game/batch_leak": [0.05, 0.04, 0.02, 0.02, 0.01, 0.01, 0.0, 0.0],
}
STUCK = [2900, 2890, 2880, 2870, 2860, 2850, 2840, 2830]
SICK = {
    "discriminator_too_strong": {"game/separation/held_out": [0.9, *[0.999] * 7], "quality/fid": STUCK},
    "discriminator_too_weak": {"game/separation/train": [0.0] * 8, "quality/fid": STUCK},
    "vanishing_gradient": {
        "game/gradient_norm/generator": [5, 9, 8, 1, 0.5, 0.1, 0.05, 0.01],
        "game/separation/held_out": [0.98] * 8,
    },
    "collapse": {"quality/diversity": [0, 0.5, 0.3, 0.1, 0.05, 0.02, 0.02, 0.02]},
    "memorization": {"game/overfitting/r_v": [0, 0.1, 0.3, 0.5, 0.65, 0.7, 0.8, 0.9]},
    "oscillation": {"quality/fid": [2900, 300, 90, 190, 80, 200, 95, 180]},
    "explosion": {"game/logits/greatest": [10, 100, 400, 900, 2e3, 4e3, 8e3, 1e4]},
    "learning_rate_too_high": {"game/update_ratio/discriminator": [0.9, 0.6, 0.4, 0.3, 0.3, 0.3, 0.3, 0.3]},
    "rising": {"quality/fid": [2900, 300, 90, 40, 60, 75, 90, 110]},
    "batch_leak": {"game/batch_leak": [0.1, 0.2, 0.6, 0.7, 0.8, 0.9, 0.9, 0.9], "quality/fid": STUCK},
}
VARIANTS = {
    "collapse": {
        "quality/classes_missing": [9, 5, 5, 4, 4, 4, 4, 4],
        "quality/classes_missing_share": [0.9, 0.5, 0.5, 0.4, 0.4, 0.4, 0.4, 0.4],
    },
    "memorization": {
        "quality/nearer_to_train": [1.0, 0.9, 0.9, 0.9, 0.95, 0.95, 0.95, 0.95],
        "quality/nearest/train": [9, 5, 4, 3, 1, 0.5, 0.5, 0.5],
    },
}
SETTINGS = Settings("NonSaturating", {}, {"discriminator": 2e-4, "generator": 2e-4})


def case_of(curves, known=SETTINGS, **changed):
    points = {name: [(1000 * index, value) for index, value in enumerate(values)] for name, values in curves.items()}
    return Case(**({"history": History(points), "metric": "fid", "floor": 1.0, "settings": known} | changed))


def test_a_healthy_run_has_no_finding():
    assert examine(case_of(HEALTHY)) == []
    assert examine(case_of({})) == [] and examine(Case(History())) == []


@pytest.mark.parametrize(("name", "curves"), [*SICK.items(), *VARIANTS.items()])
def test_each_fault_is_found_alone_with_numbers_and_advice(name, curves):
    (finding,) = examine(case_of(HEALTHY | curves))
    assert finding.name == name and finding.evidence and finding.since == 7000
    assert any(character.isdigit() for character in finding.sentence) and "{" not in finding.sentence
    config = compose("dataset=digits", *finding.override.split())
    assert validate(config)["loss"]


def test_one_leap_of_the_weights_is_enough():
    (finding,) = examine(case_of(HEALTHY | {"game/update_ratio/generator": [25, *[0.001] * 7]}))
    assert finding.name == "learning_rate_too_high" and finding.evidence == {"update_ratio_generator": 25}


@pytest.mark.parametrize("name", SICK)
def test_a_problem_must_last(name):
    """One measurement alone, the last one, is no finding."""
    curves = {curve: [*HEALTHY[curve][:-1], values[-1]] for curve, values in SICK[name].items()}
    assert examine(case_of(HEALTHY | curves)) == []


NUMBERS = strategies.one_of(
    strategies.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 1e-300, 1e300, math.inf, -math.inf, math.nan]),
    strategies.floats(),
)


@settings(max_examples=150, deadline=None)
@given(
    strategies.fixed_dictionaries({name: strategies.lists(NUMBERS, max_size=8) for name in HEALTHY}),
    strategies.sampled_from([None, 0.0, 1.0, math.inf]),
    strategies.booleans(),
    strategies.sampled_from(["fid", None, "absent"]),
)
@example({"quality/fid": [4e23, 1e-300]}, None, True, "fid")  # whose quotient is 0
def test_no_curve_makes_the_doctor_fail(curves, floor, lower_is_better, metric):
    """An error of the doctor would end a training."""
    for finding in examine(case_of(curves, floor=floor, lower_is_better=lower_is_better, metric=metric)):
        assert finding.sentence and finding.override


def test_every_rule_is_planted():
    assert set(SICK) == set(RULES)


def test_of_a_metric_that_should_rise_the_lost_part_counts():
    modes = [0, 4, 8, 8, 3, 2, 2, 2]
    found = examine(case_of({"quality/modes": modes}, metric="modes", lower_is_better=False, floor=8.0))
    assert [finding.name for finding in found] == ["rising"]
    assert found[0].evidence == {"best": 8, "best_images": 2000, "last": 2}


R3GAN = "loss=relativistic regularizer=r1_r2"


@pytest.mark.parametrize(
    ("settings", "name", "expected"),
    [
        (SETTINGS, "discriminator_too_strong", "regularizer=r1"),
        (Settings("Hinge", {"r1": 0.5}), "discriminator_too_strong", "gamma=5"),
        (Settings("Wasserstein"), "explosion", "regularizer=gradient_penalty"),
        (Settings("Minimax", {"r1": 1.0}), "vanishing_gradient", "loss=nonsat gamma=10"),
        (Settings("Hinge", {"r1": 1.0}), "collapse", R3GAN),
        (Settings("Hinge", {"r1": 1.0}, momentum=0.9), "collapse", f"{R3GAN} optimizer.betas=[0.5,0.999]"),
        (Settings("Hinge", {"r1": 0.0}), "discriminator_too_strong", "gamma=1"),
        (
            Settings("Wasserstein", {"gradient_penalty": 10.0}),
            "explosion",
            "regularizer.gradient_penalty.weight=100",
        ),
        (Settings("Relativistic", {"r1": 1.0, "r2": 1.0}), "collapse", "game.pack=2"),
        (Settings("Wasserstein", {"clip": 0.0}, {}, critic_steps=5), "discriminator_too_weak", "game.critic_steps=10"),
        (Settings("Wasserstein", has_batch_norm=True), "explosion", "regularizer=r1"),
        (Settings(augment="DiffAugment"), "memorization", "augment=ada"),
        (Settings(has_images=False), "memorization", "regularizer=r1"),
        (
            Settings("Hinge", {}, {"discriminator": 0.5, "generator": 0.5}),
            "learning_rate_too_high",
            "optimizer.discriminator.lr=0.005 optimizer.generator.lr=0.005",
        ),
    ],
)
def test_advice_fits_the_run(settings, name, expected):
    (finding,) = examine(case_of(HEALTHY | SICK[name], settings))
    assert finding.override == expected


def test_samples_that_spread_have_not_collapsed_and_a_run_that_has_hardly_begun_is_left_in_peace():
    """The stock digits recipe, measured every 1,000 of 150,000 images."""
    begins = {"quality/diversity": [0.0001, 0.003, 0.018, 0.072, 0.09], "quality/fid": [2983, 2980, 2738, 2302, 1932]}
    assert examine(case_of(begins)) == []
    missing = {"quality/classes_missing": [9, 6, 5, 2], "quality/diversity": [0.0, 0.001, 0.011, 0.036]}
    assert examine(case_of({"quality/fid": [482, 444, 418, 366], **missing})) == []  # hinge on MNIST, every 3,000
    rare = {"quality/classes_missing": [528, 92, 35, 15], "quality/classes_missing_share": [0.528, 0.092, 0.035, 0.015]}
    assert examine(case_of({"quality/fid": [482, 444, 418, 366], **rare})) == []  # of 1,000 classes, StackedMNIST
    part = [0.998, 0.571, 0.176, 0.088]
    coming = {"quality/classes_missing": [998, 571, 176, 88], "quality/classes_missing_share": part}
    assert examine(case_of({"quality/fid": [482, 444, 418, 366], **coming})) == []
    alike = {"quality/diversity": [0.0, 0.05, 0.05, 0.05], **coming}
    assert [finding.name for finding in examine(case_of({"quality/fid": STUCK[:4], **alike}))] == ["collapse"]
    still = {"quality/diversity": [0.0001, 0.003, 0.003, 0.003, 0.003]}
    assert [finding.name for finding in examine(case_of(still))] == ["collapse"]
    assert examine(case_of(still, budget=150_000)) == []


def test_a_healthy_run_that_leaks_and_gets_on_is_left_in_peace():
    """nonsat with R1 on MNIST, seed 1, which ended at a FID of 54."""
    leaks = {
        "game/batch_leak": [0.0, 0.0, 0.01, 0.64, 0.6, 0.87, 0.74],
        "quality/fid": [482, 430, 403, 308, 241, 184, 146],
    }
    assert examine(case_of(leaks)) == []


def test_the_best_that_is_the_untrained_model_is_no_budget_to_stop_at():
    assert examine(case_of({"quality/fid": [10, 20, 20, 20, 20, 20]})) == []


def test_a_learning_rate_that_is_too_high_is_told_alone():
    """It may explain the rest, whose advice cannot help before."""
    curves = SICK["learning_rate_too_high"] | SICK["explosion"] | SICK["collapse"]
    assert [finding.name for finding in examine(case_of(HEALTHY | curves))] == ["learning_rate_too_high"]


def test_weights_that_are_clipped_leap_without_a_learning_rate():
    curves = HEALTHY | {"game/update_ratio/discriminator": [0.7, *[0.001] * 7]}
    assert examine(case_of(curves, Settings("Wasserstein", {"clip": 0.0}, SETTINGS.learning_rates))) == []


def test_findings_that_end_stay_with_their_times():
    (sick,) = examine(case_of(HEALTHY | SICK["collapse"]))
    later = merge([sick], examine(case_of(HEALTHY)))
    assert later == [sick]
    (again,) = merge(later, [type(sick)(**{**sick.to_dict(), "since": 9000, "until": 9000})])
    assert (again.since, again.until) == (7000, 9000)


def test_a_long_history_is_thinned_and_keeps_its_ends():
    history = History()
    for images in range(5 * MOST_POINTS):
        history.add(images, {"fid": images})
    values = history.values("fid")
    assert len(values) <= MOST_POINTS and values[0] == 0 and values[-1] == 5 * MOST_POINTS - 1
    assert History.from_dict(json.loads(json.dumps(history.to_dict()))).curves == history.curves


class Recorder(dict):
    """Curves that note which of them are asked for."""

    def __init__(self, curves):
        super().__init__(curves)
        self.asked = set()

    def get(self, name, *default):
        self.asked.add(name)
        return super().get(name, *default)


def test_the_rules_read_what_the_callback_keeps_and_nothing_else():
    asked = set()
    for curves in ({}, *SICK.values(), *VARIANTS.values()):
        case = case_of(HEALTHY | curves)
        case.history.curves = Recorder(case.history.curves)
        findings = examine(case)
        asked |= case.history.curves.asked
        doctor = Doctor()
        doctor.metric = "fid"
        others = {"game/singular_value/0": 1.0, "quality/class_share/7": 0.1, "quality/fid_infinity": 2.0}
        others |= {"doctor/findings": 1.0, "speed/images_per_second": 3.0}
        for index in range(8):
            read = {name: values[index] for name, values in (HEALTHY | curves).items()}
            doctor.observe(1000 * index, read | others)
        assert examine(replace(case, history=doctor.history)) == findings
        assert doctor.history.curves.keys().isdisjoint(others)
    assert asked == set(HEALTHY)


def test_findings_are_written_when_they_change_by_one_process(tmp_path, monkeypatch):
    evaluate, written = Evaluate(SimpleNamespace(better={"fid": "lower"}), str(tmp_path)), []
    monkeypatch.setattr(evaluate, "write", lambda: written.append(evaluate.findings))
    evaluate.history = [None]
    trainer = SimpleNamespace(callbacks=[evaluate], is_global_zero=True)
    doctor = Doctor()
    doctor.on_fit_start(trainer, None)
    doctor.record(trainer)
    assert evaluate.findings == [] == written
    for curves in (HEALTHY, HEALTHY | SICK["collapse"], HEALTHY | SICK["collapse"]):
        doctor.findings = merge(doctor.findings, examine(case_of(curves)))
        doctor.record(trainer)
    assert [[finding.name for finding in findings] for findings in written] == [["collapse"]]
    trainer.is_global_zero, doctor.findings = False, []
    doctor.record(trainer)
    assert evaluate.findings == [] and len(written) == 1  # other processes leave the file alone


FAST = ("dataset=ring", "trainer=cpu", "training.batch_size=16", "run.images=160", "~callbacks.samples")
EACH = tuple(f"callbacks.{name}.every=16" for name in ("evaluate", "logits", "weights", "curves"))
WILD = ("optimizer.lr=0.5", "optimizer.betas=[0,0.9]")


def test_a_named_finding_ends_training_without_a_rollback(composed, tmp_path, caplog):
    options = ("callbacks.doctor.stop=[learning_rate_too_high]", "training.on_nan=rollback")
    with pytest.raises(UserError, match=r"as callbacks.doctor.stop asks: one step moves the weights"):
        train(composed(*FAST, *EACH, *WILD, *options))
    assert "Going back" not in caplog.text
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["findings"]


def test_a_finding_that_does_not_exist_is_refused():
    with pytest.raises(UserError, match=r"stop=colapse: there is no such finding.*Did you mean collapse"):
        Doctor(stop=["colapse"])
    with pytest.raises(UserError):
        Doctor(stop=["base"])


def test_a_sick_run_says_so_in_the_log_and_in_metrics_json_also_once_it_goes_on(composed, tmp_path, caplog):
    caplog.set_level("INFO", "zerosum")
    train(composed(*FAST, *EACH, *WILD))
    whole = json.loads((tmp_path / "run" / "metrics.json").read_text())["findings"]
    assert "learning_rate_too_high" in [finding["name"] for finding in whole]
    messages = [record.getMessage() for record in caplog.records]
    assert any("Try optimizer.discriminator.lr=0.005 optimizer.generator.lr=0.005" in message for message in messages)
    (verdict,) = [message for message in messages if message.startswith("  doctor")]
    assert "learning_rate_too_high" in verdict
    run = composed(*FAST, *EACH, *WILD, "run.images=320")
    train(run, tmp_path / "run" / "last.ckpt")
    longer = {found["name"]: found for found in json.loads((tmp_path / "run" / "metrics.json").read_text())["findings"]}
    for finding in whole:
        assert longer[finding["name"]]["since"] == finding["since"]


@pytest.mark.slow
def test_every_planted_fault_is_one_of_a_finding_and_composes(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    planted = importlib.import_module("planted")
    for dataset, faults in planted.FAULTS.items():
        assert set(faults) <= set(RULES)
        for overrides in faults.values() if dataset != "mnist" else ():
            assert validate(compose(*planted.BASES[dataset], *overrides))["run"]["images"]
