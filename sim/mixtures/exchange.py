"""Mixtures as JSON in the form that RBesT writes and reads (``write_mix_json``, ``read_mix_json``)."""

import json
from typing import Any

import numpy as np

from sim.core.errors import InputError
from sim.core.parts import suggest
from sim.mixtures.base import Mixture
from sim.mixtures.beta import BetaMixture
from sim.mixtures.gamma import GammaMixture
from sim.mixtures.normal import NormalMixture

KINDS: dict[str, type[NormalMixture] | type[BetaMixture] | type[GammaMixture]] = {
    "normMix": NormalMixture,
    "betaMix": BetaMixture,
    "gammaMix": GammaMixture,
}
LIKELIHOODS = {"normMix": "normal", "betaMix": "binomial", "gammaMix": "poisson"}


def to_tree(mixture: Mixture) -> dict[str, Any]:
    """Return ``meta`` (attributes of R's matrix, each a list) and ``comp`` (its three rows)."""
    name = next(name for name, kind in KINDS.items() if isinstance(mixture, kind))
    rows = [mixture.weight, *mixture.parameters()]
    meta: dict[str, Any] = {
        "dim": [3, mixture.size],
        "dimnames": [["w", *mixture.names], [f"comp{i + 1}" for i in range(mixture.size)]],
        "link": ["identity"],
    }
    if isinstance(mixture, NormalMixture) and mixture.sigma is not None:
        meta["sigma"] = [float(mixture.sigma)]
    meta |= {"class": [name, "mix"], "likelihood": [LIKELIHOODS[name]]}
    return {"meta": meta, "comp": [row.tolist() for row in rows]}


def from_tree(tree: Any, where: str) -> Mixture:
    """Make the mixture that ``to_tree`` or RBesT wrote; ``where`` begins the line of an error.

    Weights are scaled to sum to 1, because R rounds what it writes.

    Raises
    ------
    InputError
        Not such a tree, an unknown class, a link other than the identity, or another likelihood.
    """
    try:
        meta, comp = tree["meta"], np.array(tree["comp"], dtype=float)
        name, link = _only(meta["class"]), _only(meta.get("link", "identity"))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{where}: not a mixture: expected 'meta' with 'class', and 'comp' with 3 rows"
        ) from error
    if name not in KINDS:
        raise InputError(f"{where}: meta.class: unknown mixture '{name}':{suggest(name, KINDS)}")
    if link != "identity":
        raise InputError(f"{where}: meta.link: '{link}' is not read, only identity")
    if _only(meta.get("likelihood", LIKELIHOODS[name])) != LIKELIHOODS[name]:
        raise InputError(f"{where}: meta.likelihood: only '{LIKELIHOODS[name]}' is read for a {name}")
    if comp.ndim != 2 or len(comp) != 3 or not comp[0].sum() > 0:
        raise InputError(f"{where}: comp: expected 3 rows (weights, then 2 parameters), with weights above 0")
    settings = {"sigma": float(_only(meta["sigma"]))} if meta.get("sigma") and name == "normMix" else {}
    return KINDS[name](comp[0] / comp[0].sum(), comp[1], comp[2], **settings)


def to_json(mixture: Mixture) -> str:
    """Write a mixture as JSON with every digit."""
    return json.dumps(to_tree(mixture), indent=1)


def from_json(text: str, where: str = "mixture") -> Mixture:
    """Read a mixture from JSON (see ``from_tree``)."""
    try:
        return from_tree(json.loads(text), where)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: not valid JSON: {error.msg} in line {error.lineno}") from error


def _only(value: Any) -> Any:
    """First entry of a list (R writes every attribute as one), or the value itself."""
    return value[0] if isinstance(value, list) else value
