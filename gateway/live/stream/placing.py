"""Where a subscription begins: which channels it wants, and what of the past that was asked for can be met."""

from gateway.live.forms import shown
from gateway.live.requests import ErrorCode, RequestError, Start
from gateway.live.source import Channels, ChannelView
from gateway.live.stream.reading import Position
from insiders_codecs.live import Message


def wanted(devices: str | tuple[str, ...], channels: Channels) -> list[ChannelView]:
    """The channels of some devices, in the order in which they were named.

    Args:
        devices: Serial numbers, or "*" for all.
        channels: All that there are.

    Raises:
        RequestError: If a device is named that no channel has.
    """
    if devices == "*":
        return list(channels.values())
    by_serial = {channel.wearer.serial_number: channel for channel in channels.values()}
    unknown = [serial for serial in devices if serial not in by_serial]
    if unknown:
        raise RequestError(
            ErrorCode.UNKNOWN_DEVICE, f"No tracker here has the serial number {shown(unknown[0])}; see `channels`."
        )
    return [by_serial[serial] for serial in dict.fromkeys(devices)]


def placed(channel: ChannelView, start: Start, epoch: str, *, is_first: bool) -> tuple[Position, Message]:
    """Put the cursor where the client asked for it.

    Args:
        channel: In which.
        start: Where that is.
        epoch: Under which rows are numbered now.
        is_first: Whether the channel was there when the subscription was made.

    Returns:
        The position, and what of it could be met, for `sub_ok`.
    """
    ring = channel.ring
    verdict: Message = {"ch": channel.ch, "serial_number": channel.wearer.serial_number, "recovered": "fresh"}
    cursor = ring.newest
    known = dict(start.cursors or ()).get(channel.ch) if start.epoch == epoch else None
    if known is not None and known <= ring.newest:
        cursor = max(known, ring.oldest - 1)
        verdict["recovered"] = "exact"
        if cursor > known:
            verdict |= {"recovered": "partial", "missing_rows": cursor - known}
    elif not is_first:
        cursor = ring.oldest - 1  # a channel that came later is wanted whole
    elif start.last_s and ring.newest_ms is not None:
        cursor = ring.since(round(ring.newest_ms - start.last_s * 1000))
    return Position(cursor), verdict | {"cursor": cursor}
