"""Training speed: zerosum against a plain PyTorch loop and against the fastest loop written by hand.

    python benchmarks/training_speed.py            all tasks, 5 interleaved rounds, tables to benchmarks/results/
    python benchmarks/training_speed.py dcgan 3    one task, 3 rounds

Each measurement is a fresh process that trains on `Synthetic` images, leaves the first steps out and prints
images/s; contestants take turns within a round, and ratios are taken round by round, because the speed of a
shared machine drifts. `plain` does what the DCGAN example of pytorch/examples does, with its data loader of two
workers; `raw` has every trick that zerosum has, without Lightning; `zerosum` has progress bar, logger and
checkpoints on.
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import torch
from torch import Tensor, nn

STEPS = {"dcgan": (8, 60), "ring": (100, 2000)}
"""Steps left out, and steps measured."""
CONTESTANTS = {
    "dcgan": ("plain", "raw", "zerosum", "raw-bf16", "zerosum-bf16"),
    "ring": ("raw", "zerosum"),
}
RATIOS = {
    "dcgan": (
        ("zerosum", "plain"),
        ("zerosum", "raw"),
        ("zerosum-bf16", "plain"),
        ("zerosum-bf16", "raw-bf16"),
    ),
    "ring": (("zerosum", "raw"),),
}
OVERRIDES = {
    "dcgan": [
        *["dataset=synthetic", "dataset.resolution=32", "dataset.channels=3", "dataset.count=4096", "model=dcgan"],
        *["model.base_channels=64", "regularizer=none"],
    ],
    "ring": ["experiment=ring", "regularizer=none"],
}
WORK = {"dcgan": "64 base channels, batch 64, 32x32x3, float32 and bf16.", "ring": "mlp 3 x 128, batch 512, points."}
BATCH = {"dcgan": 64, "ring": 512}


def networks(task: str) -> tuple[nn.Module, nn.Module]:
    if task == "ring":
        from zerosum.models import mlp

        return mlp.Generator((2,)), mlp.Discriminator((2,))
    from zerosum.models import dcgan

    return dcgan.Generator((3, 32, 32)), dcgan.Discriminator((3, 32, 32))


def time_steps(task: str, step: Callable[[], object]) -> float:
    skipped, counted = STEPS[task]
    for _ in range(skipped):
        step()
    start = time.perf_counter()
    for _ in range(counted):
        step()
    return counted * BATCH[task] / (time.perf_counter() - start)


class Transformed(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """One image at a time through PIL and torchvision's transforms, like the example's dataset."""

    def __init__(self) -> None:
        from torchvision import transforms

        from zerosum.data.synthetic import Synthetic

        self.images, self.labels = Synthetic(32, 3, 4096).split("train")
        half = (0.5, 0.5, 0.5)
        self.transform = transforms.Compose(
            [transforms.Resize(32), transforms.ToTensor(), transforms.Normalize(half, half)]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def validate() -> float:
    """One D step on real and fake, one G step, binary cross-entropy; D's gradients are made in G's step too."""
    generator, discriminator = networks("dcgan")
    adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
    d_optimizer = torch.optim.Adam(discriminator.parameters(), **adam)
    g_optimizer = torch.optim.Adam(generator.parameters(), **adam)
    criterion = nn.BCEWithLogitsLoss()
    loader = torch.utils.data.DataLoader(Transformed(), 64, shuffle=True, num_workers=2, drop_last=True)

    def batches() -> Iterator[Tensor]:
        while True:
            yield from (images for images, _ in loader)

    stream = batches()

    def step() -> float:
        discriminator.zero_grad()
        real = next(stream)
        loss_real = criterion(discriminator(real).logits, torch.ones(64))
        loss_real.backward()
        fake = generator(torch.randn(64, generator.latent_dim))
        loss_fake = criterion(discriminator(fake.detach()).logits, torch.zeros(64))
        loss_fake.backward()
        d_optimizer.step()
        generator.zero_grad()
        loss = criterion(discriminator(fake).logits, torch.ones(64))
        loss.backward()
        g_optimizer.step()
        return loss_real.item() + loss_fake.item() + loss.item()  # the example prints them at every step

    return time_steps("dcgan", step)


def raw(task: str, bf16: bool = False) -> float:
    """The fastest loop written by hand, without a framework."""
    from zerosum.data.mixtures import Ring
    from zerosum.data.synthetic import Synthetic
    from zerosum.gan.losses import NonSaturating
    from zerosum.training.ema import ExponentialMovingAverage
    from zerosum.training.process import keep_large_blocks

    keep_large_blocks()
    generator, discriminator = (network.to(memory_format=torch.channels_last) for network in networks(task))
    average = ExponentialMovingAverage(generator, 10_000)
    d_weights, g_weights = list(discriminator.parameters()), list(generator.parameters())
    d_optimizer = torch.optim.Adam(d_weights, 2e-4, (0.5, 0.999), fused=True)
    g_optimizer = torch.optim.Adam(g_weights, 2e-4, (0.5, 0.999), fused=True)
    loss, size = NonSaturating(), BATCH[task]
    dataset = Ring() if task == "ring" else Synthetic(32, 3, 4096)
    stream = dataset.stream(0, torch.device("cpu"))
    index = 0

    def step() -> None:
        nonlocal index
        real = stream.batch(index, size, slice(0, size)).images
        index += 1
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            fake = generator(torch.randn(size, generator.latent_dim))
            d_optimizer.zero_grad()
            logits = (discriminator(images).logits.float() for images in (real, fake.detach()))
            loss.discriminator(*logits).backward(inputs=d_weights)
            d_optimizer.step()
            torch.clear_autocast_cache()
            g_optimizer.zero_grad()
            loss.generator(discriminator(fake).logits.float()).backward(inputs=g_weights)
            g_optimizer.step()
        average.update(generator, size, index * size)

    return time_steps(task, step)


def zerosum(task: str, bf16: bool = False) -> float:
    """What `train.py` does, without Hydra's folders."""
    from hydra import compose, initialize_config_dir
    from lightning import Callback

    from zerosum.experiment.build import build
    from zerosum.experiment.settings import validate
    from zerosum.training.process import prepare_process, silence_libraries

    skipped, counted = STEPS[task]
    batch = BATCH[task]

    class Clock(Callback):
        def on_train_batch_end(self, trainer, *_) -> None:  # type: ignore[no-untyped-def]
            if trainer.global_step == skipped:
                self.start = time.perf_counter()
            if trainer.global_step == skipped + counted:
                self.seconds = time.perf_counter() - self.start

    with (
        tempfile.TemporaryDirectory() as folder,
        initialize_config_dir(str(Path("conf").absolute()), version_base="1.3"),
    ):
        precision = ["trainer.precision=bf16-mixed"] if bf16 else []
        config = compose(
            "config",
            [
                *OVERRIDES[task],
                *precision,
                "~callbacks.evaluate",
                "~callbacks.samples",
                f"run.images={(skipped + counted) * batch}",
                "run.name=speed",
                f"run.folder={folder}",
                f"callbacks.checkpoint.every={(skipped + counted // 2) * batch}",
            ],
        )
        built = build(validate(config))
        clock = Clock()
        built.trainer.callbacks.append(clock)
        silence_libraries()
        prepare_process()
        built.trainer.fit(built.module, datamodule=built.data)
    return counted * batch / clock.seconds


