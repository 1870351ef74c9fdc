"""Keras 3: `Recorder` for `fit`, `capture` for a model as it is.

Importing this imports Keras. Choose its backend before, with KERAS_BACKEND.
"""

from .activations import activation_function as activation_function
from .activations import activation_names as activation_names
from .network import KerasNetwork as KerasNetwork
from .recorder import Recorder as Recorder
from .recorder import capture as capture
from .restore import Restored as Restored
from .restore import restore as restore
