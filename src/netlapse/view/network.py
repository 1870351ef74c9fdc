"""The network as a chain of dense layers: its diagram, and the small ones that the page computes itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from .numbers import single

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from ..measures import Limits
    from ..replay import Replay
    from .numbers import Numbers
    from .schema import Array, Dense, Diagram, Mlp, Training

# What the viewer computes: see viewer/src/math/mlp.ts.
ACTIVATIONS = frozenset(
    (
        *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "swish", "mish", "softplus"),
        *("softsign", "sigmoid", "hard_sigmoid", "tanh", "exponential", "softmax"),
    )
)
# What types of layers are called that change a network only while it is trained.
_NOISE = ("Dropout", "Noise")
# Weights times places that are evaluated for a frame: what takes a browser 5 to 8 ms.
_MOST_PRODUCTS = 5_000_000


def diagram(replay: Replay, domain: Limits | None, prefix: str, numbers: Numbers) -> Diagram:
    """The network's diagram. Raises Unsupported for other networks."""
    first = replay.unit_maps(replay.epochs[:1].tolist(), domain=domain)
    plane = first.x is not None

    def compute(rows: NDArray[np.intp]) -> Mapping[str, NDArray[Any]]:
        epochs = replay.epochs[rows].tolist()
        found = {"weights": single(replay.network_weights(epochs).weights)}
        if plane:
            found["maps"] = single(replay.unit_maps(epochs, domain=domain).maps[:, len(first.units[0]) :])
        return found

    axes = {"weights": ("edge",), "maps": ("unit", "row", "column")}
    given = numbers.moving(prefix, len(replay.epochs), compute, axes)
    columns = zip(first.layers, first.functions, first.sizes, first.units, strict=True)
    return {
        "columns": [
            {"layer": layer, "activation": function or "linear", "size": size, "units": list(units)}
            for layer, function, size, units in columns
        ],
        "weights": given["weights"],
        "maps": given.get("maps"),
    }


def mlp(replay: Replay, losses: Array, places: int, prefix: str, numbers: Numbers) -> Mlp | None:
    """The layers, if the page is to compute so many places of a frame itself. Raises Unsupported for other networks.

    `losses` are those of the examples.
    """
    parameters = replay.run.manifest.parameter_count
    if parameters * places > _MOST_PRODUCTS:
        return None
    first = replay.dense_layers(float(replay.epochs[0]))
    if not {layer.activation for layer in first} <= ACTIVATIONS:
        return None

    def compute(rows: NDArray[np.intp]) -> Mapping[str, NDArray[Any]]:
        frames = [replay.dense_layers(epoch) for epoch in replay.epochs[rows].tolist()]
        found: dict[str, NDArray[Any]] = {}
        for number, layer in enumerate(first):
            of_layer = [frame[number] for frame in frames]
            found[f"{number}/kernel"] = single([one.kernel for one in of_layer])
            if layer.bias is not None:
                found[f"{number}/bias"] = single([one.bias for one in of_layer])
        return found

    axes = {
        f"{k}/{what}": a for k in range(len(first)) for what, a in (("kernel", ("input", "unit")), ("bias", ("unit",)))
    }
    given = numbers.moving(prefix, len(replay.epochs), compute, axes)
    layers: list[Dense] = [
        {
            "name": layer.name,
            "activation": layer.activation,
            "kernel": given[f"{number}/kernel"],
            "bias": given.get(f"{number}/bias"),
        }
        for number, layer in enumerate(first)
    ]

    def mean(rows: NDArray[np.intp]) -> Mapping[str, NDArray[Any]]:
        of_examples = numbers(losses["name"], int(rows[0]), int(rows[-1]) + 1)[rows - rows[0]]
        return {"mean_loss": single(of_examples.mean(axis=1, dtype=float))}

    mean_loss = numbers.moving(prefix, len(replay.epochs), mean, {"mean_loss": ()})["mean_loss"]
    noise = {layer.type for layer in replay.run.manifest.layers if any(word in layer.type for word in _NOISE)}
    return {
        "layers": layers,
        "mean_loss": mean_loss,
        "training": _training(replay),
        "noise": sorted(noise),
        "computes": [],
        "ends": {},
    }


def _training(replay: Replay) -> Training | None:
    """How it was trained, if all of that is known."""
    settings = cast("dict[str, object]", replay.hyperparameters)
    rate, batch, optimizer = (settings.get(key) for key in ("learning_rate", "batch_size", "optimizer"))
    momentum = settings.get("optimizer.momentum", 0.0)
    if not (isinstance(rate, int | float) and isinstance(batch, int) and isinstance(optimizer, str)):
        return None
    return {
        "optimizer": optimizer,
        "learning_rate": float(rate),
        "momentum": float(momentum) if isinstance(momentum, int | float) else 0.0,
        "batch_size": batch,
        "loss": replay.loss_name,
    }
