"""Activation functions with their gradients: one to read closely, or many side by side."""
# matplotlib leaves **kwargs untyped.

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ..measures.activation_function import gradient_peak, jumps, saturated
from .theme import LABEL, THEMES, TICK, Theme, ThemeName, style_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from ..measures.activation_function import ActivationFunction

SHADE = "gradient below 5 % of its peak"


def activation_function(curve: ActivationFunction, ax: Axes, *, theme: ThemeName = "light") -> list[Artist]:
    """Draw the function (solid) and its gradient (dashed) over z.

    The gradient's peak is marked, and where the gradient is nearly gone the ground is shaded.
    """
    colours = THEMES[theme]
    style_axes(ax, colours, title=curve.title, xlabel="pre-activation z", ylabel="activation, gradient")
    artists = _curves(curve, ax, colours)
    low, high = ax.get_ylim()
    # Headroom: what the search below falls back to when the curves fill the picture.
    ax.set_ylim(low, high + 0.15 * (high - low))
    artists += _mark_peak(curve, ax, colours)
    legend = ax.legend(
        handles=_keys(colours, shaded=bool(saturated(curve))),
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        borderaxespad=4.2,  # in font sizes: just below the label of the z axis, however high the panel
        ncols=3 if _inches(ax)[0] > 5 else 1,
        frameon=False,
        fontsize=TICK,
        labelcolor=colours.ink,
        handlelength=2.6,
        columnspacing=1.4,
    )
    return [*artists, legend]


def activation_functions(curves: Sequence[ActivationFunction], *, theme: ThemeName = "light") -> Figure:
    """A figure of many activations, each on axes of its own, with the gradient's peak under each name."""
    colours = THEMES[theme]
    columns = min(5 if len(curves) > 6 else 3, len(curves))
    rows = math.ceil(len(curves) / columns)
    # The right margin is for peaks of the last column that are longer than their axes.
    layout = ConstrainedLayoutEngine(rect=(0, 0, 0.98, 1), h_pad=0.08, w_pad=0.06)
    height = 0.7 + rows * (1.9 if columns == 5 else 2.6)
    figure = Figure(figsize=(10, height), facecolor=colours.surface, layout=layout)
    FigureCanvasAgg(figure)
    figure.supxlabel("pre-activation z", fontsize=LABEL, color=colours.ink)
    for place, curve in enumerate(curves, start=1):
        ax = figure.add_subplot(rows, columns, place)
        style_axes(ax, colours)
        _curves(curve, ax, colours)
        ax.set_title(curve.title, loc="left", fontsize=LABEL, color=colours.ink, weight="bold", pad=21)
        # In five columns the colour alone has to say that this is the gradient's.
        text = peak_text(curve).removeprefix("gradient " if columns == 5 else "")
        peak = ax.annotate(
            text,
            (0, 1),
            xycoords="axes fraction",
            xytext=(0, 6),
            textcoords="offset points",
            fontsize=TICK,
            color=colours.series[1],
        )
        peak.set_in_layout(False)
    figure.legend(
        handles=_keys(colours, shaded=True),
        loc="outside upper center",
        ncols=3,
        frameon=False,
        fontsize=LABEL,
        labelcolor=colours.ink,
        handlelength=2.6,
    )
    return figure


def peak_text(curve: ActivationFunction) -> str:
    """The gradient's peak and its place in words: "gradient 1 for z > 0"."""
    peak = gradient_peak(curve)
    first, last = float(curve.z[0]), float(curve.z[-1])
    decimals = max(0, 2 - math.ceil(math.log10(last - first)))

    def number(value: float) -> str:
        return f"{round(value, decimals) + 0.0:g}".replace("-", "\N{MINUS SIGN}")

    def place(start: float, stop: float) -> str:
        if start == stop:
            return f"z = {number(start)}"
        if start == first or stop == last:
            return f"z < {number(stop)}" if start == first else f"z > {number(start)}"
        return f"{number(start)} < z < {number(stop)}"

    size = f"{peak.gradient:.3g}".replace("-", "\N{MINUS SIGN}")
    stretches, (start, stop) = peak.stretches, peak.stretches[0]
    inner, outer = stretches[-1]
    mirrored = math.isclose(-start, outer, abs_tol=1e-6) and outer > 0.01 * (last - first)
    where = " and ".join(place(*stretch) for stretch in stretches)
    if start == stop:
        where = f"|z| = {number(outer)}" if mirrored and len(stretches) == 2 else where
        return f"gradient {'up to' if {start, outer} & {first, last} else 'peak'} {size} at {where}"
    if (start, stop) == (first, last):
        return f"gradient {size} everywhere"
    if mirrored and len(stretches) == 1:
        where = f"|z| < {number(outer)}"
    elif mirrored and len(stretches) == 2 and outer == last:
        where = f"|z| > {number(inner)}"
    return f"gradient {size} for {where}"


