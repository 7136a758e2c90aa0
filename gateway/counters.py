"""What has happened since the start, in numbers: the body of `/api/v1/counters`."""

from dataclasses import asdict

from gateway.access.audit import Audit
from gateway.bluetooth.sightings import Sightings
from gateway.cloud.client import CloudClient
from gateway.pairing.keeping.records import Records
from gateway.telemetry.feed import Feed
from gateway.telemetry.history import History


def counted(
    feed: Feed, history: History, cloud: CloudClient, sightings: Sightings, records: Records, audit: Audit
) -> dict[str, object]:
    """All of it."""
    traffic = cloud.traffic
    gaps_pending, rows_pending = history.repairs.pending()
    return {
        "cloud": {
            "requests": traffic.requests,
            "received_bytes": traffic.received_bytes,
            "succeeded": traffic.succeeded,
            "failed": dict(traffic.failed),
            "items_rejected": traffic.items_rejected,
            "messages": traffic.messages,
            "waiting": traffic.waiting,
            "rate_per_s": round(traffic.rate_per_s, 2),
        },
        "history": {
            **asdict(history.counters),
            "gaps_repaired": history.repairs.gaps_repaired,
            "gaps_refused": history.repairs.gaps_refused,
            "gaps_pending": gaps_pending,
            "rows_pending": rows_pending,
        },
        "bluetooth": asdict(sightings.counters),
        "pairings": {"records_rejected": records.rejected, "events_lost": records.events_lost},
        "access": {"audit_lines_lost": audit.lost},
        "channels": [
            {
                "ch": channel.ch,
                "serial_number": channel.wearer.serial_number,
                "newest": channel.ring.newest,
                "oldest": channel.ring.oldest,
                "duplicates": channel.ring.duplicates,
                "overrun": channel.ring.overrun,
                **asdict(channel.counters),
            }
            for channel in feed.channels.values()
        ],
    }
