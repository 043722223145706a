"""The trial and its scenarios as tables: arms, estimands, what nature is, what is assumed."""

from sim.archive import assumptions
from sim.estimand import SUMMARY_WORDS, Estimand
from sim.protocol import Protocol
from sim.report.grid import Entry, Grid, grid
from sim.report.material import Material
from sim.report.notation import NONE, number
from sim.report.words import joined


def arms(material: Material) -> Grid:
    """Each arm of each protocol: how many patients, what they get and for how long."""
    rows: list[list[Entry | str]] = []
    for name, protocol in material.study.protocols.items():
        labels, total = material.labels_of(name), sum(protocol.ratio)
        for arm in protocol.arms:
            treatment = material.scenario.treatments[arm.treatment]
            weeks = f"{treatment.weeks.words()} weeks" if treatment.weeks else "until the last visit"
            sessions = NONE if treatment.sessions is None else number(treatment.sessions, 0)
            rows.append([name, labels[arm.name], number(protocol.n * arm.ratio / total, 0), weeks, sessions])
    return grid("Arms", ["protocol", "arm", "patients", "treated for", "sessions"], rows)


def estimands(material: Material) -> Grid:
    """The five attributes of each estimand (ICH E9(R1))."""
    rows = [
        [name, title, *_attributes(protocol, estimand, material.labels_of(name))]
        for name, protocol in material.study.protocols.items()
        for title, estimand in protocol.estimands.items()
    ]
    attributes = ["treatments", "patients", "variable", "intercurrent events", "summary"]
    return grid("Estimands: what the trial wants to know", ["protocol", "estimand", *attributes], rows)


def _attributes(protocol: Protocol, estimand: Estimand, labels: dict[str, str]) -> list[str]:
    of = joined([labels[arm] for arm in estimand.contrast.of])
    events = estimand.intercurrent_events
    return [
        f"{of}, each against {labels[estimand.contrast.to]}",
        "who would stay on either treatment"
        if events.discontinuation == "principal_stratum"
        else "all randomised",
        f"{protocol.endpoints[estimand.endpoint].words()} at week {estimand.visit:g}",
        f"stopping the treatment: {events.discontinuation}; rescue medication: {events.rescue}".replace(
            "_", " "
        ),
        SUMMARY_WORDS[estimand.summary],
    ]


def scenarios(material: Material) -> Grid:
    """What nature is in each scenario, why it is looked at, and how many trials were simulated."""
    used = material.results.provenance["replicates"]
    rows: list[list[Entry | str]] = []
    for name, scenario in material.study.scenarios.items():
        truth = scenario.claims.words() + ("; every arm is the control treatment" if scenario.null else "")
        trials = [used[f"{protocol}.{name}"] for protocol in material.study.protocols]
        counted = Entry(
            " / ".join(number(count, 0) for count in trials), trials[0] if len(trials) == 1 else None
        )
        rows.append([name, scenario.population.setting, truth, scenario.because or NONE, counted])
    header = ["scenario", "patients", "truth", "why it is looked at", "simulated trials"]
    return grid("Scenarios: what nature may be", header, rows)


def assumed(material: Material) -> Grid:
    """Every claim that the run assumes without a source."""
    return grid("Assumptions without a source", ["what", "value", "why"], assumptions(material.study))
