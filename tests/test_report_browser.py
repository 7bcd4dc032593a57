"""Pages in headless Chromium, where it is installed: no errors, all pictures, no sideways scrolling on a phone."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from test_report import EVIL, full_run
from test_sweep_report import sweep

from zerosum.report.run_report import write_run_report
from zerosum.report.sweep_report import write_sweep_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=20000")
PROBE = """<!doctype html><body><iframe src="{address}" style="width:{width}px;height:844px"></iframe><pre></pre>
<script>
setTimeout(() => {{
  const page = document.querySelector("iframe").contentDocument;
  const pictures = [...page.images].map((image) => image.naturalWidth);
  const plots = [...page.querySelectorAll(".plot")].map((plot) => plot.querySelectorAll("svg path").length);
  const pane = page.documentElement;
  document.querySelector("pre").textContent = JSON.stringify({{
    pictures, plots, drawn: Number(pane.dataset.drawn), wide: pane.scrollWidth > pane.clientWidth,
    text: getComputedStyle(page.body).color,
  }});
}}, 10000);
</script>"""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]


def look(page: Path, width: int = 1280, dark: bool = False) -> tuple[dict, str]:
    """What a browser makes of a page `width` pixels wide, and its messages."""
    probe = page.with_name("probe.html")
    probe.write_text(PROBE.format(address=page.absolute().as_uri(), width=width))
    colours = ("--blink-settings=preferredColorScheme=0",) if dark else ()
    further = (
        "--allow-file-access-from-files",
        "--enable-logging=stderr",
        f"--user-data-dir={page.parent / 'profile'}",
    )
    done = subprocess.run(
        [CHROMIUM, *OPTIONS, *further, *colours, "--dump-dom", probe.absolute().as_uri()],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    found = re.search(r"<pre>(.+?)</pre>", done.stdout)
    assert found, done.stderr[-2000:]
    messages = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(found[1])), "\n".join(messages)


@pytest.mark.parametrize("kind", ["run", "sweep"])
def test_a_browser_shows_all_of_it(kind, tmp_path):
    if kind == "run":
        page = write_run_report(full_run(tmp_path / "run", EVIL))
    else:
        (tmp_path / "sweep").mkdir()
        page = write_sweep_report(sweep(tmp_path / "sweep"))
    desktop, messages = look(page)
    assert messages == ""
    assert desktop["pictures"] and all(width > 0 for width in desktop["pictures"])
    assert desktop["plots"] and all(paths > 3 for paths in desktop["plots"])
    assert desktop["drawn"] == len(desktop["plots"])
    phone, messages = look(page, width=390, dark=True)
    assert messages == "" and not phone["wide"] and phone["drawn"] == desktop["drawn"]
    assert phone["text"] != desktop["text"]  # dark mode has a light text
