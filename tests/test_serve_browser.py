"""The live explorer in headless Chromium, where it is installed, used by mouse, keyboard and files; no complaints."""

import json
import threading

import pytest
from browser import CHROMIUM, Browser
from PIL import Image, ImageChops
from test_trained import conditional  # noqa: F401 (a fixture)

from zerosum.explorer.live import Live
from zerosum.explorer.serve import open_server
from zerosum.explorer.subject import Subject

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]

EVIL = "</script><img src=x onerror=alert(1)>"
READY = (
    "document.querySelectorAll('#seeds button').length === 16"
    " && document.querySelectorAll('#directions input').length === 2 && document.getElementById('image').src"
)
IMAGE = "document.getElementById('image').src"
STATUS = "document.getElementById('status').textContent"


@pytest.fixture
def address(conditional, tmp_path, monkeypatch):  # noqa: F811
    """Of an explorer of a model whose name and labels are a stranger's."""
    monkeypatch.setattr(conditional, "name", EVIL)
    monkeypatch.setitem(conditional.model.__dict__, "classes", (EVIL, "b", "c", "d"))
    live = Live(Subject(conditional, tmp_path / "generator.safetensors", tmp_path), count=2, steps=20)
    with open_server("127.0.0.1", 0, live) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.address + "/"
        server.shutdown()


def set_value(browser, name, value, event="input"):
    """As moving a slider or choosing from a list does."""
    browser.run(
        f"(() => {{ const each = document.getElementById('{name}'); each.value = '{value}';"
        f" each.dispatchEvent(new Event('{event}')); }})()"
    )


def change(browser, act, *, status):
    """Do something after which the image is another one, with a status that has this text; the new image."""
    before = browser.run(IMAGE)
    act()
    browser.wait(f"{IMAGE} !== {json.dumps(before)} && {STATUS}.includes({json.dumps(status)})")
    return browser.run(IMAGE)


def saved(browser, folder, button, name):
    """The file that a button downloads."""
    browser.run(f"document.getElementById('{button}').click()")
    for _ in range(200):
        browser.run("new Promise((resolve) => setTimeout(resolve, 50))")
        if (folder / name).is_file() and not list(folder.glob("*.crdownload")):
            return folder / name
    raise AssertionError(f"{name} was not saved: {list(folder.iterdir())}")


def test_every_control(address, tmp_path):
    with Browser(tmp_path) as browser:
        browser.open(address)
        browser.wait(READY)
        assert EVIL in browser.run("document.querySelector('h1').textContent")
        assert browser.run("document.querySelectorAll('img[src=x]').length") == 0
        first = browser.run(IMAGE)
        second = change(browser, lambda: browser.run("document.getElementById('next').click()"), status="seed 1 ")
        assert second != first
        browser.run("document.getElementById('image').focus()")
        assert change(browser, lambda: browser.press("ArrowLeft"), status="seed 0 ") == first
        labelled = change(browser, lambda: set_value(browser, "label", 2, "change"), status="label 2 c")
        browser.wait("document.getElementById('layer').textContent.includes('label 2')")
        change(browser, lambda: set_value(browser, "truncation", 0.5), status="truncation 0.5")
        moved = change(browser, lambda: set_value(browser, "direction-1", -2), status="direction 2: -2")

        picture = saved(browser, tmp_path, "save-image", "seed_0.png")
        code = saved(browser, tmp_path, "save-code", "seed_0.json")
        assert json.loads(code.read_text())["directions"] == {"label": 2, "amounts": [0, -2]}
        with Image.open(picture) as opened:
            assert opened.size == (16, 16)
        browser.open(address)
        browser.wait(READY)
        assert browser.run(IMAGE) == first
        again = change(browser, lambda: browser.choose_file("#load", code), status="truncation 0.5")
        assert again == moved and browser.run("document.getElementById('label').value") == "2"
        assert browser.run("document.getElementById('direction-1').value") == "-2"

        browser.run("document.getElementById('reset').click()")
        set_value(browser, "truncation", 1)
        browser.wait(f"{IMAGE} === {json.dumps(labelled)}")
        middle = change(browser, lambda: set_value(browser, "place", 0.5), status="50 % of the way from seed 0 to 1")
        assert middle not in (first, labelled)

        browser.choose_file("#upload", picture)
        status = "nearest to your image"
        change(browser, lambda: browser.run("document.getElementById('invert').click()"), status=status)
        assert "dB" in browser.run("document.getElementById('inverted').textContent")
        (tmp_path / "no.png").write_text("<svg>")
        browser.choose_file("#upload", tmp_path / "no.png")
        browser.run("document.getElementById('invert').click()")
        browser.wait("document.getElementById('trouble').textContent.includes('is no image')")
        browser.choose_file("#load", tmp_path / "no.png")
        browser.wait("document.getElementById('trouble').textContent.includes('is no JSON')")
        assert browser.run("document.getElementById('load').value") == ""  # the same file can be chosen again
        refused = [message for message in browser.messages if "400" in message]
        assert len(refused) == 1 and browser.messages == refused  # what the browser says of the refused upload
        assert "Left out" in browser.run("document.body.textContent")  # arithmetic: there are no data


