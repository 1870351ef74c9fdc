"""Many runs: what there is below a folder, one row per run, filtered and sorted."""

from .columns import Row as Row
from .columns import check as check
from .columns import columns as columns
from .columns import differing as differing
from .dataframe import runs as runs
from .gather import rows as rows
