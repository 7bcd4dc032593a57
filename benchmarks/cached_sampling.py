"""Speed of sampling with what is kept from one value to the next, against a whole forward for each value.

    python benchmarks/cached_sampling.py [rounds] > benchmarks/results/cached_sampling_<hardware>_<date>.md

Both ways draw the same images from the same seeds, in float64 on one thread, in turns; the ratio is the median over
rounds, with its range, and equality bit for bit is checked in every round. Weights are the initial ones: time does not
depend on them. WaveNet's naive way computes the whole sound again for each value.
"""

import platform
import statistics
import sys
import time
from datetime import date
from functools import partial

import torch

from zerosum.families.autoregressive import Autoregressive
from zerosum.families.nade import NADE
from zerosum.families.pixelcnn import PixelCNN
from zerosum.families.pixelrnn import PixelRNN
from zerosum.families.wavenet import WaveNet

SGD = partial(torch.optim.SGD, lr=0.1)
DIGITS, MNIST = (1, 8, 8), (1, 28, 28)
CASES: dict[str, tuple[Autoregressive, int]] = {
    "nade, 256 units, 8x8": (NADE(DIGITS, SGD, levels=2), 64),
    "pixelcnn, width 16, 5 layers, 8x8": (PixelCNN(DIGITS, SGD, levels=2, width=16, depth=5), 16),
    "pixelcnn, width 16, 5 layers, 28x28": (PixelCNN(MNIST, SGD, levels=2, width=16, depth=5), 4),
    "pixelrnn, width 24, 1 layer, 8x8": (PixelRNN(DIGITS, SGD, levels=2, width=24, depth=1), 16),
    "pixelrnn, width 24, 1 layer, 28x28": (PixelRNN(MNIST, SGD, levels=2, width=24, depth=1), 2),
    "wavenet, width 32, dilations 1 to 128, 512 values": (WaveNet((512,), SGD), 2),
}


def seconds(model: Autoregressive, count: int, naively: bool) -> tuple[float, torch.Tensor]:
    started = time.process_time()
    images = model.generate(range(count), naively=naively)
    return time.process_time() - started, images


def compare(model: Autoregressive, count: int, rounds: int) -> tuple[list[float], list[float]]:
    """CPU seconds of each round, kept and naive."""
    kept, naive = [], []
    for _ in range(rounds):
        (one, images), (other, same) = seconds(model, count, False), seconds(model, count, True)
        assert torch.equal(images, same), "the two ways differ"
        kept.append(one)
        naive.append(other)
    return kept, naive


def main(rounds: int = 3) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("# Sampling with what is kept\n")
    print(f"{date.today()}, {platform.machine()}, 1 thread, torch {torch.__version__}, {rounds} rounds in turns,")
    print("CPU seconds of the process: the cores were shared. Images were equal bit for bit in every round.\n")
    print("| model | images | kept, s | naive, s | speed-up | lowest to highest |")
    print("|---|---|---|---|---|---|")
    for name, (model, count) in CASES.items():
        kept, naive = compare(model, count, rounds)
        ratios = sorted(other / one for one, other in zip(kept, naive, strict=True))
        times = f"{statistics.median(kept):.3f} | {statistics.median(naive):.2f}"
        print(f"| {name} | {count} | {times} | {statistics.median(ratios):.1f} | {ratios[0]:.1f} to {ratios[-1]:.1f} |")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
