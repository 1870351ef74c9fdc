"""Drawing: matplotlib figures and films of measures. Every panel takes Axes and returns its artists."""

from .activation_function import activation_function as activation_function
from .activation_function import activation_functions as activation_functions
from .affine import affine as affine
from .comparison import Comparison as Comparison
from .film import film as film
from .film import frames as frames
from .learning_curves import LearningCurves as LearningCurves
from .network import DenseLayer as DenseLayer
from .network import network_diagram as network_diagram
from .panels import class_probabilities as class_probabilities
from .panels import curves as curves
from .panels import decision_boundary as decision_boundary
from .panels import feature_space as feature_space
from .panels import sample_losses as sample_losses
from .pictures import compare as compare
from .pictures import data_set as data_set
from .pictures import learning_curves as learning_curves
from .pictures import plot as plot
from .scenes import FivePanels as FivePanels
from .scenes import Scene as Scene
from .stage import DPI as DPI
from .theme import Theme as Theme
from .theme import ThemeName as ThemeName
