"""One structure of a study: its model, and the program that trains networks of it."""

from __future__ import annotations

import warnings
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from ..errors import StudyError
from ..jax.backend import jax
from .exact import Exact, InTurn
from .fast import Fast
from .initial import Initial
from .one_by_one import OneByOne
from .pieces import GROUP
from .right import read
from .train_last import orders
from .trainer import Given, Trained, Trainer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .builder import Builder
    from .description import Description
    from .pieces import Network
    from .right import Data
    from .space import Setting

# How many networks are trained at once, at most.
AT_ONCE = {"exact": 96, "fast": 128}
# A few more networks than there are are trained as fast.
_FEWEST = 8
# Floating-point operations of a step from which on matrix products of one network after another are faster than
# networks as the last axis: `python -m bench.ways`.
_LARGE = 2_000_000


class Program:
    """Trains networks of one structure: they differ in initial variables, numbers and order of the examples.

    `settings` and their `descriptions` are those of the whole study; `networks` the most that are trained at once, and
    `difference` by how much an epoch of one of them differs from single steps: None for the fast mode, which has a
    rounding of its own.
    """

    def __init__(
        self,
        builder: Builder,
        settings: Sequence[Setting],
        descriptions: Sequence[Description],
        networks: Sequence[Network],
        *,
        epochs: int,
        batch_size: int,
        mode: str,
    ) -> None:
        self.epochs, self.batch_size, self._shared = epochs, batch_size, mode == "fast"
        self._builder, self._settings, self._descriptions = builder, settings, descriptions
        setting = settings[networks[0].setting]
        self._varying = _varying(descriptions, descriptions[networks[0].setting].structure)
        self.model = builder.model(setting)
        self.reading, data = read(self.model, *builder.data(setting))
        self._data: dict[str, Data] = {self._data_key(networks[0].setting): data}
        self._slots = len(_places(networks, True, 0)) if self._shared else 0
        self._initial: dict[str, Initial] = {}
        self._alone = Lock()
        self._traced: set[object] = set()
        self._kind: type[Trainer] = Exact
        self._trainers: dict[tuple[type[Trainer], bool], Trainer] = {}
        self.difference: float | None = None
        try:
            if mode == "exact":
                self.difference = self._choose(networks)
            else:
                self._kind = self._faster()
                self.train(networks)  # it is compiled here, while nobody else builds a model
        # What a model's own code raises when it is traced may be anything.
        except Exception as error:
            warnings.warn(
                f"these networks cannot be trained together ({type(error).__name__}: {error}); they are trained one"
                " after another by fit, which takes much longer",
                stacklevel=2,
            )
            self._kind = OneByOne
            # One after another they need no copies, and each has the order of its group all the same.
            self._shared, self._slots = False, 0

    @property
    def mode(self) -> str:
        """How the networks are trained: "exact", "fast" or "one by one"."""
        return "one by one" if self._kind is OneByOne else "fast" if self._shared else "exact"

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes as a recorder takes them."""
        return self.reading.names or None

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; none where nothing is right or wrong."""
        return self.reading.names

    def data(self, setting: int) -> Data:
        """The examples that the networks of a setting learn."""
        key = self._data_key(setting)
        if key not in self._data:
            reading, found = read(self.model, *self._builder.data(self._settings[setting]))
            if reading != self.reading:
                raise StudyError(
                    f"the targets of {self._settings[setting]} are read as {reading.names or 'quantities'}, those of"
                    f" other settings as {self.reading.names or 'quantities'}; make a study of each"
                )
            self._data[key] = found
        return self._data[key]

    @property
    def _some_data(self) -> Data:
        """Any of them: all have the same shapes."""
        return next(iter(self._data.values()))

    def _data_key(self, setting: int) -> str:
        return self._builder.data_key(self._settings[setting])

    def train(self, networks: Sequence[Network], *, every_epoch: bool = False) -> Trained:
        """Train some networks of the same data, as many at once as the program does, with copies that fill it."""
        trainer = self._trainer(every_epoch)
        at_once = len(networks) if self._shared else self._slots or len(networks)
        parts: list[Trained] = []
        for start in range(0, len(networks), at_once):
            some = networks[start : start + at_once]
            places = _places(some, self._shared, self._slots)
            trained = self._trained(trainer, [some[place] for place in places])
            # The first of each: the others are copies.
            parts.append(trained.of(np.array([places.index(place) for place in range(len(some))])))
        return Trained.join(parts)

    def _trained(self, trainer: Trainer, networks: Sequence[Network]) -> Trained:
        """What a trainer makes of networks, from whichever thread."""
        given, data = self._given(networks), self.data(networks[0].setting)
        with self._alone:
            # While it is traced, and always by fit, the model is changed.
            if isinstance(trainer, OneByOne) or trainer not in self._traced:
                self._traced.add(trainer)
                return trainer(given, data)
        return trainer(given, data)

    def start(self, setting: int) -> Initial:
        """What draws the initial variables of a setting. It is built once; Keras builds one model at a time."""
        # Whatever numbers models have, they begin alike.
        key = self._descriptions[setting].rest
        if key not in self._initial:
            values = self._settings[setting]
            self._initial[key] = Initial(self._builder.model(values), lambda: self._builder.model(values))
        return self._initial[key]

    def _trainer(self, every_epoch: bool = False) -> Trainer:
        key = self._kind, every_epoch
        if key not in self._trainers:
            self._trainers[key] = self._kind(
                self.model, self.reading, self._some_data, batch_size=self.batch_size, every_epoch=every_epoch
            )
        return self._trainers[key]

    def _given(self, networks: Sequence[Network]) -> Given:
        places: dict[Initial, list[int]] = {}
        for place, one in enumerate(networks):
            places.setdefault(self.start(one.setting), []).append(place)
        parts = [initial([networks[place].seed for place in own]) for initial, own in places.items()]
        back = np.argsort([place for own in places.values() for place in own])
        trainable, others = (
            [np.concatenate(column)[back] for column in zip(*side, strict=True)] for side in zip(*parts, strict=True)
        )
        numbers = {
            name: np.array([self._descriptions[one.setting].numbers[name] for one in networks], np.float32)
            for name in self._varying
        }
        examples = len(jax.tree.leaves(self._some_data.inputs)[0])
        # Neighbours that share an order have it in common only where they are trained as the last axis.
        every = GROUP if self._kind is Fast else 1
        seeds = [network.order for network in networks[::every]]
        return Given(trainable, others, numbers, orders(seeds, self.epochs, examples))

    def _faster(self) -> type[Trainer]:
        """The way of the fast mode: by the count of operations, not by the clock, so that it is the same next time."""
        trainer = Fast(self.model, self.reading, self._some_data, batch_size=self.batch_size)
        return Fast if trainer.operations(self._some_data) < _LARGE else InTurn

    def _choose(self, networks: Sequence[Network]) -> float:
        """Choose the way that trains many networks as one alone, to the bit if there is one, and say how near it is."""
        self._slots = min(max(len(networks), _FEWEST), AT_ONCE["exact"])
        some = [networks[place] for place in sorted(place % len(networks) for place in range(self._slots))]
        model = self._builder.model(self._settings[some[-1].setting])
        given, data = self._given(some), self.data(some[-1].setting)
        expected = Exact(model, self.reading, data, batch_size=self.batch_size).by_single_steps(given, data)
        found: dict[type[Exact], float] = {}
        for kind in (Exact, InTurn):
            self._kind = kind
            trainer = self._trainer()
            assert isinstance(trainer, Exact)
            found[kind] = trainer.difference(given, data, expected)
            if found[kind] == 0:
                break
        self._kind = min(found, key=lambda kind: found[kind])
        return found[self._kind]


def _places(networks: Sequence[Network], shared: bool, slots: int) -> list[int]:
    """Which network each slot of the program trains: where there are fewer, some are trained again and left out."""
    places: list[int] = []
    for place, network in enumerate(networks):
        following = networks[place + 1] if place + 1 < len(networks) else None
        places.append(place)
        if shared and (following is None or following.order != network.order):
            places += [place] * (-len(places) % GROUP)
    return places + [len(networks) - 1] * (slots - len(places))


def _varying(descriptions: Sequence[Description], structure: str) -> list[str]:
    """The numbers that differ among the models of a structure; the others are compiled in, as `fit` does it."""
    found = [each.numbers for each in descriptions if each.structure == structure]
    return [name for name in found[0] if any(each[name] != found[0][name] for each in found)]
