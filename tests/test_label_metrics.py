"""What a model knows of labels: a perfect one is at the floor, one of permuted labels at or below chance."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from given_features import GivenReference, draw
from sklearn.metrics import accuracy_score, recall_score

from zerosum.data.images import ImageDataset, Split
from zerosum.errors import DivergedError, UnmeasurableError, UserError
from zerosum.evaluation.distribution_metrics import FID, FIDByClass
from zerosum.evaluation.features.classifier import ClassifierFeatures
from zerosum.evaluation.features.patches import LaplacianPatches
from zerosum.evaluation.features.small_classifier import share_classified_correctly, train_classifier
from zerosum.evaluation.image_protocol import ImageProtocol
from zerosum.evaluation.label_metrics import CAS, ConditionalAccuracy, HeldOutErrors
from zerosum.evaluation.reference import FeatureSet
from zerosum.pixels import from_uint8, to_uint8

PERMUTED = [1, 2, 3, 0]
DATA_CONDITIONS = SimpleNamespace(from_data=True)


class Quadrants(ImageDataset):
    """Noise with a slightly brighter quadrant, which is the class; each class is a quarter of each split."""

    channels = 1
    classes = ("top left", "top right", "bottom left", "bottom right")

    def __init__(self, root):
        super().__init__(8, str(root))

    def read(self, split):
        labels = np.arange(256) % 4
        images = np.random.default_rng(self.splits.index(split)).integers(0, 200, (256, 8, 8, 1), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 50
        return Split(images, labels)


class RealOfClass:
    """A perfect conditional model: its samples are training images of the class asked for, or of a permuted one."""

    def __init__(self, dataset, permutation=(0, 1, 2, 3), conditions=DATA_CONDITIONS):
        images, labels, *_ = dataset.split("train")
        self.images = from_uint8(torch.from_numpy(images).permute(0, 3, 1, 2))
        self.rows = [np.flatnonzero(labels == label) for label in range(4)]
        self.permutation = permutation
        self.conditions = conditions

    def sample(self, seeds, condition=None):
        asked = [0] * len(seeds) if condition is None else condition.tolist()
        found = [self.rows[self.permutation[label]] for label in asked]
        return self.images[[rows[seed % len(rows)] for rows, seed in zip(found, seeds, strict=True)]]


class Guessing:
    """A model that classifies the test split's images by the given guesses."""

    def __init__(self, dataset, guesses, dtype=torch.float32):
        self.images = torch.from_numpy(dataset.split("test").images).permute(0, 3, 1, 2)
        self.logits = torch.eye(4, dtype=dtype)[torch.as_tensor(guesses)]

    def sample(self, seeds, condition=None):
        return from_uint8(self.images)[list(seeds)]

    def classify(self, images):
        same = (to_uint8(images)[:, None] == self.images[None]).flatten(2).all(2)
        return self.logits[same.double().argmax(1)]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return Quadrants(tmp_path_factory.mktemp("data"))


def make_protocol(dataset, n_fake=256, **options):
    metrics = options.pop("metrics", None) or {
        "fid": FID(),
        "fid_by_class": FIDByClass(),
        "conditional_accuracy": ConditionalAccuracy(),
        "cas": CAS(steps=40),
    }
    protocol = ImageProtocol("labels", ClassifierFeatures(steps=40), metrics, n_fake, **options)
    protocol.prepare(dataset)
    return protocol


@pytest.fixture(scope="module")
def protocol(dataset):
    return make_protocol(dataset)


def test_a_perfect_conditional_model_is_at_the_floor_and_permuted_labels_show_in_all_but_the_fid(protocol, dataset):
    floor = protocol.floor()
    perfect, permuted = (protocol.measure(RealOfClass(dataset, order)) for order in ([0, 1, 2, 3], PERMUTED))
    for name in ("conditional_accuracy", "conditional_accuracy_lowest", "cas"):
        assert floor[name] > 0.9 and perfect[name] > 0.9, name
        assert permuted[name] < 0.1, name
    assert permuted["fid_by_class"] > 20 * perfect["fid_by_class"]
    assert 0.5 < permuted["fid"] / perfect["fid"] < 2
    assert list(perfect) == ["fid", "fid_by_class", "conditional_accuracy", "conditional_accuracy_lowest", "cas"]
    assert protocol.card()["cas_classifier"] == "40 batches of 128, seed 0"


