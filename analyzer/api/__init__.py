"""What Python programs and notebooks call: the commands, with values in the place of options. Nothing here
prints, and nothing heavy is imported before it is needed.
"""

from .calls import check, diff, fix, verify
from .results import Report, Result

__all__ = ["Report", "Result", "check", "diff", "fix", "verify"]
