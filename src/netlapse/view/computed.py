"""What a page need not hold, because it computes it from the weights of a small network.

The page does so in viewer/src/data/computed.ts, by the same formulas. Here they are compared with what was recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..measures import plane
from ..measures.task import sigmoid, softmax
from .numbers import LEAD, stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float
    from numpy.typing import NDArray

    from .numbers import Numbers
    from .schema import Array, Mlp, Run, Space

    Places = Float[np.ndarray, "place axis"]
    # What an array holds at the frame of a number.
    Recipe = Callable[[int], NDArray[Any]]

# By how much what is computed may differ, in parts of 1 or of the value if that is larger; and of bytes.
_NEAR, _NEAR_BYTES = 1e-4, 1
# Those without a constant that frameworks differ in.
_ACTIVATIONS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": sigmoid,
    "softmax": softmax,
    "softplus": lambda z: np.logaddexp(0, z),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "tanh": np.tanh,
}
# Frameworks that take probabilities cut them off at 1e-7.
_LARGEST_LOSS = -np.log(1e-7)


class Computed:
    """The arrays of a run that its page computes, each checked against what was recorded."""

    def __init__(self, run: Run, numbers: Numbers) -> None:
        self._run, self._numbers = run, numbers
        self._recipes: dict[str, Recipe] = {}
        mlp, inputs = run["mlp"], run["inputs"]
        if mlp is None or inputs is None:
            return
        if {layer["activation"] for layer in mlp["layers"]} <= _ACTIVATIONS.keys():
            self._layers = [self._layer(mlp, number) for number in range(len(mlp["layers"]))]
            self._inputs = self._values(inputs)
            self._add_spaces([layer["name"] for layer in mlp["layers"]])
            self._add_outputs()

    def gives(self, array: Array, values: NDArray[Any]) -> bool:
        """Whether the page computes this array as it was recorded, at every frame."""
        recipe = self._recipes.get(array["name"])
        return recipe is not None and all(_near(recipe(frame), recorded) for frame, recorded in enumerate(values))

    def _values(self, array: Array) -> NDArray[np.float64]:
        return self._numbers(array["name"]).astype(float)

    def _layer(self, mlp: Mlp, number: int) -> tuple[str, NDArray[Any], NDArray[Any] | None]:
        layer = mlp["layers"][number]
        return layer["activation"], self._values(layer["kernel"]), layer["bias"] and self._values(layer["bias"])

    def _forward(self, frame: int, places: Places, start: int = 0) -> tuple[list[NDArray[Any]], NDArray[Any]]:
        """Activations of the layers from one on, which is given `places`, and the last one's pre-activations."""
        found: list[NDArray[Any]] = []
        below = z = places
        for activation, kernel, bias in self._layers[start:]:
            z = below @ kernel[frame] + (0 if bias is None else bias[frame])
            below = _ACTIVATIONS[activation](z)
            found.append(below)
        return found, z

    def _add_spaces(self, names: list[str]) -> None:
        run = self._run
        for space in run["spaces"]:
            depth = names.index(space["layer"]) if space["layer"] in names else None
            if depth is None or self._layers[depth][1].shape[2] != 2:
                continue
            self._recipes[space["points"]["name"]] = lambda frame, depth=depth: self._forward(frame, self._inputs)[0][
                depth
            ]
            if space["lines"] is not None and space["grid"] is not None:
                grid = self._values(space["grid"])
                self._recipes[space["lines"]["name"]] = lambda frame, depth=depth, grid=grid: self._forward(
                    frame, grid.reshape(-1, 2)
                )[0][depth].reshape(grid.shape)
            self._add_regions(space, depth + 1)
        if run["boundary"] is not None and self._inputs.shape[1] == 2:
            self._add_regions(run["boundary"], 0)
            self._add_maps(run["boundary"])

    def _add_regions(self, space: Space, start: int) -> None:
        regions, task = space["regions"], self._run["task"]
        binary = task["kind"] == "classes" and len(task["names"]) == 2
        if regions is None or not (binary or task["kind"] == "quantities") or start == len(self._layers):
            return
        places = plane.crossings(np.asarray(space["x"], float), np.asarray(space["y"], float))

        def recipe(frame: int) -> NDArray[Any]:
            activations, z = self._forward(frame, places, start)
            if not binary:
                return activations[-1][:, 0].reshape(len(space["y"]), -1)
            lead = z[:, -1] - (z[:, 0] if z.shape[1] == 2 else 0)
            return stored(lead / (1 + np.abs(lead)), LEAD).reshape(len(space["y"]), -1)

        self._recipes[regions["name"]] = recipe

    def _add_maps(self, boundary: Space) -> None:
        diagram = self._run["diagram"]
        if diagram is None or diagram["maps"] is None:
            return
        _, _, rows, columns = diagram["maps"]["shape"]
        x, y = boundary["x"], boundary["y"]
        places = plane.crossings(np.linspace(x[0], x[-1], columns), np.linspace(y[0], y[-1], rows))
        units = [column["units"] for column in diagram["columns"][1:]]

        def recipe(frame: int) -> NDArray[Any]:
            activations, _ = self._forward(frame, places)
            shown = [values[:, some] for values, some in zip(activations, units, strict=True)]
            return np.concatenate(shown, axis=1).T.reshape(-1, rows, columns)

        self._recipes[diagram["maps"]["name"]] = recipe

    def _add_outputs(self) -> None:
        run = self._run
        if run["probabilities"] is not None and run["task"]["kind"] == "classes":
            self._recipes[run["probabilities"]["name"]] = self._probabilities
        if run["predictions"] is not None:
            self._recipes[run["predictions"]["name"]] = lambda frame: self._forward(frame, self._inputs)[0][-1]
        self._recipes[run["losses"]["name"]] = self._losses

    def _probabilities(self, frame: int) -> NDArray[Any]:
        _, z = self._forward(frame, self._inputs)
        return softmax(np.concatenate([np.zeros_like(z), z], axis=1) if z.shape[1] == 1 else z)

    def _losses(self, frame: int) -> NDArray[Any]:
        run = self._run
        activations, z = self._forward(frame, self._inputs)
        if run["targets"] is not None:
            return ((activations[-1] - self._values(run["targets"])) ** 2).mean(axis=1)
        if run["labels"] is None or run["task"]["kind"] != "classes":
            return np.full(len(z), np.inf)
        scores = np.concatenate([np.zeros_like(z), z], axis=1) if z.shape[1] == 1 else z
        labels = self._numbers(run["labels"]["name"]).astype(int)[:, None]
        own = np.take_along_axis(scores, labels, axis=1)[:, 0]
        loss = np.logaddexp.reduce(scores, axis=1) - own
        return loss if self._layers[-1][0] == "linear" else np.minimum(loss, _LARGEST_LOSS)


def _near(computed: NDArray[Any], recorded: NDArray[Any]) -> bool:
    if computed.shape != recorded.shape:
        return False
    if recorded.dtype == np.uint8:
        return bool((np.abs(computed.astype(int) - recorded.astype(int)) <= _NEAR_BYTES).all())
    # Written so that what is not a number differs.
    return bool((np.abs(computed - recorded) <= _NEAR * np.maximum(1, np.abs(recorded))).all())
