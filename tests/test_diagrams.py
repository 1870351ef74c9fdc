"""Activation curves, network diagrams and the affine step: numbers first, then what is drawn of them."""

import re
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon
from matplotlib.text import Text

from netlapse.errors import UnknownName, Unsupported
from netlapse.figures.activation_function import activation_function as draw_curve
from netlapse.figures.activation_function import activation_functions, peak_text
from netlapse.figures.affine import affine
from netlapse.figures.network import DenseLayer, network_diagram, number
from netlapse.figures.theme import THEMES
from netlapse.keras.activations import activation_function, activation_names
from netlapse.measures.activation_function import ActivationFunction, gradient_peak, jumps, saturated

MINUS = "\N{MINUS SIGN}"


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def normal_cdf(z):
    """By Simpson's rule from -12, where nothing is left."""
    steps = np.linspace(0, 1, 2001)
    weights = np.array([1, *([4, 2] * 999), 4, 1]) / 6000
    lengths = z[:, None] + 12
    return (np.exp(-((-12 + lengths * steps) ** 2) / 2) @ weights) * lengths[:, 0] / np.sqrt(2 * np.pi)


def selu(z):
    return 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * np.expm1(z))


# From the definitions, in float64, with their kinks; functions of a vector at (z, 0), first output.
DEFINITIONS = {
    "celu": (lambda z: np.where(z > 0, z, np.expm1(z)), [0]),
    "elu": (lambda z: np.where(z > 0, z, np.expm1(z)), [0]),
    "exponential": (np.exp, []),
    "gelu": (lambda z: z * normal_cdf(z), []),
    "glu": (lambda z: z / 2, []),
    "hard_shrink": (lambda z: np.where(abs(z) > 0.5, z, 0), [-0.5, 0.5]),
    "hard_sigmoid": (lambda z: np.clip(z / 6 + 0.5, 0, 1), [-3, 3]),
    "hard_silu": (lambda z: z * np.clip(z / 6 + 0.5, 0, 1), [-3, 3]),
    "hard_tanh": (lambda z: np.clip(z, -1, 1), [-1, 1]),
    "leaky_relu": (lambda z: np.where(z > 0, z, 0.2 * z), [0]),
    "linear": (lambda z: z, []),
    "log_sigmoid": (lambda z: -np.log1p(np.exp(-z)), []),
    "log_softmax": (lambda z: -np.log1p(np.exp(-z)), []),
    "mish": (lambda z: z * np.tanh(np.log1p(np.exp(z))), []),
    "relu": (lambda z: np.maximum(z, 0), [0]),
    "relu6": (lambda z: np.clip(z, 0, 6), [0]),
    "selu": (selu, [0]),
    "sigmoid": (sigmoid, []),
    "silu": (lambda z: z * sigmoid(z), []),
    "soft_shrink": (lambda z: np.sign(z) * np.maximum(abs(z) - 0.5, 0), [-0.5, 0.5]),
    "softmax": (sigmoid, []),
    "softplus": (lambda z: np.log1p(np.exp(z)), []),
    "softsign": (lambda z: z / (1 + abs(z)), []),
    "sparse_plus": (lambda z: np.where(z > 1, z, np.where(z < -1, 0, (z + 1) ** 2 / 4)), [-1, 1]),
    "sparse_sigmoid": (lambda z: np.clip((z + 1) / 2, 0, 1), [-1, 1]),
    "sparsemax": (lambda z: np.clip((z + 1) / 2, 0, 1), [-1, 1]),
    "squareplus": (lambda z: (z + np.sqrt(z**2 + 4)) / 2, []),
    "tanh": (np.tanh, []),
    "tanh_shrink": (lambda z: z - np.tanh(z), []),
    "threshold": (lambda z: np.where(z > 1, z, 0), [1]),
}


@cache
def curve_of(name):
    return activation_function(name)


@pytest.fixture
def curves():
    return {name: curve_of(name) for name in ("sigmoid", "tanh", "relu", "hard_shrink", "softmax")}


def axes(theme="light", size=(10, 5.4)):
    return Figure(figsize=size, layout="constrained", facecolor=THEMES[theme].surface).add_subplot()


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


# Activation functions: numbers


