"""A study as one page: what was varied, what was found, and the pictures, in a file that needs nothing else."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from io import BytesIO
from math import ceil, isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .errors import UnknownName, Unsupported, printable
from .figures import studies
from .figures.stage import new_figure
from .figures.theme import DARK, LIGHT, THEMES
from .study.findings import findings
from .study.grid import grid
from .study.outcomes import outcomes, split
from .study.shares import share
from .study.survival import survival

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from jaxtyping import Float
    from matplotlib.axes import Axes

    from .figures.studies.boundaries import Verdict
    from .figures.theme import Theme, ThemeName
    from .study.boundaries import Boundaries
    from .study.findings import Finding

    Draw = Callable[[Axes, ThemeName], object]

PageTheme = Literal["light", "dark", "auto"]

# What a study's table says of each network besides its settings, and how such columns begin.
_RESULTS = ("network", "seed", "pair", "setting", "mode", "status", "epochs", "lowest_loss", "right_for_good")
_BEGINNINGS = ("final_", "first_right")
# Curves whose name has one of these are the better the lower they are; others, such as accuracies, the higher.
_LOW = ("loss", "error", "entropy", "divergence", "hinge", "poisson", "cosh", "mae", "mse", "mape", "msle")
# Pixels: how wide pictures are, and on a narrow screen.
_WIDE, _NARROW, _DPI = 960, 480, 110
_NARROW_SCREEN = "(max-width: 40rem)"
# Networks whose boundaries are shown: of one setting, and of each of several, of which there are no more than these.
_MOST_BOUNDARIES, _FEWER_BOUNDARIES, _MOST_PLANES = 100, 36, 4
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def report(
    table: pd.DataFrame,
    curves: Mapping[str, Float[np.ndarray, "network epoch"]],
    path: str | Path,
    *,
    title: str,
    settings: Sequence[str] | None = None,
    by: str | Sequence[str] | None = None,
    theme: PageTheme = "light",
    boundaries: Sequence[Boundaries] = (),
    design: Mapping[str, object] | None = None,
) -> Path:
    """Write a study as one HTML file, which loads nothing from anywhere and runs no script. Returns its path.

    `settings` are the columns of hyper-parameters (default: all that are no results), `by` those to be compared
    (default: all that vary). `curves` are the loss and any metrics, each of which is drawn. `boundaries` are those of
    one setting, or of each of up to four. `design` is more to be said of how the study was made, such as {"mode":
    "exact"}; of networks that an event of your own calls right, say it: {"right": "loss < 0.1"}. The `theme` "auto"
    follows the reader's system. Raises UnknownName for columns that there are not, Unsupported where no hyper-parameter
    is, or curves are of other networks.
    """
    settings = _hyperparameters(table) if settings is None else list(settings)
    missing = [name for name in settings if name not in table]
    if missing:
        raise UnknownName(f"the study's table has no column {', '.join(missing)}; it has {', '.join(map(str, table))}")
    for name, values in curves.items():
        if len(values) != len(table):
            raise Unsupported(f"the curves {name!r} are of {len(values):,} networks and the table of {len(table):,}")
    varied = [name for name in settings if len(split(table, name)) > 1]
    compared = [by] if isinstance(by, str) else list(by) if by is not None else varied or settings[:1]
    if not compared:
        raise Unsupported("the study's table has no hyper-parameter; name its columns in `settings`")
    parts = [_design(table, settings, varied, design or {})]
    parts += [_setting(table, curves, name, theme) for name in compared]
    parts.append(_together(table, varied, theme))
    if boundaries:
        parts.append(_boundaries(table, boundaries[:_MOST_PLANES], varied, theme))
    body = f"<header><h1>{_text(title)}</h1></header>\n<main>\n" + "\n".join(parts) + "\n</main>"
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{_style(theme)}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
    path = Path(path)
    # A name may hold what is no Unicode character by itself.
    path.write_bytes(page.encode("utf-8", "xmlcharrefreplace"))
    return path


def _hyperparameters(table: pd.DataFrame) -> list[str]:
    names = [str(name) for name in table]
    return [name for name in names if name not in _RESULTS and not name.startswith(_BEGINNINGS)]


def _design(table: pd.DataFrame, settings: Sequence[str], varied: Sequence[str], more: Mapping[str, object]) -> str:
    of = outcomes(table)
    n, reached, diverged = of.counts()
    least, most = int(of.trained.min()), int(of.trained.max())
    pairs = len(np.unique(of.pairs))
    same = [f"{_words(name)} {next(iter(split(table, name)))}" for name in settings if name not in varied]
    rows = {
        "Varied": "; ".join(f"{_words(name)}: {', '.join(split(table, name))}" for name in varied) or "nothing",
        "The same for all": "; ".join(same) or "nothing",
        "Networks": f"{n:,}, of which {reached:,} became right and {diverged:,} diverged",
        "Right": "once no case is wrong; of a sweep with an event of its own, once that holds",
        "Seeds": f"{table['seed'].nunique():,}",
        "Pairing": f"{pairs:,} sets of networks, each of one seed" if pairs < n else "none: each network is by itself",
        "Epochs": f"{least:,}" if least == most else f"{least:,} to {most:,}",
        **{_words(str(name)).capitalize(): str(value) for name, value in more.items()},
    }
    listed = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in rows.items())
    note = (
        "Intervals are of 95 %, each by itself. A network that diverged, or was not right within the epochs trained, "
        "counts as never right."
    )
    return f"<section><h2>Design</h2><dl>{listed}</dl><p class=note>{note}</p></section>"


def _setting(table: pd.DataFrame, curves: Mapping[str, Any], by: str, theme: PageTheme) -> str:
    rows, every, found = split(table, by), outcomes(table), findings(table, by)
    survivals = {name: survival(every.of(chosen)) for name, chosen in rows.items()}
    said = " ".join(finding.text for finding in found if finding.kind == "share")
    diverged = {name: every.diverged[chosen] for name, chosen in rows.items()}
    pictures = [
        _figure(
            lambda ax, tint: studies.survival_curves(survivals, ax, theme=tint),
            f"The share of networks that are right by each epoch, by {_words(by)}. {said}",
            f"By which epoch networks are right, by {_words(by)} (Kaplan-Meier, pointwise bands).",
            theme,
            _sizes(420 + 24 * len(rows), 400 + 60 * len(rows)),
        )
    ]
    for name, values in _comparable(curves).items():
        of = {setting: values[chosen] for setting, chosen in rows.items()}
        better = not any(word in name.lower() for word in _LOW)
        pictures.append(
            _figure(
                lambda ax, tint, of=of, name=name, better=better: studies.loss_bands(
                    of, ax, quantity=_words(name), diverged=diverged, higher_is_better=better, theme=tint
                ),
                f"The median {_words(name)} over the epochs and a band of half of the networks, by {_words(by)}.",
                f"{_words(name)[:1].upper()}{_words(name)[1:]} over the epochs, by {_words(by)}. Networks that diverged"
                " are worse than all others; those whose training has ended count no more.",
                theme,
                _sizes(480, 400 + 36 * len(rows)),
            )
        )
    final = np.where(every.diverged, np.nan, table["final_loss"].to_numpy(float))
    losses = {name: final[chosen] for name, chosen in rows.items()}
    pictures.append(
        _figure(
            lambda ax, tint: studies.ridges(losses, ax, theme=tint),
            f"The distribution of the final loss, by {_words(by)}. {_medians(losses)}",
            f"Where the final losses lie, by {_words(by)}.",
            theme,
            _sizes(200 + 70 * len(rows)),
        )
    )
    alone = "".join(_sentence(finding) for finding in found if finding.kind in ("share", "median"))
    pairs = "".join(_sentence(finding) for finding in found if finding.kind not in ("share", "median"))
    first, *others = pictures
    return (
        f"<section><h2>By {_text(_words(by))}</h2><ul>{alone}</ul>{first}"
        + (f"<h3>Compared</h3><ul>{pairs}</ul>" if pairs else "")
        + f"<h3>Settings</h3>{_table(table, by, losses)}{''.join(others)}</section>"
    )


def _comparable(curves: Mapping[str, Any]) -> dict[str, Any]:
    """The curves, the loss first, without what a metric makes of a network whose loss is no number."""
    lost = np.isnan(curves["loss"]) if "loss" in curves else np.zeros(0)
    return {
        name: np.where(lost, np.nan, values) if lost.shape == values.shape else values
        for name, values in sorted(curves.items(), key=lambda curve: curve[0] != "loss")
    }


def _sentence(finding: Finding) -> str:
    return f"<li>{_text(finding.text)}</li>" if finding.tells else f'<li class="few">{_text(finding.text)}</li>'


def _medians(losses: Mapping[str, Any]) -> str:
    return " ".join(f"{name}: median {_loss(values)}." for name, values in losses.items())


def _loss(values: Float[np.ndarray, " network"]) -> str:
    middle = float(np.sort(np.where(np.isfinite(values), values, np.inf))[(len(values) - 1) // 2])
    return f"{middle:.3g}" if isfinite(middle) else "diverged"


def _table(table: pd.DataFrame, by: str, losses: Mapping[str, Any]) -> str:
    every = outcomes(table)
    rows: list[str] = []
    names = (_words(by), "networks", "right", "diverged", "share right", "median epoch", "median final loss")
    for name, chosen in split(table, by).items():
        part = every.of(chosen)
        of, curve = share(part), survival(part)
        ends = f"{curve.median_low:g} to {curve.median_high:g}".replace("inf", "never")
        middle = f"{curve.median:g} ({ends})" if isfinite(curve.median) else "none"
        shares = f"{100 * of.value:.1f} % ({100 * of.low:.1f} to {100 * of.high:.1f} %)"
        cells = (f"{of.n:,}", f"{of.reached:,}", f"{of.diverged:,}", shares, middle, _loss(losses[name]))
        row = "".join(f"<td>{_text(cell)}</td>" for cell in cells)
        rows.append(f'<tr><th scope="row">{_text(name)}</th>{row}</tr>')
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in names)
    return (
        '<div class="wide" tabindex="0" role="region" aria-label="Settings"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _together(table: pd.DataFrame, varied: Sequence[str], theme: PageTheme) -> str:
    """The hyper-parameters together, if more than one varies."""
    if len(varied) < 2:
        return ""
    cells = grid(table, varied[0], varied[1])
    result = np.where(outcomes(table).diverged, np.nan, table["final_loss"].to_numpy(float))
    columns = {name: table[name].astype(object).where(table[name].notna(), None).tolist() for name in varied}
    pictures = _figure(
        lambda ax, tint: studies.setting_grid(cells, ax, form=".1%", theme=tint),
        f"The share of networks that are ever right for each {_words(varied[0])} and {_words(varied[1])}.",
        f"The share ever right by {_words(varied[0])} and {_words(varied[1])}.",
        theme,
        _sizes(220 + 60 * len(cells.rows)),
    ) + _figure(
        lambda ax, tint: studies.parallel_coordinates(columns, result, ax, theme=tint),
        f"One line for each network through {', '.join(map(_words, varied))}, coloured by its final loss.",
        "Each network is a line through its settings, coloured by its final loss.",
        theme,
        _sizes(520, 560),
        vector=False,
    )
    return f"<section><h2>Together</h2>{pictures}</section>"


def _boundaries(table: pd.DataFrame, planes: Sequence[Boundaries], varied: Sequence[str], theme: PageTheme) -> str:
    most = _MOST_BOUNDARIES if len(planes) == 1 else _FEWER_BOUNDARIES
    pictures = "".join(_plane(table, each.first(most), varied, theme, alone=len(planes) == 1) for each in planes)
    note = (
        "What networks make of the plane of their inputs at the end of training. A thick frame with a cross: some cases"
        " are wrong."
    )
    columns = "thirds" if len(planes) == 3 else "halves"
    return (
        f"<section><h2>Networks at a glance</h2><p class=note>{note}</p>"
        f'<div class="{columns}">{pictures}</div></section>'
    )


def _plane(table: pd.DataFrame, measure: Boundaries, varied: Sequence[str], theme: PageTheme, *, alone: bool) -> str:
    last = outcomes(table, "right_for_good")
    place = {int(network): k for k, network in enumerate(table["network"])}
    missing = [int(network) for network in measure.networks if int(network) not in place]
    if missing:
        raise UnknownName(f"there are boundaries of networks that the study's table has not: {missing[:5]}")
    verdicts: list[Verdict] = [
        "diverged" if last.diverged[k] else "right" if np.isfinite(last.first[k]) else "wrong"
        for k in (place[int(network)] for network in measure.networks)
    ]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in ("right", "wrong", "diverged"))
    shown = table.iloc[[place[int(network)] for network in measure.networks]]
    alike = ", ".join(
        f"{_words(name)} {next(iter(split(shown, name)))}" for name in varied if shown[name].nunique() == 1
    )
    columns = max(1, ceil(len(verdicts) ** 0.5))
    shape = ceil(len(verdicts) / columns) / columns
    return _figure(
        lambda ax, tint: studies.decision_boundaries(measure, verdicts, ax, theme=tint),
        f"The decision boundaries of {len(verdicts)} networks at the end of training: {counts}. {alike}",
        alike[:1].upper() + alike[1:],
        theme,
        [(width, 70 + round(width * shape)) for width in ((_WIDE, _NARROW) if alone else (_NARROW,))],
        vector=False,
    )


def _sizes(wide: int, narrow: int | None = None) -> list[tuple[int, int]]:
    """The sizes of a picture so high, and so high on a narrow screen."""
    return [(_WIDE, wide), (_NARROW, narrow or wide)]


def _figure(
    draw: Draw, alt: str, caption: str, theme: PageTheme, sizes: Sequence[tuple[int, int]], *, vector: bool = True
) -> str:
    """A picture and its caption; for the reader's screen, and their theme where they choose it, one of several."""
    tints: Sequence[ThemeName] = ("dark", "light") if theme == "auto" else (theme,)
    shown: list[tuple[str, str]] = []
    # The first one that holds is taken, so the usual one is the last.
    for size in reversed(sizes):
        for tint in tints:
            media = [_NARROW_SCREEN] if size != sizes[0] else []
            media += ["(prefers-color-scheme: dark)"] if tint != tints[-1] else []
            picture = _picture(draw, tint, size, vector)
            shown.append((" and ".join(media), f'="{picture}" width="{size[0]}" height="{size[1]}"'))
    others = "".join(f'<source media="{media}" srcset{picture}>' for media, picture in shown[:-1])
    image = f'<img alt="{_text(alt)}" src{shown[-1][1]}>'
    return f"<figure><picture>{others}{image}</picture><figcaption>{_text(caption)}</figcaption></figure>"


