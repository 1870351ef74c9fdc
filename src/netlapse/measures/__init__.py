"""Numbers, no drawing: frozen dataclasses computed from arrays and callables."""

from .activation_function import ActivationFunction as ActivationFunction
from .class_probabilities import ClassProbabilities as ClassProbabilities
from .class_probabilities import class_probabilities as class_probabilities
from .curves import Curves as Curves
from .curves import curves as curves
from .decision_boundary import DecisionBoundary as DecisionBoundary
from .decision_boundary import decision_boundary as decision_boundary
from .feature_space import FeatureSpace as FeatureSpace
from .feature_space import feature_space as feature_space
from .milestones import Milestones as Milestones
from .milestones import milestones as milestones
from .milestones import plateaus as plateaus
from .plane import Limits as Limits
from .sample_losses import SampleLosses as SampleLosses
from .sample_losses import sample_losses as sample_losses
