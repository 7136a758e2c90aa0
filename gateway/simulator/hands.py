"""What people do with the sensors of a team, where there are any in the air."""

from typing import Protocol


class Hands(Protocol):
    """Sensors are named by any part of their names that no other has; who is unclear or unknown raises a `Refusal`."""

    def sensors(self) -> list[dict[str, object]]:
        """All of them, as JSON: `name`, `address`, `distance_m`, `athlete` (who wears it), `holders`."""

    def place(self, part: str, distance_m: float) -> None:
        """Put a sensor at this distance from the gateway; 0.1 m is held to it."""

    def wear(self, part: str, athlete: int | None) -> None:
        """Let the athlete at a place of the team wear a sensor, or ride with it; None takes it off.

        What was taken off goes on for a while: a strap with the heart rate it had last, a power meter with 0.
        """
