"""What is measured, each started as its users start it. All have one interface: see `System`."""

from __future__ import annotations

from bench.systems import limits, ours, peers
from bench.systems.system import Running, System

__all__ = ["OURS", "PEER", "SYSTEMS", "Running", "System"]

SYSTEMS: tuple[System, ...] = (*ours.SYSTEMS, *limits.SYSTEMS, *peers.SYSTEMS)
OURS = tuple(system.name for system in ours.SYSTEMS)
PEER = "nginx"
"""Ratios are to this one."""
