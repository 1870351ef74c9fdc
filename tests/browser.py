"""A browser for tests of pages: `python -m tests.browser` finds or installs Chromium and says where it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """The path of a Chromium, that of the environment's CHROMIUM if it is set; None if there is none."""
    given = os.environ.get("CHROMIUM")
    if given:
        return given
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    return found or _of_playwright()


def _of_playwright() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def install() -> bool:
    """Install Debian's chromium, or else Playwright's own. False if neither can be had."""
    ways = [[sys.executable, "-m", "playwright", "install", "--with-deps", "chromium-headless-shell"]]
    if shutil.which("apt-get"):
        root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        apt = [*root, "env", *(f"{name}={value}" for name, value in quiet.items()), "apt-get"]
        if not root or shutil.which("sudo"):
            ways.insert(0, [*apt, "install", "--yes", "--no-install-recommends", "chromium", "fonts-dejavu-core"])
            subprocess.run([*apt, "update", "--quiet"], check=False)
    return any(subprocess.run(way, check=False).returncode == 0 for way in ways)


if __name__ == "__main__":
    if find() is None and not install():
        sys.exit("tests of pages need Chromium: install it, and set CHROMIUM to its path if it is not on PATH")
    sys.stdout.write(f"{find()}\n")
