"""What a project has decided once, in ``accelint.toml`` or ``[tool.accelint]``: models, targets, gates, what
is ignored and why.
"""

from .gates import Gates, missed
from .sources import Settings, find, read

__all__ = ["Gates", "Settings", "find", "missed", "read"]
