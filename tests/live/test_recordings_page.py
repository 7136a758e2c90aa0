"""The page of the recordings in a real browser: dropped and chosen files, answers, keyboard, screens, hostile names."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.access.roles import Role
from gateway.uploads.recording import Clue, Span, State
from gateway.uploads.report import LeftOutReport, TroubleReport
from tests.live.browser import BROWSER, Page, opened
from tests.live.gateways import gateway
from tests.live.reading import WIDTHS, assert_readable
from tests.live.shelf import HOSTILE, NOW_MS, Shelf

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs a browser: install the package chromium")


@dataclass
class Seen:
    """The page before somebody, and what is behind it."""

    page: Page
    shelf: Shelf

    def card(self, name: str, section: str = "main") -> str:
        """An expression for the card with a name."""
        cards = f"[...document.querySelectorAll('{section} .card')]"
        return f"{cards}.find((it) => it.querySelector('h3').textContent === {json.dumps(name)})"

    async def text(self, name: str) -> str:
        told: str = await self.page.until(f"{self.card(name)}?.innerText")
        return told

    async def click(self, name: str, word: str) -> None:
        """Click a button of a card."""
        button = f"[...{self.card(name)}.querySelectorAll('button')].find((it) => it.textContent === '{word}')"
        await self.page.until(f"{button}?.checkVisibility() && !{button}.disabled")
        await self.page.evaluate(f"{button}.click()")


@pytest.fixture(name="seen")
async def _seen(browser_port: int, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seen]:
    async with (
        gateway(tmp_path_factory.mktemp("gateway"), is_open=True) as served,
        served.listening(),
        opened(browser_port, f"{served.url}/recordings") as page,
    ):
        await page.until("document.querySelectorAll('#yours .card').length")
        yield Seen(page, served.shelf)
        assert page.complaints == []


def asi(folder: Path, name: str, size: int = 20_000) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"ASI" + name.encode() + bytes(size))
    return path


@pytest.mark.parametrize("width", WIDTHS)
async def test_it_can_be_read_and_touched_outdoors(seen: Seen, width: int) -> None:
    await assert_readable(seen.page, width)


async def test_files_are_chosen_and_taken_over_one_after_another(seen: Seen, tmp_path: Path) -> None:
    await seen.page.evaluate(
        "(document.querySelector('#author').value = 'Kim', document.querySelector('#tracker').value = 'SIM-0002')"
    )
    files = [asi(tmp_path, "one ä.asi", 400_000), asi(tmp_path, "two.asi")]
    await seen.page.choose("#files", *files)
    for file in files:
        await seen.page.until(f"{seen.card(file.name, '#sent')}?.innerText.includes('keeps it')")
        listed = await seen.page.until(f"{seen.card(file.name, '#others')}?.innerText")
        assert "Åsa-Märta O'Neill (SIM-0002)" in listed
    assert seen.shelf.asked == [("add", file.name, "SIM-0002", "Kim", f"True {file.stat().st_size}") for file in files]
    await seen.page.choose("#files", files[1])
    await seen.page.until("document.querySelector('#sent').innerText.includes('had it already')")


async def test_files_and_folders_are_dropped_and_say_where_they_lay(seen: Seen, tmp_path: Path) -> None:
    asi(tmp_path / "SIM-0002", "a.asi")
    asi(tmp_path / "SIM-0002" / "deep", "b.asi")
    asi(tmp_path / "SIM-0002", ".hidden.asi")
    await seen.page.drop(200, 150, tmp_path / "SIM-0002", asi(tmp_path, "c.asi"))
    await seen.page.until(
        "[...document.querySelectorAll('#sent .card')].filter((it) => it.innerText.includes('keeps it')).length === 3"
    )
    assert {asked[1] for asked in seen.shelf.asked} == {"SIM-0002/a.asi", "SIM-0002/deep/b.asi", "c.asi"}


async def test_what_cannot_be_taken_says_why_and_what_to_do(seen: Seen, tmp_path: Path) -> None:
    empty, other, large = tmp_path / "empty.asi", tmp_path / "photo.jpg", asi(tmp_path, "large.asi", 6_000_000)
    empty.touch()
    other.write_bytes(b"JFIF")
    await seen.page.choose("#files", empty, other, large, asi(tmp_path, "full.asi"))
    for name, text in (
        ("empty.asi", "It is empty"),
        ("photo.jpg", "no .asi recording"),
        ("large.asi", "larger than 5.0 MB"),
        ("full.asi", "There is no room for 5.0 MB: free some space."),
    ):
        await seen.page.until(f"{seen.card(name)}?.innerText.includes({json.dumps(text)})")
    assert len(seen.shelf.asked) == 1, "what cannot be one is not sent at all"
    await seen.click("full.asi", "Send again")
    while len(seen.shelf.asked) < 2:
        await asyncio.sleep(0.02)
    await seen.click("full.asi", "Clear")
    await seen.page.until(f"!{seen.card('full.asi')}")


async def test_a_large_file_shows_how_far_it_is_and_can_be_cancelled(seen: Seen, tmp_path: Path) -> None:
    seen.shelf.bytes_per_s = 1_000_000
    await seen.page.choose("#files", asi(tmp_path, "slow.asi", 4_900_000))
    await seen.page.until("document.querySelector('#sent progress').value > 0")
    await seen.page.until(f"/of 4.9 MB sent|writes it down/.test({seen.card('slow.asi')}.innerText)")
    await seen.click("slow.asi", "Cancel")
    await seen.page.until("document.querySelector('#sent').hidden")
    assert seen.shelf.asked == []


async def test_a_tracker_is_assigned_with_the_keyboard_alone(seen: Seen) -> None:
    name = "2026-11-17 evening.asi"
    assert (await seen.text(name)).count("Nobody has said") == 1
    label = json.dumps(f"Tracker of {name}")
    for _ in range(30):
        await seen.page.press("Tab")
        if await seen.page.evaluate(f"document.activeElement.ariaLabel === {label}"):
            break
    await seen.page.press("1", "1")  # begins as "11 Åsa-Märta O'Neill" does, and "10 Ada Lindqvist"
    await seen.page.press("1", "1")
    assert await seen.page.evaluate("document.activeElement.value") == "SIM-0002"
    await seen.page.press("Tab")
    assert await seen.page.evaluate("document.activeElement.ariaLabel") == f"Assign {name}"
    outline = await seen.page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert outline == "4px", "it can be seen where one is"
    await seen.page.press("Enter", "\r")
    await seen.page.until("document.activeElement.id === 'summary'")
    assert await seen.page.evaluate("document.activeElement.innerText") == (
        "6 need you (1 in the inbox) · 6 on the way · 1 done"
    )
    assert seen.shelf.of(name).serial_number == "SIM-0002"
    assert "It waits for its turn." in await seen.text(name)


async def test_a_file_is_deleted_only_after_it_was_said_what_that_means(seen: Seen) -> None:
    for name, meaning in (("failed.asi", "this may be the only copy"), ("twice.asi", "The cloud has it.")):
        await seen.click(name, "Discard")
        assert meaning in await seen.page.until(
            "document.querySelector('dialog').open && document.querySelector('dialog').innerText"
        )
        await seen.page.press("Escape")
        await seen.page.until("!document.querySelector('dialog').open")
        await seen.click(name, "Discard")
        assert await seen.page.evaluate("document.activeElement.innerText") == "No, leave it"
        await seen.page.press("Enter", "\r")
        await seen.page.until("!document.querySelector('dialog').open")
    assert seen.shelf.asked == []
    await seen.click("failed.asi", "Discard")
    await seen.page.evaluate("document.querySelector('#yes').click()")
    await seen.page.until(f"!{seen.card('failed.asi')}")
    assert seen.shelf.asked == [("discard", seen.shelf.of("failed.asi").id, "")]
    await seen.page.evaluate("document.querySelector('#all').click()")
    assert "Somebody has deleted it here" in await seen.text("failed.asi")


async def test_what_may_be_in_the_cloud_is_sent_again_only_after_a_question(seen: Seen) -> None:
    await seen.click("failed.asi", "Retry")
    await seen.page.until(f"{seen.card('failed.asi')}.innerText.includes('Waiting')")
    await seen.click("lost.asi", "Retry")
    assert "it may have it twice" in await seen.page.until(
        "document.querySelector('dialog').open && document.querySelector('dialog').innerText"
    )
    assert len(seen.shelf.asked) == 1
    await seen.page.evaluate("document.querySelector('#yes').click()")
    await seen.page.until(f"{seen.card('lost.asi')}.innerText.includes('Waiting')")


async def test_a_refusal_stands_at_the_recording_in_the_gateways_words(seen: Seen) -> None:
    seen.shelf.put("busy.asi", State.FAILED)
    await seen.page.until(seen.card("busy.asi"))
    await seen.click("busy.asi", "Retry")
    await seen.page.until(
        f"{seen.card('busy.asi')}.querySelector('.error').innerText === 'It is being sent: wait until that has ended.'"
    )


async def test_a_name_that_a_stranger_has_chosen_is_only_a_name(seen: Seen) -> None:
    assert "The cloud does not take it" in await seen.text(HOSTILE)
    assert await seen.page.evaluate("document.querySelectorAll('img').length") == 0


async def test_what_a_person_does_is_not_disturbed_by_what_changes(seen: Seen) -> None:
    name = "2026-11-17 evening.asi"
    await seen.page.evaluate(f"{seen.card(name)}.querySelector('select').focus()")
    await seen.page.evaluate(f"{seen.card(name)}.querySelector('select').value = 'SIM-0003'")
    await seen.page.evaluate("document.querySelector('#author').value = 'Ki'")
    seen.shelf.put("rushes in.asi", State.FAILED)
    newest = seen.shelf.of("rushes in.asi")
    seen.shelf.recordings[newest.sha256] = replace(newest, taken_ms=NOW_MS)
    await seen.page.until(f"{seen.card('rushes in.asi')} === document.querySelector('#yours .card')")
    assert await seen.page.evaluate("document.activeElement.value") == "SIM-0003"
    assert await seen.page.evaluate("document.activeElement.ariaLabel") == f"Tracker of {name}"
    assert await seen.page.evaluate("document.querySelector('#author').value") == "Ki"


async def test_what_has_not_changed_is_not_asked_for_again(seen: Seen) -> None:
    """The page looks every second or three, and whoever leaves it open costs the gateway next to nothing."""
    told = seen.shelf.told
    await asyncio.sleep(0.1)
    for _ in range(3):
        await seen.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await asyncio.sleep(0.1)
    assert seen.shelf.told == told
    seen.shelf.put("new.asi", State.QUEUED)
    await seen.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await seen.page.until(seen.card("new.asi"))


async def test_what_the_list_leaves_out_is_told(seen: Seen) -> None:
    assert await seen.page.evaluate("document.querySelectorAll('#more-yours:not([hidden])').length") == 0
    seen.shelf.left_out = LeftOutReport(needs_person=1000, done=4300)
    assert await seen.page.until("document.querySelector('#more-yours').innerText") == (
        "And 1,000 older ones that need you."
    )
    assert await seen.page.evaluate("document.querySelector('#more-others').innerText") == (
        "And 4,300 older ones that are done."
    )
    assert await seen.page.evaluate("document.querySelector('#summary').innerText") == (
        "1007 need you (1 in the inbox) · 5 on the way · 1 done"
    )


async def test_what_lies_in_the_inbox_and_needs_somebody_stands_with_what_needs_you(seen: Seen) -> None:
    sections = await seen.page.evaluate(
        "[...document.querySelectorAll('section')].filter((it) => it.checkVisibility()).map((it) => it.id)"
    )
    assert sections == ["yours", "left", "others", "coming"]
    assert await seen.page.evaluate(f"{seen.card('photo.jpg', '#left')}.innerText.includes('Next: remove it')")
    assert await seen.page.evaluate(f"{seen.card('coming.asi', '#coming')}.innerText.includes('Not yet')")
    seen.shelf.inbox = ()
    await seen.page.until("document.querySelector('#summary').innerText.startsWith('6 need you ·')")


async def test_numbers_and_ages_stand_on_top(seen: Seen) -> None:
    told = await seen.page.evaluate("document.querySelector('#numbers').innerText")
    assert told.startswith("1 without a tracker (oldest 60 min), 4.2 MB · 1 in doubt (oldest 2 h), 4.2 MB · ")
    assert " · 1 done, 4.2 MB · " in told


async def test_what_is_wrong_with_the_inbox_is_an_alarm(seen: Seen) -> None:
    assert await seen.page.evaluate("document.querySelector('#closed').hidden")
    seen.shelf.inbox_trouble = TroubleReport(text="It is no folder", action="move it away")
    assert await seen.page.until("document.querySelector('#closed').innerText") == "It is no folder: move it away."


async def test_what_is_odd_is_told_and_a_day_is_a_day(seen: Seen) -> None:
    day = Span(NOW_MS - NOW_MS % 86_400_000, NOW_MS - NOW_MS % 86_400_000 + 86_400_000, Clue.NAME)
    odd = seen.shelf.put("odd.asi", State.QUEUED, lacks_magic_v2=True)
    seen.shelf.recordings[odd.sha256] = replace(odd, span=day)
    told = await seen.text("odd.asi")
    assert 'It waits for its turn. "ASI V2" is missing' in told
    recorded = told.partition("recorded ")[2].partition(" · ")[0]
    assert recorded
    assert ":" not in recorded


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (22, "22 B"), (999, "999 B"), (1000, "1 kB"), (12_345, "13 kB"), (1_200_000, "1.2 MB")],
)
async def test_sizes_are_told_in_a_unit_that_fits(seen: Seen, size: int, text: str) -> None:
    told = await seen.page.evaluate(f"import('/web/cards.js').then(({{ bytes }}) => bytes({size}))")
    assert told == text


async def test_a_gateway_that_does_not_answer_is_said_and_forgotten_when_it_does(seen: Seen) -> None:
    seen.shelf.is_down = True
    await seen.page.until("!document.querySelector('#offline').hidden")
    assert "not the present" in await seen.page.evaluate("document.querySelector('#offline').innerText")
    seen.shelf.is_down, seen.shelf.spool_text = False, "The disk is full"
    await seen.page.until("document.querySelector('#offline').hidden")
    assert (
        await seen.page.evaluate("document.querySelector('#storage').innerText") == "The disk is full: free some space."
    )


async def test_who_is_not_let_in_comes_to_the_page_that_lets_in(browser_port: int, tmp_path: Path) -> None:
    async with (
        gateway(tmp_path) as served,
        served.listening(),
        opened(browser_port, f"{served.url}/recordings", landing=f"{served.url}/pair"),
    ):
        pass


async def test_a_coach_is_told_that_recordings_are_not_theirs(browser_port: int, tmp_path: Path) -> None:
    async with (
        gateway(tmp_path) as served,
        served.listening(),
        opened(browser_port, f"{served.url}/web/recordings.css") as page,
    ):
        await served.let_in(page, Role.VIEWER)
        await page.do("Page.navigate", url=f"{served.url}/recordings")
        assert "A viewer may not do this" in await page.until("document.querySelector('#offline')?.innerText")


async def test_who_is_known_is_not_asked_for_their_name(browser_port: int, tmp_path: Path) -> None:
    async with (
        gateway(tmp_path) as served,
        served.listening(),
        opened(browser_port, f"{served.url}/web/recordings.css") as page,
    ):
        await served.let_in(page, Role.TECHNICIAN, "Tom Tech")
        await page.do("Page.navigate", url=f"{served.url}/recordings")
        await page.at(f"{served.url}/recordings")
        await page.until("document.querySelectorAll('#yours .card').length")
        assert not await page.evaluate("document.querySelector('#author').checkVisibility()")
        await page.choose("#files", asi(tmp_path, "one.asi"))
        await page.until("document.querySelector('#sent').innerText.includes('keeps it')")
        ((_, _, _, author, _),) = served.shelf.asked
        assert author == "Tom Tech"


async def test_who_is_unknown_is_asked_for_their_name(seen: Seen) -> None:
    assert await seen.page.evaluate("document.querySelector('#author').checkVisibility()")
