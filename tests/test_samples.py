"""Pictures of samples over training, and samples as files."""

import itertools

from PIL import Image

from zerosum.commands.sample import Asked, sample
from zerosum.drawing.film import film
from zerosum.training.callbacks.samples import Samples


def test_pictures_start_before_training_and_end_in_a_film(finished_run):
    frames = sorted((finished_run / "samples").glob("*.png"))
    assert int(frames[0].stem) == 0 and int(frames[-1].stem) == 320
    with Image.open(finished_run / "training.gif") as animation:
        assert animation.n_frames == len(frames)


def test_frames_are_dense_at_first():
    times = Samples("x", frames=10).times(10_000)
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert times[0] == 0 and times[-1] == 10_000
    assert gaps == sorted(gaps) and gaps[-1] > 20 * gaps[0]


def test_samples_are_functions_of_their_seeds(finished_run, tmp_path):
    sample(finished_run, "last", Asked(5, 0), str(tmp_path / "five"))
    sample(finished_run, "last", Asked(2, 3), str(tmp_path / "two"))
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["000003.png", "000004.png", "grid.png"]
    for name in ("000003.png", "000004.png"):
        assert Image.open(tmp_path / "five" / name).tobytes() == Image.open(tmp_path / "two" / name).tobytes()


def test_pictures_of_a_run_are_read_as_png_alone(tmp_path):
    """Pillow would hand a PostScript file to Ghostscript, whatever its name."""
    for number in range(3):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number}.png")
    Image.new("L", (8, 8)).save(tmp_path / "3.png", "EPS")
    (tmp_path / "4.png").write_bytes(b"")
    film(sorted(tmp_path.glob("*.png")), tmp_path / "training.gif")
    with Image.open(tmp_path / "training.gif") as gif:
        assert gif.n_frames == 3
