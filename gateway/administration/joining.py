"""Letting this machine in at a gateway, and giving that up."""

from gateway.terminal.errors import CommandError
from gateway.terminal.layout import plain
from gateway.terminal.talk import Talk
from insiders_gateway_client.errors import RefusalError
from insiders_gateway_client.joining import join, leave


async def take_part(talk: Talk, link: str, device: str | None) -> None:
    """Exchange the code of a link for a token, which is kept for this user of this machine.

    Args:
        talk: Where to say so.
        link: What `access code` has shown.
        device: What this machine is called in the gateway's list; None for its host name.

    Raises:
        CommandError: If the gateway does not take the code.
        GatewayError: If it cannot be asked.
    """
    try:
        membership = await join(link, device)
    except RefusalError as refusal:
        raise CommandError(str(refusal)) from None
    who = f"{plain(membership.person)}, {membership.role}, on {plain(membership.device)}"
    talk.say(f"{membership.address.where} has let this machine in: {who}.")
    talk.say(f"Next: `insiders-gateway watch {membership.address.typed}`.")


async def give_up(url: str, talk: Talk) -> None:
    """End what lets this machine in, there and here; raises `GatewayError` if the gateway cannot be told."""
    await leave(url)
    talk.say("This machine is not let in any more.")
