"""`python -m app`."""

from __future__ import annotations

import sys
import warnings

# eventlet announces its end of life at each import; it is what this broker is specified on.
warnings.filterwarnings("ignore", message="(?s).*Eventlet is deprecated")

from app.cli import main  # noqa: E402  the filter has to come first

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
