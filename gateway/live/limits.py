"""What one client may take of the gateway, as `hello` announces it."""

from dataclasses import asdict, dataclass

from insiders_codecs.live import MAX_FRAME_BYTES


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that are enforced.

    Attributes:
        max_frame_bytes: Of a message with samples.
        max_inbound_bytes: Of a client's message: a resume of 1000 channels with a list of 1000 devices takes 32 kB.
        max_inbound_per_s: Messages of a client, on average.
        max_inbound_burst: Messages of a client at once; a `sub` counts as four.
        max_subscriptions: Of one client.
        max_clients: Connections at once.
        max_clients_per_address: Connections from one address.
        auth_s: How long a client that has shown no credential may take to do so.
        header_s: How long the head of a request may take to come.
        body_s: How long a body may take to come, but for recordings.
        silence_s: How long a client may give no sign of life; every byte is one.
    """

    max_frame_bytes: int = MAX_FRAME_BYTES
    max_inbound_bytes: int = 40 * 1024
    max_inbound_per_s: int = 20
    max_inbound_burst: int = 80
    max_subscriptions: int = 16
    max_clients: int = 200
    max_clients_per_address: int = 20
    auth_s: int = 5
    header_s: int = 10
    body_s: int = 10
    silence_s: int = 45

    def announced(self) -> dict[str, int]:
        """The field of `hello`."""
        return asdict(self)


LIMITS = Limits()
"""Those of every gateway."""