def test_every_activation_of_keras_is_checked_here():
    assert set(activation_names()) <= set(DEFINITIONS)
    assert len(activation_names()) >= 25


@pytest.mark.parametrize("name", activation_names())
def test_values_and_gradients_equal_the_definition(name):
    define, kinks = DEFINITIONS[name]
    z = np.linspace(-4.97, 4.97, 143)
    for kink in kinks:
        z = z[abs(z - kink) > 0.01]
    if name == "sparsemax":  # Keras before the fix of keras-team/keras#23425 is wrong where both outputs live
        z = z[(z < 0) | (z > 1)]
    curve = activation_function(name, z)
    step = 1e-5
    np.testing.assert_allclose(curve.values, define(z), rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(
        curve.gradients, (define(z + step) - define(z - step)) / (2 * step), rtol=1e-5, atol=5e-6
    )


def test_functions_of_a_vector_say_so(curves):
    assert curves["softmax"].title == "softmax((z, 0))₁"
    assert curves["sigmoid"].title == "sigmoid"
    np.testing.assert_allclose(curves["softmax"].values, curves["sigmoid"].values, atol=1e-6)
    assert activation_function("glu").title == "glu((z, 0))₁"
    assert activation_function("threshold").title == "threshold(z, 1, 0)"


def test_any_function_and_any_alias_will_do():
    def twice(x):
        return 2.0 * x

    curve = activation_function(twice, [-1.0, 0.5, 2.0])
    assert curve.name == "twice"
    np.testing.assert_allclose(curve.values, [-2, 1, 4])
    np.testing.assert_allclose(curve.gradients, 2)
    assert activation_function("swish", [-1, 0, 1]).name == "silu"


def test_what_cannot_be_followed_is_named():
    with pytest.raises(UnknownName, match=r"no activation 'rely'; it has celu, .*relu"):
        activation_function("rely")
    with pytest.raises(UnknownName, match="no activation 'deserialize'"):
        activation_function("deserialize")
    with pytest.raises(Unsupported, match="increasing pre-activations"):
        activation_function("relu", [[0.0, 1.0]])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sigmoid", "gradient peak 0.25 at z = 0"),
        ("tanh", "gradient peak 1 at z = 0"),
        ("relu", "gradient 1 for z > 0"),
        ("gelu", "gradient peak 1.13 at z = 1.4"),
        ("selu", "gradient peak 1.76 at z = 0"),
        ("linear", "gradient 1 everywhere"),
        ("hard_tanh", "gradient 1 for |z| < 1"),
        ("hard_shrink", "gradient 1 for |z| > 0.5"),
        ("tanh_shrink", "gradient up to 1 at |z| = 5"),
        ("log_sigmoid", f"gradient up to 0.993 at z = {MINUS}5"),
        ("exponential", "gradient up to 148 at z = 5"),
    ],
)
def test_the_peak_in_words(name, text):
    assert peak_text(curve_of(name)) == text


def test_two_peaks_in_words():
    z = np.linspace(-3, 3, 600)
    curve = ActivationFunction("bump", z, np.exp(-(z**2)), -2 * z * np.exp(-(z**2)))
    assert peak_text(curve) == "gradient peak 0.858 at |z| = 0.7"


def test_saturation_starts_where_the_gradient_is_a_twentieth_of_its_peak(curves):
    edge = np.log((1 + np.sqrt(0.95)) / (1 - np.sqrt(0.95)))  # solves s (1 - s) = 0.05 / 4
    (low, left), (right, high) = saturated(curves["sigmoid"])
    assert (low, high) == (-5, 5)
    np.testing.assert_allclose([-left, right], edge, atol=0.01)
    assert saturated(curves["relu"]) == ((-5, 0),)
    growing = curve_of("exponential")
    assert gradient_peak(growing).growing
    assert saturated(growing) == ()


def test_only_true_jumps_are_jumps(curves):
    assert jumps(curves["tanh"].gradients).size == 0
    assert jumps(np.exp(np.linspace(-5, 5, 1000))).size == 0
    assert jumps(curves["relu"].values).size == 0
    np.testing.assert_array_equal(jumps(curves["relu"].gradients), [499])


