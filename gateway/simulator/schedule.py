"""What comes back every so often and lasts a while, as a function of time alone."""

from dataclasses import dataclass

FAR_MS = 2**62
"""An instant that never comes."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Something that begins at `first_ms`, and at every multiple of `every_ms` before and after, and lasts `lasts_ms`.

    It never happens when either length is 0, and always when it lasts as long as its period or longer.
    """

    every_ms: int
    lasts_ms: int
    first_ms: int

    def covers(self, at_ms: int) -> bool:
        """Whether it happens at an instant; its first instant belongs to it, its last does not."""
        return self._is_ever and (at_ms - self.first_ms) % self.every_ms < self.lasts_ms

    def next_change_ms(self, after_ms: int) -> int:
        """The first instant after another at which it begins or ends."""
        if not self._is_ever or self.lasts_ms >= self.every_ms:
            return FAR_MS
        phase_ms = (after_ms - self.first_ms) % self.every_ms
        return after_ms - phase_ms + (self.lasts_ms if phase_ms < self.lasts_ms else self.every_ms)

    @property
    def _is_ever(self) -> bool:
        return self.every_ms > 0 and self.lasts_ms > 0