def _picture(draw: Draw, theme: ThemeName, size: tuple[int, int], vector: bool) -> str:
    figure = new_figure(size, _DPI, THEMES[theme], heading=False)
    draw(figure.add_subplot(), theme)
    stream = BytesIO()
    # Of an image, as this is one, a browser runs no script and loads nothing.
    if vector:
        figure.savefig(stream, format="svg", metadata={"Date": None})
    else:
        figure.savefig(stream, format="png", dpi=1.6 * _DPI)
    kind = "svg+xml" if vector else "png"
    return f"data:image/{kind};base64,{b64encode(stream.getvalue()).decode('ascii')}"


def _text(value: object) -> str:
    return escape(printable(str(value)), quote=True)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _style(theme: PageTheme) -> str:
    chosen = _colors(DARK if theme == "dark" else LIGHT)
    dark = f"@media (prefers-color-scheme: dark) {{ :root {{ {_colors(DARK)} }} }}" if theme == "auto" else ""
    scheme = "light dark" if theme == "auto" else theme
    return f":root {{ color-scheme: {scheme}; {chosen} }} {dark} {_RULES}"


def _colors(theme: Theme) -> str:
    names = ("surface", "ink", "muted", "line", "wrong")
    return " ".join(f"--{name}: {getattr(theme, name)};" for name in names)


