"""Panels by name: what `netlapse.plot` and `netlapse.film` can show of a run.

Each is a frozen dataclass of options; its name alone stands for it with its defaults.
"""

from __future__ import annotations

from typing import Any

from .attention import Attention as Attention
from .confusion import Confusion as Confusion
from .convolutions import FeatureMaps as FeatureMaps
from .convolutions import Filters as Filters
from .curves import Curves as Curves
from .distributions import Activations as Activations
from .distributions import Gradients as Gradients
from .distributions import LayerGradients as LayerGradients
from .distributions import LayerStatistics as LayerStatistics
from .distributions import PreActivations as PreActivations
from .distributions import Weights as Weights
from .examples import Cartography as Cartography
from .examples import HardExamples as HardExamples
from .examples import LearningOrder as LearningOrder
from .histograms import ClassProbabilities as ClassProbabilities
from .histograms import SampleLosses as SampleLosses
from .planes import DecisionBoundary as DecisionBoundary
from .planes import FeatureSpace as FeatureSpace
from .predictions import Predictions as Predictions
from .predictions import Residuals as Residuals
from .token_losses import TokenLosses as TokenLosses
from .tour import GrandTour as GrandTour
from .units import Network as Network
from .units import Unit as Unit
from .units import UnitGrid as UnitGrid
from .units import UnitLife as UnitLife
from .weight_space import Interpolation as Interpolation
from .weight_space import LossSurface as LossSurface
from .weight_space import Trajectory as Trajectory

BY_NAME: dict[str, Any] = {
    "feature_space": FeatureSpace,
    "grand_tour": GrandTour,
    "decision_boundary": DecisionBoundary,
    "class_probabilities": ClassProbabilities,
    "confusion": Confusion,
    "curves": Curves,
    "predictions": Predictions,
    "residuals": Residuals,
    "sample_losses": SampleLosses,
    "token_losses": TokenLosses,
    "weights": Weights,
    "gradients": Gradients,
    "layer_gradients": LayerGradients,
    "pre_activations": PreActivations,
    "activations": Activations,
    "layer_statistics": LayerStatistics,
    "filters": Filters,
    "feature_maps": FeatureMaps,
    "attention": Attention,
    "network": Network,
    "unit": Unit,
    "unit_grid": UnitGrid,
    "unit_life": UnitLife,
    "loss_surface": LossSurface,
    "trajectory": Trajectory,
    "interpolation": Interpolation,
    "cartography": Cartography,
    "learning_order": LearningOrder,
    "hard_examples": HardExamples,
}
"""What a panel is called in `panels=["feature_space", ...]`."""
