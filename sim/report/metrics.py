"""What the operating characteristics are called in a table, and what they mean."""

SUCCESS = {"power": "power", "assurance": "assurance", "type_1_error": "type I error"}
"""Metrics that are success rates; which of them it is depends on the scenario."""

HEADINGS = {
    "success": "success",
    "truth": "true effect",
    "truth_undefined": "no true effect",
    "bias": "bias",
    "rmse": "RMSE",
    "coverage": "coverage",
    "empirical_se": "empirical SE",
    "mean_se": "mean SE",
    "failed": "failed",
    "efficacy_stop": "stopped for efficacy",
    "futility_stop": "stopped for futility",
    "median_unbiased_bias": "bias, median unbiased",
    "median_unbiased_above": "median unbiased above truth",
    "early_bias": "bias, ended early",
    "early_median_unbiased_bias": "median unbiased bias, ended early",
    "early_conditional_bias": "conditional bias, ended early",
    "last_bias": "bias, went to the end",
    "last_median_unbiased_bias": "median unbiased bias, went to the end",
    "last_conditional_bias": "conditional bias, went to the end",
    "stagewise_coverage": "coverage, stage-wise",
    "mean_change": "mean change, points",
    "dropout": "left the study",
    "expected_n": "patients",
    "analysed_n": "patients analysed",
    "pipeline": "in the pipeline at the end",
    "duration_weeks": "duration, weeks",
    "cost": "cost",
    "cost_q05": "cost, 5 % of trials below",
    "cost_q50": "cost, median",
    "cost_q95": "cost, 95 % below",
    "cost_per_success": "cost of a success",
    "unfinished": "unfinished",
    "screened": "screened",
    "lost_before_randomisation": "gave up before randomisation",
    "wait_to_randomisation": "weeks waited before randomisation",
    "visits_outside": "visits outside their window",
    "kits_shipped": "kits sent",
    "kits_wasted": "kits wasted",
    "waiting_weeks": "weeks waited",
    "delayed": "waited or never began",
    "never_treated": "never began",
    "gap_weeks": "weeks without a kit",
    "family_wise_error": "any false success",
    "disjunctive_power": "power, any",
    "conjunctive_power": "power, every",
    "disjunctive_assurance": "assurance, any",
    "conjunctive_assurance": "assurance, every",
}
"""Column heads, in their order; a metric that is not here keeps its name and comes last."""

WHOLE = (
    "cost",
    "cost_q05",
    "cost_q50",
    "cost_q95",
    "cost_per_success",
    "screened",
    "kits_shipped",
    "kits_wasted",
)
DECIMALS = {"expected_n": 1, "analysed_n": 1, "pipeline": 1, "duration_weeks": 1} | dict.fromkeys(WHOLE, 0)
"""Decimals where they are not 3."""

GLOSSARY = {
    "power": "Share of simulated trials that succeed when the effect has one fixed value.",
    "assurance": "Share of simulated trials that succeed when each trial draws its effect from what "
    "the evidence allows.",
    "type I error": "Share of simulated trials that succeed although no treatment differs from the control.",
    "any false success": "Family-wise error: share of trials in which any hypothesis succeeds although no "
    "treatment differs from the control.",
    "power, any; every": "Share of trials in which at least one hypothesis succeeds; in which all do.",
    "true effect": "The value of the estimand under the scenario, computed from every patient's outcomes "
    "under both arms.",
    "no true effect": "Share of the samples of patients, from which a true ratio is computed, in which a "
    "share is 0 or 1: its logarithm is infinite, so that the ratio's true value and bias stay empty.",
    "bias": "Mean difference between estimate and true effect.",
    "bias, median unbiased; median unbiased above truth; coverage, stage-wise": "The same of estimates that "
    "allow for early stops, by the stage-wise ordering: half of them lie above the truth. The plain bias and "
    "coverage of a trial with interim looks are those of naive estimates.",
    "in the pipeline at the end": "Patients randomised, but without the primary visit when the trial "
    "ended: they over-run an early stop.",
    "RMSE": "Root mean squared error: the typical distance between estimate and true effect.",
    "coverage": "Share of 95 % intervals that hold the true effect; 0.95 is wanted.",
    "empirical SE": "Standard deviation of the estimates over the simulated trials.",
    "mean SE": "Mean of the standard errors that the analyses report; it should be near the empirical SE.",
    "failed": "Share of trials whose analysis gave no estimate.",
    "Monte Carlo error": "Standard error that comes from simulating a finite number of trials; in brackets "
    "after a value.",
    "predictive interval": "Range that holds 95 % of the simulated trials.",
    "claim": "What the simulation takes a quantity of nature to be: a distribution with a source, or a "
    "stated assumption.",
    "SE, SD": "Standard error; standard deviation.",
    "estimand": "What a trial wants to know: patients, treatments, outcome, handling of intercurrent events, "
    "summary (ICH E9(R1), the regulators' guideline on estimands).",
    "intercurrent event": "Something after the start of treatment that changes what the outcome means, such "
    "as stopping the treatment.",
    "treatment policy": "The outcome counts whatever happened, also after the treatment was stopped.",
    "composite": "Stopping the treatment counts as not responding.",
    "hypothetical": "The outcome that would have been seen had the treatment not been stopped.",
    "direct, indirect, borrowed": "Direct: trials of this treatment in this condition. Indirect: only trials "
    "of another condition. Borrowed: no effect of its own is reported, other evidence stands in.",
    "RMDQ, ODI": "Roland-Morris Disability Questionnaire, 0 to 24; Oswestry Disability Index, 0 to 100.",
    "ANCOVA, MMRM": "Analysis of covariance; mixed model for repeated measures.",
    "BMI, CBT": "Body mass index; cognitive behavioural therapy.",
    "NGF, TRPV1": "Nerve growth factor (anti-NGF: antibodies against it); a receptor of pain fibres.",
    "R-hat, effective sample size": "Whether the chains of a fit agree (1 is perfect); how many independent "
    "draws its draws are worth.",
    "SUCRA, PIT": "Surface under the cumulative ranking curve, 1 is always best; probability integral "
    "transform, evenly spread where predictions are calibrated.",
    "TCA": "Tricyclic antidepressant.",
    "NSAID, SNRI": "Non-steroidal anti-inflammatory drug; serotonin and noradrenaline reuptake inhibitor.",
}
"""Terms of the report in plain words."""
