"""Places are handed out fairly among callers, and none is lost."""

from __future__ import annotations

import asyncio
import random

import pytest

from api.fair import FairPlaces


async def work(places: FairPlaces, caller: str, log: list[str], turns: int = 3) -> None:
    await places.acquire(caller)
    try:
        log.append(caller)
        for _ in range(turns):
            await asyncio.sleep(0)
    finally:
        places.release(caller)


def test_a_caller_with_one_query_does_not_wait_behind_the_queue_of_another() -> None:
    async def check() -> None:
        places, log = FairPlaces(2), list[str]()
        many = [asyncio.create_task(work(places, "script", log)) for _ in range(30)]
        await asyncio.sleep(0)
        one = asyncio.create_task(work(places, "person", log))
        await asyncio.gather(one, *many)
        assert log[:3] == ["script", "script", "person"]
        assert log.count("script") == 30

    asyncio.run(check())


def test_callers_who_all_have_queues_get_equal_parts() -> None:
    async def check() -> None:
        places, log = FairPlaces(3), list[str]()
        await asyncio.gather(
            *(
                work(places, name, log)
                for name, count in (("a", 40), ("b", 10), ("c", 10))
                for _ in range(count)
            )
        )
        crowded = log[3:30]  # while all three wait
        assert {name: crowded.count(name) for name in "abc"} == {"a": 9, "b": 9, "c": 9}

    asyncio.run(check())


def test_within_a_caller_it_is_first_come_first_served() -> None:
    async def check() -> None:
        places, log = FairPlaces(1), list[int]()

        async def one(number: int) -> None:
            await places.acquire("a")
            log.append(number)
            await asyncio.sleep(0)
            places.release("a")

        await asyncio.gather(*(one(number) for number in range(20)))
        assert log == list(range(20))

    asyncio.run(check())


@pytest.mark.parametrize("seed", range(20))
def test_no_place_is_lost_or_doubled_whoever_gives_up_when(seed: int) -> None:
    async def check() -> None:
        chance, places = random.Random(seed), FairPlaces(3)
        running, most, log = 0, 0, list[str]()

        async def one(caller: str) -> None:
            nonlocal running, most
            await places.acquire(caller)
            running += 1
            most = max(most, running)
            try:
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
            finally:
                running -= 1
                places.release(caller)

        tasks = []
        for _ in range(200):
            tasks.append(asyncio.create_task(one(chance.choice("abcd"))))
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(0)
            if chance.random() < 0.4:
                chance.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (running, most <= 3) == (0, True)
        async with asyncio.timeout(5):  # all three places are there
            await asyncio.gather(*(work(places, str(number), log) for number in range(9)))
        assert len(log) == 9

    asyncio.run(check())
