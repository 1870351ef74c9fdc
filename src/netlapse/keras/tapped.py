"""A Keras model that leaves the values of all its layers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ..errors import Unsupported
from ..replay.network import Tap
from .backend import keras
from .describe import ACTIVATION_LAYERS
from .graph import applications, graph_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .graph import Application


# Those that return what they attend to, where they are asked to.
ATTENTION_LAYERS = (keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention, keras.layers.Attention)


class Tapped:
    """A model whose layers leave their values, before and after the activation function, wherever they are applied.

    `names` are those of the applications. The layers' methods are exchanged: the model must be nobody else's.
    """

    def __init__(self, model: Any, names: Iterable[str]) -> None:
        graph = graph_of(model)
        # Lists in and out, whatever structures the model itself takes and makes.
        self._model = keras.Model(graph.inputs, graph.outputs)
        self.inputs: list[Any] = graph.inputs
        self.applications: dict[str, Application] = dict(zip(names, applications(model), strict=True))
        self.names = {each: name for name, each in self.applications.items()}
        # The applications of each layer, in order, within each of the nested models.
        self._order: dict[tuple[str, int], list[Application]] = {}
        for each in self.applications.values():
            self._order.setdefault((each.within, id(each.layer)), []).append(each)
        self._seen: dict[Tap, Any] = {}
        self._times = Counter[tuple[str, int]]()
        self._within = ""
        self._running: str | None = None
        self._exchange: tuple[str, Any] | None = None
        self._shifts: Mapping[str, Any] = {}
        self._attention = False
        for layer in {id(each.layer): each.layer for each in self.applications.values()}.values():
            self._tap(layer)

    def __call__(
        self,
        weights: Iterable[tuple[Any, Any]],
        inputs: Sequence[Any],
        start: str | None = None,
        shifts: Mapping[str, Any] | None = None,
        *,
        attention: bool = False,
    ) -> tuple[dict[Tap, Any], list[Any]]:
        """Values at all taps, and the outputs, with these values of the variables.

        With `start`, they are those of what comes after it, given the activations there as the only input. `shifts`
        are added to the pre-activations of layers. Attention weights are computed where they are asked for: a backend's
        fast attention has none.
        """
        self._seen, self._times, self._within, self._shifts = {}, Counter(), "", shifts or {}
        self._attention = attention
        if start is not None:
            # The whole model runs on any input at all, and the layer's output is exchanged for what was given.
            [values] = inputs
            self._exchange = (start, values)
            inputs = [
                keras.ops.zeros((values.shape[0], *(size or 1 for size in tensor.shape[1:])), dtype=tensor.dtype)
                for tensor in self.inputs
            ]
        try:
            with keras.StatelessScope(list(weights)):
                outputs = self._model(list(inputs), training=False)
        finally:
            self._exchange = None
        seen, self._seen = self._seen, {}
        return seen, keras.tree.flatten(outputs)

    def _tap(self, layer: Any) -> None:
        call = layer.call
        # A recurrent layer applies its activation within a loop: what passes there are not its pre-activations.
        loops = isinstance(layer, keras.layers.RNN | keras.layers.Wrapper | keras.layers.MultiHeadAttention)
        if callable(getattr(layer, "activation", None)) and not loops:
            activation = layer.activation

            def activate(values: Any, *args: Any, **kwargs: Any) -> Any:
                if self._running is not None:
                    tap = Tap(self._running, "pre_activation")
                    if tap in self._seen and self._running in self._shifts:
                        raise Unsupported(f"layer {self._running!r} applies its activation function several times")
                    values = self._seen[tap] = self._shifted(self._running, values)
                return activation(values, *args, **kwargs)

            # Keras asks an activation for its name when it describes a layer.
            activate.__name__ = getattr(activation, "__name__", "activation")
            layer.activation = activate

        def tapped(*args: Any, **kwargs: Any) -> Any:
            place = (self._within, id(layer))
            order, times = self._order.get(place, []), self._times[place]
            self._times[place] += 1
            # A layer of the user's own may apply layers of the model within.
            found = order[times] if times < len(order) else None
            name = self.names[found] if found else None
            before = self._within, self._running
            if name is not None and type(layer) in ACTIVATION_LAYERS:
                args = (self._shifted(name, args[0]), *args[1:])
                self._seen[Tap(name, "pre_activation")] = args[0]
            self._within, self._running = (found.inside if found else self._within), name
            attends = name and self._attention and isinstance(layer, ATTENTION_LAYERS)
            asked = kwargs.get("return_attention_scores", False)
            try:
                values = call(*args, **({**kwargs, "return_attention_scores": True} if attends else kwargs))
            finally:
                self._within, self._running = before
            if name is not None and attends:
                scores = values[1]
                # Layers of one head have no axis for it.
                self._seen[Tap(name, "attention")] = scores[:, None] if len(scores.shape) == 3 else scores
                values = values if asked else values[0]
            if name is None:
                return values
            if self._exchange is not None and self._exchange[0] == name:
                values = self._exchange[1]
            first, *others = keras.tree.flatten(values)
            if Tap(name, "pre_activation") not in self._seen:
                first = self._seen[Tap(name, "pre_activation")] = self._shifted(name, first)
                values = keras.tree.pack_sequence_as(values, [first, *others])
            self._seen[Tap(name)] = first
            return values

        layer.call = tapped

    def _shifted(self, name: str, values: Any) -> Any:
        return values + keras.ops.cast(self._shifts[name], values.dtype) if name in self._shifts else values
