"""Networks that were trained elsewhere, in recorded runs or by Optuna, as a study has them: a table and curves."""

from __future__ import annotations

import math
import operator
import re
import warnings
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ..catalog import differing
from ..catalog import rows as rows_of_runs
from ..errors import BadQuery, NetlapseError, StudyError, UnknownName, Unsupported
from ..measures import milestones

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd
    from jaxtyping import Float
    from numpy.typing import NDArray

    from ..catalog import Row
    from ..store import Run

    Curves = dict[str, Float[np.ndarray, "network epoch"]]

# Columns that a hyper-parameter of the same name would hide.
_TAKEN = ("network", "pair", "status", "epochs", "first_right", "right_for_good")
# Names under which runs and trials keep their seed.
_SEEDS = ("seed", "random_seed", "random_state")
# Of an Optuna study whose steps are further apart than its curves are long, these would be mostly holes.
_MOST_STEPS = 100_000


@dataclass
class _Network:
    """One network as it was found: its curves by name, each by its epochs."""

    number: int
    settings: dict[str, Any]
    seed: int | None
    epochs: float
    final: dict[str, float]
    failed: bool = False
    first: float = math.nan
    for_good: float = math.nan
    curves: dict[str, tuple[NDArray[Any], NDArray[Any]]] = field(
        default_factory=dict[str, tuple["NDArray[Any]", "NDArray[Any]"]]
    )


def of_runs(root: str | Path, *, event: str | None = None, logged: bool = False) -> tuple[pd.DataFrame, Curves]:
    """The runs below a folder or URL as a study has its networks: one row each, and curves (network, epoch).

    Settings are the hyper-parameters that differ, under their names, or as `hyperparameters.NAME` where a column has
    that name. Runs with the same seed ("seed", "random_seed" or "random_state" among the hyper-parameters) are a pair;
    where any has none, each is by itself. The network's number is the row of the run in `netlapse.runs(root)`.

    `first_right` and `right_for_good` are when no example of the probe was wrong, or, of an `event` such as
    "accuracy >= 0.95" or "loss < 0.1", when that held. Loss and accuracy (or R²) are those of the probe, for which the
    networks are replayed; with `logged`, what was logged while training, under its names, and no network is needed.
    Curves have a column for each whole epoch from 0 on: between frames, the value of the frame before; NaN after a
    run's last. A run that was interrupted, or is still recorded, is censored there. One whose loss is no number in the
    end has diverged. Damaged runs, and those without frames, are left out with a warning.

    Raises StudyError if there are no runs, BadQuery and UnknownName for an event that is none, Unsupported for a run
    that cannot be replayed.
    """
    holds = None if event is None else _Event(event)
    rows = rows_of_runs(root)
    sound = [(number, row) for number, row in enumerate(rows) if row["status"] != "damaged" and row["frames"]]
    if len(sound) < len(rows):
        kept = {number for number, _ in sound}
        lost = [row["name"] for number, row in enumerate(rows) if number not in kept]
        warnings.warn(
            f"{len(lost)} of {len(rows)} runs below {root} are damaged or have no frames and are left out: "
            + ", ".join(lost[:5]),
            stacklevel=2,
        )
    if not sound:
        raise StudyError(f"there are no runs below {root}; name a folder that holds some")
    # How long a run was to be trained is no setting; how long it was is a column.
    settings = [name for name in differing([row for _, row in sound]) if name not in (*_SEEDS, "epochs")]
    return _table([_of_run(number, row, settings, holds, logged) for number, row in sound], settings)


