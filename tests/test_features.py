"""Feature networks: what they are trained on, and torch-fidelity's as the reference for Inception."""

import numpy as np
import pytest
import torch
from given_images import Arrays, Fixed, draw_patchworks
from safetensors.torch import load_file
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from zerosum.data.digits import Digits
from zerosum.data.stacked_mnist import StackedMNIST
from zerosum.data.synthetic import Synthetic
from zerosum.data.torchvision_datasets import MNIST, FashionMNIST
from zerosum.errors import UserError
from zerosum.evaluation.distribution_metrics import FID, KID
from zerosum.evaluation.features.classifier import SHIPPED, ClassifierFeatures
from zerosum.evaluation.features.extractor import hash_tensors
from zerosum.evaluation.features.inception import InceptionFeatures
from zerosum.evaluation.features.stacked import StackedClassifierFeatures
from zerosum.evaluation.image_protocol import ImageProtocol
from zerosum.evaluation.neighbour_metrics import PrecisionRecall


def test_the_classifier_learns_is_deterministic_and_cached(tmp_path, monkeypatch):
    dataset = Synthetic(16, count=512, root=str(tmp_path / "one"))
    first, other = ClassifierFeatures(steps=60), ClassifierFeatures(steps=60)
    first.prepare(dataset)
    assert first.accuracy > 0.95
    other.prepare(Synthetic(16, count=512, root=str(tmp_path / "two")))
    for name, weight in first.network.state_dict().items():
        assert torch.equal(weight, other.network.state_dict()[name]), name
    monkeypatch.setattr(ClassifierFeatures, "train", lambda *_: pytest.fail("trained again"))
    cached = ClassifierFeatures(steps=60)
    cached.prepare(dataset)
    assert cached.describe() == first.describe()


def test_shipped_weights_are_taken_for_the_digits_wherever_they_are_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(ClassifierFeatures, "train", lambda *_: pytest.fail("trained"))
    features = ClassifierFeatures()
    features.prepare(Digits(root=str(tmp_path)))
    assert features.hash == hash_tensors(load_file(next(SHIPPED.glob("Digits-*.safetensors"))))
    assert features.accuracy > 0.97 and not (tmp_path / "cache").exists()
    flipped = ClassifierFeatures()
    flipped.prepare(Digits(root=str(tmp_path), flip=True))
    assert flipped.hash == features.hash


@pytest.mark.slow
@pytest.mark.parametrize("source", [MNIST, FashionMNIST])
def test_shipped_weights_are_those_of_the_real_data(shared_data, source, monkeypatch):
    monkeypatch.setattr(ClassifierFeatures, "train", lambda *_: pytest.fail("trained"))
    dataset, features = source(root=str(shared_data), download=False), ClassifierFeatures()
    features.prepare(dataset)
    assert features.test_accuracy(dataset) == pytest.approx(features.accuracy, abs=1e-3)


def test_own_classifiers_do_not_depend_on_the_number_of_threads(tmp_path):
    hashes = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        features = ClassifierFeatures(steps=20)
        features.prepare(Synthetic(16, root=str(tmp_path / str(threads))))
        hashes.append(features.hash)
        assert torch.get_num_threads() == threads
    torch.set_num_threads(1)
    assert hashes[0] == hashes[1]


def test_classifier_features_are_standardized_over_the_training_split(tmp_path):
    dataset = Synthetic(16, root=str(tmp_path))
    features = ClassifierFeatures(steps=20)
    features.prepare(dataset)
    values = torch.cat([features.network(batch).features for batch in dataset.batches("train", 100)])
    torch.testing.assert_close(values.mean(0), torch.zeros(64), atol=1e-4, rtol=0)
    torch.testing.assert_close(values.std(0), torch.ones(64), atol=1e-3, rtol=0)


def test_the_classifier_needs_labels(tmp_path):
    with pytest.raises(UserError, match="features=inception"):
        ClassifierFeatures().prepare(Arrays(draw_patchworks(9, 0, 9, 0), draw_patchworks(9, 0, 9, 0), tmp_path))


@pytest.fixture(scope="module")
def inception_weights(tmp_path_factory):
    """Random weights in the real file's format, of a network that tells images apart."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3 as Inception

    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Inception, "load_state_dict", lambda *_, **__: None)
        patch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *_, **__: {})
        network = Inception("inception-v3-compat", ["2048"])
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    network.train()  # running averages of real activations: otherwise all features are equal to seven digits
    network(torch.from_numpy(draw_patchworks(16, 0, 256, 0)).permute(0, 3, 1, 2).contiguous())
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
    torch.save(network.state_dict(), path)
    return path


def torch_fidelitys(path, images):
    """Features (N, 2048) and logits (N, 1008) by torch-fidelity alone."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3 as Inception

    with torch.no_grad():
        return Inception("inception-v3-compat", ["2048", "logits_unbiased"], str(path))(images)


@pytest.mark.parametrize("channels", [1, 3])
def test_inception_with_folded_batch_norm_sees_what_torch_fidelitys_does(inception_weights, channels):
    features = InceptionFeatures(str(inception_weights))
    features.prepare(Synthetic())
    images = torch.randint(0, 256, (2, channels, 32, 32), dtype=torch.uint8)
    expected = torch_fidelitys(inception_weights, images.expand(-1, 3, -1, -1).contiguous())
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in features.network.modules())
    for found, wanted in zip(features.network(images), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().mean()))


