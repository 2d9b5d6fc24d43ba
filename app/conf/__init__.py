"""The configuration: one table of options, set by environment over file over default, checked when it is loaded."""

from __future__ import annotations

from app.conf.loading import load
from app.conf.rendering import render, show
from app.conf.secrets import secret

__all__ = ("load", "render", "secret", "show")
