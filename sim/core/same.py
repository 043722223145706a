"""What follows from an object, kept for that very object."""

from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Same(Generic[Value]):
    """A value that equals nothing but itself, so that what follows from it can be kept for it."""

    value: Value

    def __eq__(self, other: object) -> bool:
        """Whether it is the very same object."""
        return isinstance(other, Same) and other.value is self.value

    def __hash__(self) -> int:
        """Hash by identity."""
        return id(self.value)
