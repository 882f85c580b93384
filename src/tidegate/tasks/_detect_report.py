"""Reports about detectors: what `fit` says of a new one, and what `score` says of its alarms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from ..text_tables import format_count, format_number, format_table
from ._detect_scores import Result

FLATTERS: Final = (
    "f1_point_adjusted flatters: one alarm in an event counts as all of its steps; random alarms can reach 0.96"
)
POINTS: Final = ("f1", "precision", "recall", "auroc", "f1_point_adjusted")
TITLES: Final = ("F1", "precision", "recall", "AUROC", "F1 adjusted", "events found", "right alarms")


def report_fit(document: dict[str, Any], path: str) -> str:
    """Say what a new detector learnt from, when it raises an alarm, and what to run next."""
    provenance = document["provenance"]
    found, trained = provenance["threshold"], provenance["rows"]["trained"]
    where = "--valid" if provenance["valid"] else "the held-out end"
    alarms, steps = found["alarms"], found["steps"]
    lines = [
        f"learnt from {format_count(trained, 'step')} of {len(provenance['fitted_on']):,} series",
        f"an alarm from a score of {format_number(found['on'])} on ({format_number(found['usual'])} is usual), for "
        f"{provenance['rate']['words']} when all is normal",
        f"{where}: {format_count(alarms, 'alarm')} in {format_count(steps, 'step')}, where "
        f"{format_number(found['alarms_per_step'] * steps)} were to be expected",
        f"next: tidegate score {path} TEST.csv --label COLUMN",
        f"      tidegate stream {path} < samples.jsonl",
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class DetectorScores:
    """The figures of a detector, for the command `score`."""

    result: Result

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as an object for JSON."""
        result = self.result
        if not result.labelled:
            return dict(result.figures)
        extra = {"note": FLATTERS, "baselines": result.baselines, "warning": result.warning, "notes": result.notes}
        return {**result.figures, **extra}

    def report(self, width: int) -> str:
        """Format the figures for people."""
        result, own = self.result, self.result.figures
        steps = f"{format_count(own['steps'], 'step')}, {own['steps_without_score']:,} of them without a score"
        if not result.labelled:
            rate = format_rate(own, "alarms")
            in_alarm = format_count(own["steps_in_alarm"], "step")
            return f"{steps}\n{format_count(own['alarms'], 'alarm')} over {in_alarm}{rate and f', {rate}'}"
        rivals = {name: of for name, of in result.baselines.items() if isinstance(of, dict)}
        rows = [[name, *list_figures(of)] for name, of in (("the model", own), *rivals.items())]
        events = own["events"]
        delay = "" if events["delay_steps"] is None else f", after {events['delay_steps']:g} steps in the median"
        lines = [
            f"{steps}, {own['anomalous_steps']:,} anomalous",
            format_table(["", *TITLES], rows, width=width),
            f"{format_count(events['alarms'], 'alarm')}; {format_count(events['anomalies'], 'event')}{delay}; "
            f"{format_rate(own, 'false_alarms')}",
            f"{FLATTERS}.",
            *(f"{name}: {why}" for name, why in result.baselines.items() if isinstance(why, str)),
            *result.notes,
        ]
        return "\n".join([*lines, *([f"warning: {result.warning}"] if result.warning else [])])


def list_figures(figures: dict[str, Any]) -> list[str]:
    """Return the figures of a row of the report, in the order of `TITLES`."""
    numbers = [*(figures[name] for name in POINTS), figures["events"]["recall"], figures["events"]["precision"]]
    return ["none" if value is None else f"{value:.3f}" for value in numbers]


def format_rate(figures: dict[str, Any], what: str) -> str:
    """Say how often there are alarms, by the day or in 1,000 steps, as the figures have it; "" if they have none.

    >>> format_rate({"false_alarms_per_day": 0.5}, "false_alarms")
    '0.5 false alarms a day'
    """
    words = what.replace("_", " ")
    for key, unit in (("per_day", "a day"), ("per_1000_steps", "in 1,000 steps")):
        if (rate := figures.get(f"{what}_{key}")) is not None:
            return f"{format_number(rate)} {words} {unit}"
    return ""