def test_one_sample_repeated_for_each_class_has_the_right_classes_and_teaches_little(protocol, dataset):
    model = RealOfClass(dataset)
    model.rows = [rows[:1] for rows in model.rows]
    values = protocol.measure(model)
    assert values["conditional_accuracy"] == 1
    assert values["cas"] < 0.8 * protocol.floor()["cas"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_conditional_accuracy_is_scikit_learns_accuracy_and_its_lowest_recall(dtype):
    asked = torch.randint(0, 3, (200,), generator=torch.Generator().manual_seed(0))
    logits = draw(200, 1, size=3).to(dtype) + torch.eye(3, dtype=dtype)[asked]
    found = ConditionalAccuracy()(
        GivenReference(classes="abc", test=FeatureSet(draw(9, 0))), FeatureSet(draw(200, 2), logits, asked)
    )
    guesses = logits.argmax(1)
    assert found["conditional_accuracy"] == pytest.approx(accuracy_score(asked, guesses), abs=1e-12)
    recalls = recall_score(asked, guesses, average=None)
    assert found["conditional_accuracy_lowest"] == pytest.approx(min(recalls), abs=1e-12)
    assert 0.3 < min(recalls) < accuracy_score(asked, guesses) < 0.9


def test_conditional_accuracy_says_what_it_needs():
    features, labels = draw(4, 0), torch.tensor([0, 1, 0, 1])
    for fake, reason in {
        FeatureSet(features, torch.zeros(4, 2)): "needs a model that is asked for a class",
        FeatureSet(features, None, labels): "needs labelled images and features that classify",
        FeatureSet(features, torch.zeros(4, 1008), labels): "predict the 2 classes of Given, these predict 1008 others",
    }.items():
        with pytest.raises(UnmeasurableError, match=reason):
            ConditionalAccuracy()(GivenReference(test=FeatureSet(features)), fake)


@pytest.mark.parametrize("conditions", [None, SimpleNamespace(from_data=False)])
def test_a_model_that_is_asked_for_no_class_has_a_reason_in_place_of_both(protocol, dataset, conditions):
    """Unconditional models, and those of codes that are found without labels."""
    values = protocol.measure(RealOfClass(dataset, conditions=conditions))
    reasons = protocol.notes()["left_out"]
    assert "cas" not in values and "conditional_accuracy" not in values and values["fid"] > 0
    for name in ("cas", "conditional_accuracy"):
        assert reasons[name] == f"{name} needs a model that is asked for a class, as labels=projection trains"


def test_a_model_that_is_asked_for_attributes_has_no_classes(dataset, monkeypatch):
    protocol = make_protocol(dataset, metrics={"cas": CAS()})
    split = dataset.split("test")
    attributes = np.eye(4, dtype=np.float32)[split.labels]
    monkeypatch.setitem(dataset._splits, "test", split._replace(attributes=attributes))
    assert protocol.conditions(RealOfClass(dataset), range(256)).shape == (256, 4)
    assert protocol.asked_labels(RealOfClass(dataset)) is None


def test_the_classifier_learns_the_labels_of_images_that_have_attributes_too(dataset):
    images, labels, *_ = dataset.split("train")
    with_attributes = Split(images, labels, np.zeros((len(images), 3), np.float32))
    one, other = (train_classifier(split, 4, 10, 0).state_dict() for split in (Split(images, labels), with_attributes))
    assert all(torch.equal(weight, other[name]) for name, weight in one.items())


def test_the_floor_of_cas_is_the_test_accuracy_of_the_same_classifier_trained_on_all_training_images(dataset):
    """With as many samples as there are training images it is features=classifier's own accuracy."""
    protocol = make_protocol(dataset, metrics={"cas": CAS(steps=10)})
    features = ClassifierFeatures(steps=10)
    features.prepare(dataset)
    assert protocol.floor()["cas"] == features.accuracy
    guesses = features.network(torch.from_numpy(dataset.split("test").images).permute(0, 3, 1, 2)).logits.argmax(1)
    assert features.accuracy == pytest.approx(accuracy_score(dataset.split("test").labels, guesses))
    assert 0.3 < features.accuracy < 1


def test_floors_of_fewer_images_than_samples_are_left_out(dataset):
    protocol = make_protocol(dataset, n_fake=257)
    floor = protocol.floor()
    assert "cas" not in floor and "conditional_accuracy_lowest" not in floor
    assert protocol.notes()["floor_left_out"]["cas"] == "train has 256 images, fewer than the 257 samples"
    held_out = share_classified_correctly(protocol.features.network, dataset.split("test"))
    assert floor["conditional_accuracy"] == pytest.approx(held_out)


@pytest.mark.parametrize("batch_size", [7, 100])
def test_cas_trains_on_the_samples_that_the_other_metrics_measure(dataset, batch_size):
    protocol = make_protocol(dataset, n_fake=50, seed=3, batch_size=batch_size, metrics={"cas": CAS(steps=10)})
    model = RealOfClass(dataset)
    images, labels = protocol.sample_images(model), protocol.asked_labels(model)
    for row in (0, 6, 7, 49):
        assert torch.equal(images[row], to_uint8(model.sample([150 + row], labels[[row]]))[0])
    with torch.inference_mode():
        features = protocol.features.network(images).features
    torch.testing.assert_close(features, protocol.compute_features(model).features)


def test_cas_is_a_function_of_its_seed_and_leaves_the_global_generator_and_threads_alone(dataset):
    first, again, other = (make_protocol(dataset, metrics={"cas": CAS(10, seed)}) for seed in (0, 0, 1))
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    values = [protocol.measure(RealOfClass(dataset))["cas"] for protocol in (first, again, other)]
    assert torch.rand(1) == expected and torch.get_num_threads() == 1
    assert values[0] == values[1] != values[2]


def test_cas_needs_a_cycle_of_steps():
    with pytest.raises(UserError, match=r"metrics.cas.steps=9: choose 10 or more"):
        CAS(steps=9)
    assert CAS(steps=10).steps == 10


def test_metrics_of_the_model_are_measured_beside_features_of_any_kind():
    protocol = ImageProtocol("labels", LaplacianPatches(), {"fid": FID(), "cas": CAS(), "test_errors": HeldOutErrors()})
    assert list(protocol.measured) == ["cas", "test_errors"] and list(protocol.left_out) == ["fid"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_errors_are_those_that_scikit_learn_counts(dataset, dtype):
    labels = dataset.split("test").labels
    guesses = np.where(np.arange(256) % 10 == 0, (labels + 1) % 4, labels)
    protocol = make_protocol(dataset, metrics={"test_errors": HeldOutErrors(), "fid": FID()}, batch_size=37)
    values = protocol.measure(Guessing(dataset, guesses, dtype))
    wrong = accuracy_score(labels, guesses, normalize=False) - 256
    assert values["test_errors"] == -wrong == 26
    assert values["test_accuracy"] == pytest.approx(accuracy_score(labels, guesses))
    assert protocol.card()["n_real"] == 256 and list(protocol.floor()) == ["fid"]
    assert protocol.score(values) == (-26, values["test_accuracy"])
    assert protocol.describe_selection().startswith("chosen by test_errors")


def test_errors_need_a_model_that_classifies_and_held_out_images(dataset):
    protocol = make_protocol(dataset, metrics={"test_errors": HeldOutErrors(), "fid": FID()})
    assert list(protocol.measure(RealOfClass(dataset))) == ["fid"]
    assert "needs a model that classifies, as labels=semi_supervised" in protocol.left_out["test_errors"]
    train = make_protocol(dataset, metrics={"test_errors": HeldOutErrors(), "fid": FID()}, split="train")
    train.measure(Guessing(dataset, [0] * 256))
    assert "set protocol.split=test" in train.left_out["test_errors"]
    broken = Guessing(dataset, [0] * 256)
    broken.logits[7, 0] = math.nan
    with pytest.raises(DivergedError, match="class logits"):
        protocol.measure(broken)


TOGETHER = {"conditional_accuracy": ConditionalAccuracy(), "cas": CAS(steps=10), "test_errors": HeldOutErrors()}


def measure_in_process(rank, folder, values):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=2)
    data = Quadrants(folder / "data")
    protocol = make_protocol(data, n_fake=63, batch_size=10, metrics=TOGETHER)
    values[rank] = protocol.measure(RealOfClass(data)), protocol.left_out
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_measure_what_one_does_and_leave_out_the_same(tmp_path):
    import multiprocessing

    data = Quadrants(tmp_path / "data")
    alone = make_protocol(data, n_fake=63, metrics=TOGETHER)
    expected = alone.measure(RealOfClass(data)), alone.left_out
    assert "cas" in expected[0] and list(expected[1]) == ["test_errors"]
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        values = manager.dict()
        workers = [context.Process(target=measure_in_process, args=(rank, tmp_path, values)) for rank in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert values[0] == values[1] == expected