def _curves(curve: ActivationFunction, ax: Axes, colours: Theme) -> list[Artist]:
    """Shading, zero lines and the two lines, which are interrupted where they jump."""
    shades = [ax.axvspan(*stretch, color=colours.muted, alpha=0.16, lw=0, zorder=0) for stretch in saturated(curve)]
    zeros = [
        ax.axhline(0, color=colours.line, lw=0.8, zorder=1),
        ax.axvline(0, color=colours.line, lw=0.8, zorder=1),
    ]
    (function,) = ax.plot(*_broken(curve.z, curve.values), color=colours.ink, lw=2.2, zorder=3)
    (gradient,) = ax.plot(
        *_broken(curve.z, curve.gradients), color=colours.series[1], lw=2.2, dashes=(3.5, 1.6), zorder=4
    )
    ax.set_xlim(curve.z[0], curve.z[-1])
    return [*shades, *zeros, function, gradient]


def _broken(
    z: Float[np.ndarray, " point"], values: Float[np.ndarray, " point"]
) -> tuple[Float[np.ndarray, " place"], Float[np.ndarray, " place"]]:
    gaps = jumps(values) + 1
    return np.insert(z, gaps, np.nan), np.insert(values, gaps, np.nan)


def _keys(colours: Theme, *, shaded: bool) -> list[Artist]:
    keys: list[Artist] = [
        Line2D([], [], color=colours.ink, lw=2.2, label="function"),
        Line2D([], [], color=colours.series[1], lw=2.2, dashes=(3.5, 1.6), label="its gradient"),
    ]
    return [*keys, Patch(color=colours.muted, alpha=0.16, lw=0, label=SHADE)] if shaded else keys


def _mark_peak(curve: ActivationFunction, ax: Axes, colours: Theme) -> list[Artist]:
    """A dot on a peak that is one point, and its text at the nearest spot that both curves leave free."""
    peak = gradient_peak(curve)
    start, stop = peak.stretches[-1]
    anchor = ((start + stop) / 2, peak.gradient)
    text = peak_text(curve)
    leader = {"arrowstyle": "-", "color": colours.series[1], "lw": 0.9, "shrinkA": 1, "shrinkB": 4}
    note = ax.annotate(
        text,
        anchor,
        xytext=_free_spot(curve, ax, anchor, text),
        textcoords="axes fraction",
        ha="center",
        va="center",
        fontsize=LABEL,
        color=colours.series[1],
        bbox={"boxstyle": "round,pad=0.15", "fc": colours.surface, "ec": "none", "alpha": 0.75},
        arrowprops=leader if start == stop else None,
        zorder=6,
    )
    if start != stop:
        return [note]
    (dot,) = ax.plot(*anchor, "o", color=colours.series[1], ms=7, mec=colours.surface, mew=1.2, zorder=5, clip_on=False)
    return [note, dot]


def _free_spot(curve: ActivationFunction, ax: Axes, anchor: tuple[float, float], text: str) -> tuple[float, float]:
    """Centre, in axes fractions, of the text box nearest to `anchor` that no curve crosses; else the top."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    inches = _inches(ax)
    # A character is a little over half as wide as the font is high.
    size = np.array([0.56 * len(text), 1.0]) * LABEL / 72
    half = (size / 2 + 0.1) / inches
    x = np.tile((curve.z - left) / (right - left), 2)
    y = (np.concatenate([curve.values, curve.gradients]) - low) / (high - low)
    target = np.array([(anchor[0] - left) / (right - left), (anchor[1] - low) / (high - low)])
    spots = np.stack(np.meshgrid(np.linspace(0, 1, 61), np.linspace(0, 1, 41)), axis=-1).reshape(-1, 2)
    spots = spots[np.all((spots >= half) & (spots <= 1 - half), axis=1)]
    crossed = ((abs(x - spots[:, :1]) < half[0]) & (abs(y - spots[:, 1:]) < half[1])).any(axis=1)
    crossed |= np.all(abs(spots - target) < half, axis=1)
    if crossed.all():
        return 0.5, float(1 - half[1])
    free = spots[~crossed]
    best = free[np.argmin(np.linalg.norm((free - target) * inches, axis=1))]
    return float(best[0]), float(best[1])


def _inches(ax: Axes) -> Float[np.ndarray, " axis"]:
    """Width and height of `ax` as they are now; a layout engine may still move them a little."""
    return np.array(ax.get_window_extent().size) / ax.figure.dpi
