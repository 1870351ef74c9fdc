"""Feature spaces of layers and planes of inputs, and the projections that draw them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import measures
from ..errors import Unsupported
from ..measures import projection as projections
from ..store.examples import count, each
from .network import Tap
from .outputs import Outputs, evenly
from .values import BLOCK_BYTES, joined, rows_of, slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from numpy.typing import NDArray

    from ..measures import Honesty, Limits, Projection
    from ..measures.projection import Tour
    from ..store import Arrays
    from .frames import Epochs
    from .values import Split

# How a plane through many dimensions is chosen: see `Spaces.projection` and `Spaces.inputs_projection`.
Plane = str | tuple[int, ...]

# What a projection is found from: enough for its directions to settle.
_POOLED_FRAMES, _POOLED_EXAMPLES = 24, 500


class Spaces(Outputs):
    """Measures of planes."""

    def feature_space(
        self,
        layer: str,
        epoch: Epochs = None,
        *,
        projection: Plane | Projection = "pca",
        inputs: Plane | Projection = "pca",
        domain: Limits | None = None,
        limits: Limits | None = None,
        label: str | None = None,
        split: Split = "train",
        output: str | None = None,
    ) -> measures.FeatureSpace:
        """The feature space of a layer: examples, decision regions, and a grid of the inputs as the layer warps it.

        A layer of two units is drawn as it is, a wider one by the `projection`: see the method of that name. Of layers
        with places, such as those of convolutions, the mean over all places is drawn, without regions. The grid lies on
        the plane of two inputs; of more, on the plane that `inputs` chooses: see `inputs_projection`.

        `domain` is the part of the inputs' plane whose image is shown, `limits` the part of the layer's plane; both
        are found from the data when None. Of several labels, `label` is the one whose regions are shown, by default the
        first.
        """
        numbers = self._select(epoch)
        if not isinstance(projection, projections.Projection):
            projection = self.projection(layer, projection, split=split)
        task, logits_of = self._reading(split, output, label)
        looked_at, taps = self.inputs(split), [Tap(self._known(layer)), self._head(output).tap]
        examples = count(looked_at)
        means = np.zeros((len(numbers), len(projection.origin)))
        kept = np.zeros(len(numbers))

        def hidden(more: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
            batch = looked_at if more is None else np.concatenate([looked_at, more])
            places = np.empty((len(numbers), count(batch), 2), np.float32)
            logits: NDArray[Any] | None = None
            moments = _Moments(len(numbers), projection)
            for rows, columns, weights in self._blocks(numbers, count(batch)):
                found, values = self._network.forward(weights, rows_of(batch, columns), taps)
                found, values = self._units(layer, found), logits_of(values)
                _require_width(projection, found.shape[-1], f"layer {layer!r}")
                places[rows, columns] = moments.add(rows, found, max(0, examples - columns.start))
                if logits is None:
                    logits = np.empty((len(numbers), count(batch), values.shape[-1]), values.dtype)
                logits[rows, columns] = values
            assert logits is not None
            means[:], kept[:] = moments.means, moments.kept
            return places, logits, kept

        def head(places: NDArray[Any]) -> NDArray[Any]:
            if len(projection.origin) == 2:
                return logits_of(self._evaluate(taps[1:], numbers, places, start=layer)[0])
            each_frame = np.broadcast_to(places, (len(numbers), *places.shape[-2:]))
            at_once = max(1, BLOCK_BYTES // (8 * len(projection.origin)))
            return np.concatenate(
                [
                    np.concatenate(
                        [
                            logits_of(
                                self._evaluate(taps[1:], numbers[k : k + 1], lifted(part[some], means[k]), start=layer)[
                                    0
                                ]
                            )
                            for some in slices(len(part), at_once)
                        ],
                        axis=1,
                    )
                    for k, part in enumerate(each_frame)
                ]
            )

        def lifted(part: NDArray[Any], mean: NDArray[Any]) -> NDArray[Any]:
            return projection.lift(part, mean).astype(np.float32)

        flat_inputs = self._inputs_or_none(split)
        plane_of_inputs = None
        if flat_inputs is not None:
            plane_of_inputs = self._plane(inputs, split, output)
        return measures.feature_space(
            hidden,
            head if self._decides(layer, output) else None,
            layer=layer,
            epochs=self.epochs[numbers],
            inputs=flat_inputs,
            task=task,
            projection=projection,
            inputs_projection=plane_of_inputs,
            domain=domain,
            limits=limits,
        )

    def decision_boundary(
        self,
        epoch: Epochs = None,
        *,
        inputs: Plane | Projection = "pca",
        domain: Limits | None = None,
        resolution: int | None = None,
        label: str | None = None,
        split: Split = "train",
        output: str | None = None,
    ) -> measures.DecisionBoundary:
        """Decision regions in the plane of two inputs, or in a plane through more: see `inputs_projection`.

        The network is evaluated at `resolution` x `resolution` points, by default 151 for two inputs and 61 for more.
        """
        numbers = self._select(epoch)
        plane_of_inputs = self._plane(inputs, split, output)
        task, logits_of = self._reading(split, output, label)
        tap = self._head(output).tap
        return measures.decision_boundary(
            lambda points: logits_of(self._evaluate([tap], numbers, points)[0]),
            epochs=self.epochs[numbers],
            inputs=self.inputs(split),
            task=task,
            projection=plane_of_inputs,
            domain=domain,
            # Many inputs are mostly those of large networks, which take long for each point.
            resolution=resolution or (151 if len(plane_of_inputs.origin) == 2 else 61),
        )

    def projection(
        self,
        layer: str,
        by: Plane = "pca",
        *,
        split: Split = "train",
        output: str | None = None,
        also: Sequence[Spaces] = (),
    ) -> Projection:
        """One orthonormal projection of a layer onto a plane, the same for all frames.

        Chosen `by` "pca", the two principal directions of the activations of all frames; "classes", the plane through
        the class means; two units by their numbers from 0; or a layer of two units that follows, by its name, at the
        last frame. Of a run of very many frames, some are taken, evenly. With `also`, further runs share the
        projection: their activations count alike. A layer of two units is drawn as it is.
        """
        if isinstance(by, tuple):
            if len(by) != 2:
                raise ValueError(f"projection={by} is no plane; pass two units, such as (0, 1)")
            return projections.units(by[0], by[1], self._pooled(layer, split, 1, 1).shape[-1])
        if by not in ("pca", "classes"):
            self._known(by)
        points = [replay._pooled(layer, split) for replay in (self, *also)]
        widths = {part.shape[-1] for part in points}
        if len(widths) > 1:
            raise Unsupported(
                f"layer {layer!r} has {', '.join(map(str, sorted(widths)))} units in these runs; only layers of one"
                " width share a projection"
            )
        if widths == {2}:
            return projections.units(0, 1, 2)
        if by == "pca":
            return projections.pca(np.concatenate([part.reshape(-1, part.shape[-1]) for part in points]))
        if by == "classes":
            # Runs may differ in their frames and in their examples.
            labels = [
                np.tile(replay._labels(split, output)[evenly(count(replay.inputs(split)), _POOLED_EXAMPLES)], len(part))
                for replay, part in zip((self, *also), points, strict=True)
            ]
            rows = [part.reshape(-1, part.shape[-1]) for part in points]
            return projections.class_means(np.concatenate(rows), np.concatenate(labels))
        kernels = [p for p in self.run.manifest.parameters if p.layer == self._known(by) and len(p.shape) == 2]
        kernel = self.weights(kernels[0].name, float(self.epochs[-1])) if kernels else np.zeros((0, 0))
        [width] = widths
        if kernel.shape == (2, width):  # as torch has it
            kernel = kernel.T
        if kernel.shape != (width, 2):
            raise Unsupported(
                f"layer {by!r} does not make two units of the {width} of {layer!r}; choose 'pca', 'classes', two units,"
                " or such a layer"
            )
        return projections.linear_layer(kernel, by)

    def grand_tour(self, layer: str, *, seed: int = 0, split: Split = "train", also: Sequence[Spaces] = ()) -> Tour:
        """A smooth path through projections of a layer: called with a position of 0 or more, it gives one.

        The seed fixes it. Pass what it gives as the `projection` of a feature space. With `also`, further runs whose
        layer is as wide share the tour.
        """
        points = [replay._pooled(layer, split) for replay in (self, *also)]
        return projections.tour_of(np.concatenate([part.reshape(-1, part.shape[-1]) for part in points]), seed)

    def inputs_projection(self, by: Plane = "pca", *, split: Split = "train", output: str | None = None) -> Projection:
        """A plane through the inputs, each example flattened. Two inputs are that plane themselves.

        Chosen `by` "pca", their two principal directions through the mean; "classes", through the class means; two
        inputs by their numbers from 0; or three examples of the probe by theirs. Raises Unsupported for several inputs
        and for inputs that are no real numbers, such as tokens; and UnknownName for examples that are not there.
        """
        flat = self._flat(split)
        if isinstance(by, tuple) and len(by) == 3:
            return projections.through(flat[measures.chosen(by, len(flat), "example", 3)].astype(float), by)
        if flat.shape[1] == 2:
            return projections.units(0, 1, 2)
        if isinstance(by, tuple) and len(by) == 2:
            found = projections.units(by[0], by[1], flat.shape[1])
            return replace(found, method=f"inputs {by[0]} and {by[1]}", axes=(f"input {by[0]}", f"input {by[1]}"))
        if by == "classes":
            return projections.class_means(flat, self._labels(split, output))
        if by != "pca":
            raise ValueError(
                f"there is no plane {by!r} of these inputs; choose 'pca', 'classes', two inputs or three examples"
            )
        return projections.pca(flat)

    def honesty(self, layer: str, projection: Projection, epoch: Epochs = None, *, split: Split = "train") -> Honesty:
        """What a projection keeps of a layer's variance and movements."""
        numbers, examples = self._select(epoch), self.inputs(split)
        blocks = (
            self._features(layer, numbers[rows], examples)
            for rows in slices(len(numbers), self._frames_at_once(count(examples)))
        )
        return measures.honesty(blocks, projection, epochs=self.epochs[numbers])

    def toured(
        self, tour: Tour, layer: str, epoch: Epochs = None, *, split: Split = "train", output: str | None = None
    ) -> measures.Toured:
        """The examples of a layer as a grand tour sees them, from any of its positions: see `grand_tour`."""
        numbers, examples = self._select(epoch), self.inputs(split)
        task = self.task(split=split, output=output)
        return measures.Toured.join(
            [
                measures.toured(
                    self._features(layer, numbers[rows], examples),
                    tour,
                    layer=layer,
                    task=task,
                    epochs=self.epochs[numbers[rows]],
                )
                for rows in slices(len(numbers), self._frames_at_once(count(examples)))
            ]
        )

    def _plane(self, by: Plane | Projection, split: Split, output: str | None) -> Projection:
        if not isinstance(by, projections.Projection):
            return self.inputs_projection(by, split=split, output=output)
        _require_width(by, self._flat(split).shape[1], f"the inputs of run {self.name!r}")
        return by

    def _flat(self, split: Split) -> Float[np.ndarray, "example input"]:
        found = self._inputs_or_none(split)
        if found is None:
            raise Unsupported(
                f"run {self.name!r} has several inputs, a single number for each example, or inputs that are no real"
                " numbers: there is no plane of them"
            )
        return found.reshape(len(found), -1)

    def _labels(self, split: Split, output: str | None) -> NDArray[np.intp]:
        task = self.task(split=split, output=output)
        if not isinstance(task, measures.Classes):
            raise Unsupported(f"run {self.name!r} has no classes whose means a plane could go through; use 'pca'")
        return task.labels

    def _pooled(
        self, layer: str, split: Split, frames: int = _POOLED_FRAMES, examples: int = _POOLED_EXAMPLES
    ) -> Float[np.ndarray, "frame example unit"]:
        numbers, looked_at = self._select(None), self.inputs(split)
        chosen = evenly(count(looked_at), examples)
        some: Arrays = each(looked_at, lambda array: array[chosen])
        return self._features(layer, numbers[evenly(len(numbers), frames)], some)

    def _features(
        self, layer: str, numbers: NDArray[np.intp], examples: Arrays
    ) -> Float[np.ndarray, "frame example unit"]:
        """Activations with one number for each unit, held for all these frames."""
        tap = Tap(self._known(layer))
        # Pooled block by block: the places of a convolution are many.
        blocks = (
            (rows, columns, [self._units(layer, self._network.forward(weights, rows_of(examples, columns), [tap])[0])])
            for rows, columns, weights in self._blocks(numbers, count(examples))
        )
        return joined(blocks, len(numbers), count(examples))[0]

    def _units(self, layer: str, values: NDArray[Any]) -> Float[np.ndarray, "frame example unit"]:
        """Activations with one number for each unit: of layers with places, their mean."""
        if values.ndim == 2:
            return values[..., None]
        return measures.pooled(values, channels_first=self.channels_first(layer, values.shape[2:]))

    def _decides(self, layer: str, output: str | None) -> bool:
        """Whether the activations of a layer, as they are drawn, decide the output."""
        frame = self._select(None)[:1]
        one = rows_of(self.inputs(), slice(1))
        [values] = self._evaluate([Tap(layer)], frame, one)
        if values.ndim != 3:
            return False
        try:
            self._evaluate([self._head(output).tap], frame, values[0], start=layer)
        except Unsupported:  # there are connections that go round it
            return False
        return True

    def _inputs_or_none(self, split: Split) -> NDArray[Any] | None:
        """Inputs that have planes. Bytes are the pixels of images, unless an embedding looks them up."""
        found: Arrays = self.inputs(split)
        if isinstance(found, Mapping) or found[0].size < 2:
            return None
        pixels = found.dtype == np.uint8 and not any("embed" in layer.type.lower() for layer in self.layers)
        return found if pixels or found.dtype.kind == "f" else None


