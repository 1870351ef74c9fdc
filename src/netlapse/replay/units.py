"""Measures of units, and of the network as a chain of dense layers."""

from __future__ import annotations

import math
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import measures
from ..errors import UnknownName, Unsupported
from ..measures.projection import Projection
from ..store.examples import count, each
from .dense import Dense, dense_chain
from .network import Tap
from .spaces import Spaces
from .values import rows_of, slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..measures import Limits
    from .frames import Epochs
    from .spaces import Plane
    from .values import Split

# All maps of a block of 257 frames together hold no more than 50 MB.
_MAP_PIXELS = 50_000_000 // 4 // 257


class Units(Spaces):
    """Measures of units."""

    def dense_layers(self, epoch: float | None = None) -> list[measures.DenseLayer]:
        """The dense layers at one epoch, the last by default, for `figures.network_diagram` and `figures.affine`.

        Kernels are (input, unit) whatever the framework. Raises Unsupported unless the network is a chain of dense
        layers, naming the layer that is something else.
        """
        numbers = self._select([float(self.epochs[-1]) if epoch is None else epoch])
        return [
            measures.DenseLayer(
                dense.layer,
                dense.activation,
                dense.kernels(self.run, numbers)[0],
                self.run.weights(dense.bias, numbers)[0] if dense.bias else None,
            )
            for dense in self._dense
        ]

    def network_weights(self, epoch: Epochs = None) -> measures.NetworkWeights:
        """The weights between the units that a diagram shows: all of a layer up to 8, the first four and the last else.

        Raises Unsupported unless the network is a chain of dense layers, naming the layer that is something else.
        """
        numbers, units = self._select(epoch), self._shown
        return measures.NetworkWeights.join(
            [
                measures.network_weights(
                    [dense.kernels(self.run, rows) for dense in self._dense], units, epochs=self.epochs[rows]
                )
                for rows in self._frame_blocks(numbers)
            ]
        )

    def unit_maps(
        self, epoch: Epochs = None, *, split: Split = "train", domain: Limits | None = None
    ) -> measures.UnitMaps:
        """What every unit that a diagram shows makes of the input plane, or of the examples where inputs are not two.

        Raises Unsupported unless the network is a chain of dense layers, naming the layer that is something else.
        """
        numbers, chain, units = self._select(epoch), self._dense, self._shown
        inputs = self._one_array(self.inputs(split), "inputs")
        nodes = sum(map(len, units))

        def activations(rows: NDArray[np.intp], points: NDArray[Any]) -> list[NDArray[Any]]:
            values = self._evaluate([Tap(dense.output) for dense in chain], rows, points.reshape(-1, *inputs.shape[1:]))
            return [array[..., list(shown)] for array, shown in zip(values, units[1:], strict=True)]

        return measures.UnitMaps.join(
            [
                measures.unit_maps(
                    partial(activations, rows),
                    epochs=self.epochs[rows],
                    inputs=inputs.reshape(len(inputs), -1),
                    layers=["inputs", *(dense.layer for dense in chain)],
                    functions=[None, *(dense.activation for dense in chain)],
                    sizes=[inputs[0].size, *(dense.units for dense in chain)],
                    units=units,
                    domain=domain,
                    resolution=min(31, math.isqrt(_MAP_PIXELS // nodes)),
                )
                for rows in self._frame_blocks(numbers, len(inputs))
            ]
        )

    def unit(
        self,
        layer: str,
        unit: int,
        epoch: Epochs = None,
        *,
        inputs: Plane | Projection = "pca",
        split: Split = "train",
        domain: Limits | None = None,
        resolution: int | None = None,
    ) -> measures.Unit:
        """What one unit of a layer, counted from 0, computes for the examples and over a plane of inputs.

        The plane is that of two inputs; of more, that which `inputs` chooses: see `inputs_projection`. There is none of
        inputs that are no real numbers, such as tokens. It has `resolution` x `resolution` points, by default 121 for
        two inputs and 61 for more.

        Raises UnknownName for a layer or a unit that is not there, Unsupported for layers of more than one number for
        each unit and example.
        """
        numbers, examples = self._select(epoch), self._one_array(self.inputs(split), "inputs")
        taps, activation = self._unit_taps(layer, unit)
        if self._inputs_or_none(split) is None:
            projection = None
        else:
            projection = inputs if isinstance(inputs, Projection) else self.inputs_projection(inputs, split=split)
        try:
            task = self.task(split=split)
        except Unsupported:
            task = None  # targets at every place of a text, or of a picture

        def values(points: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
            # Of a wide layer, block by block: what is kept is one unit of many.
            before, after = (np.empty((len(numbers), len(points)), np.float32) for _ in taps)
            for rows, columns, weights in self._blocks(numbers, len(points), copies=2):
                for kept, found in zip(
                    (before, after), self._network.forward(weights, rows_of(points, columns), taps), strict=True
                ):
                    kept[rows, columns] = found[:, :, unit]
            return before, after

        return measures.unit(
            values,
            epochs=self.epochs[numbers],
            layer=layer,
            unit=unit,
            activation=activation,
            inputs=examples,
            task=task,
            projection=projection,
            domain=domain,
            # Many inputs are mostly those of large networks, which take long for each point.
            resolution=resolution or (121 if projection is None or len(projection.origin) == 2 else 61),
        )

    def unit_weights(self, layer: str, unit: int, epoch: Epochs = None) -> measures.UnitWeights:
        """The weights into and out of one unit, counted from 0, of a chain of dense layers.

        Raises UnknownName for a layer or a unit that is not there, Unsupported for other networks.
        """
        self._unit_taps(layer, unit)
        numbers, chain = self._select(epoch), self._dense
        depth = next((depth for depth, dense in enumerate(chain) if layer in (dense.layer, dense.output)), None)
        if depth is None:
            raise Unsupported(f"layer {layer!r} of run {self.name!r} has no weights of its own; choose a dense layer")
        dense, behind = chain[depth], chain[depth + 1] if depth + 1 < len(chain) else None

        def weights(rows: NDArray[np.intp]) -> measures.UnitWeights:
            return measures.UnitWeights(
                epochs=self.epochs[rows],
                layer=layer,
                unit=unit,
                before=chain[depth - 1].layer if depth else "inputs",
                behind=behind and behind.layer,
                # Copied: a view would keep the weights of all units.
                incoming=dense.kernels(self.run, rows)[:, :, unit].copy(),
                bias=self.run.weights(dense.bias, rows)[:, unit] if dense.bias else None,
                outgoing=behind and behind.kernels(self.run, rows)[:, unit].copy(),
            )

        return measures.UnitWeights.join([weights(rows) for rows in self._frame_blocks(numbers)])

    def unit_life(self, layer: str, epoch: Epochs = None, *, split: Split = "train") -> measures.UnitLife:
        """When each unit of a layer is active, dead or saturated.

        Raises UnknownName for a layer that is not there, Unsupported for layers of more than one number for each unit
        and example.
        """
        numbers, inputs = self._select(epoch), self.inputs(split)
        taps, activation = self._unit_taps(layer)
        return measures.UnitLife.join(
            [
                measures.unit_life(
                    *self._evaluate(taps, rows, inputs), epochs=self.epochs[rows], layer=layer, activation=activation
                )
                for rows in self._frame_blocks(numbers, count(inputs))
            ]
        )

    @cached_property
    def _dense(self) -> tuple[Dense, ...]:
        first = self._select(None)[:1]
        return dense_chain(
            self.run, self._one_array(self.inputs(), "inputs"), lambda taps, inputs: self._evaluate(taps, first, inputs)
        )

    @property
    def _shown(self) -> list[tuple[int, ...]]:
        inputs = self._one_array(self.inputs(), "inputs")[0].size
        return [measures.shown_units(size) for size in (inputs, *(dense.units for dense in self._dense))]

    def _frame_blocks(self, numbers: NDArray[np.intp], examples: int = 1) -> list[NDArray[np.intp]]:
        return [numbers[rows] for rows in slices(len(numbers), self._frames_at_once(examples))]

    def _unit_taps(self, layer: str, unit: int = 0) -> tuple[list[Tap], str | None]:
        """Where units of a layer are before and after their activation function, and which that is."""
        self._known(layer)
        taps = [Tap(layer, "pre_activation"), Tap(layer)]
        activation = next(entry.activation for entry in self.layers if entry.name == layer)
        try:
            for dense in self._dense:
                if layer in (dense.layer, dense.output):
                    taps, activation = dense.taps, dense.activation
        except Unsupported:
            pass  # layers of other networks have units too
        [values] = self._evaluate(taps[:1], self._select(None)[:1], each(self.inputs(), lambda array: array[:1]))
        if values.ndim != 3:
            raise Unsupported(
                f"layer {layer!r} of run {self.name!r} gives values of shape {values.shape[2:]} for each example; this"
                " view shows layers of one number for each unit"
            )
        if not 0 <= unit < values.shape[2]:
            raise UnknownName(
                f"layer {layer!r} of run {self.name!r} has no unit {unit}; its units are counted from 0 to"
                f" {values.shape[2] - 1}"
            )
        return taps, activation