def test_a_code_with_directions_of_no_label_gives_its_image(address, tmp_path):
    code = {"seed": 3, "condition": 1, "directions": {"label": None, "amounts": [0, 3.0]}}
    (tmp_path / "code.json").write_text(json.dumps(code))
    with Browser(tmp_path) as browser:
        browser.open(address)
        browser.wait(READY)
        options = {"method": "POST", "headers": {"Content-Type": "application/json"}, "body": json.dumps(code)}
        answer = f"fetch('/image', {json.dumps(options)}).then((each) => each.json()).then((each) => each.image)"
        expected, seeds = browser.run(answer), browser.run("document.getElementById('seeds').innerHTML")
        found = change(browser, lambda: browser.choose_file("#load", tmp_path / "code.json"), status="direction 2: +3")
        assert found == expected
        browser.wait(f"document.getElementById('seeds').innerHTML !== {json.dumps(seeds)}")  # under its settings
        assert browser.messages == []


def test_by_keyboard_alone(address, tmp_path):
    """Tab reaches every control in the order of the page, and Enter and arrows use them."""
    with Browser(tmp_path) as browser:
        browser.open(address)
        browser.wait(READY)
        reached = []
        while "invert" not in reached and len(reached) < 60:
            browser.press("Tab")
            reached.append(browser.run("document.activeElement.id || document.activeElement.textContent"))
            if reached[-1] == "next":
                change(browser, lambda: browser.press("Enter"), status="seed 1 ")
            if reached[-1] == "truncation":
                change(browser, lambda: browser.press("ArrowLeft"), status="truncation 0.95")
            if reached[-1] == "direction-0":
                change(browser, lambda: browser.press("ArrowRight"), status="direction 1: +0.1")
        known = [
            "image",
            "save-image",
            "save-code",
            "load",
            "seed",
            "previous",
            "next",
            "random",
            "label",
            "truncation",
        ]
        known += ["earlier", "later", "direction-0", "direction-1", "reset", "from", "to", "place", "upload", "invert"]
        assert [name for name in dict.fromkeys(reached) if name in known] == known
        assert browser.messages == []


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_scrolls_downward_only(address, tmp_path, dark):
    with Browser(tmp_path) as browser:
        browser.open(address, width=390, height=844, dark=dark)
        browser.wait(READY)
        assert browser.run("document.documentElement.scrollWidth") == 390
        browser.run("document.getElementById('place').scrollIntoView({block: 'center'})")
        box = browser.run("JSON.stringify(document.getElementById('image').getBoundingClientRect())")
        assert 0 <= json.loads(box)["top"] < 100  # the image stays in sight of every control
        browser.picture(tmp_path / "phone.png")
        with Image.open(tmp_path / "phone.png") as opened:
            brightness = ImageChops.invert(opened.convert("L")).resize((1, 1)).getpixel((0, 0))
        assert (brightness > 128) == dark
        assert browser.messages == []
