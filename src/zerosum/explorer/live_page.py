"""The page of the live explorer: controls alone, every image of which is asked of the server."""

from zerosum.errors import printable
from zerosum.explorer.live import LARGEST_UPLOAD, SHOWN, Live
from zerosum.explorer.page import label_names
from zerosum.explorer.page_arithmetic import usual_expressions
from zerosum.report.html import Markup, element, join, write_json

MOST_SEED = 2**32 - 1
"""Larger ones repeat the images of smaller ones"""
FURTHEST = 4
"""Deviations that a slider reaches"""


def make_live_page(live: Live, is_local: bool = True) -> str:
    """The whole document; its script and style are files of the server, which this machine alone reaches, or others."""
    model = live.model
    name = printable(model.name)[:200]
    labels = [] if model.num_classes is None else label_names(live.subject, model.num_classes)
    facts = {"labels": labels, "directions": live.count, "reach": FURTHEST, "upload": LARGEST_UPLOAD}
    facts |= {"first": None if model.num_classes is None else 0, "seed": MOST_SEED, "side": live.shape[-1]}
    space = "styles w" if model.check_space().name == "w" else "latents z"
    text = f"{model.images_seen:,} images seen in training · explored in its {space} · images are made as you ask"
    served = "Served by zerosum on this machine" if is_local else "Served by zerosum"
    panels = [
        ("Seed", show_seed(labels)),
        ("Seeds", show_seeds()),
        ("Directions", show_directions()),
        ("Between two seeds", show_between(bool(labels))),
        ("Arithmetic", show_arithmetic(live)),
        ("An image of yours", show_inversion()),
    ]
    meta = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="icon", href="data:,"),
        element("link", rel="stylesheet", href="/live.css"),
        element("title", f"Live explorer: {name}"),
        element("script", write_json(facts), type="application/json", id="facts"),
        element("script", src="/live.js", defer=True),
    ]
    sections = [
        element("section", element("h2", title, id=f"panel-{row}"), content, aria_labelledby=f"panel-{row}")
        for row, (title, content) in enumerate(panels)
    ]
    body = [
        element("a", "Skip to the controls", href="#controls", class_="skip"),
        element("header", element("h1", f"Live explorer: {name}"), element("p", text, class_="quiet")),
        element("main", show_current(), element("div", *sections, id="controls", class_="panels"), class_="live"),
        element(
            "footer",
            f"{served}. Closing the page loses nothing but the current image.",
        ),
    ]
    return f"<!doctype html>\n{element('html', element('head', *meta), element('body', *body), lang='en')}\n"


def button(text: str, name: str) -> Markup:
    """A button that the script finds by its id."""
    return element("button", text, type="button", id=name)


def field(text: str, control: Markup, **attributes: str) -> Markup:
    """A control under its name."""
    return element("label", element("span", text), control, class_="field", **attributes)


def number(name: str, value: int) -> Markup:
    """A field for a seed."""
    return element("input", type="number", id=name, min=0, max=MOST_SEED, step=1, value=value, inputmode="numeric")


def slider(name: str, low: float, high: float, step: float, value: float) -> Markup:
    """A slider with its value beside it."""
    attributes = {"min": str(low), "max": str(high), "step": str(step), "value": str(value)}
    control = element("input", type="range", id=name, **attributes)
    return join(control, element("output", f"{value:g}", for_=name, id=f"{name}-value"))


def show_current() -> Markup:
    """The image, what it is, and what can be done with it."""
    image = element("img", id="image", alt="No image yet", tabindex=0, aria_describedby="status")
    load = element("input", type="file", id="load", accept="application/json,.json")
    return element(
        "section",
        element("div", image, class_="frame"),
        element("p", "The image is being made.", id="status", class_="status", aria_live="polite"),
        element("p", id="trouble", class_="problem", role="alert", hidden=True),
        element("div", button("Save PNG", "save-image"), button("Save code", "save-code"), class_="controls"),
        element("div", field("Load a code (JSON)", load), class_="controls"),
        class_="now",
        aria_label="Current image",
    )


def show_seed(labels: list[str]) -> Markup:
    """Seed, label and truncation."""
    parts = [field("Seed", number("seed", 0)), button("← previous", "previous"), button("next →", "next")]
    parts.append(button("random", "random"))
    rows = [element("div", *parts, class_="controls")]
    if labels:
        names = [element("option", name, value=row) for row, name in enumerate(labels)]
        own = element("option", "that of the seed", value="")
        mixed = element("option", "a mixture", value="mixture", hidden=True)
        rows.append(
            element("div", field("Label", element("select", own, mixed, *names, id="label")), class_="controls")
        )
    rows.append(element("div", field("Truncation", slider("truncation", 0, 1.5, 0.05, 1)), class_="controls"))
    text = "Arrow keys on the image lead to the next seed. Truncation below 1 makes images more typical, less varied."
    return join(*rows, element("p", text, class_="quiet"))


def show_seeds() -> Markup:
    """Some seeds at once, of which one is chosen."""
    return join(
        element("p", f"{SHOWN} seeds under the settings above: choose one.", class_="quiet"),
        element("div", class_="choices", id="seeds"),
        element("div", button("← earlier", "earlier"), button("later →", "later"), class_="controls"),
    )


def show_directions() -> Markup:
    """Sliders that the script makes when the directions are found."""
    return join(
        element("p", "Principal directions (Härkönen et al. 2020) are being found.", id="layer", class_="quiet"),
        element("div", id="directions", class_="sliders"),
        element("div", button("All to 0", "reset"), class_="controls"),
    )


def show_between(is_labelled: bool) -> Markup:
    """Two seeds and the way between them."""
    mixed = " The labels of both are mixed, unless one is chosen." if is_labelled else ""
    text = f"Along the great arc of z, whose points are as likely as its ends.{mixed}"
    return join(
        element("div", field("From seed", number("from", 0)), field("to seed", number("to", 1)), class_="controls"),
        element("div", field("Place", slider("place", 0, 1, 0.02, 0)), class_="controls"),
        element("p", text, class_="quiet"),
    )


def show_arithmetic(live: Live) -> Markup:
    """An expression, and room for its results."""
    try:
        example = usual_expressions(live.subject)[0]
    except Exception as error:  # data that are not here, or that a stranger's run misnames
        return element("p", f"Left out: {error}.", class_="quiet")
    words = element("input", type="text", id="expression", value=example, maxlength=200, autocomplete="off", size=28)
    text = (
        "Terms with + and − between spaces: words such as thick, thin, wide, narrow, right-leaning, then a class. Means"
        " of codes are added; choose a result to go on with it."
    )
    return join(
        element("div", field("Expression", words), button("Compute", "compute"), class_="controls"),
        element("p", text, class_="quiet"),
        element("div", class_="sums", id="sums", aria_live="polite"),
    )


def show_inversion() -> Markup:
    """A file, and what was found for it."""
    pick = element("input", type="file", id="upload", accept="image/png,image/jpeg,image/webp,image/bmp,image/gif")
    kinds = f"PNG, JPEG, WebP, BMP or GIF, up to {LARGEST_UPLOAD / 1e6:g} MB"
    text = f"The code whose image is nearest to yours is searched for: {kinds}. Its middle square is used."
    return join(
        element("div", field("Image file", pick), button("Invert", "invert"), class_="controls"),
        element("p", text, class_="quiet"),
        element("div", class_="sums", id="inverted", aria_live="polite"),
    )
