"""A few pass with each turn of the loop, in the order of coming."""

import asyncio

from gateway.live.turnstile import Turnstile


async def passing(turnstile: Turnstile, number: int, passed: list[int]) -> None:
    await turnstile.passed()
    passed.append(number)


async def test_with_each_turn_of_the_loop_some_pass_in_the_order_of_coming() -> None:
    turnstile, passed, counts = Turnstile(3), list[int](), list[int]()
    async with asyncio.TaskGroup() as tasks:
        for number in range(10):
            tasks.create_task(passing(turnstile, number, passed))
        while len(passed) < 10:
            counts.append(len(passed))
            await asyncio.sleep(0)
    assert passed == list(range(10))
    grown = [later - before for before, later in zip(counts, [*counts[1:], 10], strict=True)]
    assert max(grown) == 3


async def test_who_has_hung_up_takes_nobodys_turn() -> None:
    turnstile, passed = Turnstile(1), list[int]()
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(passing(turnstile, number, passed)) for number in range(4)]
        await asyncio.sleep(0)
        waiting[1].cancel()
    assert passed == [0, 2, 3]


async def test_who_comes_alone_does_not_wait() -> None:
    turnstile = Turnstile(1)
    passing_once = turnstile.passed()
    try:
        passing_once.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")