def measure(task: str, contestant: str) -> float:
    """Images/s of one contestant in a fresh process, whose progress bar takes its output for a terminal."""
    output = subprocess.run(
        [sys.executable, __file__, "--one", task, contestant],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TTY_COMPATIBLE": "1"},
        text=True,
    )
    return float(output.stdout.split()[-1])


def report(task: str, rounds: list[dict[str, float]]) -> str:
    lines = [f"## {task}", "", "| contestant | images/s, median | lowest | highest |", "|---|---|---|---|"]
    for name in CONTESTANTS[task]:
        speeds = [each[name] for each in rounds]
        lines.append(f"| {name} | {statistics.median(speeds):,.0f} | {min(speeds):,.0f} | {max(speeds):,.0f} |")
    lines += ["", "| ratio, round by round | median | lowest | highest |", "|---|---|---|---|"]
    for above, below in RATIOS[task]:
        ratios = [each[above] / each[below] for each in rounds]
        lines.append(f"| {above} / {below} | {statistics.median(ratios):.2f} | {min(ratios):.2f} | {max(ratios):.2f} |")
    return "\n".join(lines)


def processor() -> str:
    """The CPU's name, as the operating system gives it."""
    path = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in path.read_text().splitlines() if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if path.exists() and names else platform.processor()


def main() -> None:
    tasks = [sys.argv[1]] if len(sys.argv) > 1 else list(CONTESTANTS)
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    for task in tasks:
        rounds = []
        for _ in range(count):
            rounds.append({name: measure(task, name) for name in CONTESTANTS[task]})
            print(task, {name: round(speed) for name, speed in rounds[-1].items()}, flush=True)
        header = (
            "# Training speed\n\n"
            f"{processor()}; torch {torch.__version__}; {count} interleaved rounds; {date.today()}.\n"
            f"{WORK[task]} Made by `python benchmarks/training_speed.py {task} {count}`.\n"
        )
        name = f"training_speed_{task}_cpu{os.cpu_count()}_{date.today()}.md"
        path = Path("benchmarks") / "results" / name
        path.write_text("\n".join([header, report(task, rounds), ""]))
        print(path.read_text(), path, flush=True)


if __name__ == "__main__":
    if "--one" in sys.argv:
        task, contestant = sys.argv[2:]
        kind, _, precision = contestant.partition("-")
        print(validate() if kind == "plain" else globals()[kind](task, precision == "bf16"))
    else:
        main()
