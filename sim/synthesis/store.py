"""Where fits live: ``results/synthesis/<name>-<digest>/``, whole or not at all."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sim.core.errors import RunError
from sim.synthesis.base import Synthesis

RESULTS = Path("results") / "synthesis"


@dataclass(frozen=True)
class Store:
    """A folder of fits."""

    root: Path = RESULTS

    def place(self, config: Synthesis) -> Path:
        """Where the fit of ``config`` is or would be."""
        return self.root / f"{config.name}-{config.digest()}"

    def find(self, config: Synthesis) -> Path | None:
        """Return the folder of a finished fit, or None."""
        place = self.place(config)
        return place if (place / "draws.npz").exists() else None

    def fit(self, config: Synthesis, force: bool = False, progress: bool = False) -> Path:
        """Find the fit of ``config`` or make it; ``force`` makes it again.

        The work happens in a hidden folder that is renamed when it is complete, so an interrupted fit
        leaves nothing that looks done.

        Raises
        ------
        RunError
            The fit did not converge; its diagnostics stay in ``<name>-<digest>.failed.json``.
        """
        found = None if force else self.find(config)
        if found:
            return found
        place = self.place(config)
        self.root.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=self.root))
        try:
            config.write(work, progress)
        except RunError as error:
            kept = place.with_name(f"{place.name}.failed.json")
            if (work / "diagnostics.json").exists():
                os.replace(work / "diagnostics.json", kept)
                raise RunError(f"{error}; diagnostics in {kept}") from error
            raise
        else:
            _put(work, place)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return place


def _put(work: Path, place: Path) -> None:
    """Move a finished folder to its place; what stood there is replaced."""
    work.chmod(0o755)
    if place.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{place.name}.old.", dir=place.parent))
        os.replace(place, old / "was")
        os.replace(work, place)
        shutil.rmtree(old)
    else:
        os.replace(work, place)
