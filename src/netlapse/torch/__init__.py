"""PyTorch: `Recorder` for a training loop of one's own, `capture` for a module as it is."""

try:
    import torch
except ImportError as error:
    raise ImportError('netlapse.torch needs PyTorch: pip install "netlapse[torch]"') from error

if torch.__version__ < "2.4":
    raise ImportError(f"netlapse.torch needs PyTorch 2.4 or newer, and found {torch.__version__}: upgrade torch")

from .recorder import Recorder as Recorder
from .recorder import capture as capture