def test_the_hash_of_inception_is_that_of_its_weights_whatever_file_holds_them(inception_weights, tmp_path):
    described = []
    torch.save(torch.load(inception_weights, weights_only=True), tmp_path / "saved_again.pth")
    assert (tmp_path / "saved_again.pth").read_bytes() != inception_weights.read_bytes()
    for path in (inception_weights, tmp_path / "saved_again.pth"):
        features = InceptionFeatures(str(path))
        features.prepare(Synthetic())
        described.append(features.describe())
    assert described[0] == described[1]


def test_bfloat16_features_are_near_those_of_float32_and_the_card_says_so(inception_weights):
    half, full = (InceptionFeatures(str(inception_weights), precision) for precision in ("bfloat16", "float32"))
    half.prepare(Synthetic())
    full.prepare(Synthetic())
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    near, exact = half.network(images).features.float(), full.network(images).features
    assert 0 < (near - exact).norm() / exact.norm() < 0.1
    assert half.describe()["features_precision"] == "bfloat16" != full.describe()["features_precision"]


@pytest.mark.slow
def test_fid_kid_precision_and_recall_are_torch_fidelitys_from_the_same_weights_and_images(inception_weights, tmp_path):
    real = draw_patchworks(16, 0, 200, 1)
    expected_real = torch_fidelitys(inception_weights, torch.from_numpy(real).permute(0, 3, 1, 2).contiguous())[0]
    metrics = {"fid": FID(), "kid": KID(subsets=1), "precision_recall": PrecisionRecall()}
    protocol = ImageProtocol(
        "fid", InceptionFeatures(str(inception_weights)), metrics, n_fake=16, batch_size=5, floor=False
    )
    protocol.prepare(Arrays(real, real, tmp_path))
    for seed, low, high in ((2, 0, 200), (3, 30, 230), (4, 100, 256)):
        fake = draw_patchworks(16, low, high, seed)
        fake[::2] = fake[::2] // 2 + real[::2] // 2
        found = protocol.measure(Fixed(fake))
        other = torch_fidelitys(inception_weights, torch.from_numpy(fake).permute(0, 3, 1, 2).contiguous())[0]
        assert found["fid"] == pytest.approx(exact_fid(expected_real, other), rel=1e-6)
        statistics = (fid_features_to_statistics(side) for side in (other, expected_real))
        fid = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
        assert found["fid"] == pytest.approx(fid, rel=5e-5)
        kid = kid_features_to_metric(
            other.double(), expected_real.double(), kid_subsets=1, kid_subset_size=16, verbose=False
        )
        assert found["kid"] == pytest.approx(kid["kernel_inception_distance_mean"], rel=1e-4)
        near = prc_features_to_metric(
            other, expected_real, prc_neighborhood=3, prc_batch_size=100, save_cpu_ram=True, verbose=False
        )
        assert (found["precision"], found["recall"]) == pytest.approx((near["precision"], near["recall"]), abs=1e-6)


def exact_fid(one, other):
    """Heusel et al. 2017, equation 6, by numpy from the centred rows: the root's trace is their nuclear norm."""
    one, other = one.double().numpy(), other.double().numpy()
    centred = [(side - side.mean(0)) / (len(side) - 1) ** 0.5 for side in (one, other)]
    root = np.linalg.svd(centred[0] @ centred[1].T, compute_uv=False).sum()
    return float(((one.mean(0) - other.mean(0)) ** 2).sum() + sum((c**2).sum() for c in centred) - 2 * root)


def test_a_weights_file_that_brings_code_is_refused_and_its_code_does_not_run(tmp_path):
    ran = tmp_path / "ran"

    class Payload:
        def __reduce__(self):
            return (type(ran).touch, (ran,))

    path = tmp_path / "inception.pth"
    torch.save({"weight": Payload()}, path)
    with pytest.raises(UserError, match="is not torch-fidelity's"):
        InceptionFeatures(str(path)).prepare(Synthetic())
    assert not ran.exists()


def test_features_of_stacked_mnist_are_those_of_its_three_digits(small_mnist):
    dataset = StackedMNIST(root=str(small_mnist))
    features = StackedClassifierFeatures(steps=100)
    features.prepare(dataset)
    images, labels, *_ = dataset.split("test")
    with torch.inference_mode():
        outputs = features.network(torch.from_numpy(images[:1000]).permute(0, 3, 1, 2))
    assert outputs.features.shape == (1000, 192)
    torch.testing.assert_close(outputs.logits.exp().sum(1), torch.ones(1000), rtol=1e-3, atol=1e-3)
    right = float((outputs.logits.argmax(1).numpy() == labels[:1000]).mean())
    assert right == pytest.approx(features.single.accuracy**3, abs=0.06)


def test_stacked_features_refuse_other_images():
    with pytest.raises(UserError, match="stacked_mnist"):
        StackedClassifierFeatures().prepare(Synthetic())


def test_missing_inception_weights_say_which_file_and_what_else_to_do(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"features.weights=.*no such file.*features=classifier"):
        InceptionFeatures(str(tmp_path / "none.pth")).prepare(Synthetic())

    def no_network(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    with pytest.raises(
        UserError, match=r"no route to host.*inception-2015-12-05.*6726825d.*features.weights=.*features=classifier"
    ):
        InceptionFeatures().prepare(Synthetic())


def test_a_damaged_weights_file_is_named(tmp_path):
    path = tmp_path / "inception.pth"
    path.write_bytes(b"not weights")
    with pytest.raises(UserError, match=f"{path} is not"):
        InceptionFeatures(str(path)).prepare(Synthetic())
