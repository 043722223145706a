"""A small driver of headless Chromium: the DevTools protocol over a pipe, without any other library."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SEPARATOR = b"\0"


class Tab:
    """One page of the browser.

    ``requests`` are the addresses that the page asked for.
    """

    def __init__(self, sending: int, receiving: int) -> None:
        self._sending, self._receiving = sending, receiving
        self._number, self._buffer, self._session = 0, b"", ""
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **given: Any) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": given}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._sending, json.dumps(message).encode() + SEPARATOR)
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return dict(answer["result"])

    def _next(self) -> dict[str, Any]:
        while SEPARATOR not in self._buffer:
            more = os.read(self._receiving, 1 << 16)
            assert more, "the browser has gone"
            self._buffer += more
        message, self._buffer = self._buffer.split(SEPARATOR, 1)
        told = dict(json.loads(message))
        if told.get("method") == "Network.requestWillBeSent":
            self.requests.append(told["params"]["request"]["url"])
        return told

    def open(self, file: Path, state: str = "", width: int = 1280) -> None:
        """Load a page from disk, and wait until it is there."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=f"{file.resolve().as_uri()}{state}")
        self.value(
            "new Promise((done) => document.readyState === 'complete' ? done(1) "
            ": addEventListener('load', done))"
        )

    def value(self, expression: str) -> Any:
        """Evaluate JavaScript in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse at one place and let go at another."""
        self._mouse("mousePressed", start)
        for step in (0.3, 0.6, 1.0):
            at = tuple(a + step * (b - a) for a, b in zip(start, end, strict=True))
            self._mouse("mouseMoved", (at[0], at[1]))
        self._mouse("mouseReleased", end)

    def _mouse(self, kind: str, at: tuple[float, float]) -> None:
        self.call(
            "Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], button="left", buttons=1, clickCount=1
        )

    def press(self, key: str) -> None:
        """Press and release one key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key])

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """Left, top, width and height of an element."""
        found = self.value(
            f"(() => {{ const b = document.querySelector('{selector}').getBoundingClientRect(); "
            "return [b.left, b.top, b.width, b.height]; })()"
        )
        return tuple(found)


KEYS = {"ArrowLeft": 37, "ArrowRight": 39, "ArrowDown": 40, "ArrowUp": 38, "Home": 36, "End": 35}


@contextmanager
def browser(profile: Path) -> Iterator[Tab]:
    """Start headless Chromium without a network, and give one tab of it."""
    assert CHROMIUM is not None
    from_us, to_browser = os.pipe()
    from_browser, to_us = os.pipe()
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run"]
    flags += [f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND"]

    def at_three_and_four() -> None:
        reading, writing = os.dup(from_us), os.dup(to_us)
        os.dup2(reading, 3)
        os.dup2(writing, 4)

    process = subprocess.Popen(
        [CHROMIUM, *flags], close_fds=False, preexec_fn=at_three_and_four,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(from_us)
    os.close(to_us)
    try:
        yield Tab(to_browser, from_browser)
    finally:
        os.close(to_browser)
        os.close(from_browser)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
