"""onapsdk's settings for the tests: the broker stands where MSB stood."""

from __future__ import annotations

import os

MSB_URL = os.environ["BROKER_URL"]
