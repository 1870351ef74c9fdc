"""What became of networks, as rows of the table and arrays beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import StudyError
from .space import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jaxtyping import Int
    from numpy.typing import NDArray

    from .pieces import Network
    from .space import Setting
    from .trainer import Trained

# Beside these, hyper-parameters have columns of their own, metrics final_NAME, and classes first_right_NAME.
COLUMNS = (
    *("network", "setting", "seed", "pair", "status", "epochs", "final_loss", "lowest_loss"),
    *("first_right", "right_for_good", "mode"),
)


def require_free(names: Iterable[str]) -> None:
    """Raise StudyError for a hyper-parameter whose column would hide what became of the networks."""
    for name in names:
        if name != "epochs" and (name in COLUMNS or name.startswith(("final_", "first_right_"))):
            raise StudyError(
                f"the space varies {name!r}, but the study's table has a column {name!r} of its own; call the parameter"
                f" otherwise, such as own_{name}"
            )


def rows_of(
    networks: Sequence[Network],
    settings: Sequence[Setting],
    trained: Trained,
    classes: Sequence[str],
    mode: str,
) -> tuple[dict[str, list[Any]], dict[str, NDArray[Any]]]:
    """The columns of the table and the arrays of a piece.

    A network has diverged if its loss is no number in the end. It is right once no example is wrong: `first_right` is
    the first such epoch, `right_for_good` that from which it stayed so; NaN if there is none.
    """
    rows: dict[str, list[Any]] = {"network": [network.number for network in networks]}
    for name in settings[0]:
        rows[name] = [plain(settings[network.setting][name]) for network in networks]
    rows["setting"] = [network.setting for network in networks]
    rows["seed"] = [network.seed for network in networks]
    rows["pair"] = rows["seed"]
    final = {name: values[:, -1] for name, values in trained.measured.items()}
    rows["status"] = ["trained" if np.isfinite(loss) else "diverged" for loss in final["loss"]]
    rows["epochs"] = [trained.measured["loss"].shape[1] - 1] * len(networks)
    for name, values in final.items():
        rows[f"final_{name}"] = values.astype(float).tolist()
    lowest = np.where(np.isfinite(trained.measured["loss"]), trained.measured["loss"], np.inf).min(axis=1)
    rows["lowest_loss"] = np.where(np.isfinite(lowest), lowest, np.nan).astype(float).tolist()
    if classes:
        rows["first_right"], rows["right_for_good"] = _milestones(trained.wrong.sum(axis=2))
        for number, name in enumerate(classes):
            rows[f"first_right_{name}"], _ = _milestones(trained.wrong[:, :, number])
    rows["mode"] = [mode] * len(networks)
    arrays: dict[str, NDArray[Any]] = {"network": np.array(rows["network"], np.int64), "wrong": trained.wrong}
    arrays |= {f"measured/{name}": values for name, values in trained.measured.items()}
    arrays |= {f"logged/{name}": values for name, values in trained.logged.items()}
    arrays |= {f"trainable/{place}": values for place, values in enumerate(trained.trainable)}
    arrays |= {f"others/{place}": values for place, values in enumerate(trained.others)}
    return rows, arrays


def _milestones(wrong: Int[np.ndarray, "network epoch"]) -> tuple[list[float], list[float]]:
    """The first epoch at which nothing is wrong, and that from which it stayed so; NaN if there is none."""
    right: NDArray[Any] = wrong == 0
    ever, last = right.any(axis=1), right[:, -1]
    # How many epochs at the end are right without a break.
    breaks: NDArray[Any] = (~right[:, ::-1]).argmax(axis=1)
    run = np.where(right.all(axis=1), right.shape[1], breaks)
    first: NDArray[Any] = np.where(ever, right.argmax(axis=1), np.nan)
    for_good: NDArray[Any] = np.where(last, right.shape[1] - run, np.nan)
    return first.tolist(), for_good.tolist()
