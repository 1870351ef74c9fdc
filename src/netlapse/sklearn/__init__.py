"""scikit-learn: `record` fits a multi-layer perceptron and records it."""

from importlib.util import find_spec

if find_spec("sklearn") is None:
    raise ImportError('netlapse.sklearn needs scikit-learn; install it with `pip install "netlapse[sklearn]"`')

from .network import SklearnNetwork as SklearnNetwork
from .record import record as record