def _require_width(projection: Projection, width: int, what: str) -> None:
    if len(projection.origin) != width:
        raise Unsupported(
            f"the projection ({projection.method}) is one of {len(projection.origin)} dimensions, but {what} has"
            f" {width}; pass one that was made of it"
        )


class _Moments:
    """Mean and drawn share of the variance of a layer's activations, gathered as blocks of them are placed."""

    def __init__(self, frames: int, projection: Projection) -> None:
        self._projection, self._identity = projection, len(projection.origin) == 2
        self._count = np.zeros((frames, 1))
        self._sums = np.zeros((frames, len(projection.origin)))
        self._squares = np.zeros((frames, 2))

    def add(
        self, rows: slice, activations: Float[np.ndarray, "frame example unit"], examples: int
    ) -> Float[np.ndarray, "frame example 2"]:
        """Where a block is drawn. The first `examples` of it count."""
        if self._identity:
            return activations
        # In double precision about the projection's origin, so that the squares lose nothing.
        centred = activations - self._projection.origin
        places = centred @ self._projection.basis
        own, drawn = centred[:, :examples], places[:, :examples]
        self._count[rows] += own.shape[1]
        self._sums[rows] += own.sum(axis=1)
        self._squares[rows] += np.stack([(own**2).sum(axis=(1, 2)), (drawn**2).sum(axis=(1, 2))], axis=1)
        return places

    @property
    def means(self) -> Float[np.ndarray, "frame unit"]:
        """Mean activations of each frame."""
        return self._projection.origin + self._sums / np.maximum(self._count, 1)

    @property
    def kept(self) -> Float[np.ndarray, " frame"]:
        """Share of the variance that is drawn."""
        if self._identity:
            return np.ones(len(self._sums))
        mean = self._sums / self._count
        drawn = mean @ self._projection.basis
        with np.errstate(divide="ignore", invalid="ignore"):
            total = self._squares[:, 0] / self._count[:, 0] - (mean**2).sum(axis=1)
            return (self._squares[:, 1] / self._count[:, 0] - (drawn**2).sum(axis=1)) / total
