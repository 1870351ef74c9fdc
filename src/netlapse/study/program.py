"""One structure of a study: its model, and the program that trains networks of it."""

from __future__ import annotations

import warnings
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from ..jax.backend import jax
from .exact import Exact, Trained
from .fast import Fast
from .initial import Initial
from .one_by_one import OneByOne
from .pieces import GROUP
from .right import read
from .train_last import orders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .builder import Builder
    from .initial import Stacked
    from .pieces import Network
    from .space import Setting

# How many networks are trained at once, at most.
AT_ONCE = {"exact": 96, "fast": 128}
# Of many networks, XLA multiplies and sums in another way than of one: the most that agree with it are taken. Of one
# alone, within loops, it does too.
_EXACT = (96, 48, 24, 8)


class Program:
    """Trains networks of one structure: they differ in initial weights, learning rate and order of the examples.

    `settings` are those of the whole study; `networks` the most that are trained at once, and `difference` by how much
    an epoch of one of the first differs from single steps: None for the fast mode, which has a rounding of its own.
    """

    def __init__(
        self,
        builder: Builder,
        settings: Sequence[Setting],
        networks: Sequence[Network],
        *,
        epochs: int,
        batch_size: int,
        mode: str,
    ) -> None:
        self.epochs, self.batch_size, self._shared = epochs, batch_size, mode == "fast"
        self._builder, self._settings = builder, settings
        setting = settings[networks[0].setting]
        self.model = builder.model(setting)
        self.reading, self.data = read(self.model, *builder.data(setting))
        self._slots = GROUP * len({(one.setting, one.order) for one in networks}) if self._shared else 0
        self._starts: dict[int, tuple[Initial, float]] = {}
        self._alone = Lock()
        self._traced: set[object] = set()
        self._kind: type[Exact | Fast | OneByOne] = Exact if mode == "exact" else Fast
        self.difference: float | None = None
        try:
            if mode == "exact":
                self.difference = self._choose_slots(networks)
            else:
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
            self.__dict__.pop("_in_the_end", None)

    @property
    def mode(self) -> str:
        """How the networks are trained: "exact", "fast" or "one by one"."""
        return {Exact: "exact", Fast: "fast", OneByOne: "one by one"}[self._kind]

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes as a recorder takes them."""
        return self.reading.names or None

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; none where nothing is right or wrong."""
        return self.reading.names

    def train(self, networks: Sequence[Network], *, every_epoch: bool = False) -> Trained:
        """Train some networks, as many at once as the program does, together with copies that fill it."""
        trainer = self._every_epoch if every_epoch else self._in_the_end
        at_once = len(networks) if self._shared else self._slots or len(networks)
        parts: list[Trained] = []
        for start in range(0, len(networks), at_once):
            some = networks[start : start + at_once]
            places = _places(some, self._shared, self._slots)
            trained = self._trained(trainer, [some[place] for place in places])
            # The first of each: the others are copies.
            parts.append(trained.of(np.array([places.index(place) for place in range(len(some))])))
        return Trained.join(parts)

    def _trained(self, trainer: Exact | Fast | OneByOne, networks: Sequence[Network]) -> Trained:
        """What a trainer makes of networks, from whichever thread."""
        given = self._given(networks)
        with self._alone:
            # While it is traced, and always by fit, the model is changed.
            if isinstance(trainer, OneByOne) or trainer not in self._traced:
                self._traced.add(trainer)
                return trainer(*given, self.data)
        return trainer(*given, self.data)

    def start(self, setting: int) -> None:
        """Build what draws the initial weights of a setting; Keras builds one model at a time."""
        if setting not in self._starts:
            values = self._settings[setting]
            model = self._builder.model(values)
            rate: Any = getattr(model.optimizer, "_learning_rate", None)
            number = float(np.asarray(rate)) if hasattr(rate, "value") else 0.0
            self._starts[setting] = Initial(model, lambda: self._builder.model(values)), number

    @cached_property
    def _in_the_end(self) -> Exact | Fast | OneByOne:
        return self._kind(self.model, self.reading, self.data, batch_size=self.batch_size)

    @cached_property
    def _every_epoch(self) -> Exact | Fast | OneByOne:
        return self._kind(self.model, self.reading, self.data, batch_size=self.batch_size, every_epoch=True)

    def _initial(self, networks: Sequence[Network]) -> tuple[Stacked, Stacked]:
        parts: list[tuple[Stacked, Stacked]] = []
        for setting in dict.fromkeys(network.setting for network in networks):
            self.start(setting)
            parts.append(self._starts[setting][0]([one.seed for one in networks if one.setting == setting]))
        # Networks of one setting are neighbours.
        trainable, others = (
            [np.concatenate(column) for column in zip(*side, strict=True)] for side in zip(*parts, strict=True)
        )
        return trainable, others

    def _rates(self, networks: Sequence[Network]) -> Any:
        return np.array([self._starts[network.setting][1] for network in networks], np.float32)

    def _orders(self, networks: Sequence[Network]) -> Any:
        examples = len(jax.tree.leaves(self.data.inputs)[0])
        seeds = [network.order for network in networks]
        return orders(seeds[::GROUP] if self._shared else seeds, self.epochs, examples)

    def _given(self, networks: Sequence[Network]) -> tuple[Any, Any, Any]:
        """Initial variables, learning rates and orders."""
        return self._initial(networks), self._rates(networks), self._orders(networks)

    def _choose_slots(self, networks: Sequence[Network]) -> float:
        """Find out how many networks are trained at once to the bit as alone, and by how much those chosen differ."""
        exact = self._in_the_end
        assert isinstance(exact, Exact)
        enough = [slots for slots in _EXACT if slots < len(networks)]
        found: dict[int, float] = {}
        # A few more than there are are trained as fast.
        for slots in [min(max(len(networks), _EXACT[-1]), _EXACT[0]), *enough]:
            places = [place % len(networks) for place in range(slots)]
            found[slots] = exact.difference(*self._given([networks[place] for place in sorted(places)]), self.data)
            if found[slots] == 0:
                break
        self._slots = min(found, key=lambda slots: (found[slots], -slots))
        return found[self._slots]


def _places(networks: Sequence[Network], shared: bool, slots: int) -> list[int]:
    """Which network each slot of the program trains: where there are fewer, some are trained again and left out."""
    places: list[int] = []
    for place, network in enumerate(networks):
        following = networks[place + 1] if place + 1 < len(networks) else None
        places.append(place)
        last = following is None or (following.setting, following.order) != (network.setting, network.order)
        if shared and last:
            places += [place] * (-len(places) % GROUP)
    return places + [len(networks) - 1] * (slots - len(places))
