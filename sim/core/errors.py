"""What can go wrong, told apart by who has to act."""


class InputError(Exception):
    """The input is wrong: each problem is a line that says where, what and what is allowed (exit code 2)."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class RunError(Exception):
    """The input is fine, but the work failed, for example a fit that does not converge (exit code 1)."""
