"""What can be read of a module while it is applied: its layers, before and after their activation functions.

A layer is a module that returns one tensor, by its dotted name. Where the activation function is

- a module (`nn.ReLU`), that module's pre-activation is what it is given;
- a function that a caller of the layer applies to the very tensor that the layer returned (`F.relu(self.hidden(x))`,
  `self.hidden(x).tanh()`), the layer's activation is what the function returns;
- neither, a layer's pre-activation and activation are both what it returns.

What cannot be seen: functions of parameters that no module applies (`x @ self.weight`), modules whose `forward` is
called by name, and whatever happens within a module of torch's that computes in one piece, such as `nn.LSTM` or the
projections of `nn.MultiheadAttention`. Layers whose first axis is not the example cannot be asked for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from ..errors import Unsupported
from ..store import Layer
from .arrays import tensors_in
from .attention import Attention
from .quiet import modules_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Functions of torch and methods of tensors, without the underscore of those that work in place.
ACTIVATIONS = frozenset(
    """
    celu elu gelu hardshrink hardsigmoid hardswish hardtanh leaky_relu log_softmax logsigmoid mish prelu relu relu6
    rrelu selu sigmoid silu softmax softmin softplus softshrink softsign tanh tanhshrink threshold
    """.split()  # noqa: SIM905
)
_MODULES = {name.replace("_", ""): name for name in ACTIVATIONS} | {"softmax2d": "softmax", "glu": "glu"}
# They only hold other modules.
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_UNITS = ("out_features", "out_channels", "num_features", "embedding_dim")


@dataclass
class Passage:
    """One application of a layer, and what passed through it."""

    name: str
    module: nn.Module
    callers: tuple[str, ...]
    before: Tensor
    after: Tensor
    # Activation functions that were applied to what it returned, and their results.
    functions: list[tuple[str, Tensor]] = field(default_factory=list[tuple[str, Tensor]])
    # What goes on through the network.
    outcome: Any = None

    @property
    def layer(self) -> Layer:
        """As the manifest has it."""
        units = next((getattr(self.module, name) for name in _UNITS if hasattr(self.module, name)), None)
        if not isinstance(units, int):
            units = int(self.after.shape[-1]) if self.after.ndim == 2 else None
        kind = type(self.module)
        name = module_activation(self.module) or (self.functions[0][0] if len(self.functions) == 1 else None)
        return Layer(self.name, kind.__name__, units, name)

    @property
    def pre_activation(self) -> Tensor:
        """Before its activation function."""
        return self.before

    @property
    def activation(self) -> Tensor:
        """After its activation function, where there is one and only one."""
        return self.functions[0][1] if len(self.functions) == 1 else self.after


def module_activation(module: nn.Module) -> str | None:
    """The activation function that a module is; None if it is another."""
    kind = type(module)
    return _MODULES.get(kind.__name__.lower()) if kind.__module__ == "torch.nn.modules.activation" else None


def is_activation_module(kind: str) -> bool:
    """Whether layers of this type are activation functions."""
    return kind.lower() in _MODULES


class Tapped(TorchFunctionMode):
    """While it is entered, notes what passes through the layers of a module.

    With `start`, the name of a layer, its activation is exchanged for `value`. `by_function` says that its activation
    is what an activation function makes of its output. `shifts` are added to pre-activations. Values are those of the
    time: what works in place does not reach them.
    """

    def __init__(
        self,
        module: nn.Module,
        start: str | None = None,
        value: Tensor | None = None,
        *,
        by_function: bool = False,
        shifts: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.passages: list[Passage] = []
        self.attention = Attention()
        self._module, self._start, self._value, self._by_function = module, start, value, by_function
        self._shifts = shifts or {}
        self._callers: list[str] = []
        self._given: list[Any] = []
        self._times = Counter[str]()
        # By identity of the tensor: layers that returned it; the activation function that made it, of what.
        self._returned: dict[int, list[Passage]] = {}
        self._made: dict[int, tuple[str, Tensor]] = {}
        self._alive: list[Tensor] = []

    def __enter__(self) -> Tapped:
        self._hooks: list[Any] = [
            hook
            for name, module in modules_of(self._module)
            for hook in (
                module.register_forward_pre_hook(self._enters(name)),
                module.register_forward_hook(self._leaves(name)),
            )
        ]
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        for hook in self._hooks:
            hook.remove()
        super().__exit__(*error)

    def layers(self) -> list[Passage]:
        """What passed, in the order in which layers finished; those applied several times are numbered from 1."""
        for passage in self.passages:
            plain, _, _ = passage.name.rpartition("@")
            if self._times[plain] == 1:
                passage.name = plain
        return self.passages

    def made_by(self, tensor: Tensor) -> tuple[str, Tensor] | None:
        """The activation function that made this tensor, and what it was applied to."""
        return self._made.get(id(tensor))

    def _shift(self, name: str, time: int) -> Tensor | None:
        return self._shifts.get(f"{name}@{time}", self._shifts.get(name) if time == 1 else None)

    def _enters(self, name: str) -> Callable[..., Any]:
        def enters(module: nn.Module, args: tuple[Any, ...]) -> Any:
            self._callers.append(name)
            takes = module_activation(module) is not None and args and isinstance(args[0], Tensor)
            shift = self._shift(name, self._times[name] + 1) if takes else None
            if shift is not None and getattr(module, "inplace", False):
                raise Unsupported(
                    f"layer {name!r} works in place, so that the gradient by what it is given cannot be told; build it"
                    " with inplace=False"
                )
            if shift is not None:
                args = (args[0] + shift.to(args[0].dtype), *args[1:])
            self._given.append(args[0].clone() if takes else None)
            return None if shift is None else args

        return enters

    def _leaves(self, name: str) -> Callable[..., Any]:
        def leaves(module: nn.Module, _: Any, output: Any) -> Any:
            self._callers.pop()
            given = self._given.pop()
            tensors = list(tensors_in(output).values())
            if not name or len(tensors) != 1 or type(module) in _CONTAINERS:
                return None
            self._times[name] += 1
            numbered = f"{name}@{self._times[name]}"
            exchanged = self._start in ((name, numbered) if self._times[name] == 1 else (numbered,))
            if exchanged and not self._by_function:
                assert self._value is not None
                output = _exchange(output, tensors[0], self._value)
                tensors = [self._value]
            [tensor] = tensors
            shift = self._shift(name, self._times[name]) if given is None else None
            if shift is not None:
                shifted = tensor + shift.to(tensor.dtype)
                output, tensor = _exchange(output, tensor, shifted), shifted
            after = tensor.clone()
            passage = Passage(
                numbered, module, tuple(self._callers), after if given is None else given, after, outcome=tensor
            )
            self.passages.append(passage)
            if given is None:
                self._returned.setdefault(id(tensor), []).append(passage)
            self._alive.append(tensor)
            return output if exchanged or shift is not None else None

        return leaves

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note activation functions that are applied to what a layer returned."""
        kwargs = kwargs or {}
        called: str = getattr(func, "__name__", "")
        name = called.rstrip("_")
        source: Any = args[0] if args else kwargs.get("input")
        is_activation = name in ACTIVATIONS and isinstance(source, Tensor)
        before = source.clone() if is_activation else source
        result: Any = func(*args, **kwargs)
        self.attention.note(func, args, kwargs, result, self._callers[-1] if self._callers else "")
        passages = self._returned.get(id(source), [])
        if called == "__setitem__" or (result is source and (called != name or is_activation)):
            # What the layer returned is no more.
            self._returned.pop(id(source), None)
        if not is_activation or not isinstance(result, Tensor):
            return result
        here = tuple(self._callers)
        passages = [passage for passage in passages if passage.callers[: len(here)] == here]
        if self._by_function and any(self._start in (p.name, p.name.removesuffix("@1")) for p in passages):
            assert self._value is not None
            result = self._value
        for passage in passages:
            passage.functions.append((name, result.clone()))
            passage.outcome = result
        self._made[id(result)] = (name, before)
        self._alive.append(result)
        return result


def _exchange(output: Any, tensor: Tensor, value: Tensor) -> Any:
    if output is tensor:
        return value

    def exchanged(leaf: Any) -> Any:
        return value if leaf is tensor else leaf

    return pytree.tree_map(exchanged, output)
