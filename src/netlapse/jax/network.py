"""A JAX function as a `Network`: evaluated for many frames at once."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from ..errors import NetlapseError, UnknownName, Unsupported
from ..replay.binary import accuracy
from ..replay.link import link_of
from ..replay.network import Head, Tap, in_order
from ..store.examples import count, each, named
from .backend import jax, over_leaves
from .function import Function, flat_outputs
from .kept import Final, Kept, fitted, specs_of
from .live import Live
from .loss import Losses
from .stored import Stored
from .structure import PlainStructure, Structure, by_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from ..replay.link import Losses as OneOutput
    from ..replay.network import StackedWeights
    from ..store import Arrays, Manifest

    OverFrames = Callable[[Callable[..., Any]], Callable[..., Any]]


class Evaluated(Protocol):
    """A network as functions of the weights of one frame: traced from the user's, or read from the run."""

    @property
    def outputs(self) -> tuple[str, ...]: ...
    @property
    def output_specs(self) -> Sequence[Any]: ...
    @property
    def finals(self) -> Mapping[str, Final]: ...
    @property
    def taps(self) -> Mapping[Tap, tuple[int, ...]]: ...
    def make_outputs(self, weights: Mapping[str, Any], inputs: Any) -> list[Any]: ...
    def make_taps(self, weights: Mapping[str, Any], inputs: Any) -> dict[Tap, Any]: ...
    def require_bottleneck(self, start: str) -> None: ...
    def head(self, start: str, weights: Mapping[str, Any], values: Any) -> dict[Tap, Any]: ...
    def pull_back(
        self, layers: Sequence[str], weights: Mapping[str, Any], inputs: Any, cotangents: list[Any]
    ) -> list[Any]: ...
    def arrange(self, outputs: list[Any]) -> Any: ...
    def over_frames(self, function: Callable[..., Any]) -> Callable[..., Any]: ...


