"""The computation of a network in its run: written with `jax.export`, and read again without the user's code."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

from ..errors import Unsupported
from ..replay.network import Tap
from .backend import jax, over_leaves
from .kept import specs_of
from .structure import of_plain
from .trust import check_memory, check_program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..store import Manifest
    from .kept import Kept
    from .live import Live

# A run may be opened elsewhere than where it was recorded.
_PLATFORMS = ("cpu", "cuda", "tpu")


def export(live: Live, losses: Any, weights: Mapping[str, Any], kept: Kept) -> dict[str, bytes]:
    """What can be stored of a network, by role; where something cannot, its reason, under "no-role"."""
    [examples] = jax.export.symbolic_shape("b", constraints=("b >= 2",))

    def batch(specs: Any) -> Any:
        return over_leaves(lambda one: jax.ShapeDtypeStruct((examples, *one.shape), one.dtype), specs)

    inputs, outputs = specs_of(kept.inputs), [specs_of({"": entry}) for entry in kept.outputs.values()]
    taps = list(live.taps)

    def layers(weights: Any, inputs: Any) -> list[Any]:
        made = live.make_taps(weights, inputs)
        return [made[tap] for tap in taps]

    def head(start: str, weights: Any, values: Any) -> list[Any]:
        return list(live.head(start, weights, values).values())

    def layer_gradients(weights: Any, inputs: Any, cotangents: list[Any]) -> list[Any]:
        return live.pull_back([layer.name for layer in live.layers], weights, inputs, cotangents)

    def loss(outputs: Any, targets: Any) -> Any:
        return losses(live.arrange(outputs), targets)

    jobs: dict[str, tuple[Any, tuple[Any, ...], bool]] = {
        "outputs": (live.make_outputs, (weights, batch(inputs)), True),
        "layers": (layers, (weights, batch(inputs)), False),
        "layer-gradients": (layer_gradients, (weights, batch(inputs), batch(outputs)), False),
    }
    if losses is not None:
        jobs["loss"] = (
            loss,
            (batch(outputs), batch(specs_of(kept.targets))),
            True,
        )
    for number, start in enumerate(kept.heads):
        spec = jax.ShapeDtypeStruct(live.taps[Tap(start)], "float32")
        jobs[f"head-{number}"] = (partial(head, start), (weights, batch(spec)), False)
    found: dict[str, bytes] = {}
    for role, (function, arguments, differentiable) in jobs.items():
        # JAX raises errors of many kinds at what it cannot export.
        try:
            found[role] = _serialized(function, arguments, int(differentiable))
        except Exception as error:
            found[f"no-{role}"] = (str(error).strip().split("\n")[0][:300] or type(error).__name__).encode()
    return found


def _serialized(function: Any, arguments: Any, vjp_order: int) -> bytes:
    def serialize(platforms: Any) -> bytes:
        exported = jax.export.export(jax.jit(function), platforms=platforms)(*arguments)
        return bytes(exported.serialize(vjp_order=vjp_order))

    # A run need not tell where on the disk its programs were written.
    limit = jax.config.jax_traceback_in_locations_limit
    jax.config.update("jax_traceback_in_locations_limit", 0)
    try:
        return serialize(_PLATFORMS)
    except Exception as error:
        try:
            return serialize(None)  # such as a kernel that is written for the one at hand
        except Exception:
            raise error from None
    finally:
        jax.config.update("jax_traceback_in_locations_limit", limit)


class Stored:
    """The network of a run as functions of the weights of one frame: see `Live`."""

    def __init__(self, manifest: Manifest, read: Callable[[str], bytes], kept: Kept) -> None:
        self._manifest, self._read, self._kept = manifest, read, kept
        self._program = cache(self._load)
        self.outputs = tuple(kept.outputs)
        self.output_specs = [specs_of({"": entry}) for entry in kept.outputs.values()]
        self.taps = kept.tap_shapes
        self.finals = kept.final_taps

    def _load(self, role: str) -> Any:
        """A program of the run. Raises Unsupported for one that is not there or not to be trusted."""
        if role not in self._manifest.model:
            why = self._read(f"no-{role}").decode(errors="replace") if f"no-{role}" in self._manifest.model else ""
            raise self._not_there(why or "it was not stored")
        content = self._read(role)
        # JAX raises errors of many kinds at bytes that it did not write.
        try:
            exported = jax.export.deserialize(bytearray(content))
            check_program(exported)
            if exported.has_vjp():
                check_program(exported.vjp())
        except Exception as error:
            raise self._not_there(str(error).strip().split("\n")[0][:300]) from error
        return exported

    def _not_there(self, why: str) -> Unsupported:
        return Unsupported(
            f"run {self._manifest.name!r} has a network that JAX cannot run by itself ({why}); pass your function:"
            " netlapse.open(path, model=apply)"
        )

    def require(self) -> None:
        """Raise Unsupported if the run cannot be evaluated without the user's code."""
        self._program("outputs")

    @property
    def loss(self) -> Callable[[Any, Any], Any] | None:
        """The recorded loss; None if it is not kept."""
        if "loss" not in self._manifest.model:
            return None
        return lambda outputs, targets: self._program("loss").call(jax.tree_util.tree_leaves(outputs), targets)

    def pull_back(
        self, layers: Sequence[str], weights: Mapping[str, Any], inputs: Any, cotangents: list[Any]
    ) -> list[Any]:
        """What gradients by the outputs are by the pre-activations of layers, (example, ...)."""
        made = self._program("layer-gradients").call(dict(weights), inputs, cotangents)
        by_layer = dict(zip([layer.name for layer in self._manifest.layers], made, strict=True))
        return [by_layer[layer] for layer in layers]

    def arrange(self, outputs: list[Any]) -> Any:
        """The outputs as `apply` gave them to the loss."""
        return of_plain(self._kept.output_tree, dict(zip(self.outputs, outputs, strict=True)))

    def make_outputs(self, weights: Mapping[str, Any], inputs: Any) -> list[Any]:
        """The outputs, (example, ...)."""
        return self._program("outputs").call(dict(weights), inputs)

    def make_taps(self, weights: Mapping[str, Any], inputs: Any) -> dict[Tap, Any]:
        """The values at all taps, (example, ...)."""
        return dict(zip(self.taps, self._program("layers").call(dict(weights), inputs), strict=True))

    def require_bottleneck(self, start: str) -> None:
        """Raise Unsupported unless the rest of the network was stored."""
        if start not in self._kept.heads:
            raise Unsupported(
                f"run {self._manifest.name!r} does not hold its network from layer {start!r} on: connections go round"
                f" layer {start!r}, so that its activations alone do not decide the output, or they are no vectors;"
                " choose a layer that everything passes through, or pass netlapse.open(path, model=apply)"
            )

    def head(self, start: str, weights: Mapping[str, Any], values: Any) -> dict[Tap, Any]:
        """The outputs, and what comes before a final sigmoid or softmax, from the activations of a layer."""
        made = self._program(f"head-{self._kept.heads.index(start)}").call(dict(weights), values)
        taps = [*map(Tap, self.outputs), *(final.tap for final in self.finals.values() if final.layer != start)]
        return dict(zip(taps, made, strict=True))

    def over_frames(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function as one of the stacked weights of several frames. Exported programs take one at a time."""

        def mapped(weights: Any, *arrays: Any) -> Any:
            def one_frame(frame: Any) -> Any:
                return function(frame, *arrays)

            return jax.lax.map(one_frame, weights)

        @cache
        def compiled(tree: Any, *specs: Any) -> Any:
            program = jax.jit(mapped).lower(*jax.tree_util.tree_unflatten(tree, specs)).compile()
            try:
                check_memory(program)
            except ValueError as error:
                raise self._not_there(str(error)) from error
            return program

        def run(*arguments: Any) -> Any:
            leaves, tree = jax.tree_util.tree_flatten(arguments)
            return compiled(tree, *(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves))(*arguments)

        return run
