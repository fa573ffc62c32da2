"""``python -m accelint``."""

import gc

# before the imports: what they make stays, and collecting it again and again takes a tenth of a short command
gc.disable()

from accelint.analyzer.cli import main  # noqa: E402

main()
