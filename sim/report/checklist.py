"""Where the report answers what a reader of simulations asks for, by the anchor of its section."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """One thing that is asked for: what, and the sections that answer it (anchor and name)."""

    what: str
    where: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Checklist:
    """What one guide asks for, in our words."""

    anchor: str
    title: str
    source: str
    link: str
    items: tuple[Item, ...]


TRIAL, DESIGN = ("trial", "The trial"), ("design", "Design")
QUESTION, SCENARIOS = ("estimands", "Estimands"), ("scenarios", "Scenarios")
EVIDENCE, ASSUMED = ("evidence", "Evidence"), ("assumptions", "Assumptions")
PATIENTS, LIMITS = ("patients", "Virtual patients"), ("limits", "Limits")
CHARACTERISTICS, PRIOR = ("characteristics", "Operating characteristics"), ("prior", "Prior uncertainty")
SIZES, ERROR = ("sizes", "Patients needed"), ("error", "Type I error")
EXAMPLES, SENSITIVITY = ("examples", "Example trials"), ("sensitivity", "Sensitivity")
OPERATIONS, RUN = ("operations", "Operations"), ("run", "This run")
ANSWER, SOURCES = ("answer", "The answer"), ("sources", "Sources")

CHECKLISTS = (
    Checklist(
        "ademp",
        "ADEMP: the elements of a simulation study",
        "Morris, White and Crowther 2019, Statistics in Medicine 38:2074",
        "https://doi.org/10.1002/sim.8086",
        (
            Item("Aims", (ANSWER, QUESTION)),
            Item("Data-generating mechanisms", (SCENARIOS, PATIENTS, EVIDENCE, ASSUMED)),
            Item("Estimands and other targets", (QUESTION,)),
            Item("Methods of analysis and decision", (TRIAL, DESIGN)),
            Item("Performance measures with Monte Carlo standard errors", (CHARACTERISTICS, ERROR)),
            Item("Number of repetitions, seed, software", (SCENARIOS, RUN)),
        ),
    ),
    Checklist(
        "adaptive",
        "Adaptive designs",
        "FDA, Adaptive Designs for Clinical Trials of Drugs and Biologics, November 2019; ICH E20, draft, "
        "June 2025",
        "https://www.fda.gov/regulatory-information/search-fda-guidance-documents/"
        "adaptive-design-clinical-trials-drugs-and-biologics-guidance-industry",
        (
            Item("Reason for the design, and the alternatives looked at", (DESIGN, CHARACTERISTICS, SIZES)),
            Item("Number and timing of looks, and the rules at each", (DESIGN,)),
            Item("Analysis, and how intercurrent events are handled", (QUESTION, TRIAL)),
            Item("Parameter values that were simulated, and why these", (SCENARIOS, ASSUMED, SOURCES)),
            Item("Type I error, also over nuisance values", (CHARACTERISTICS, ERROR)),
            Item("Power, expected size and duration", (CHARACTERISTICS, SIZES, OPERATIONS)),
            Item("Bias of the estimate and coverage of the interval", (CHARACTERISTICS,)),
            Item("Example trials with different outcomes", (EXAMPLES,)),
            Item("How results change with the assumptions", (SENSITIVITY,)),
            Item("Number of simulated trials, seed, program, how to rerun", (RUN,)),
        ),
    ),
    Checklist(
        "bayesian",
        "Bayesian designs",
        "FDA, Use of Bayesian Methodology in Clinical Trials of Drug and Biological Products, draft, "
        "January 2026",
        "https://www.fda.gov/regulatory-information/search-fda-guidance-documents/"
        "use-bayesian-methodology-clinical-trials-drug-and-biological-products",
        (
            Item("Criterion of success", (DESIGN, TRIAL)),
            Item("Prior: sources, how they were chosen, what was left out", (EVIDENCE, ASSUMED, SOURCES)),
            Item("Share of the prior in the result, and conflict of evidence", (EVIDENCE, LIMITS)),
            Item("Operating characteristics under fixed effects", (CHARACTERISTICS, ERROR)),
            Item("Success averaged over the prior, and how it depends on the truth", (PRIOR,)),
            Item("Sensitivity to the prior", (SENSITIVITY, EVIDENCE)),
            Item("Computation: software, convergence, seed, reproducibility", (EVIDENCE, RUN)),
        ),
    ),
)
