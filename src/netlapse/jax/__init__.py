"""JAX: `Recorder` for training loops over pytrees of parameters (Flax, Equinox, Haiku, plain functions).

Importing this imports JAX.
"""

from .backend import jax as jax
from .recorder import Recorder as Recorder