# Activation functions: pictures


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["sigmoid", "relu", "hard_shrink", "softmax"])
def test_the_lines_are_the_curve(curves, name, theme):
    ax, curve = axes(theme), curves[name]
    artists = draw_curve(curve, ax, theme=theme)
    lines = [line for line in artists if len(getattr(line, "get_xdata", list)()) > 100]
    for line, expected in zip(lines, (curve.values, curve.gradients), strict=True):
        z, y = np.array(line.get_xdata()), np.array(line.get_ydata())
        drawn = np.isfinite(y)
        np.testing.assert_array_equal(z[drawn], curve.z)
        np.testing.assert_array_equal(y[drawn], expected)
        assert (~drawn).sum() == len(jumps(expected))
    assert [line.get_linestyle() for line in lines] == ["-", "--"]
    assert peak_text(curve) in texts(ax.figure)
    assert "gradient below 5 % of its peak" in texts(ax.figure)
    assert ax.get_facecolor()[:3] == pytest.approx(
        tuple(int(THEMES[theme].surface[k : k + 2], 16) / 255 for k in (1, 3, 5))
    )
    ax.figure.draw_without_rendering()


def test_the_peak_is_written_where_no_curve_runs(curves):
    for curve in curves.values():
        ax = axes()
        draw_curve(curve, ax)
        ax.figure.draw_without_rendering()
        (note,) = [text for text in ax.texts if text.get_text() == peak_text(curve)]
        box = Text.get_window_extent(note)
        for y in (curve.values, curve.gradients):
            points = ax.transData.transform(np.column_stack([curve.z, y]))
            assert not any(box.contains(*point) for point in points)
        assert ax.bbox.contains(*box.min)
        assert ax.bbox.contains(*box.max)


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (3, 3), (7, 5)])
def test_small_multiples(curves, count, columns):
    chosen = (list(curves.values()) * 2)[:count]
    figure = activation_functions(chosen, theme="dark")
    assert [ax.get_title(loc="left") for ax in figure.axes] == [curve.title for curve in chosen]
    assert figure.axes[0].get_gridspec().ncols == columns
    figure.draw_without_rendering()


# Network diagrams

HIDDEN = DenseLayer("hidden", "tanh", np.float32([[-0.22570734, -0.11073513], [-0.5436827, 0.01975952]]), np.zeros(2))
OUTPUT = DenseLayer("output", "sigmoid", np.float32([[-0.01403875], [-0.00688761]]), np.zeros(1))


def layers(*sizes):
    rng = np.random.default_rng(1)
    return [
        DenseLayer(f"dense {k}", "relu", rng.normal(size=shape), rng.normal(size=shape[1]))
        for k, shape in enumerate(pairwise(sizes))
    ]


def nodes(artists):
    """Whole nodes and halves of split ones."""
    return [sum(isinstance(artist, kind) for artist in artists) for kind in (Circle, Polygon)]


def segments(artists):
    return [len(artist.get_segments()) for artist in artists if isinstance(artist, LineCollection)]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_network_of_the_article(theme):
    ax = axes(theme)
    artists = network_diagram([HIDDEN, OUTPUT], ax, theme=theme)
    assert nodes(artists) == [2, 6]
    assert segments(artists) == [4, 2]
    written = texts(ax.figure)
    for text in (
        "$x_{1}$",
        "$z_{2}$",
        "$a_{2}$",
        "$z$",
        "$\\hat{y}$",
        f"{MINUS}0.226",
        "0.02",
        f"{MINUS}0.007",
    ):
        assert text in written
    assert written.count("$b$ = 0") == 3
    ax.figure.draw_without_rendering()


def test_edges_are_as_wide_as_their_weights_and_dashed_when_negative():
    artists = network_diagram([HIDDEN], axes())
    (lines,) = [artist for artist in artists if isinstance(artist, LineCollection)]
    weights = HIDDEN.kernel.ravel()
    widths = np.array(lines.get_linewidths())
    np.testing.assert_allclose(widths, np.maximum(0.6, 5 * abs(weights) / abs(weights).max()), rtol=1e-6)
    assert [dashes is not None for _, dashes in lines.get_linestyle()] == list(weights < 0)


