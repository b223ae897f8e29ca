"""The plots of docs/benchmarks.md; needs the extra `bench`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.benches.sim_failures import MECHANISMS
from scripts.benches.sim_join import serf_99, serf_all_despite_loss
from scripts.benches.sim_load import LoadCase
from scripts.benches.sim_tables import LOSSES, SIZES, percent
from scripts.benches.sim_world import PINGS

matplotlib.rcParams.update({"svg.hashsalt": "wesher", "svg.fonttype": "none", "font.size": 9})
_COLOURS = dict(zip(LOSSES, ("tab:blue", "tab:orange", "tab:red"), strict=True))
_WIDTH, _HEIGHT = 8.0, 3.6  # inches

Measured = Mapping[Any, Any]


def save(figure: Figure, path: Path) -> None:
    """Write a plot, the same numbers as the same bytes."""
    figure.savefig(path, metadata={"Date": None, "Creator": None})


def join_plot(measured: Measured) -> Figure:
    """Draw the seconds until 99 % know of a join, beside those of Serf's simulator."""
    figure = Figure((_WIDTH, _HEIGHT), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for panel, eager in zip(axes, (True, False), strict=True):
        panel.set_title(f"gossip at once {'on' if eager else 'off'}")
        for loss in LOSSES:
            cases = [case for case in measured if (case.loss, case.eager) == (loss, eager)]
            seconds = [measured[case].most for case in cases]
            _line(panel, [case.members for case in cases], seconds, loss)
        panel.plot(SIZES, list(map(serf_99, SIZES)), "k--", label="Serf, 99 %, no loss")
        despite_loss = list(map(serf_all_despite_loss, SIZES))
        panel.plot(SIZES, despite_loss, "k:", label="Serf, 99.99 %, 25 % loss")
        _by_members(panel)
    axes[0].set_ylabel("seconds until 99 % know of a join")
    _explain(figure, axes[0])
    return figure


def crash_plot(measured: Measured) -> Figure:
    """Draw the seconds until a crash is suspected, and known to all."""
    figure = Figure((_WIDTH, _HEIGHT), layout="constrained")
    first, last = figure.subplots(1, 2)
    for loss in LOSSES:
        for panel, told in ((first, False), (last, True)):
            cases = [case for case in measured if (case.loss, case.told) == (loss, told)]
            times = [measured[case] for case in cases]
            seconds = [time.declared_last if told else time.suspected for time in times]
            _line(panel, [case.members for case in cases], seconds, loss)
    first.set_title("until the first suspects it")
    last.set_title("until the last declares it dead")
    first.set_ylabel("seconds from a crash")
    for panel in (first, last):
        _by_members(panel)
    _explain(figure, first)
    return figure


def load_plot(measured: Measured) -> Figure:
    """Draw what an idle member sends."""
    figure = Figure((_WIDTH, _HEIGHT), layout="constrained")
    packets, sent = figure.subplots(1, 2)
    for loss in LOSSES:
        cases = [
            case
            for case in measured
            if isinstance(case, LoadCase) and case.loss == loss and case.pings == PINGS
        ]
        members, loads = [case.members for case in cases], [measured[case] for case in cases]
        _line(packets, members, [load.gossip.packets for load in loads], loss)
        _line(sent, members, [load.gossip.bytes for load in loads], loss)
        if loss == 0:
            sent.plot(members, [load.push_pull_bytes for load in loads], "k--", label="push/pull")
    packets.set_ylabel("packets a second and member, idle")
    sent.set_ylabel("bytes a second and member, idle")
    for panel in (packets, sent):
        panel.set_yscale("log")
        _by_members(panel)
    _explain(figure, sent)
    return figure


def failures_plot(measured: Measured) -> Figure:
    """Draw how often healthy members are declared dead, by what is switched off."""
    cases = [case for case in measured if case.preset == "lan" and case.overload.way == "packets"]
    overloads = sorted({case.overload.members for case in cases})
    names = [name for name in MECHANISMS if any(case.mechanisms == name for case in cases)]
    figure = Figure((_WIDTH, _HEIGHT), layout="constrained")
    panel = figure.subplots()
    width = 0.8 / len(names)
    for number, name in enumerate(names):
        declared = [measured[case].declared for case in cases if case.mechanisms == name]
        places = [place + number * width for place in range(len(overloads))]
        panel.bar(places, declared, width, label=name)
    panel.set_xticks(
        [place + 0.4 - width / 2 for place in range(len(overloads))],
        [f"{number} overloaded" for number in overloads],
    )
    panel.set_yscale("symlog", linthresh=1)
    panel.set_ylabel("healthy members declared dead, an hour")
    _explain(figure, panel)
    return figure


def _line(panel: Axes, members: Sequence[int], seconds: Sequence[float], loss: float) -> None:
    panel.plot(members, seconds, "o-", color=_COLOURS[loss], label=f"{percent(loss)} loss")


def _explain(figure: Figure, panel: Axes) -> None:
    """Put the legend of one panel, which goes for all, above them."""
    figure.legend(*panel.get_legend_handles_labels(), loc="outside upper center", ncols=5)


def _by_members(panel: Axes) -> None:
    panel.set_xscale("log")
    panel.set_xlabel("members")
    panel.set_ylim(bottom=0 if panel.get_yscale() == "linear" else None)
    panel.grid(alpha=0.3)


PLOTS: dict[str, Callable[[Measured], Figure]] = {
    "join": join_plot,
    "crash": crash_plot,
    "load": load_plot,
    "failures": failures_plot,
}