def of_optuna(study: Any, *, event: str | None = None, objective: int = 0) -> tuple[pd.DataFrame, Curves]:
    """The trials of an optuna.Study as a study has its networks: one row each, and curves (network, step).

    Settings are the parameters; None where a trial has not drawn one. The value is `final_loss`; of one that is
    maximised, `final_loss` is its negative and the value itself `final_NAME`, of its metric's name ("objective" if the
    study names none). Reported values are the curve "loss", or that of this name; a step is an epoch. Of several
    objectives, `objective` is the place of the one that is looked at; they have no curves.

    A trial that failed, or whose value is no number, has diverged. One that was pruned is censored at its last step. Of
    an `event` such as "loss < 0.1", `first_right` and `right_for_good` are the steps when it held; without reported
    values, epoch 1 if it holds of the final one. Trials with the same seed among their parameters are a pair, else each
    is by itself. Those that wait or run are not looked at.

    Raises StudyError if no trial has ended, or steps are too many for curves, BadQuery and UnknownName for an event
    that is none.
    """
    holds = None if event is None else _Event(event)
    directions: Sequence[Any] = study.directions
    if not 0 <= objective < len(directions):
        raise UnknownName(f"the Optuna study has no objective {objective}; it has {len(directions)}, from 0 on")
    maximised = directions[objective].name == "MAXIMIZE"
    names: Sequence[str] | None = study.metric_names
    own = names[objective] if names else "objective"
    trials = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    if not trials:
        raise StudyError(f"no trial of the Optuna study {study.study_name!r} has ended; run study.optimize first")
    settings = list(dict.fromkeys(name for trial in trials for name in trial.params if name not in _SEEDS))
    latest = max((max(trial.intermediate_values, default=0) for trial in trials), default=0)
    if latest > _MOST_STEPS:
        raise StudyError(
            f"the Optuna study {study.study_name!r} reports up to step {latest:,}; report epochs, up to {_MOST_STEPS:,}"
        )
    found = [_of_trial(trial, objective, own if maximised else "loss", maximised, max(latest, 1)) for trial in trials]
    for network in found:
        if holds is not None:
            # Without reports, what is known is the value in the end.
            ends = {name: (np.array([1.0]), np.array([value])) for name, value in network.final.items()}
            _mark(network, holds, network.curves or ends)
    return _table(found, settings)


