"""The words and columns of the evidence tables (dictionary: data/README.md)."""

STAGES = ("acute", "subacute", "chronic", "mixed")
PROVENANCES = ("checked", "derived", "unverified")
STATISTICS = ("mean", "mean_change", "ls_mean_change", "median", "count", "percent")
DISPERSIONS = ("sd", "se", "ci95", "iqr", "range", "none")
MEASURES = ("MD", "SMD", "RR", "OR", "RD", "HR")
ROLES = ("fit", "check", "context")
FAVOURS = ("negative", "positive", "")

CHANGES = ("mean_change", "ls_mean_change")
RATIOS = ("RR", "OR", "HR")

TREATMENTS = (
    "acupuncture", "anti_ngf", "anticonvulsant", "antidepressant_other", "benzodiazepine", "cbt",
    "cognitive_functional_therapy", "education", "exercise", "heat", "massage", "mindfulness",
    "mirtazapine", "mirtazapine_tizanidine", "muscle_relaxant", "no_treatment", "nsaid",
    "open_label_placebo", "opioid", "other", "pain_reprocessing", "paracetamol", "placebo",
    "radiofrequency", "sham", "snri", "spinal_cord_stimulation", "spinal_manipulation", "surgery",
    "taping", "tca", "tizanidine", "trpv1_agonist", "usual_care",
)  # fmt: skip
"""What an arm may receive."""

POOLED_TREATMENTS = (
    "active control", "antibiotic", "any other treatment", "cbt (with physiotherapy care)",
    "combined placebo and usual care", "emotional awareness and expression therapy", "epidural_steroid",
    "glucocorticoid", "manual therapy and exercise", "physiotherapy care",
)  # fmt: skip
"""What only a contrast may name: mixtures, and treatments that no arm in the tables received."""

VOCABULARY: dict[str, dict[str, tuple[str, ...]]] = {
    "studies": {"stage": STAGES, "provenance": PROVENANCES},
    "arms": {"treatment": TREATMENTS, "provenance": PROVENANCES},
    "outcomes": {"statistic": STATISTICS, "dispersion": DISPERSIONS, "provenance": PROVENANCES},
    "contrasts": {
        "treatment": TREATMENTS + POOLED_TREATMENTS,
        "comparator": TREATMENTS + POOLED_TREATMENTS,
        "measure": MEASURES,
        "provenance": PROVENANCES,
        "favours_when": FAVOURS,
        "role": ROLES,
    },
}

COLUMNS: dict[str, tuple[str, ...]] = {
    "studies": (
        "study_id", "citation", "year", "doi", "registry_id", "stage", "population", "design",
        "blinding", "weeks_primary", "n_randomised", "source_url", "provenance", "note",
    ),
    "arms": (
        "study_id", "arm_id", "treatment", "label", "dose", "n_randomised", "n_analysed", "age_mean",
        "age_sd", "female_pct", "pain_duration_years", "source_url", "provenance", "note",
    ),
    "outcomes": (
        "study_id", "arm_id", "outcome", "scale", "scale_min", "scale_max", "weeks", "statistic",
        "value", "dispersion", "disp_value", "disp_low", "disp_high", "n", "source_url", "provenance",
        "note",
    ),
    "contrasts": (
        "study_id", "treatment", "comparator", "population", "outcome", "scale", "weeks", "measure",
        "estimate", "ci_low", "ci_high", "k_studies", "n_participants", "certainty", "source_url",
        "provenance", "note", "favours_when", "role",
    ),
}  # fmt: skip

NUMBERS: dict[str, tuple[str, ...]] = {
    "studies": ("year", "weeks_primary", "n_randomised"),
    "arms": ("n_randomised", "n_analysed", "age_mean", "age_sd", "female_pct", "pain_duration_years"),
    "outcomes": ("scale_min", "scale_max", "weeks", "value", "disp_value", "disp_low", "disp_high", "n"),
    "contrasts": ("weeks", "estimate", "ci_low", "ci_high", "k_studies", "n_participants"),
}

NEVER_NEGATIVE = (
    "weeks_primary", "weeks", "n_randomised", "n_analysed", "n", "n_participants", "k_studies", "disp_value",
    "age_mean", "age_sd", "female_pct", "pain_duration_years",
)  # fmt: skip

RANGES: dict[str, tuple[float, float]] = {
    "NRS": (0, 10), "NPRS": (0, 10), "0-10": (0, 10), "VAS10": (0, 10), "VAS100": (0, 100), "0-100": (0, 100),
    "NRS100": (0, 100), "BPI": (0, 10), "BPI_avg": (0, 10), "BPI_severity": (0, 10), "BPI_intensity": (0, 10),
    "NRS_composite": (0, 10), "NRS_weekly_mean": (0, 10), "VK_pain": (0, 100), "MVK_pain": (0, 100),
    "DDS": (0, 20), "points": (0, 10),
}  # fmt: skip
"""Range of a pain scale by the source's name of it, where the row itself gives none (contrasts never do).

DDS is the Descriptor Differential Scale (0 to 20, as the arm rows of atkinson2016 give it); VK_pain the
characteristic pain intensity of Von Korff (0 to 100); NRS100 a 0 to 10 rating printed times ten.
"""
