"""The curves and samples of a run as event files of TensorBoard."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from zerosum.errors import UserError
from zerosum.training.run_logger import RunLogger

if TYPE_CHECKING:
    from torch import Tensor
    from torch.utils.tensorboard import SummaryWriter


class TensorBoardLogger(RunLogger):
    """Writes scalars, histograms, pictures and the film to tensorboard/ in the run's folder; the step is images seen.

    `tensorboard --logdir outputs` shows every run. In the curves of a run that is resumed, those of before replace
    what came after the checkpoint.
    """

    kind = "tensorboard"

    def __init__(self, folder: str) -> None:
        super().__init__()
        check_installed()
        self.folder = Path(folder) / "tensorboard"
        self.writer: SummaryWriter | None = None
        self.images = 0
        self.row: dict[str, float] = {}
        self.row_at = 0

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write each value under its name once per step: the last one, so values wait for those of the next step."""
        images = self.clock.images(metrics, step)
        self.writer_at(images)  # made now: what it replaces begins here
        if images != self.row_at:
            self.write_row()
            self.row_at = images
        self.row |= {name: value for name, value in metrics.items() if name not in ("images", "epoch")}

    def write_row(self) -> None:
        """Write the values that wait."""
        for name, value in self.row.items():
            self.writer_at(self.row_at).add_scalar(name, value, self.row_at)
        self.row = {}

    @rank_zero_only
    def log_image(self, key: str, images: Sequence[Image.Image], step: int, **named: Any) -> None:
        """Write pictures under one name."""
        at = self.clock.images({}, step)
        for picture in images:
            self.writer_at(at).add_image(key, np.array(picture.convert("RGB")), at, dataformats="HWC")

    @rank_zero_only
    def log_video(self, key: str, videos: Sequence[str], step: int, **named: Any) -> None:
        """Write GIF files as they are: TensorBoard shows them as moving pictures."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        at = self.clock.images({}, step)
        for path in map(Path, videos):
            with Image.open(path, formats=["GIF"]) as film:
                width, height = film.size
            image = Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=path.read_bytes())
            summary = Summary(value=[Summary.Value(tag=key, image=image)])
            self.writer_at(at)._get_file_writer().add_summary(summary, at)

    @rank_zero_only
    def log_histogram(self, name: str, values: "Tensor", step: int) -> None:
        """Write the distribution of the values, of any shape."""
        at = self.clock.images({}, step)
        self.writer_at(at).add_histogram(name, values.detach().float().flatten().cpu(), at)

    @rank_zero_only
    def alert(self, title: str, text: str) -> None:
        """Write a message at the time of the last value."""
        self.writer_at(self.images).add_text(f"doctor/{title}", text, self.images)

    def writer_at(self, images: int) -> "SummaryWriter":
        """The writer, made by the first value of this process; events from there on of an earlier one are replaced."""
        from torch.utils.tensorboard import SummaryWriter

        self.images = max(self.images, images)
        if self.writer is None:
            is_resumed = any(self.folder.glob("events.out.tfevents.*"))
            self.writer = SummaryWriter(str(self.folder), purge_step=images if is_resumed else None)
        return self.writer

    @rank_zero_only
    def save(self) -> None:
        """Write what is still in memory, except values at a step that may get others."""
        if self.writer is not None:
            self.writer.flush()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the last values, and close the file."""
        self.write_row()
        if self.writer is not None:
            self.writer.close()


def check_installed() -> None:
    """UserError without the package, before training."""
    try:
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise UserError("logger=tensorboard needs TensorBoard: pip install 'zerosum[tensorboard]'") from error
