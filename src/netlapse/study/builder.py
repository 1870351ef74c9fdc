"""The user's functions that make models and data of hyper-parameters."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import StudyError
from ..keras.backend import keras

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .space import Setting

# What a study does itself, and so may be varied without the builder knowing of it.
OWN = ("batch_size", "epochs")


class Builder:
    """Builds the model and the data of a setting.

    `build` makes a compiled Keras model of the hyper-parameters that it has as parameters. `data` are inputs and
    targets, or a function that makes them of some. Of a name that both have, both get the value.
    """

    def __init__(self, build: Callable[..., Any], data: Any) -> None:
        self._build, self._data = build, data
        self._of_model = _parameters(build)
        self._of_data = _parameters(data) if callable(data) else {}

    @property
    def names(self) -> list[str]:
        """What can be varied."""
        return list(dict.fromkeys([*self._of_model, *self._of_data, *OWN]))

    def check(self, names: Iterable[str]) -> None:
        """Raise StudyError for names that nothing takes, listing those that are taken."""
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise StudyError(
                f"the space varies {', '.join(map(repr, unknown))}, which neither the builder nor the data take; they"
                f" take {', '.join(self.names)}"
            )
        missing = [
            name
            for name, parameter in {**self._of_model, **self._of_data}.items()
            if parameter.default is parameter.empty and name not in set(names)
        ]
        if "seed" in missing:
            raise StudyError(
                "the builder or the data take a seed that has no default, but networks of all seeds have one builder"
                " and learn the same data: the study itself draws initial weights and orders by the seed; give it a"
                " default, or vary it under another name, such as data_seed"
            )
        if missing:
            raise StudyError(
                f"{', '.join(missing)} of the builder or the data have no default and are not in the space; add values"
                f" of them to the space, or defaults"
            )

    def model(self, setting: Setting) -> Any:
        """A new model of this setting. Raises StudyError if it is no compiled Keras model."""
        model = self._build(**{name: value for name, value in setting.items() if name in self._of_model})
        if not isinstance(model, keras.Model) or not model.compiled or model.optimizer is None:
            raise StudyError(
                f"the builder made {type(model).__name__} of {_written(setting)}; it must return a Keras model that is"
                " compiled with a loss and an optimizer"
            )
        if not model.built:
            raise StudyError(
                f"the model of {_written(setting)} does not know the shape of its inputs; begin it with"
                " keras.Input(...)"
            )
        return model

    def data(self, setting: Setting) -> tuple[Any, Any]:
        """Inputs and targets of this setting."""
        given = self._data
        if callable(given):
            given = given(**{name: value for name, value in setting.items() if name in self._of_data})
        if not isinstance(given, tuple | list) or len(cast("Sequence[Any]", given)) != 2:
            raise StudyError(
                "the data are not a pair of inputs and targets; pass (X, y), or a function that returns them"
            )
        inputs, targets = cast("tuple[Any, Any]", given)
        return keras.tree.map_structure(np.asarray, inputs), keras.tree.map_structure(np.asarray, targets)

    def data_key(self, setting: Setting) -> str:
        """The part of a setting that the data depend on, in words: settings of one key learn the same."""
        return _written({name: value for name, value in setting.items() if name in self._of_data})

    def require_effect(self, settings: Sequence[Setting], written: Sequence[str]) -> None:
        """Raise StudyError for a hyper-parameter of the builder that changes nothing.

        `written` are the models of the settings in words. Settings that differ in one name only are
        compared; a name that none of them isolates is not judged.
        """
        for name in self._of_model:
            if name in self._of_data or name in OWN:
                continue
            groups: dict[str, list[int]] = {}
            for number, setting in enumerate(settings):
                rest = {key: value for key, value in setting.items() if key != name}
                groups.setdefault(_written(rest), []).append(number)
            pairs = [group for group in groups.values() if len({_written(settings[k].get(name)) for k in group}) > 1]
            if pairs and all(len({written[number] for number in group}) == 1 for group in pairs):
                values = list(dict.fromkeys(_written(settings[number].get(name)) for number in pairs[0]))
                raise StudyError(
                    f"the builder makes the same model of {name}={' and '.join(values[:2])}: it ignores {name!r};"
                    " use it in the builder, or take it out of the space"
                )


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    found = inspect.signature(function).parameters
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: parameter for name, parameter in found.items() if parameter.kind in kinds}


def _written(value: Any) -> str:
    return repr(value)
