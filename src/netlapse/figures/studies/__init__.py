"""Pictures of studies: thousands of networks by their settings. Each takes Axes and returns its artists."""

from .boundaries import decision_boundaries as decision_boundaries
from .coordinates import parallel_coordinates as parallel_coordinates
from .grid import setting_grid as setting_grid
from .loss_bands import loss_bands as loss_bands
from .ridges import ridges as ridges
from .survival import survival_curves as survival_curves
