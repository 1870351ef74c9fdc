"""The full harness: python -m tests.durability [share], `make durability` for all of it; a share of 0.1 is a tenth.

Prints its figures, writes them into docs/reliability.md when nothing was left out, and fails if anything was not as it
should be.
"""

from __future__ import annotations

import platform
import re
import sys
import tempfile
import time
from pathlib import Path

from .flips import flip
from .full_disk import fill
from .kill import kill
from .power import can_trace, cut
from .process import ROOT
from .readers import watch
from .writers import contest

SEED = 20260101
PAGE = ROOT / "docs" / "reliability.md"
TROUBLES = {
    "Killed processes": (kill, 1000),
    "Power cuts": (cut, 2000),
    "Full disks": (fill, 36),
    "Altered bytes": (flip, 1000),
    "Several writers": (contest, 30),
    "Readers meanwhile": (watch, 1500),
}


def main(share: float) -> int:
    """Make all the trouble there is. Returns how much of it was not dealt with."""
    began = time.monotonic()
    lines, unsolved = [], 0
    for title, (trouble, count) in TROUBLES.items():
        if trouble is cut and not can_trace():
            lines += ["", f"**{title}**: not looked at; this needs strace."]
            continue
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            found = trouble(max(1, round(share * count)), Path(folder), SEED)
        lines += ["", f"| {title} | |", "| --- | ---: |"]
        lines += [f"| {text} | {value} |" for text, value in found.rows().items()]
        print("\n".join(lines[-len(found.rows()) - 2 :]), f"\n({time.monotonic() - start:.0f} s)\n", flush=True)
        for trouble_found in found.troubles:
            print(trouble_found, flush=True)
        unsolved += len(found.troubles)
    machine = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    lines.insert(0, f"Seed {SEED}, {machine}, {(time.monotonic() - began) / 60:.1f} minutes.")
    print(lines[0])
    if share == 1:
        marked = re.compile(r"(?<=<!-- figures -->\n).*(?=<!-- end of figures -->)", re.DOTALL)
        PAGE.write_text(marked.sub(lambda _: "\n".join(lines) + "\n", PAGE.read_text()))
    return unsolved


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1) > 0)
