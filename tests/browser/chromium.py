"""Chromium without a window or a network. As a script it says whether there is one."""

from __future__ import annotations

import base64
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selenium import webdriver

#: What the programs are called; the variables name others.
PROGRAMS = {
    "CHROMIUM": (
        *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    ),
    "CHROMEDRIVER": ("chromedriver", "chromium.chromedriver"),
}
INSTALL = "on Debian or Ubuntu: apt-get install -y chromium chromium-driver"
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # no address is reachable, whatever a page asks for
    *("--proxy-server=127.0.0.1:9", "--host-resolver-rules=MAP * ~NOTFOUND"),
)


def program(variable: str) -> str:
    """Return the path of a program.

    Raises
    ------
    FileNotFoundError
        If there is none; the message says how to install it.
    """
    names = PROGRAMS[variable]
    wanted = os.environ.get(variable)
    found = [shutil.which(name) for name in ([wanted] if wanted else names)]
    if not any(found):
        raise FileNotFoundError(
            f"there is no {wanted or ' or '.join(names)} on PATH. Install it, {INSTALL}; or name "
            f"one in the variable {variable}."
        )
    return next(path for path in found if path)


def start(profile: Path) -> webdriver.Chrome:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program("CHROMIUM")
    for flag in (*QUIET, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service(executable_path=program("CHROMEDRIVER"))
    driver = webdriver.Chrome(service=service, options=options)
    driver.set_page_load_timeout(60)
    return driver


class Browser:
    """A tab that opens pages at a width, by day or by night."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, page: Path, width: int, scheme: str = "light") -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", features=features)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", **size)
        self.ask("window.left = true")
        self.driver.get(page.as_uri())
        # `get` may come back before the new page is there (SeleniumHQ/selenium issue 1364)
        self.wait("!window.left && document.readyState === 'complete'")

    def wait(self, condition: str) -> None:
        from selenium.webdriver.support.wait import WebDriverWait

        WebDriverWait(self.driver, 60, 0.05).until(lambda _: self.ask(f"return {condition}"))

    def command(self, name: str, **options: object) -> dict[str, Any]:
        return dict(self.driver.execute_cdp_cmd(name, options))

    def ask(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def unfold(self) -> None:
        self.ask("document.querySelectorAll('details').forEach(one => one.open = true)")

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def picture(self, path: Path, height: int = 12_000) -> None:
        width, whole = self.ask("return [window.innerWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": width, "height": min(whole, height), "scale": 1}
        shot = self.command("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(shot["data"]))


if __name__ == "__main__":
    try:
        for name in PROGRAMS:
            program(name)
    except FileNotFoundError as missing:
        sys.exit(f"make browser: {missing}")
