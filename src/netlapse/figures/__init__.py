"""Drawing: matplotlib figures and films of measures. Every panel takes Axes and returns its artists."""

from .activation_function import activation_function as activation_function
from .activation_function import activation_functions as activation_functions
from .affine import affine as affine
from .comparison import Comparison as Comparison
from .curves import curves as curves
from .film import film as film
from .film import frames as frames
from .histograms import class_probabilities as class_probabilities
from .histograms import sample_losses as sample_losses
from .learning_curves import LearningCurves as LearningCurves
from .network import DenseLayer as DenseLayer
from .network import network_diagram as network_diagram
from .pictures import compare as compare
from .pictures import data_set as data_set
from .pictures import learning_curves as learning_curves
from .pictures import plot as plot
from .planes import decision_boundary as decision_boundary
from .planes import feature_space as feature_space
from .scenes import FivePanels as FivePanels
from .scenes import Scene as Scene
from .stage import DPI as DPI
from .theme import Theme as Theme
from .theme import ThemeName as ThemeName
