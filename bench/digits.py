"""Pictures of digits that a network of a million parameters is not too large for."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits


def digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits, enlarged from 8 x 8 to 28 x 28.

    Inputs (example, row, column, 1) in [0, 1], and targets (example,).
    """
    inputs, targets = load_digits(return_X_y=True)
    # Every picture element four times in both directions, and the margins cut.
    inputs = np.kron(inputs.reshape(-1, 8, 8), np.ones((4, 4)))[:, 2:-2, 2:-2, None]
    return inputs.astype(np.float32) / 16, targets
