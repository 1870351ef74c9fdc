"""Power cuts: the system calls of a writer are recorded, and what a disk may hold after each of them is looked at.

A file system may forget whatever was not synced: of a file the content, of a folder each name made, moved or removed
since. Any of it may also have reached the disk, in any order. strace tells what the process really asked for, whichever
library did it. That the calls were understood is proved at the end: with nothing forgotten, they give the folder that
is there.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from netlapse.errors import NetlapseError
from netlapse.store import Writer, is_run

from . import content
from .process import Child

CALLS = (
    "openat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,truncate,ftruncate,fallocate,link,linkat,"
    "write,pwrite64,writev,pwritev,pwritev2,copy_file_range,sendfile,fsync,fdatasync"
)
STRACE = ["strace", "--quiet=all", "-f", "-y", "-xx", "-s", str(2**24), "-e", f"trace={CALLS}", "-e", "signal=none"]


@dataclass
class PowerCuts:
    """What was left of runs after power cuts."""

    calls: int = 0
    states: int = 0
    acknowledged: int = 0
    lost: int = 0
    not_resumed: int = 0
    troubles: list[str] = field(default_factory=list)

    def rows(self) -> dict[str, object]:
        return {
            "states of the disk after a power cut": f"{self.states:,} (after each of {self.calls} system calls)",
            "acknowledged frames compared in them": f"{self.acknowledged:,}",
            "acknowledged frames lost or altered": self.lost,
            "states from which the run could not be continued": self.not_resumed,
        }


@dataclass
class File:
    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""


Node = File | None  # None is a folder


class Disk:
    """A folder as its writer sees it, and what of it is safe."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.seen: dict[Path, Node] = {root: None}
        self._safe: dict[Path, Node] = {root: None}
        self._pending: list[tuple[Path, dict[Path, Node | str]]] = []  # folder, and names set or "gone" at once
        self._offsets: dict[str, int] = {}

    def call(self, name: str, arguments: str, result: str) -> bool:
        """Follow one system call that succeeded. Returns whether it changed anything in this folder."""
        texts = [bytes.fromhex(text.replace("\\x", "")) for text in re.findall(r'"((?:\\x..)*)"', arguments)]
        described = [Path(_decoded(path)) for path in re.findall(r"<([^>]*)>", arguments)]
        if name in ("write", "pwrite64", "ftruncate", "fsync", "fdatasync"):
            return described[0] in self.seen and self._content(name, arguments, texts, described[0])
        folders = described if name.endswith(("at", "at2")) else [Path("/")] * len(texts)
        paths = [folder / text.decode() for folder, text in zip(folders, texts, strict=False)]
        if not paths[0].is_relative_to(self.root):
            return False
        match name:
            case "openat":
                self._offsets[result.split("<")[0]] = 0
                if "O_CREAT" in arguments and paths[0] not in self.seen:
                    self._change({paths[0]: File()})
                elif "O_TRUNC" in arguments:
                    self.seen[paths[0]].data.clear()
                return "O_CREAT" in arguments
            case "mkdir" | "mkdirat":
                self._change({paths[0]: None})
            case "rename" | "renameat" | "renameat2":
                self._change({paths[0]: "gone", paths[1]: self.seen[paths[0]]})
            case "unlink" | "unlinkat" | "rmdir":
                self._change({paths[0]: "gone"})
            case _:
                raise NotImplementedError(f"{name}({arguments})")
        return True

    def _content(self, name: str, arguments: str, texts: list[bytes], path: Path) -> bool:
        file = self.seen[path]
        descriptor = arguments.split("<")[0]
        if name.endswith("sync") and file is None:
            for _, names in (each for each in self._pending if each[0] == path):
                _apply(names, self._safe)
            self._pending = [each for each in self._pending if each[0] != path]
        elif name.endswith("sync"):
            file.synced = bytes(file.data)
        elif name == "ftruncate":
            size = int(arguments.split(",")[-1])
            file.data[size:] = bytes(max(0, size - len(file.data)))
        else:
            at = int(arguments.split(",")[-1]) if name == "pwrite64" else self._offsets[descriptor]
            file.data.extend(bytes(max(0, at - len(file.data))))
            file.data[at : at + len(texts[0])] = texts[0]
            self._offsets[descriptor] = at + len(texts[0])
        return True

    def _change(self, names: dict[Path, Node | str]) -> None:
        [folder] = {name.parent for name in names}
        self._pending.append((folder, names))
        _apply(names, self.seen)

    def after_a_cut(self, kept: float, rng: np.random.Generator) -> dict[Path, bytes | None]:
        """What may be there afterwards, when each thing that was not synced is kept with this probability."""
        names = dict(self._safe)
        for _, change in self._pending:
            if rng.random() < kept:
                _apply(change, names)
        there = {
            name for name in names if all(above in names for above in name.parents if above.is_relative_to(self.root))
        }
        return {name: _torn(names[name], kept, rng) for name in sorted(there)}


