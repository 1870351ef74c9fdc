"""The house: which rooms may import which, and what `import netlapse` costs."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import netlapse

PACKAGE = Path(netlapse.__file__).parent

# Room: the rooms it may import. Anything may import `errors`; what only the type checker imports does not count.
ARROWS = {
    "errors": set(),
    "datasets": set(),
    "keras_backend": set(),
    "store": set(),
    "catalog": {"store"},
    "listing": {"catalog"},
    "record": {"store"},
    "measures": set(),
    # Notebooks ask a replay how it is shown, and it has a door to that.
    "replay": {"store", "measures", "notebook"},
    "keras": {"record", "replay", "store", "measures", "keras_backend", "torch"},
    "torch": {"record", "replay", "store"},
    "lightning": {"torch", "record", "store"},
    "transformers": {"torch", "record", "store"},
    "jax": {"record", "replay", "store"},
    "sklearn": {"record", "replay", "store"},
    "figures": {"measures"},
    "deepreplay": {"record", "store", "keras"},
    # Its pages are drawn of studies, and a study has a door to them.
    "study": {"record", "replay", "store", "catalog", "measures", "keras", "jax", "datasets", "report"},
    "report": {"study", "figures"},
    "notebook": {"view", "figures", "replay", "store"},
    "view": {"measures", "replay", "store", "catalog", "listing"},
}
FREE = {"__init__", "__main__", "cli", "demo"}
FRAMEWORKS = ("torch", "keras", "jax", "tensorflow", "lightning", "transformers", "flax", "equinox", "sklearn")
DOORS = {"keras", "torch", "lightning", "transformers", "jax", "sklearn"}


def runtime_imports(tree: ast.Module):
    """All import statements that run, with those under `if TYPE_CHECKING:` left out."""

    def walk(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.Import | ast.ImportFrom):
                yield child
            yield from walk(child)

    yield from walk(tree)


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imported_rooms(path: Path) -> set[str]:
    depth = len(path.relative_to(PACKAGE).parts)  # the level at which a relative import reaches the package itself
    found: set[str] = set()
    for node in runtime_imports(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            found |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith("netlapse."):
            found.add(node.module.split(".")[1])
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_one_way(path):
    room = room_of(path)
    if room in FREE:
        return
    assert room in ARROWS, f"{room} is a new room: say here which rooms it may import"
    stray = imported_rooms(path) - ARROWS[room] - {"errors", room}
    assert not stray, f"{path.name} in {room} imports {stray}"


def test_the_check_sees_imports():
    assert imported_rooms(PACKAGE / "replay" / "spaces.py") >= {"measures", "errors"}
    assert "record" in imported_rooms(PACKAGE / "keras" / "recorder.py")


@pytest.mark.parametrize(
    "path", [p for p in FILES if room_of(p) not in DOORS], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_frameworks_are_imported_by_their_door_only(path):
    for node in runtime_imports(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        if not (isinstance(node, ast.ImportFrom) and node.level):
            assert not {name.split(".")[0] for name in names} & set(FRAMEWORKS)


def test_importing_netlapse_imports_no_framework():
    code = "import sys, json, netlapse; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(json.loads(done.stdout))
    assert not modules & {
        *FRAMEWORKS,
        "matplotlib",
        "matplotlib.pyplot",
        "av",
        "PIL",
        "sklearn",
        "anywidget",
        "IPython",
    }
    assert "netlapse" in modules


def test_drawing_imports_no_framework_and_no_pyplot():
    code = "import sys, json, netlapse.figures; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(json.loads(done.stdout)) & {*FRAMEWORKS, "matplotlib.pyplot"}


def test_everything_promised_is_there():
    for name in netlapse.__all__:
        assert getattr(netlapse, name)
    assert set(netlapse.__all__) <= set(dir(netlapse))
    with pytest.raises(AttributeError, match="no attribute 'fim'"):
        _ = netlapse.fim
