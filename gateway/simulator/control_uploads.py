"""The control endpoints around recordings: files to upload, and what has become of those that were."""

from datetime import UTC, datetime

from aiohttp import web

from gateway.simulator.cloud import SimulatedCloud
from gateway.simulator.control_calls import checked
from gateway.simulator.errors import Refusal
from gateway.simulator.synthetic_asi import synthetic_asi

_DEFAULT_KB, _MAX_KB = 200, 4_000_000


def add_routes(app: web.Application, cloud: SimulatedCloud) -> None:
    """Serve what is below /simulator/ about recordings."""
    control = _Control(cloud)
    app.router.add_routes(
        [
            web.get("/simulator/uploads", checked(control.uploads)),
            web.get("/simulator/asi", checked(control.asi), allow_head=False),
        ]
    )


class _Control:
    def __init__(self, cloud: SimulatedCloud) -> None:
        self._cloud = cloud

    async def uploads(self, _request: web.Request) -> web.Response:
        """What the cloud has, in order of acceptance, how often it has the same, and how uploads have ended."""
        cloud, now_ms = self._cloud, self._cloud.now_ms()
        uploads = [
            {
                "serial_number": cloud.device(job.device_id).serial_number,
                "sha256": job.sha256,
                "size": job.size,
                "accepted_ms": job.created_ms,
                "job_id": job.job_id,
                "state": job.state(now_ms, cloud.faults),
                "times": cloud.jobs.accepted(job.sha256),
            }
            for job in cloud.jobs.all
        ]
        return web.json_response({"uploads": uploads, "fates": dict(cloud.jobs.fates)})

    async def asi(self, request: web.Request) -> web.StreamResponse:
        """A synthetic recording: ?kb=200&seed=3, thousands of bytes; &device=4101 names it after a tracker and now."""
        kb, seed = _whole(request, "kb", _DEFAULT_KB), _whole(request, "seed", 1)
        if not 1 <= kb <= _MAX_KB:
            raise Refusal(400, {"detail": f"kb must be a whole number from 1 to {_MAX_KB}."})
        name = f"synthetic-{kb}-{seed}.asi"
        if "device" in request.query:
            now = datetime.fromtimestamp(self._cloud.now_ms() / 1000, UTC).astimezone()
            device = self._cloud.device(_whole(request, "device", 0))
            name = f"{device.serial_number}_{now:%Y%m%d_%H%M%S}.asi"
        response = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="{name}"'})
        response.content_type, response.content_length = "application/octet-stream", kb * 1000
        await response.prepare(request)
        for block in synthetic_asi(kb * 1000, seed):
            await response.write(block)
        return response


def _whole(request: web.Request, field: str, default: int) -> int:
    text = request.query.get(field, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise Refusal(400, {"detail": f"{field} must be a whole number."})
    return int(text)
