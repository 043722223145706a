"""Time for drawing a simulation's random numbers alone: the floor under any simulator."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sim.core.streams import Streams


@dataclass(frozen=True)
class RecordingStreams(Streams):
    """Streams that note every draw, so that the same draws can be repeated without the simulation."""

    calls: list[tuple[str, str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    def __call__(self, name: str) -> Any:
        return _Recorder(super().__call__(name), name, self.calls)

    def redraw(self, block: int) -> None:
        """Draw the same kinds and shapes of numbers again, for another block: each stream is made once."""
        streams = Streams(self.seed, block)
        made: dict[str, np.random.Generator] = {}
        for name, method, arguments, options in self.calls:
            if name not in made:
                made[name] = streams(name)
            getattr(made[name], method)(*arguments, **options)


@dataclass(frozen=True)
class _Recorder:
    generator: np.random.Generator
    name: str
    calls: list[tuple[str, str, tuple[Any, ...], dict[str, Any]]]

    def __getattr__(self, method: str) -> Any:
        def draw(*arguments: Any, **options: Any) -> Any:
            own = {**options, "out": np.empty_like(options["out"])} if "out" in options else options
            self.calls.append((self.name, method, arguments, own))
            return getattr(self.generator, method)(*arguments, **options)

        return draw
