"""Calling the command as a user does, but without a new process."""

from dataclasses import dataclass

import pytest

from sim.cli import main


@dataclass(frozen=True)
class Answer:
    """How a call ended: exit code, standard output, lines of standard error."""

    code: int
    out: str
    errors: list[str]


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> Answer:
    """Run ``sim`` with these arguments and return what it answered."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return Answer(stop.value.code, printed.out, printed.err.splitlines())
