"""Prior distributions as the YAML states them, each with its reason."""

from typing import Annotated

from pydantic import Field

from sim.core.parts import Part

Positive = Annotated[float, Field(gt=0)]
Reason = Annotated[str, Field(min_length=3)]


class NormalPrior(Part):
    """Normal with this mean and SD."""

    mean: float
    sd: Positive
    because: Reason


class LogNormalPrior(Part):
    """Log-normal with this median; ``log_sd`` is the SD of the logarithm."""

    median: Positive
    log_sd: Positive
    because: Reason


class SharePrior(Part):
    """Logit-normal with this median; ``logit_sd`` is the SD of the logit."""

    median: Annotated[float, Field(gt=0, lt=1)]
    logit_sd: Positive
    because: Reason
