"""The film of a run's pictures."""

from PIL import Image

from zerosum.drawing.film import FRAME_MILLISECONDS, LAST_FRAME_MILLISECONDS, film


def save_frames(folder, count):
    frames = [folder / f"{number}.png" for number in range(count)]
    for number, frame in enumerate(frames):
        Image.new("RGB", (800, 400), (80 * number, 0, 0)).save(frame)
    return frames


def test_a_film_has_every_frame_in_order_shrunk_and_rests_on_the_last(tmp_path):
    film(save_frames(tmp_path, 3), tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"]) == (3, (400, 200), 0)
        for number, milliseconds in enumerate((FRAME_MILLISECONDS, FRAME_MILLISECONDS, LAST_FRAME_MILLISECONDS)):
            gif.seek(number)
            assert gif.info["duration"] == milliseconds
            assert abs(gif.convert("RGB").getpixel((9, 9))[0] - 80 * number) <= 4


def test_frames_that_cannot_be_read_are_named_and_one_frame_is_no_film(tmp_path, caplog):
    frames = save_frames(tmp_path, 2)
    frames[0].write_bytes(b"not a PNG")
    film(frames, tmp_path / "film.gif")
    assert not (tmp_path / "film.gif").exists()
    (message,) = caplog.messages
    assert "0.png cannot be read" in message and "left out of the film" in message
