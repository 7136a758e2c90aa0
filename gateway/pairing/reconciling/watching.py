"""What is known of one tracker since the gateway started, by the monotonic clock: kept by whoever reads it. Pure."""

import math
from dataclasses import dataclass, field

from gateway.cloud.models import BluetoothConfig
from gateway.pairing.desired import Desired
from gateway.pairing.documents import Document, Documents, documents_of
from gateway.pairing.memory import Memory
from gateway.pairing.observation import Trouble
from gateway.pairing.reconciling.attempts import Attempts

SILENCE_S = 30.0
"""A tracker that brings nothing for so long and then something has appeared anew."""

SPREAD = 0.1
"""Part of a period by which readings are shifted, so that those of many trackers drift apart."""


@dataclass(slots=True)
class Watch:
    """Of one tracker.

    Attributes:
        device_id: In the cloud; None as long as it is not ours.
        config: What the cloud said last.
        documents: The same in our terms.
        read_s, read_ms: When it said so, monotonic seconds and epoch ms.
        attempts: When the next request may be sent.
        trouble: Why the last request failed; None if it did not.
        replans: Conflicts in a row.
        contacts: How often the tracker appeared anew since its target is not its current document, or last changed.
        contact_s: When it last brought something new.
    """

    since_s: float
    device_id: int | None = None
    config: BluetoothConfig | None = None
    documents: Documents | None = None
    read_s: float = -math.inf
    read_ms: int | None = None
    attempts: Attempts = field(default_factory=Attempts)
    trouble: Trouble | None = None
    replans: int = 0
    contacts: int = 0
    contact_s: float | None = None
    _generation: int | None = None
    _shift: float = 0.0
    _differs_since_s: float | None = None
    _mark: tuple[object, ...] = ()
    _mark_s: float = 0.0

    def took(self, config: BluetoothConfig, memory: Memory, jitter: float, now_s: float, now_ms: int) -> None:
        """It was read.

        Args:
            config: What the cloud said.
            memory: What is remembered, after that.
            jitter: Uniform in [0, 1).
            now_s: Monotonic seconds.
            now_ms: Epoch ms.
        """
        before, self.documents = self.documents, documents_of(config)
        self.config, self.read_s, self.read_ms, self.trouble = config, now_s, now_ms, None
        self._shift = SPREAD * (2 * jitter - 1)
        target = self.documents.target
        if before is not None and before.target != target:
            self.contacts = 0
            self._differs_since_s = None
        if target == self.documents.current:
            self._differs_since_s = None
            self.contacts = 0
        elif self._differs_since_s is None:
            self._differs_since_s = now_s - (0.0 if before else _known_for_s(memory, target, now_ms))

    def wants(self, desired: Desired) -> bool:
        """This is wanted of it; if it is something new, nothing of before holds it up. Whether it is."""
        is_new = self._generation is not None and self._generation != desired.generation
        self._generation = desired.generation
        if is_new:
            self.forgive()
        return is_new

    def forgive(self) -> None:
        """Nothing of before holds it up."""
        self.attempts = Attempts()
        self.replans = 0

    def contacted(self, contact_s: float | None) -> bool:
        """It last brought something new at this time; whether it has appeared anew with that."""
        if contact_s is None or contact_s == self.contact_s:
            return False
        is_anew = contact_s - (self.since_s if self.contact_s is None else self.contact_s) >= SILENCE_S
        self.contacts += is_anew
        self.contact_s = contact_s
        return is_anew

    def is_read_due(self, every_s: float, now_s: float) -> bool:
        """Whether what was read is older than this, more or less."""
        return now_s - self.read_s >= every_s * (1 + self._shift)

    def waiting_s(self, now_s: float) -> float | None:
        """For how long its target has not been its current document; None if it is, or nobody knows."""
        return None if self._differs_since_s is None else now_s - self._differs_since_s

    def still_s(self, desired: Desired, now_s: float) -> float:
        """For how long nothing about it has moved."""
        mark = (desired.generation, self.documents, self.contacts)
        if mark != self._mark:
            self._mark, self._mark_s = mark, now_s
        return now_s - self._mark_s


def _known_for_s(memory: Memory, target: Document, now_ms: int) -> float:
    """Before a restart: for how long a target that we wrote has been there."""
    if memory.ours_ms is None or memory.ours != target:
        return 0.0
    return max(0.0, (now_ms - memory.ours_ms) / 1000)