class JaxNetwork:
    """A function of weights and inputs, tapped. `losses` takes the list of its outputs, and targets."""

    def __init__(
        self,
        evaluated: Evaluated,
        losses: Callable[[list[Any], Any], Any] | None,
        manifest: Manifest,
        kept: Kept,
        structure: Any,
        *,
        over_frames: OverFrames | None = None,
    ) -> None:
        self._evaluated, self._losses, self._structure = evaluated, losses, structure
        self._over_frames = over_frames or evaluated.over_frames
        self._manifest, self._run, self._kept = manifest, manifest.name, kept
        self._compiled = cache(self._compile)
        self.head = cache(self._head)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the layers that make the outputs; "output" where none does, or the names that `apply` gives."""
        return self._evaluated.outputs

    @property
    def input_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Shape of one example of the probe."""
        return {name: tuple(shape) for name, (shape, _) in self._kept.inputs.items()}

    def values_per_example(self, inputs: Arrays) -> int:
        """Numbers held over all taps for one example of one frame."""
        return max(1, sum(math.prod(shape) for shape in self._evaluated.taps.values()))

    def _head(self, output: str) -> Head:
        """What comes before a final sigmoid or softmax; else the output itself, as the loss takes it."""
        final = self._evaluated.finals.get(output)
        if final is not None:
            return Head(final.tap, final.link)
        shape = self._evaluated.output_specs[self.outputs.index(output)].shape
        link, log = link_of(self._losses_of(output), shape)
        return Head(Tap(output), link, log)

    def _losses_of(self, output: str) -> OneOutput | None:
        """The loss as one of a single output, whatever the others are; None if it is not known which target is its."""
        loss, evaluated = self._losses, self._evaluated
        own = in_order({name: name for name in self._kept.targets}, self._places)[self.outputs.index(output)]
        if loss is None or own is None:
            return None

        def losses(values: NDArray[Any], wanted: NDArray[Any]) -> Any:
            # In the middle of what others may be, probabilities or not.
            given = [
                values.astype(spec.dtype) if name == output else np.full((len(values), *spec.shape), 0.5, spec.dtype)
                for name, spec in zip(self.outputs, evaluated.output_specs, strict=True)
            ]
            targets = {
                name: wanted if name == own else np.zeros((len(values), *shape))
                for name, (shape, _) in self._kept.targets.items()
            }
            fit = fitted(targets.get("", targets), self._kept.targets)
            return loss(evaluated.arrange(given), fit)

        return losses

    def targets_of(self, targets: Arrays) -> list[NDArray[Any] | None]:
        """The targets in the order of the outputs, by their names or places."""
        return in_order(named(targets), self._places)

    @property
    def _places(self) -> list[str]:
        """Where the outputs are in what `apply` makes, by name or place."""
        places = flat_outputs(self._evaluated.arrange([*range(len(self.outputs))]))
        return sorted(places, key=lambda place: places[place])

    @property
    def attention_layers(self) -> tuple[str, ...]:
        """Layers whose softmax weighs values."""
        return tuple(tap.layer for tap in self._evaluated.taps if tap.moment == "attention")

    def forward(
        self, weights: StackedWeights, inputs: Arrays, taps: Sequence[Tap], start: str | None = None
    ) -> list[NDArray[Any]]:
        """Values at each tap, (frame, example, ...)."""
        if start is not None:
            self._evaluated.require_bottleneck(start)
        return self._run_it("forward", tuple(taps), start)(weights, inputs)

    def losses(self, weights: StackedWeights, inputs: Arrays, targets: Arrays) -> NDArray[Any]:
        """Loss of each example, (frame, example): the mean over its places."""
        return self._run_it("losses")(weights, inputs, targets)

    def token_losses(self, weights: StackedWeights, inputs: Arrays, targets: Arrays) -> NDArray[Any]:
        """Loss of each place of each example, (frame, example, place ...)."""
        found = self._run_it("token_losses")(weights, inputs, targets)
        if math.prod(found.shape[2:]) == 1:
            raise Unsupported(f"the loss of run {self._run!r} has one number for each example; ask for `losses`")
        return found

    def gradients(self, weights: StackedWeights, inputs: Arrays, targets: Arrays) -> dict[str, NDArray[Any]]:
        """Gradient of the mean loss by trainable parameter."""
        return self._run_it("gradients")(weights, inputs, targets)

    def layer_gradients(
        self, weights: StackedWeights, inputs: Arrays, targets: Arrays, layers: Sequence[str]
    ) -> list[NDArray[Any]]:
        """Gradient of each example's loss by the pre-activations of layers, (frame, example, ...)."""
        taps = tuple(Tap(layer, "pre_activation") for layer in layers)
        return self._run_it("layer_gradients", taps)(weights, inputs, targets)

    def metric(self, name: str, outputs: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
        """Only "accuracy": JAX has no metrics of its own."""
        if name not in ("accuracy", "acc"):
            raise UnknownName(
                f'JAX has no metric {name!r}; ask for "accuracy", or pass a function of outputs and targets'
            )
        return accuracy(outputs, targets, logits=self.head(self.outputs[0]).is_logit)

    def model(self, weights: Mapping[str, NDArray[Any]]) -> Any:
        """The parameters of one frame as a pytree, `(params, state)` if there is a state.

        Nested dicts by name, where the run does not know what else they were.
        """
        if self._structure is None:
            return by_path(weights)
        params, state = self._structure.build(weights)
        return params if state is None else (params, state)

    def _run_it(self, what: str, taps: tuple[Tap, ...] = (), start: str | None = None) -> Callable[..., Any]:
        def run(weights: StackedWeights, inputs: Arrays, *targets: Arrays) -> Any:
            arrays = [np.asarray(inputs, np.float32) if start else fitted(inputs, self._kept.inputs)]
            arrays += [fitted(part, self._kept.targets) for part in targets]
            alone = count(arrays[0]) == 1
            if alone:
                # One example broadcasts where several do not: it is evaluated twice.
                arrays = [each(array, lambda one: np.concatenate([one, one])) for array in arrays]
            try:
                found = self._compiled(what, taps, start)(
                    {p.name: np.asarray(weights[p.name]).astype(p.dtype) for p in self._manifest.parameters}, *arrays
                )
            except NetlapseError:
                raise
            # JAX and the user's functions raise errors of many kinds.
            except Exception as error:
                raise Unsupported(
                    f"JAX cannot evaluate run {self._run!r} on these examples: {str(error).strip()[:300]}; pass others"
                ) from error
            found = over_leaves(_at_least_single, found)
            cut = alone and what != "gradients"
            return over_leaves(_first, found) if cut else found

        return run

    def _compile(self, what: str, taps: tuple[Tap, ...] = (), start: str | None = None) -> Callable[..., Any]:
        evaluated = self._evaluated

        def forward(weights: Any, inputs: Any) -> list[Any]:
            if start is not None:
                made = {Tap(start): inputs, **evaluated.head(start, weights, inputs)}
            elif all(tap in map(Tap, evaluated.outputs) for tap in taps):
                made = dict(zip(map(Tap, evaluated.outputs), evaluated.make_outputs(weights, inputs), strict=True))
            else:
                made = evaluated.make_taps(weights, inputs)
            return [made[tap] for tap in taps]

        def losses_of(outputs: list[Any], targets: Any) -> Any:
            if self._losses is None:
                raise Unsupported(
                    f"run {self._run!r} has no loss that could be kept; pass it: netlapse.open(path, loss=)"
                )
            return self._losses(evaluated.arrange(outputs), targets)

        def place_losses(weights: Any, inputs: Any, targets: Any) -> Any:
            return losses_of(evaluated.make_outputs(weights, inputs), targets)

        def losses(*arrays: Any) -> Any:
            return _of_examples(place_losses(*arrays))

        def layer_gradients(weights: Any, inputs: Any, targets: Any) -> list[Any]:
            def total_loss(outputs: list[Any]) -> Any:
                values = _of_examples(losses_of(outputs, targets))
                return values.sum(), jax.numpy.isnan(values)

            outputs = evaluated.make_outputs(weights, inputs)
            cotangents, broken = jax.grad(total_loss, has_aux=True)(outputs)
            found = evaluated.pull_back([tap.layer for tap in taps], weights, inputs, cotangents)
            return [jax.numpy.where(broken.reshape(-1, *[1] * (part.ndim - 1)), np.nan, part) for part in found]

        trainable = {parameter.name for parameter in self._manifest.parameters if parameter.trainable}

        def gradients(weights: Any, inputs: Any, targets: Any) -> Any:
            fixed = {name: value for name, value in weights.items() if name not in trainable}

            def mean_loss(free: Any) -> Any:
                return losses({**fixed, **free}, inputs, targets).mean()

            return jax.grad(mean_loss)({name: weights[name] for name in weights if name in trainable})

        functions: dict[str, Any] = {
            "forward": forward,
            "losses": losses,
            "token_losses": place_losses,
            "gradients": gradients,
            "layer_gradients": layer_gradients,
        }
        # A loss that was stored takes one frame at a time, as all that is stored.
        over_frames = evaluated.over_frames if what == "forward" else self._over_frames
        return over_frames(functions[what])


def network_of_run(manifest: Manifest, read: Callable[[str], bytes], model: Any = None, loss: Any = None) -> JaxNetwork:
    """The network of a recorded run, from what the run stores or from the user's own `apply`.

    `model` is `apply` as the recorder took it, or `(apply, params)`, `(apply, params, state)` where these are no plain
    dicts, lists and tuples. Runs no code of the run's.
    """
    kept = Kept.of(manifest, read)
    stored = Stored(manifest, read, kept)
    structure: Any = PlainStructure(kept.structure) if kept.structure else None
    evaluated: Any = stored
    if model is None:
        stored.require()
    else:
        apply, *trees = cast("tuple[Any, ...]", model) if isinstance(model, tuple) else (model,)
        structure = Structure(*trees) if trees else structure
        evaluated = _live(apply, structure, manifest, kept)
    if loss is None:
        return JaxNetwork(
            evaluated,
            stored.loss,
            manifest,
            kept,
            structure,
            over_frames=stored.over_frames,
        )
    checked = Losses(loss, evaluated.arrange(evaluated.output_specs), specs_of(kept.targets))
    return JaxNetwork(evaluated, checked, manifest, kept, structure)


def _live(apply: Any, structure: Any, manifest: Manifest, kept: Kept) -> Live:
    if structure is None:
        raise Unsupported(
            f"run {manifest.name!r} has parameters that are no dicts and lists; pass some as well, to be put together"
            " alike: netlapse.open(path, model=(apply, params))"
        )
    weights = {p.name: jax.ShapeDtypeStruct(p.shape, jax.numpy.dtype(p.dtype)) for p in manifest.parameters}
    if isinstance(structure, Structure) and structure.specs != weights:
        raise Unsupported(f"run {manifest.name!r} was recorded from other parameters; pass some like them")
    rng = None
    if kept.rng is not None:
        rng = jax.random.wrap_key_data(np.array(kept.rng["data"], np.uint32), impl=kept.rng["impl"])
    live = Live(Function(apply, structure.build, kept.has_state, rng), weights, specs_of(kept.inputs))
    if [layer.name for layer in live.layers] != [layer.name for layer in manifest.layers]:
        raise Unsupported(
            f"run {manifest.name!r} was recorded from another function: its layers are"
            f" {', '.join(layer.name for layer in manifest.layers)}; pass the one that it was recorded from"
        )
    return live


def _of_examples(losses: Any) -> Any:
    return losses.reshape(losses.shape[0], -1).mean(axis=1)


def _first(array: Any) -> Any:
    return array[:, :1]


def _at_least_single(values: Any) -> NDArray[Any]:
    array = np.asarray(values)
    return array.astype(np.float32) if array.dtype.itemsize < 4 and array.dtype.kind not in "biu" else array
