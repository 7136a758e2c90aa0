"""What commands ask of a running gateway.

All of it raises `GatewayError` if there is no answer (whether anything was done is not known then), and `RefusalError`
with the gateway's words if it refuses. `url` is the gateway's address, in any of its forms.
"""

from collections.abc import AsyncIterable, Mapping
from typing import Any
from urllib.parse import quote

from insiders_gateway_client.asking import ANSWER_TIMEOUT_S
from insiders_gateway_client.gateway import Gateway

INSPECTION_TIMEOUT_S = 90.0
"""How long it may take to look closer at a sensor: connecting, reading and listening have limits of their own."""


async def fetch_gaps(url: str) -> bytes:
    """The gaps that a gateway remembers: the JSON of `gateway.live.gaps.GapReport`."""
    return await Gateway(url).ask("GET", "gaps")


async def fetch_sensors(url: str) -> bytes:
    """The Bluetooth sensors near a gateway: the JSON of `gateway.bluetooth.report.SensorsReport`."""
    return await Gateway(url).ask("GET", "sensors")


async def inspect_sensor(url: str, sensor_id: str, *, take_link: bool) -> bytes:
    """Let a gateway look closer at a sensor: the JSON of `gateway.bluetooth.inspection.Inspection`.

    Args:
        url: Of the gateway.
        sensor_id: As it stands among its sensors.
        take_link: Though it takes the only link of a sensor that a tracker may need.
    """
    path = f"sensors/{quote(sensor_id, safe='')}/inspect"
    return await Gateway(url).ask("POST", path, json={"take_link": take_link}, timeout_s=INSPECTION_TIMEOUT_S)


async def fetch_pairings(url: str, path: str = "") -> bytes:
    """What a gateway tells of the pairings: the JSON of one of the reports of `gateway.pairing.report`.

    Args:
        url: Of the gateway.
        path: What of it: "" all trackers, "plan", "team", or a `tracker_path`.
    """
    return await Gateway(url).ask("GET", f"pairings/{path}".rstrip("/"))


async def change_pairings(url: str, method: str, path: str, document: Mapping[str, Any]) -> bytes:
    """Ask a gateway to change pairings: the JSON of one of the reports of `gateway.pairing.report`.

    Args:
        url: Of the gateway.
        method: "PUT", "POST" or "PATCH".
        path: What to change, "team" or "apply" for example; of one tracker a `tracker_path`.
        document: One of the requests of `gateway.pairing.requests`.
    """
    return await Gateway(url).ask(method, f"pairings/{path}", json=document)


def tracker_path(serial_number: str, action: str = "") -> str:
    """The path of one tracker's pairings, or of something to do with them: "adopt", "retry" and so on."""
    return f"trackers/{quote(serial_number, safe='')}/{action}".rstrip("/")


async def fetch_recordings(url: str, path: str = "") -> bytes:
    """What a gateway tells of the recordings: the JSON of one of the reports of `gateway.uploads.report`.

    Args:
        url: Of the gateway.
        path: What of it: "" what is kept, "?all=true" what was deleted too, or the SHA-256 of a recording.
    """
    return await Gateway(url).ask("GET", f"recordings/{path}".replace("/?", "?").rstrip("/"))


async def change_recordings(
    url: str, path: str, document: Mapping[str, Any], timeout_s: float = ANSWER_TIMEOUT_S
) -> bytes:
    """Ask a gateway to do something with recordings: the JSON of one of the reports of `gateway.uploads.report`.

    Args:
        url: Of the gateway.
        path: "rebuild", or the SHA-256 of a recording, "/", and "assign", "retry" or "discard".
        document: One of the requests of `gateway.uploads.requests`.
        timeout_s: How long it may take.
    """
    return await Gateway(url).ask("POST", f"recordings/{path}", json=document, timeout_s=timeout_s)


async def upload_recording(url: str, blocks: AsyncIterable[bytes], size: int, query: Mapping[str, str]) -> bytes:
    """Send a file to a gateway: the JSON of `gateway.uploads.report.RecordingReport`.

    Args:
        url: Of the gateway.
        blocks: What is in the file, asked for block by block as each was taken from us.
        size: Bytes of all of them.
        query: What is said of it: "name", "tracker", "author".
    """
    return await Gateway(url).upload(blocks, size, query)
