"""Array jobs: a study's blocks computed by tasks that know nothing of each other, and collected."""

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from sim.core.errors import InputError, RunError
from sim.core.loading import dump
from sim.core.streams import BLOCK_SIZE
from sim.execution import MOST_FAILED, Opened, Plan, Wave, clock, next_wave, replay_command
from sim.results import Cell, Results, write_text
from sim.study import Study


def run_some(study: Study, plan: Plan, chosen: range, out: Path | None = None) -> tuple[Path, int]:
    """Compute the chosen blocks of every cell that wants them; ``collect`` makes the results.

    Returns
    -------
    tuple
        The folder, and how many blocks were missing.

    Raises
    ------
    InputError
        The study has no such block, or does not ask for it yet.
    """
    opened = Opened.at(study, plan, out)
    replicates = asked(study, opened.folder)
    last = -(-max(replicates.values()) // BLOCK_SIZE) - 1
    if chosen.start < 0 or chosen.stop - 1 > last:
        later = "" if isinstance(study.replicates, int) else " until sim collect asks for more"
        raise InputError(f"--block: this study has the blocks 0 to {last}{later}")
    opened.begin()
    return opened.folder, Wave(study, opened.folder, replicates).run(plan, chosen)


def collect(study: Study, plan: Plan, out: Path | None = None) -> Results:
    """Write the results of blocks that other processes have computed.

    Where a study asks for a precision, the waves are those of a run in one process: what the next one needs
    is kept for the tasks, and its blocks are named in ``blocks/wanted.txt``.

    Raises
    ------
    RunError
        Blocks are missing or wanted next, or more than one replicate in a hundred failed.
    """
    begin, opened = clock(), Opened.at(study, plan, out)
    replicates = asked(study, opened.folder)
    while True:
        _check(Wave(study, opened.folder, replicates), plan)
        needed = next_wave(study, opened.folder, replicates)
        if needed == replicates:
            break
        replicates = needed
        _ask(study, opened.folder, replicates)
    opened.begin()
    return opened.finish(plan, replicates, clock() - begin)


def asked(study: Study, folder: Path) -> dict[Cell, int]:
    """Replicates of each cell that are wanted so far: of the first wave, or as a collection has asked."""
    file, cells = _wave_file(folder), [Cell(*names) for names in study.cells()]
    if not isinstance(study.replicates, int) and file.exists():
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["replicates"] == dump(study)["replicates"]:
            return {cell: kept["wave"][f"{cell.protocol}.{cell.scenario}"] for cell in cells}
    return dict.fromkeys(cells, study.first_replicates())


def _ask(study: Study, folder: Path, replicates: dict[Cell, int]) -> None:
    wave = {f"{cell.protocol}.{cell.scenario}": used for cell, used in replicates.items()}
    write_text(_wave_file(folder), json.dumps({"replicates": dump(study)["replicates"], "wave": wave}) + "\n")


def _wave_file(folder: Path) -> Path:
    return folder / "blocks" / "wave.json"


def _check(wave: Wave, plan: Plan) -> None:
    """Refuse a wave that is not whole, and leave a note of the blocks that are wanted."""
    folder, note = wave.folder, wave.folder / "blocks" / "wanted.txt"
    note.unlink(missing_ok=True)
    missing = wave.missing(plan)
    failed = [job for job in missing if job.cell.failed(folder, [job.block])]
    if len(failed) > MOST_FAILED * wave.blocks:
        raise RunError(f"{failed[0]}: failed; {replay_command(failed[0].cell, folder, failed[0].block)}")
    if len(failed) < len(missing):
        wanted = ranges({job.block for job in missing} - {job.block for job in failed})
        write_text(note, wanted + "\n")
        raise RunError(
            f"{folder}: blocks are missing, damaged or wanted next: {wanted}; "
            f"compute them by sim run --block, then collect again ({note} names them)"
        )


def ranges(blocks: Iterable[int]) -> str:
    """Write numbers as an array job takes them: ``0-1,4``."""
    ordered = sorted(blocks)
    starts = [ordered[0], *(now for before, now in pairwise(ordered) if now > before + 1)]
    ends = [*(before for before, now in pairwise(ordered) if now > before + 1), ordered[-1]]
    return ",".join(
        f"{first}" if first == last else f"{first}-{last}" for first, last in zip(starts, ends, strict=True)
    )
