"""`netlapse ls | show | verify`: what runs there are, what one holds, and whether it is sound."""

from __future__ import annotations

from enum import StrEnum
from math import isnan
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from .options import RunPath, RunPaths
from .terminal import console, plain, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from ..store import Manifest, Parameter, Run


class Format(StrEnum):
    """Ways to write a list of runs."""

    table = "table"
    json = "json"
    csv = "csv"


def list_runs(
    root: Annotated[str, typer.Argument(help="Folder or URL to look below.")] = ".",
    where: Annotated[
        str | None,
        typer.Option(help="Only runs for which this holds: \"activation == 'relu' and final.loss < 0.1\"."),
    ] = None,
    sort: Annotated[str | None, typer.Option(help="Column to sort by; -COLUMN for the greatest first.")] = None,
    columns: Annotated[str | None, typer.Option(help="Columns to show, such as path,seed,final.loss.")] = None,
    limit: Annotated[int | None, typer.Option(help="Show at most so many runs.", min=1)] = None,
    format: Annotated[Format, typer.Option(help="How to write the list.")] = Format.table,  # noqa: A002
) -> None:
    """List the runs below a folder: their settings, how far they came, what they reached."""
    from .. import catalog, listing

    found = catalog.rows(root, where, sort)
    names = [name.strip() for name in columns.split(",")] if columns else None
    if names and found:
        catalog.check(names, catalog.columns(found))
    found = found[:limit]
    if format is Format.json:
        typer.echo(listing.as_json(found, names))  # not rich, which takes seconds for megabytes
    elif format is Format.csv:
        typer.echo(listing.as_csv(found, names))
    elif found:
        listing.print_table(found, names, sort, console)
    else:
        console.print(plain(f"There are no runs below {root}" + (" for which that holds." if where else ".")))


def show(path: RunPath) -> None:
    """Say what a run holds."""
    from ..store import Run

    run = Run(path)
    console.print(_facts(run, path))
    console.print(_layers(run.manifest))
    console.print(_hyperparameters(run.manifest))


def verify(paths: RunPaths) -> None:
    """Read every byte of runs against its checksum."""
    from ..store import Run

    bad = 0
    for path in paths:
        run = Run(path)
        problems = run.verify()
        bad += bool(problems)
        found = (
            Text.assemble(("damaged", "red"), f", {run.whole_frames} of {len(run)} frames found are whole")
            if problems
            else Text(f"sound, {len(run)} frames")
        )
        console.print(Text.assemble(plain(f"{path}: "), found), soft_wrap=True)
        for problem in problems:
            say(f"  {problem}")
    if bad:
        raise typer.Exit(1)


def _facts(run: Run, path: str) -> Table:
    from rich.table import Table

    from ..store import size_of

    manifest, epochs, times = run.manifest, run.epochs, run.times
    facts = Table(box=None, show_header=False)

    def fact(*cells: object) -> None:
        facts.add_row(*map(plain, cells))

    fact("run", f"{run.name} ({path})")
    fact("status", run.status)
    fact("recorded", f"{manifest.created}, schedule {manifest.schedule}, with netlapse {manifest.netlapse}")
    versions = ", ".join(f"{name} {number}" for name, number in manifest.versions.items())
    fact("framework", f"{manifest.framework} on {manifest.backend} ({versions})")
    if len(run):
        duration = "" if isnan(times[-1]) else f", {times[-1]:.1f} s"  # an imported run does not know
        fact("frames", f"{len(run)}, epochs {epochs[0]:g} to {epochs[-1]:g}{duration}")
    if run.superseded:
        fact("", f"{run.superseded} more of steps that were done again")
    if thinned := manifest.thinned:
        fact(
            "thinned",
            f"{thinned.dropped} frames were left out; one of {thinned.every} is kept of the first {thinned.below}",
        )
    stored = [manifest.storage.get("dtype") or "", "compressed" if manifest.storage.get("compressed") else ""]
    fact("size", ", ".join([f"{size_of(run.folder):,} bytes", *filter(None, stored)]))
    probe = manifest.probe
    fact("probe", f"{probe['examples']} of {probe['drawn_from']} examples")
    if "validation_examples" in probe:
        fact("validation", f"{probe['validation_examples']} of {probe['validation_drawn_from']} examples")
    if "reason" in manifest.model:
        fact("network", f"not in the run: {run.model_file('reason').decode(errors='replace')}")
    for name in run.scalars:
        fact(name, f"{run.scalar(name)[-1]:.6g} at the last frame")
    return facts


def _layers(manifest: Manifest) -> Table:
    from rich.table import Table

    layers = Table("layer", "type", "units", "activation", "parameters", title="Layers", title_justify="left", box=None)

    def shapes_of(parameters: Iterable[Parameter]) -> str:
        return ", ".join(f"{p.name} {list(p.shape)}{'' if p.trainable else ' (not trainable)'}" for p in parameters)

    own: dict[str, list[Parameter]] = {}
    for parameter in manifest.parameters:
        own.setdefault(parameter.layer, []).append(parameter)
    for layer in manifest.layers:
        shapes = shapes_of(own.pop(layer.name, ()))
        layers.add_row(*map(plain, (layer.name, layer.type, layer.units or "", layer.activation or "", shapes)))
    # Weights that belong to no one layer: of a layer that is applied several times, or of the network itself.
    for name, parameters in own.items():
        layers.add_row(plain(name), "", "", "", plain(shapes_of(parameters)))
    return layers


def _hyperparameters(manifest: Manifest) -> Table:
    from rich.table import Table

    settings = Table("hyper-parameter", "value", title="Hyper-parameters", title_justify="left", box=None)
    for key, value in manifest.hyperparameters.items():
        settings.add_row(plain(key), plain(value))
    return settings