def _apply(names: dict[Path, Node | str], to: dict[Path, Node]) -> None:
    for name, node in names.items():
        if node == "gone":
            to.pop(name, None)
        else:
            to[name] = node


def _torn(file: Node, kept: float, rng: np.random.Generator) -> bytes | None:
    if file is None:
        return None
    if rng.random() < kept:
        return bytes(file.data)
    if rng.random() < 0.5 or bytes(file.data) == file.synced:
        return file.synced
    here = int(rng.integers(len(file.data) + 1))  # its length is known, its end never came
    return bytes(file.data[:here]) + bytes(len(file.data) - here)


def _decoded(path: str) -> str:
    return re.sub(r"(?:\\x..)+", lambda match: bytes.fromhex(match[0].replace("\\x", "")).decode(), path)


def _calls(trace: Path):
    """Name, arguments and result of each call in the order in which they returned."""
    begun: dict[str, str] = {}
    for line in trace.read_text().splitlines():
        process, text = line.split(maxsplit=1)
        if text.endswith("<unfinished ...>"):
            begun[process] = text.removesuffix("<unfinished ...>")
            continue
        if text.startswith("<..."):
            text = begun.pop(process) + text.split("resumed>", 1)[1]
        if found := re.fullmatch(r"(\w+)\((.*)\)\s+= (\d.*)", text):
            yield found.groups()


def cut(states: int, folder: Path, seed: int) -> PowerCuts:
    """Look at least at so many states, all those after the calls of whole trainings."""
    rng = np.random.default_rng(seed)
    found = PowerCuts()
    while found.states < states:
        root = folder / f"disk{found.states}"
        root.mkdir()
        with Child(under=[*STRACE, "-o", str(folder / "trace")]) as child:
            child.order(
                root / "run", seed, "9 floats", "create", trainings=3, frames=8, rhythm=int(rng.integers(2**31))
            )
            list(child.reports())
            child.wait()
        disk, acknowledged = Disk(root), -1
        for call in _calls(folder / "trace"):
            if said := re.match(r'1<.*"(.*)"', call[1]) if call[0] == "write" else None:
                _, *numbers = bytes.fromhex(said[1].replace("\\x", "")).decode().split()
                acknowledged = max([acknowledged, *map(int, numbers[1:])])
            elif disk.call(*call):
                found.calls += 1
                for kept in (0, rng.random()):
                    _look(disk.after_a_cut(kept, rng), root, acknowledged, seed, folder / "image", found)
        wanted = {path: path.read_bytes() if path.is_file() else None for path in sorted([root, *root.rglob("*")])}
        if disk.after_a_cut(1, rng) != wanted:
            found.troubles.append("the calls that were recorded do not give the folder that is there")
    return found


def _look(
    state: dict[Path, bytes | None], root: Path, acknowledged: int, seed: int, image: Path, found: PowerCuts
) -> None:
    """Check the run in this state. `acknowledged` is -1 as long as it was not yet begun."""
    shutil.rmtree(image, ignore_errors=True)
    for path, data in state.items():
        place = image / path.relative_to(root)
        place.mkdir() if data is None else place.write_bytes(data)
    found.states += 1
    found.acknowledged += max(0, acknowledged)
    if not is_run(image / "run"):
        if acknowledged >= 0:
            found.lost += acknowledged
            found.troubles.append(f"state {found.states}: the run is gone")
        return
    try:
        run = content.open_run(image / "run")
        exact = content.exact(run)
        found.lost += max(0, acknowledged - int(exact[: max(0, acknowledged)].sum()))
        if len(run) < acknowledged or not exact.all() or run.verify() or run.manifest.id != str(seed):
            found.troubles.append(f"state {found.states}: {len(run)} frames of {acknowledged}; {run.verify()}")
        writer = Writer.resume(image / "run")
        if writer.durable != len(run):
            found.troubles.append(f"state {found.states}: continued after {writer.durable} of {len(run)} frames")
        writer.close()
    except (NetlapseError, OSError, UserWarning) as error:
        found.not_resumed += 1
        found.troubles.append(f"state {found.states}, {acknowledged} frames acknowledged: {error!r}")


def can_trace() -> bool:
    """Whether strace is there and may be used."""
    try:
        return subprocess.run([*STRACE, "-o", "/dev/null", "true"], capture_output=True).returncode == 0
    except OSError:
        return False
