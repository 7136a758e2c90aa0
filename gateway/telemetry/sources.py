"""Which way a tracker's live rows come: asked for once a second, or sent by the cloud over a websocket."""

from enum import StrEnum


class Source(StrEnum):
    """Where live rows come from, as configured."""

    AUTO = "auto"
    POLL = "poll"
    WEBSOCKET = "websocket"
