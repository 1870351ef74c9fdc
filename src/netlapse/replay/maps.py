"""Measures of what has places: convolutions, their feature maps, attention."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .. import measures
from ..errors import Unsupported
from ..store.examples import count, each
from .convolutions import by_unit, convolution
from .network import Tap
from .values import Values, slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .frames import Epochs
    from .values import Split


class Maps(Values):
    """Measures of layers whose values have places."""

    def filters(
        self,
        layer: str,
        epoch: Epochs = None,
        *,
        units: Sequence[int] | None = None,
        channels: Sequence[int] | None = None,
    ) -> measures.Filters:
        """The kernels of a convolution, by default of its first 64 units and 8 input channels.

        Raises UnknownName for a layer that is no convolution, Unsupported for one along three axes.
        """
        numbers = self._select(epoch)
        of_layer, parameter = convolution(self.run.manifest, layer)
        parts: list[measures.Filters] = []
        for rows in slices(len(numbers), self._frames_at_once(1)):
            kernels = by_unit(self.run.weights(parameter.name, numbers[rows]), of_layer, parameter)
            total = kernels.shape[1], kernels.shape[2]
            which = (
                measures.chosen(units, total[0], "unit", 64),
                measures.chosen(channels, total[1], "input channel", 8),
            )
            shown = measures.as_planes(kernels[:, which[0]][:, :, which[1]])
            parts.append(measures.Filters(self.epochs[numbers[rows]], layer, total, *which, shown))
        return measures.Filters.join(parts)

    def feature_maps(
        self,
        layer: str,
        epoch: Epochs = None,
        *,
        examples: Sequence[int] | None = None,
        units: Sequence[int] | None = None,
        split: Split = "train",
        image_shape: Sequence[int] | None = None,
    ) -> measures.FeatureMaps:
        """What units of a layer make of examples of the probe at each place.

        By default the first example of each class, of 6 at most, and the first 8 units. `image_shape` says what images
        flat inputs are, such as (8, 8). Raises Unsupported for a layer whose values have no places.
        """
        numbers, inputs = self._select(epoch), self._one_array(self.inputs(split), "inputs")
        every = measures.first_of_each(self._one_array(self.targets(split), "targets"), 6)
        shown = every if examples is None else measures.chosen(examples, len(inputs), "example", 0)
        tap, parts = Tap(self._known(layer)), list[measures.FeatureMaps]()
        for rows in slices(len(numbers), self._frames_at_once(len(shown))):
            [values] = self._evaluate([tap], numbers[rows], inputs[shown])
            if values.ndim not in (4, 5):
                raise Unsupported(
                    f"layer {layer!r} has values of shape {values.shape[2:]} for an example; feature maps are of layers"
                    " with units at places, such as a convolution"
                )
            values = measures.units_first(values, channels_first=self.channels_first(layer, values.shape[2:]))
            which = measures.chosen(units, values.shape[2], "unit", 8)
            maps = measures.as_planes(values[:, :, which])
            parts.append(
                measures.FeatureMaps(
                    self.epochs[numbers[rows]],
                    layer,
                    total=values.shape[2],
                    units=which,
                    examples=shown,
                    images=None,
                    maps=maps,
                )
            )
        first = self.channels_first(layer, inputs.shape[1:]) if inputs.ndim > 2 else True
        along = parts[0].maps.shape[3] == 1
        images = measures.pictures(inputs, image_shape, along_sequence=along, channels_first=first)
        return replace(measures.FeatureMaps.join(parts), images=None if images is None else images[shown])

    def attention_maps(
        self,
        layer: str,
        epoch: Epochs = None,
        *,
        examples: Sequence[int] | None = None,
        heads: Sequence[int] | None = None,
        split: Split = "train",
    ) -> measures.AttentionMaps:
        """What the places of examples of the probe attend to, by default of the first one and by 12 heads at most.

        Raises UnknownName for a layer that is no attention, or none that can be looked into.
        """
        numbers, inputs = self._select(epoch), self.inputs(split)
        shown = measures.chosen(examples, count(inputs), "example", 1)
        tap, parts = self._attention_tap(layer), list[measures.AttentionMaps]()
        for rows in slices(len(numbers), self._frames_at_once(len(shown))):
            [weights] = self._evaluate([tap], numbers[rows], each(inputs, lambda one: one[shown]))
            which = measures.chosen(heads, weights.shape[2], "head", 12)
            parts.append(
                measures.AttentionMaps(
                    self.epochs[numbers[rows]], layer, weights.shape[2], which, shown, weights[:, :, which]
                )
            )
        return measures.AttentionMaps.join(parts)
