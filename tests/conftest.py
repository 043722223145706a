"""What several tests share."""

from pathlib import Path

import pytest

from sim import Study

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def two_arm_file() -> Path:
    return HERE / "studies" / "two_arm.yaml"


@pytest.fixture(scope="session")
def two_arm(two_arm_file: Path) -> Study:
    """A small study on assumed claims alone."""
    return Study.load(two_arm_file)


@pytest.fixture(scope="session")
def configs() -> Path:
    return HERE.parent / "configs"