class _Event:
    """Something that holds at some epochs: a curve above or below a number."""

    _RELATIONS: tuple[tuple[str, Callable[..., Any]], ...] = (
        ("<=", operator.le),
        (">=", operator.ge),
        ("<", operator.lt),
        (">", operator.gt),
    )

    def __init__(self, text: str) -> None:
        found = re.fullmatch(r"\s*(.+?)\s*(<=|>=|<|>)\s*(\S+)\s*", text)
        try:
            self.name, relation, number = found.groups() if found else ("", "", "")
            self._limit = float(number)
        except ValueError:
            raise BadQuery(
                f'the event {text!r} is not a curve, a relation and a number, such as "loss < 0.1"'
            ) from None
        self._relation = dict(self._RELATIONS)[relation]

    def __call__(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        return self._relation(values, self._limit)  # of NaN, False


def _mark(network: _Network, event: _Event, curves: dict[str, tuple[NDArray[Any], NDArray[Any]]]) -> None:
    """When the event first held, and from when on for good."""
    if not curves:
        return  # of a trial that failed before it said anything
    if event.name not in curves:
        raise UnknownName(f"network {network.number} has no curve {event.name!r}; it has {', '.join(curves)}")
    epochs, values = curves[event.name]
    held = event(values)
    lapses = np.flatnonzero(~held)
    if held.any():
        network.first = float(epochs[held.argmax()])
    if held[-1]:
        network.for_good = float(epochs[lapses[-1] + 1 if len(lapses) else 0])


def _of_run(number: int, row: Row, settings: Sequence[str], event: _Event | None, logged: bool) -> _Network:
    import netlapse

    replay = netlapse.open(row["path"])
    found = {name: row.get(name) for name in settings}
    seed = next((row[name] for name in _SEEDS if name in row), None)
    network = _Network(number, found, _whole(seed), _epochs(row["last_epoch"]), {})
    if logged:
        network.curves = _logged(replay.run)
        if "loss" not in network.curves:
            raise Unsupported(f"run {replay.name!r} logged no loss, but {', '.join(network.curves) or 'nothing'}")
    else:
        try:
            curves = replay.curves()
        except (NetlapseError, ImportError) as error:
            raise Unsupported(
                f"run {replay.name!r} cannot be replayed ({error}); pass logged=True to take what was logged"
            ) from error
        score = "accuracy" if curves.score_name == "accuracy" else "R2"
        network.curves = {"loss": (curves.epochs, curves.loss), score: (curves.epochs, curves.score)}
        if curves.wrong.shape[1]:
            every = milestones(curves).all
            network.first, network.for_good = (
                math.nan if epoch is None else epoch for epoch in (every.first, every.for_good)
            )
    if event is not None:
        network.first = network.for_good = math.nan
        _mark(network, event, network.curves)
    network.final = {name: float(values[-1]) for name, (_, values) in network.curves.items()}
    return network


def _logged(run: Run) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """What was logged with the frames, by name, where it was."""
    found: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {}
    for name in run.scalars:
        values = np.asarray(run.scalar(name), float)
        # NaN is "not logged" before the first value, and in the end what it says.
        known = np.flatnonzero(~np.isnan(values))
        start = int(known[0]) if len(known) else len(values) - 1
        found[name] = np.asarray(run.epochs)[start:], values[start:]
    return found


def _of_trial(trial: Any, objective: int, name: str, maximised: bool, latest: int) -> _Network:
    seed = next((trial.params[key] for key in _SEEDS if key in trial.params), None)
    reported: list[tuple[int, float]] = sorted(trial.intermediate_values.items())
    values: Sequence[float] | None = trial.values
    value = float(values[objective]) if values else reported[-1][1] if reported else math.nan
    epochs = reported[-1][0] if reported else latest
    loss = -value if maximised else value
    final = {name: value, "loss": loss}
    failed = trial.state.name == "FAIL"
    network = _Network(trial.number, dict(trial.params), _whole(seed), epochs, final, failed)
    if reported:
        steps, curve = zip(*reported, strict=True)
        network.curves = {name: (np.array(steps, float), np.array(curve, float))}
    return network


def _table(networks: Sequence[_Network], settings: Sequence[str]) -> tuple[pd.DataFrame, Curves]:
    columns: dict[str, list[Any]] = {"network": [network.number for network in networks]}
    for name in settings:
        column = f"hyperparameters.{name}" if name in _TAKEN or name.startswith("final_") else name
        columns[column] = [_plain(network.settings.get(name)) for network in networks]
    columns["seed"], columns["pair"] = _seeds(networks, settings)
    columns["status"] = [
        "diverged" if network.failed or not math.isfinite(network.final.get("loss", math.nan)) else "trained"
        for network in networks
    ]
    columns["epochs"] = [network.epochs for network in networks]
    for name in dict.fromkeys(name for network in networks for name in network.final):
        columns[f"final_{name}"] = [network.final.get(name, math.nan) for network in networks]
    columns["first_right"] = [network.first for network in networks]
    columns["right_for_good"] = [network.for_good for network in networks]
    names = dict.fromkeys(name for network in networks for name in network.curves)
    curves = {name: np.stack(_by_epoch([network.curves.get(name) for network in networks])) for name in names}
    return _pandas().DataFrame(columns), curves


def _seeds(networks: Sequence[_Network], settings: Sequence[str]) -> tuple[list[int], list[int]]:
    """The seed of each network, and what pair it is of: without seeds each is by itself, and they are counted."""
    known = [network.seed for network in networks if network.seed is not None]
    if len(known) == len(networks):
        numbers = {seed: number for number, seed in enumerate(dict.fromkeys(known))}
        return known, [numbers[seed] for seed in known]
    counts: dict[str, int] = {}
    seeds: list[int] = []
    for network in networks:
        key = repr([network.settings.get(name) for name in settings])
        seeds.append(counts.get(key, 0))
        counts[key] = seeds[-1] + 1
    return seeds, list(range(len(networks)))


def _by_epoch(curves: Sequence[tuple[NDArray[Any], NDArray[Any]] | None]) -> list[NDArray[np.float64]]:
    """Each curve at the whole epochs from 0 on, the value of the frame before where there is none; all as long."""
    longest = max((int(curve[0][-1] + _LITTLE) for curve in curves if curve is not None), default=0)
    whole = np.arange(longest + 1)
    found: list[NDArray[np.float64]] = []
    for curve in curves:
        if curve is None:
            found.append(np.full(len(whole), np.nan))
            continue
        epochs, values = curve
        before = np.searchsorted(epochs, whole + _LITTLE, side="right") - 1
        there = (before >= 0) & (whole <= epochs[-1] + _LITTLE)
        found.append(np.where(there, np.asarray(values, float)[before], np.nan))
    return found


# Epochs are steps divided by steps per epoch, and so not always whole to the last bit.
_LITTLE = 1e-6


def _epochs(last: float) -> float:
    return int(last) if float(last).is_integer() else float(last)


def _whole(seed: Any) -> int | None:
    return int(seed) if isinstance(seed, int | float) and float(seed).is_integer() else None


def _plain(value: Any) -> Any:
    """A value that can be compared and counted."""
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def _pandas() -> Any:
    try:
        return import_module("pandas")
    except ImportError as error:
        raise StudyError(f'tables need pandas: pip install "netlapse[study]" ({error})') from error
