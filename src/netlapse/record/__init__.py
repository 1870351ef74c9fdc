"""The framework-free recorder: which moments of a training are due, and what is kept of them."""

from .loop import Loop as Loop
from .plain import one_or_all as one_or_all
from .plain import plain as plain
from .probe import PROBE_SIZE as PROBE_SIZE
from .probe import Probe as Probe
from .recording import Description as Description
from .recording import Keep as Keep
from .recording import Recording as Recording
from .schedule import Every as Every
from .schedule import Schedule as Schedule
