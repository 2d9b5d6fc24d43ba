"""The picture of a soak."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import ScalarFormatter

from tests.soak.run import Soak
from tests.soak.slopes import Trend

COLOURS = {"plugin killed": "tab:orange", "worker killed": "tab:red", "A&AI down": "tab:purple", "reload": "tab:green"}


def draw(soak: Soak, trends: Sequence[Trend], path: Path) -> None:
    """To a file without an ending: as PNG and SVG."""
    mpl.rcParams["svg.hashsalt"] = "soak"  # the same file of the same figures
    figure = Figure(figsize=(12, 13), layout="constrained")
    memory, descriptors, greenlets, latency = figure.subplots(4, 1, sharex=True)
    for name in soak.names:
        moments = [(at, one) for at, one in soak.of(name)]
        memory.plot([at / 60 for at, _ in moments], [one.anonymous for _, one in moments], label=name)
        descriptors.plot([at / 60 for at, _ in moments], [one.descriptors for _, one in moments], label=name)
    minutes = [(one.at - soak.began) / 60 for one in soak.samples]
    memory.plot(minutes, [sum(held.pss for held in one.held.values()) for one in soak.samples], "k", label="all (PSS)")
    greenlets.plot(minutes, [one.greenlets for one in soak.samples], label="greenlets, all workers")
    greenlets.plot(minutes, [one.in_flight for one in soak.samples], label="requests in flight")
    for part, label in ((0.5, "latency p50"), (0.99, "latency p99")):
        windows = soak.latency(part)
        latency.semilogy([at / 60 for at, _ in windows], [value for _, value in windows], label=label)
    for one in trends:
        axes = {"memory": memory, "descriptors": descriptors, "p50": latency, "p99": latency}.get(
            one.name.rpartition(" ")[2], greenlets
        )
        axes.plot([soak.warm_up / 60, soak.seconds / 60], one.ends, "k:", lw=0.8)
    for axes, title in (
        (memory, "anonymous memory, MiB"),
        (descriptors, "open descriptors"),
        (greenlets, "number"),
        (latency, "time to an answer, ms"),
    ):
        _dress(axes, title, soak)
    _mark(soak, figure)
    latency.set_xlabel("minutes")
    latency.yaxis.set_major_formatter(ScalarFormatter())
    latency.yaxis.set_minor_formatter(ScalarFormatter())
    verdict = (
        "all is flat"
        if all(one.flat for one in trends)
        else "not flat: " + ", ".join(one.name for one in trends if not one.flat)
    )
    figure.suptitle(f"{soak.framework}: {len(soak.asked)} requests, {len(soak.made)} faults; {verdict}")
    for ending in ("png", "svg"):
        figure.savefig(path.with_suffix(f".{ending}"), dpi=110, metadata={"Date": None} if ending == "svg" else None)


def _dress(axes: Axes, title: str, soak: Soak) -> None:
    """Faults are marked in their colours, and the warm-up is grey."""
    axes.set_ylabel(title)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
    axes.axvspan(0, soak.warm_up / 60, color="0.93")
    for made in soak.made:
        began, ended = ((moment - soak.began) / 60 for moment in (made.began, made.ended))
        axes.axvspan(began, max(ended, began + 0.005), color=COLOURS[made.kind.name], alpha=0.25, lw=0.8)
    axes.grid(alpha=0.3)
    if axes.get_yscale() == "linear":
        axes.set_ylim(bottom=0)


def _mark(soak: Soak, figure: Figure) -> None:
    """What the colours are."""
    patches = [Patch(color=colour, alpha=0.4, label=name) for name, colour in COLOURS.items()]
    figure.legend(handles=[*patches, Patch(color="0.93", label="warm-up")], loc="outside lower center", ncols=5)
