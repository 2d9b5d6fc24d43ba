"""The results as a picture: a panel for each kind of work, a bar for each system, from the least to the most of its
rounds a line. Logarithmic, since the slowest and the fastest are a factor of hundreds apart."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bench.aims import PEER
from bench.results import RATE, Results
from bench.table import number

COLOURS = {"ours": "#d1495b", "limit": "#30638e", "seed": "#9aa5b1", "usual": "#edae49"}
KINDS = {"ours": "ours", "limit": "nginx and HAProxy", "seed": "the seed's three", "usual": "usual today"}
PANELS = (
    "vim_types-c100",
    "vim_types-kept-c100",
    "get-c100",
    "get-kept-c100",
    "vim_types-c1000",
    "post-c100",
    "down-gib",
    "up-gib",
)
COLUMNS = 2


def draw(results: Results, path: Path) -> None:
    """To a file without an ending: as SVG and PNG. Nothing where none of the panels was measured."""
    works = [work for name in PANELS for work in results.works if work["name"] == name and _measured(results, name)]
    if not works:
        return
    mpl.rcParams["svg.hashsalt"] = "bench"  # the same file of the same figures
    lines = -(-len(works) // COLUMNS)
    figure = Figure(figsize=(13, 3.4 * lines + 0.9), layout="constrained")
    panels = list(figure.subplots(lines, COLUMNS, squeeze=False).flat)
    for work, axes in zip(works, panels, strict=False):
        _panel(axes, results, work)
    for axes in panels[len(works) :]:
        axes.set_axis_off()
    figure.suptitle(_title(results), fontsize=11)
    handles = [Patch(color=COLOURS[kind], label=label) for kind, label in KINDS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=11)
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"), dpi=110)


def _title(results: Results) -> str:
    machine = results.machine
    where = f"{machine['CPU']}, {machine['cores']} cores shared by client, system and upstream"
    return f"{where}; Python {machine['Python']}; median of {results.settings['rounds']}, lines from least to most"


def _measured(results: Results, work: str) -> bool:
    return any(run.work == work for run in results.runs)


def _panel(axes: Axes, results: Results, work: dict[str, str]) -> None:
    """The fastest on top; who was asked and gave no figure stands below, without a bar."""
    name, unit = work["name"], float(work["mib"]) or 1
    kinds = {one["name"]: one["kind"] for one in results.systems}
    rates = {one: [value * unit for value in results.values(name, one, RATE)] for one in kinds}
    asked = {run.system for run in results.runs if run.work == name}
    medians = {one: (results.median(name, one) or 0) * unit for one in kinds if one in asked}
    order = sorted(medians, key=lambda one: medians[one])
    most = max(medians.values())
    least = min((value for value in medians.values() if value), default=1)
    for place, one in enumerate(order):
        if not rates[one]:
            axes.text(least / 2.5, place, " gave up", va="center", fontsize=9, color="#555555")
            continue
        value = medians[one]
        spread = [[value - min(rates[one])], [max(rates[one]) - value]]
        axes.barh(place, value, color=COLOURS[kinds[one]], height=0.72, xerr=spread, ecolor="#222222", capsize=2.5)
        axes.text(max(rates[one]) * 1.12, place, _label(results, name, one, value), va="center", fontsize=9)
    _dress(axes, order, kinds, least, most)
    axes.set_title(work["label"], fontsize=11, loc="left", fontweight="bold")
    axes.set_xlabel("MiB a second" if unit > 1 else "requests a second (ratio to nginx)", fontsize=9)


def _label(results: Results, work: str, system: str, value: float) -> str:
    """The median, its ratio to nginx, and how many failed."""
    runs = results.fine(work, system)
    ratio = results.ratio(work, system, PEER)
    failed = sum(run.failed for run in runs) / sum(run.requests for run in runs)
    of_peer = f"  ({ratio:.2f})" if ratio and system != PEER else ""
    return number(value) + of_peer + (f"  {max(failed, 0.001):.1%} failed" if failed else "")


def _dress(axes: Axes, order: list[str], kinds: dict[str, str], least: float, most: float) -> None:
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.set_yticks(range(len(order)), order, fontsize=10)
    for label in axes.get_yticklabels():
        if kinds[label.get_text()] == "ours":
            label.set_fontweight("bold")
    axes.set_xscale("log")
    axes.set_xlim(least / 2.5, most * 5)
    axes.xaxis.set_major_locator(LogLocator(base=10))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="x", labelsize=9)
