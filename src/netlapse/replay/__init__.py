"""Replaying a run: arrays for any frame, layer and input, recomputed from the recorded weights."""

from .network import Network as Network
from .replay import Replay as Replay