def test_wide_layers_are_shortened_and_say_so():
    ax = axes()
    artists = network_diagram(layers(10, 16, 16, 3), ax)
    assert nodes(artists) == [5, 2 * (5 + 5 + 3)]
    assert segments(artists) == [25, 25, 15]
    written = texts(ax.figure)
    assert [text for text in written if "more" in text] == ["⋮  5 more", "⋮  11 more", "⋮  11 more"]
    assert "$z_{16}^{(2)}$" in written
    assert not any(text.startswith("$b$") for text in written)


@pytest.mark.parametrize("sizes", [(2, 2, 1), (3, 4), (8, 1), (1, 8, 2), (2, 2, 2, 1)])
def test_nothing_overlaps(sizes):
    ax = axes()
    network_diagram(layers(*sizes), ax)
    ax.figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in ax.texts]
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[k + 1 :])
        assert ax.figure.bbox.contains(*box.min)
        assert ax.figure.bbox.contains(*box.max)


def test_what_no_diagram_can_show():
    with pytest.raises(Unsupported, match="at least one dense layer"):
        network_diagram([], axes())
    with pytest.raises(Unsupported, match=r"'conv' has a kernel of shape \(3, 3, 1, 8\)"):
        network_diagram([DenseLayer("conv", "relu", np.zeros((3, 3, 1, 8)))], axes())
    with pytest.raises(Unsupported, match="'hidden' takes 2 inputs, but 'output' before it has 1 units"):
        network_diagram([OUTPUT, HIDDEN], axes())


def test_numbers_are_short_and_never_vanish():
    assert [number(value) for value in (4.1, -0.22570734, 0, -0.0, 2.5e-6, np.float32(4.1))] == [
        "4.1", f"{MINUS}0.226", "0", "0", f"2.5e{MINUS}06", "4.1",
    ]  # fmt: skip


# The affine step

INPUTS = np.array([[0.3634, 0.132], [0.2032, -0.4587], [0.6396, 0.4091], [9.0, 9.0]])


def strings(values, decimals=3):
    return [f"{value:.{decimals}f}".replace("-", MINUS) for value in np.ravel(values)]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_four_ways_print_what_numpy_computes(theme):
    layer = DenseLayer("hidden", "tanh", np.array([[4.1, -3.9], [2.2, 2.7]]), np.array([-1.2, -1.3]))
    figure = affine(layer, INPUTS, theme=theme)
    written = texts(figure)
    for text in strings(INPUTS[:3] @ layer.kernel + layer.bias):
        assert written.count(text) == 4
    assert not any("9.000" in text for text in written)
    panels = [text for text in written if re.match(r"\([a-d]\) ", text)]
    assert len(panels) == 4
    # In the network, in both matrices; in parentheses in each equation.
    assert written.count(f"$w_{{12}}$ = {MINUS}3.9") == 1
    assert written.count(f"({MINUS}3.9)") == 3
    assert written.count(f"{MINUS}3.9") == 1


def test_a_missing_bias_is_zero_and_decimals_are_a_choice():
    layer = DenseLayer("output", "sigmoid", OUTPUT.kernel)
    written = texts(affine(layer, INPUTS, examples=2, decimals=5))
    for text in strings(INPUTS[:2] @ layer.kernel.astype(float), 5):
        assert written.count(text) == 4
    assert "$b_1$ = 0" in written
    assert "example 3" not in written


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (4, 4), (1, 4)])
def test_the_page_is_large_enough(shape):
    rng = np.random.default_rng(2)
    layer = DenseLayer("a_rather_long_name", "relu", rng.normal(size=shape), rng.normal(size=shape[1]))
    figure = affine(layer, rng.normal(size=(3, shape[0])))
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in figure.findobj(Text) if text.get_text()]
    for k, box in enumerate(boxes):
        assert figure.bbox.contains(*box.min)
        assert figure.bbox.contains(*box.max)
        assert not any(box.overlaps(other) for other in boxes[k + 1 :])


def test_what_cannot_be_written_out():
    with pytest.raises(Unsupported, match="'wide' with 2 inputs, 5 units and 3 examples"):
        affine(DenseLayer("wide", "relu", np.zeros((2, 5))), INPUTS)
    with pytest.raises(Unsupported, match="0 examples"):
        affine(HIDDEN, INPUTS[:0])
    with pytest.raises(Unsupported, match=r"inputs of shape \(2, 3\) do not fit layer 'hidden'"):
        affine(HIDDEN, np.zeros((2, 3)))
