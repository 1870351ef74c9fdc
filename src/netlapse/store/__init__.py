"""A run on disk: a folder of immutable segments and one manifest (docs/run-format.md)."""

from .files import is_run as is_run
from .manifest import Layer as Layer
from .manifest import Manifest as Manifest
from .manifest import Parameter as Parameter
from .manifest import Status as Status
from .run import Run as Run
from .segment import Frame as Frame
from .writer import Exist as Exist
from .writer import Writer as Writer
