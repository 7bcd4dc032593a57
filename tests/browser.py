"""Headless Chromium, driven by its DevTools protocol over two pipes as a person would: keys, files, downloads."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe")
SECONDS = 60
"""That an answer may take"""


class Browser:
    """One page; `messages` are what its console, its policy and its network complained of."""

    def __init__(self, folder: Path) -> None:
        (to_read, self.out), (self.into, to_write) = os.pipe(), os.pipe()

        def place_pipes() -> None:
            os.dup2(to_read, 3)
            os.dup2(to_write, 4)

        # The ends that Chromium gets must not be 3 and 4 already, in either order.
        to_read, to_write = (os.dup(end) if end < 10 else end for end in (to_read, to_write))
        command = [CHROMIUM, *OPTIONS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, preexec_fn=place_pipes, pass_fds=(3, 4, to_read, to_write), **quiet)
        self.number, self.buffer, self.session = 0, b"", None
        self.messages: list[str] = []
        (target,) = [each for each in self.ask("Target.getTargets")["targetInfos"] if each["type"] == "page"]
        self.session = self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for name in ("Page", "Runtime", "Log", "DOM", "Network"):
            self.ask(f"{name}.enable")
        self.ask("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *error: Any) -> None:
        self.process.terminate()
        self.process.wait()
        os.close(self.out)
        os.close(self.into)

    def ask(self, method: str, **parameters: Any) -> Any:
        """The answer of one command."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            found = self.read()
            if found.get("id") == self.number:
                assert "error" not in found, found
                return found["result"]

    def read(self) -> dict[str, Any]:
        """The next message of the browser."""
        while b"\0" not in self.buffer:
            assert select.select([self.into], [], [], SECONDS)[0], "the browser does not answer"
            part = os.read(self.into, 2**20)
            assert part, "the browser has ended"
            self.buffer += part
        text, self.buffer = self.buffer.split(b"\0", 1)
        found = json.loads(text)
        if found.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.messages.append(json.dumps(found["params"])[:500])
        return found

    def run(self, script: str) -> Any:
        """The value of an expression on the page."""
        found = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until an expression on the page is true."""
        start = time.monotonic()
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() - start < SECONDS, f"never came true: {condition}; {self.messages}"
            self.run("new Promise((resolve) => setTimeout(resolve, 50))")

    def open(self, address: str, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Open a page in a window of that size."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Page.navigate", url=address)
        self.wait(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(address)})")

    def press(self, *keys: str) -> None:
        """Keys of the keyboard, such as Tab, Enter and ArrowRight."""
        codes = {"Tab": 9, "Enter": 13, " ": 32, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        for key in keys:
            text = {"text": {"Enter": "\r", " ": " "}[key]} if key in ("Enter", " ") else {}
            common = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": codes[key]}
            self.ask("Input.dispatchKeyEvent", type="keyDown", **common, **text)
            self.ask("Input.dispatchKeyEvent", type="keyUp", **common)

    def choose_file(self, selector: str, path: Path) -> None:
        """Give a file to a file input."""
        root = self.ask("DOM.getDocument")["root"]["nodeId"]
        node = self.ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.ask("DOM.setFileInputFiles", files=[str(path)], nodeId=node)

    def picture(self, path: Path, whole: bool = False) -> None:
        """Save what is seen, or the whole page, as PNG."""
        found = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))
