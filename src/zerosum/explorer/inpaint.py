"""Missing pixels of held-out images, filled by search in z, and by what needs no generator."""

import torch
from PIL import Image
from torch import Tensor

from zerosum.applications.inpainting import MASKS, Search, fill, fill_by_mean, fill_by_neighbour, psnr_of_missing
from zerosum.drawing.grid import grid, label_rows, save_png
from zerosum.errors import UserError
from zerosum.explorer.options import check_inpaint
from zerosum.explorer.subject import Found, Subject, check_images
from zerosum.gan.gan import GAN
from zerosum.pixels import from_uint8

AT_ONCE = 25
"""Images whose codes are sought together"""


class Inpaint:
    """Fills the missing pixels of `count` held-out images (Yeh et al. 2017), and judges what was put there.

    `mask` is center, left or random. A classifier of the data's labels reads the filled images, and so does the GAN
    itself, if it is a semi-supervised one; PSNR is of the missing pixels. Beside the search stand gray, the mean of the
    training images, and the training image whose known pixels are nearest. `steps`, `starts`, `kept`, `rate` and
    `prior` are those of the search.
    """

    def __init__(
        self,
        mask: str = "center",
        count: int = 100,
        shown: int = 10,
        steps: int = 150,
        starts: int = 1000,
        kept: int = 4,
        rate: float = 0.05,
        prior: float = 0.003,
        seed: int = 0,
    ) -> None:
        check_inpaint(mask, count, shown, seed)
        self.mask = mask
        self.count = count
        self.shown = min(shown, count)
        self.search = Search(steps, starts, kept, rate, prior)
        self.seed = seed

    def __call__(self, subject: Subject) -> Found:
        """Write inpaint_<mask>.png, a column for each image, and the values."""
        values, picture = self.look(subject)
        path = subject.folder / f"inpaint_{self.mask}.png"
        save_png(picture, path)
        lines = [f"{name}: {say(found)}" for name, found in values.items()]
        return Found({"mask": self.mask, "count": self.count, **values}, lines, [path])

    def look(self, subject: Subject) -> tuple[dict[str, dict[str, float]], Image.Image]:
        """Values of each way to fill the pixels, and the picture."""
        check_images(subject.model)
        gan = check_gan(subject)
        images = subject.real_images("test", range(self.count))
        known = MASKS[self.mask](*images.shape[2:])
        train = torch.cat([from_uint8(batch) for batch in subject.dataset.batches("train", 4096)])
        filled = {
            "gray": torch.where(known, images, 0.0),
            "mean image": fill_by_mean(train, images, known),
            "nearest neighbour": fill_by_neighbour(train, images, known),
            "search in z": self.fill(gan, images, known),
        }
        rows = {**filled, "truth": images}
        values = {name: self.accuracies(subject, gan, each) for name, each in rows.items()}
        for name, each in filled.items():
            values[name]["psnr"] = psnr_of_missing(each, images, known)
        sheet = torch.cat([each[: self.shown] for each in rows.values()])
        return values, label_rows(grid(sheet, self.shown), list(rows))

    def fill(self, gan: GAN, images: Tensor, known: Tensor) -> Tensor:
        """The images, filled by search in z."""

        def critic(made: Tensor) -> Tensor:  # not `gan.score`, which moves images at random where the run did
            return gan.discriminator(made, None).logits.float().reshape(len(made), -1).mean(1)

        parts = images.to(gan.device).split(AT_ONCE)
        found = [fill(gan, critic, part, known, self.search, self.seed + index) for index, part in enumerate(parts)]
        return torch.cat(found).cpu()

    def accuracies(self, subject: Subject, gan: GAN, images: Tensor) -> dict[str, float]:
        """Shares of images that are put into the class of the held-out image: by the classifier, and by D if it can."""
        found = {"accuracy": self.share_right(subject, subject.classify(images))}
        if getattr(gan.discriminator, "classifies", False):
            with torch.inference_mode():
                logits = torch.cat([gan.classify(part).cpu() for part in images.split(AT_ONCE)])
            found["own_accuracy"] = self.share_right(subject, logits)
        return found

    def share_right(self, subject: Subject, scores: Tensor) -> float:
        """The share of rows (N, K) that are highest at the label of their held-out image."""
        labels = subject.dataset.split("test").labels
        assert labels is not None, "data without labels have no classifier"
        return float((scores.argmax(1) == torch.from_numpy(labels[: len(scores)])).double().mean())


def check_gan(subject: Subject) -> GAN:
    """The model; UserError unless it is a GAN that is asked for nothing, with data to test it on."""
    gan = subject.model.model
    if not isinstance(gan, GAN) or gan.conditions is not None or gan.game.pack > 1:
        raise UserError(f"{subject.run} is no GAN without conditions and packs, whose D judges single images: name one")
    if "test" not in subject.dataset.splits or subject.dataset.classes is None:
        raise UserError(f"inpaint needs held-out images with labels, and {subject.dataset.name} has none")
    return gan


def say(found: dict[str, float]) -> str:
    """'12.3 dB, 81% read as their class'."""
    decibels = [f"{found['psnr']:.1f} dB"] if "psnr" in found else []
    own = [f"{found['own_accuracy']:.0%} by the GAN itself"] if "own_accuracy" in found else []
    return ", ".join([*decibels, f"{found['accuracy']:.0%} read as their class", *own])
