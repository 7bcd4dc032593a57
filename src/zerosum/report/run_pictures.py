"""The pictures of a run in its report: samples, the film of training, and what the callback has drawn."""

import re
from collections.abc import Mapping
from pathlib import Path

from zerosum.evaluation.measurement import Record
from zerosum.report.html import EMPTY, Markup, element, join
from zerosum.report.pictures import FILM_BYTES, PICTURE_BYTES, Picture, read_film, read_picture
from zerosum.report.run_files import RunFiles

OF_EVERY_FAMILY = ("real", "nearest", "interpolation", "codes")
"""Pictures that have a section of their own"""


def show_samples(files: RunFiles, share: float) -> Markup | None:
    """Real images beside samples at the best and at the last evaluation, and the film."""
    sheets = find_sheets(files.folder)
    chosen = choose_sheets(sheets, files.record)
    pictures = [(files.folder / "report" / "real.png", caption_of(files, "real", f"Real {files.plural}"))]
    pictures += [(sheets[images], f"Samples at {images:,} {files.plural}: {title}") for images, title in chosen.items()]
    figures = [show_image(read(path, files, share), caption) for path, caption in pictures]
    shown = [figure for figure in figures if figure is not None]
    grid = element("div", *shown, class_="pictures") if shown else EMPTY
    return join(grid, show_film(files, share)) or None


def show_picture(files: RunFiles, name: str, share: float, otherwise: str | None = None) -> Markup | None:
    """A picture that a callback has drawn, with its caption or the words `otherwise`; None if there is none."""
    picture = read(files.folder / "report" / f"{name}.png", files, share)
    figure = show_image(picture, caption_of(files, name, otherwise or name))
    return None if figure is None else element("div", figure, class_="wide")


def show_illustrations(files: RunFiles, share: float) -> Markup | None:
    """What the family of the model has drawn of itself, by name."""
    names = sorted(name for name in files.facts.get("captions", {}) if re.fullmatch(r"[a-z_]{1,40}", name))
    shown = [show_picture(files, name, share) for name in names if name not in OF_EVERY_FAMILY]
    return join(*shown) or None


def show_film(files: RunFiles, share: float) -> Markup | None:
    """The film of training, which folds away."""
    path = files.folder / "training.gif"
    if not path.exists():
        return None
    film = read_film(path, files.folder, round(share * FILM_BYTES)) if share > 0.2 else None
    if film is None:
        return element("p", "The film, training.gif, is left out: it is damaged, or the page would be too large.")
    figure = show_image(film, "The same seeds over training. Fold this part to stop the film.")
    return element("details", element("summary", "Film of training"), figure, open=True, class_="film")


def read(path: Path, files: RunFiles, share: float) -> Picture | None:
    """A picture of the run's folder, in `share` of the usual bytes."""
    return read_picture(path, files.folder, largest=round(share * PICTURE_BYTES)) if share else None


def caption_of(files: RunFiles, name: str, otherwise: str) -> str:
    """What the callback says of a picture."""
    return str(files.facts.get("captions", {}).get(name, otherwise))


def show_image(picture: Picture | None, caption: str) -> Markup | None:
    """The picture over its caption, which is its text alternative too."""
    if picture is None:
        return None
    image = element("img", src=picture.source, alt=caption, width=picture.width, height=picture.height)
    return element("figure", image, element("figcaption", caption))


def find_sheets(folder: Path) -> dict[int, Path]:
    """{images seen: file} of samples/, in order."""
    found = [path for path in (folder / "samples").glob("*.png") if re.fullmatch(r"\d{1,18}", path.stem)]
    return {int(path.stem): path for path in sorted(found, key=lambda path: int(path.stem))}


def choose_sheets(sheets: Mapping[int, Path], record: Record | None) -> dict[int, str]:
    """{images seen: title} of the best and the last sheet."""
    if not sheets:
        return {}
    chosen = {}
    if record is not None:
        best = min(sheets, key=lambda images: abs(images - record.best.images))
        chosen[best] = f"nearest to the best, of {record.best.images:,}"
    last = max(sheets)
    return {**chosen, last: "the best and the last" if last in chosen else "the last"}
