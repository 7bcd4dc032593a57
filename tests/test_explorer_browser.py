"""explorer.html in headless Chromium, where it is installed: every control changes what it says it does, offline."""

import html
import json
import re
import subprocess

import pytest
from test_explorer import SCALES, Linear, given
from test_report_browser import CHROMIUM, OPTIONS
from test_trained import conditional  # noqa: F401 (a fixture)

from zerosum.explorer.page import LARGEST, ExplorerPage
from zerosum.explorer.subject import Subject

PROBE = """<!doctype html><body><iframe src="{address}" style="width:{width}px;height:844px"></iframe><pre></pre>
<script>
setTimeout(async () => {{
  const page = document.querySelector("iframe").contentDocument, view = document.querySelector("iframe").contentWindow;
  const find = (id) => page.getElementById(id);
  const pixels = (canvas) => canvas.toDataURL();
  const wait = (time) => new Promise((resolve) => setTimeout(resolve, time));
  const found = {{ drawn: Number(page.documentElement.dataset.drawn) }};
  const turn = (slider, value) => {{ slider.value = value; slider.dispatchEvent(new view.Event("input")); }};
  const walk = find("walk-image"), status = walk.parentElement.querySelector(".status");
  const controls = walk.parentElement.nextElementSibling;
  const walked = [[pixels(walk), status.textContent]];
  controls.querySelectorAll("button")[1].click();
  await wait(3000);
  walked.push([pixels(walk), status.textContent]);
  walk.dispatchEvent(new view.KeyboardEvent("keydown", {{ key: "ArrowLeft" }}));
  await wait(3000);
  walked.push([pixels(walk), status.textContent]);
  turn(controls.querySelector("input"), 4);
  walked.push([pixels(walk), status.textContent]);
  found.walk = walked;
  const plane = find("plane-image"), pad = find("plane-map").parentElement, box = pad.getBoundingClientRect();
  const planes = [pixels(plane)];
  const place = (x, y) => ({{ clientX: box.left + x * box.width, clientY: box.top + y * box.height }});
  const at = (x, y) => ({{ ...place(x, y), buttons: 1, pointerId: 1 }});
  pad.setPointerCapture = () => {{}};
  pad.dispatchEvent(new view.PointerEvent("pointerdown", at(0.02, 0.02)));
  planes.push(pixels(plane));
  found.corner = find("plane-status").textContent;
  pad.dispatchEvent(new view.PointerEvent("pointermove", at(0.98, 0.98)));
  planes.push(pixels(plane));
  found.opposite = find("plane-status").textContent;
  pad.dispatchEvent(new view.KeyboardEvent("keydown", {{ key: "ArrowUp" }}));
  planes.push(pixels(plane));
  found.planes = planes;
  const cells = (name) => [...find(name + "-cells").querySelectorAll("canvas")].map(pixels);
  found.directions = [cells("directions")];
  turn(find("directions-slider"), 12);
  found.directions.push(cells("directions"));
  find("directions-choice").value = 1;
  find("directions-choice").dispatchEvent(new view.Event("change"));
  found.directions.push(cells("directions"));
  found.truncation = [cells("truncation")];
  turn(find("truncation-slider"), 0);
  found.truncation.push(cells("truncation"));
  if (find("labels-cells")) {{
    found.labels = [cells("labels")];
    find("labels-controls").querySelectorAll("button")[1].click();
    found.labels.push(cells("labels"));
  }}
  found.pictures = [...page.images].map((image) => image.naturalWidth);
  found.wide = page.documentElement.scrollWidth > page.documentElement.clientWidth;
  found.colour = view.getComputedStyle(page.body).color;
  document.querySelector("pre").textContent = JSON.stringify(found);
}}, 4000);
</script>"""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]


def use(page, width=1280, dark=False):
    """What the controls of a page do in a browser without a network, and its messages."""
    probe = page.with_name("probe.html")
    probe.write_text(PROBE.format(address=page.absolute().as_uri(), width=width))
    further = (
        "--allow-file-access-from-files",
        "--enable-logging=stderr",
        f"--user-data-dir={page.parent / 'profile'}",
    )
    further += ("--host-resolver-rules=MAP * ~NOTFOUND", *(["--blink-settings=preferredColorScheme=0"] if dark else []))
    done = subprocess.run(
        [CHROMIUM, *OPTIONS, *further, "--dump-dom", probe.absolute().as_uri()],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    text = re.search(r"<pre>(.+?)</pre>", done.stdout, flags=re.S)
    assert text, done.stderr[-2000:]
    messages = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(text[1])), messages


def different(images):
    return len(set(images)) == len(images)


def check_controls(found):
    (first, seed), (second, next_seed), (back, again), (middle, between) = found["walk"]
    assert (seed, next_seed) == (again, "seed 1" + next_seed.removeprefix("seed 1")) and seed.startswith("seed 0")
    assert first == back and different([first, second, middle]) and between.startswith("50 % of the way from seed 0")
    assert different(found["planes"])
    assert re.match(r"seed 0[^:]*: 100 %", found["corner"]) and re.search(r"seed 3[^:]*: 100 %$", found["opposite"])
    for before, moved, other in zip(*found["directions"], strict=True):
        assert different([before, moved, other])
    assert different(found["truncation"][0]) and len(set(found["truncation"][1])) == 1  # z = 0 is one image


def test_every_control_of_an_unconditional_model(tmp_path):
    """And the mean image at truncation 0, since all seeds meet there."""
    subject = Subject(given(Linear(SCALES, (3, 16, 16))), tmp_path, tmp_path)
    subject.__dict__["dataset"] = type("Bare", (), {"classes": None, "channels": 3})()
    said = ExplorerPage()(subject)
    page = said.files[0]
    text = page.read_text()
    assert said.values["bytes"] == len(text.encode()) < LARGEST
    assert not re.search(r'(?:src|href)="(?!data:|#)', text) and "url(" not in text and "Left out: arithmetic" in text
    found, messages = use(page)
    assert messages == []
    assert found["drawn"] == 3 + 6 + 16
    check_controls(found)


def test_labels_and_a_phone_in_the_dark(conditional, tmp_path):  # noqa: F811
    subject = Subject(conditional, tmp_path / "generator.safetensors", tmp_path)
    page = ExplorerPage()(subject).files[0]
    found, messages = use(page, width=390, dark=True)
    assert messages == [] and not found["wide"]
    before, after = found["labels"]
    assert len(before) == 4 and all(one != other for one, other in zip(before, after, strict=True))
    assert max(map(int, re.findall(r"\d+", found["colour"]))) > 200  # light text
    assert ">0 a<" not in page.read_text() and '"0 a"' in page.read_text()  # names are in the data, as text


def test_names_of_strangers_are_text(conditional, tmp_path, monkeypatch):  # noqa: F811
    evil = "</script><img src=x onerror=alert(1)>"
    monkeypatch.setattr(conditional, "name", evil)
    monkeypatch.setitem(conditional.model.__dict__, "classes", (evil, "b", "c", "d"))
    page = ExplorerPage()(Subject(conditional, tmp_path / "generator.safetensors", tmp_path)).files[0]
    found, messages = use(page)
    assert messages == [] and found["labels"] and "<img src=x" not in page.read_text()
