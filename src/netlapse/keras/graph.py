"""The graph of a model: every application of its layers, those within nested models included."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import Unsupported
from .backend import keras

if TYPE_CHECKING:
    from collections.abc import Iterator

_GRAPHS = (keras.src.models.functional.Functional.call, keras.Sequential.call)


@dataclass(frozen=True, eq=False)
class Application:
    """A layer that is applied at one place of a model.

    `name` is its path through nested models, "inner/dense", and says which application it is where the model that it
    is in applies it more than once, in the order in which its author did: "inner@2/dense". `path` has the names of the
    layers alone. `within` is the path of the models that it is in.
    """

    name: str
    path: tuple[str, ...]
    layer: Any
    node: Any
    within: str

    @property
    def inside(self) -> str:
        """What the names begin with of all that is applied within it."""
        return f"{self.name}/"


def graph_of(layer: Any) -> Any:
    """The graph that a Sequential or functional model runs when it is applied; None for any other layer or model."""
    if type(layer).call not in _GRAPHS:
        return None
    return layer._functional if isinstance(layer, keras.Sequential) else layer


def applications(model: Any) -> tuple[Application, ...]:
    """Every application of a layer, in order, what a nested model applies before the model itself.

    The order depends on the graph alone: it is the same in every copy of a model.
    """
    return tuple(_applications(graph_of(model), (), "", set()))


def _applications(graph: Any, path: tuple[str, ...], within: str, taken: set[str]) -> Iterator[Application]:
    places = {id(operation): place for place, operation in enumerate(graph.operations)}
    nodes = [
        node
        for depth in sorted(graph._nodes_by_depth, reverse=True)
        for node in sorted(graph._nodes_by_depth[depth], key=lambda node: places[id(node.operation)])
        if isinstance(node.operation, keras.layers.Layer) and not node.is_input
    ]
    times = Counter(id(node.operation) for node in nodes)
    applied = {id(node) for node in nodes}
    for node in nodes:
        layer = node.operation
        name = within + layer.name
        if times[id(layer)] > 1:
            here = [id(each) for each in layer._inbound_nodes if id(each) in applied]
            name += f"@{here.index(id(node)) + 1}"
        while name in taken:  # a layer may be called "a@1"
            name += "_"
        taken.add(name)
        found = Application(name, (*path, layer.name), layer, node, within)
        if graph_of(layer) is not None:
            yield from _applications(graph_of(layer), found.path, found.inside, taken)
        yield found


def maker_of(model: Any, output: int) -> Application | None:
    """The layer, within however many models, that makes an output; None for an operation that is no layer."""
    found, by_node = None, _by_node(model)
    graph, place = graph_of(model), output
    while graph is not None:
        operation, node, place = graph.outputs[place]._keras_history
        found = by_node.get((found.inside if found else "", id(operation._inbound_nodes[node])))
        graph = graph_of(found.layer) if found else None
    return found


def goes_round(model: Any, start: Application) -> bool:
    """Whether a way leads from the inputs to the outputs that does not pass this application."""
    by_node = _by_node(model)
    waiting: list[tuple[tuple[Application, ...], Any]] = [((), tensor) for tensor in graph_of(model).outputs]
    followed: set[Any] = set()
    while waiting:
        models, tensor = waiting.pop()
        operation, number, place = tensor._keras_history
        node = operation._inbound_nodes[number]
        found = by_node.get((models[-1].inside if models else "", id(node)))
        if (found and found.node is start.node and found.name == start.name) or (models, id(tensor)) in followed:
            continue
        followed.add((models, id(tensor)))
        if node.is_input and not models:
            return True
        if node.is_input:
            entrance = [id(each) for each in graph_of(models[-1].layer).inputs].index(id(tensor))
            waiting.append((models[:-1], models[-1].node.input_tensors[entrance]))
        elif found and start.name.startswith(found.inside):
            waiting.append(((*models, found), graph_of(found.layer).outputs[place]))
        else:
            waiting += [(models, each) for each in node.input_tensors]
    return False


def _by_node(model: Any) -> dict[tuple[str, int], Application]:
    return {(each.within, id(each.node)): each for each in applications(model)}


def not_built(model: Any) -> Unsupported:
    return Unsupported(
        f"model {model.name!r} is not built with a known input shape; begin it with keras.Input(shape), or call"
        " model.build(shape), before it is recorded"
    )
