"""A run on disk: a folder of immutable segments and one manifest (docs/run-format.md)."""

from .examples import Arrays as Arrays
from .examples import Examples as Examples
from .folder import folder_of as folder_of
from .folder import is_run as is_run
from .manage import copy_run as copy_run
from .manage import prune_run as prune_run
from .manage import remove_run as remove_run
from .manifest import Layer as Layer
from .manifest import Manifest as Manifest
from .manifest import Parameter as Parameter
from .manifest import Status as Status
from .run import Run as Run
from .segment import Frame as Frame
from .thinning import parse_size as parse_size
from .thinning import size_of as size_of
from .writer import Exist as Exist
from .writer import Writer as Writer


def remote_runs(url: str) -> list[str]:
    """The URLs of all runs below a URL such as s3://bucket/runs."""
    from .remote import RemoteFolder

    return RemoteFolder.of(url).runs()