_RULES = """
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 62rem; background: var(--surface); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0.5rem 0 1.5rem; }
h2 { font-size: 1.35rem; margin: 2.5rem 0 0.75rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.25rem 0 0.5rem; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: 0.3rem 1.25rem; margin: 0; }
dt, .note, figcaption { color: var(--muted); }
dd { margin: 0; }
ul { padding-left: 1.2rem; }
li { margin: 0.35rem 0; }
.few { color: var(--muted); border-left: 3px solid var(--wrong); padding-left: 0.6rem; margin-left: -0.9rem;
  list-style: none; }
figure { margin: 1.75rem 0; }
.halves, .thirds { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); gap: 0 1rem; }
.thirds { grid-template-columns: repeat(auto-fit, minmax(min(18rem, 100%), 1fr)); }
.halves figure, .thirds figure { display: flex; flex-direction: column-reverse; justify-content: flex-end;
  margin: 1rem 0; }
.wide { overflow-x: auto; }
img { display: block; width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; min-width: 44rem; font-variant-numeric: tabular-nums;
  overflow-wrap: normal; }
th, td { text-align: right; white-space: nowrap; padding: 0.4rem 0.6rem; border-bottom: 1px solid var(--line); }
th:first-child { text-align: left; }
thead th { font-weight: 600; color: var(--muted); vertical-align: bottom; }
"""
