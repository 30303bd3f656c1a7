from __future__ import annotations

import asyncio
import socket
from typing import Any

import msgspec
import pytest

from aimass.core.errors import ConfigError, UnreachableError
from aimass.serving.link import Link, RemoteError


async def _pair(answer: Any) -> tuple[Link, Link, list[asyncio.Task[None]]]:
    ours, theirs = socket.socketpair()
    here, there = Link(answer), Link(answer)
    await here.open(ours)
    await there.open(theirs)
    return here, there, [asyncio.create_task(link.run()) for link in (here, there)]


async def _answer(method: str, body: msgspec.Raw) -> Any:
    if method == "fail":
        raise ConfigError("no such thing", expected="another")
    if method == "wait":
        await asyncio.sleep(3600)
    return [method, msgspec.msgpack.decode(body)]


def test_both_ends_ask_at_once_and_get_their_own_answers() -> None:
    async def scene() -> None:
        here, there, tasks = await _pair(_answer)
        answers = await asyncio.gather(*(link.ask("echo", number) for number in range(50) for link in (here, there)))
        assert answers == [["echo", number] for number in range(50) for _ in range(2)]
        here.close()
        await asyncio.gather(*tasks)

    asyncio.run(scene())


def test_an_error_over_there_comes_back_with_its_words_and_class() -> None:
    async def scene() -> None:
        here, _, _ = await _pair(_answer)
        with pytest.raises(RemoteError, match=r"no such thing. Expected: another") as caught:
            await here.ask("fail")
        assert caught.value.code == "ConfigError"

    asyncio.run(scene())


def test_who_waits_learns_that_the_other_process_is_gone_or_slow() -> None:
    async def scene() -> None:
        here, there, _ = await _pair(_answer)
        with pytest.raises(UnreachableError, match="within"):
            await here.ask("wait", timeout_s=0.05)
        waiting = asyncio.create_task(here.ask("wait"))
        await asyncio.sleep(0.05)
        there.close()
        with pytest.raises(UnreachableError, match="gone"):
            await waiting
        with pytest.raises(UnreachableError, match="gone"):
            await here.ask("echo")

    asyncio.run(scene())


def test_what_was_asked_in_its_last_moment_is_answered_to_nobody() -> None:
    async def scene() -> None:
        here, there, tasks = await _pair(_answer)
        asyncio.get_running_loop().create_task(here.ask("echo")).add_done_callback(lambda task: task.exception())
        there.close()
        here.close()
        await asyncio.gather(*tasks)

    asyncio.run(scene())
