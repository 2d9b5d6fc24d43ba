"""Options of check_vim_capacity."""

from __future__ import annotations

from oslo_config import cfg

from app.conf.types import Seconds

GROUP = cfg.OptGroup("capacity", help="check_vim_capacity, which asks many VIMs at once.")

OPTS = (
    cfg.IntOpt(
        "concurrency", default=256, min=1, max=10000, mutable=True, help="VIMs that are asked at once for one request."
    ),
    cfg.Opt(
        "timeout",
        type=Seconds(0.01, 3600),
        default=20.0,
        mutable=True,
        help="Seconds for the whole answer; VIMs that have not answered by then drop out. "
        "Keep it below the client's own (OOF: 30).",
    ),
)
