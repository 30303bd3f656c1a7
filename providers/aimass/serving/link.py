"""Questions and answers between the supervisor and a worker, over one socket pair, both ways at once."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from aimass.core.errors import AimassError, UnreachableError

T = TypeVar("T")
_LENGTH = struct.Struct("<I")
_ENCODER = msgspec.msgpack.Encoder()


class _Frame(msgspec.Struct, array_like=True):
    """One message: a question where `method` is given, else the answer to the question of that number."""

    number: int
    method: str
    body: msgspec.Raw
    error: str = ""
    code: str = ""


_DECODER = msgspec.msgpack.Decoder(_Frame)


class RemoteError(AimassError):
    """The other side could not do it.

    Attributes
    ----------
    code : str
        Class name of the error over there.
    """

    def __init__(self, message: str, *, code: str) -> None:
        self.code = code
        super().__init__(message)


class Link:
    """One end of the connection.

    Parameters
    ----------
    answer : callable
        Called with method and the undecoded body of each question that comes in; what it returns is sent back.
    """

    def __init__(self, answer: Callable[[str, msgspec.Raw], Awaitable[Any]]) -> None:
        self._answer = answer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._writer: asyncio.StreamWriter | None = None

    async def open(self, end: socket.socket) -> None:
        """Take over our end of the socket pair."""
        self._reader, self._writer = await asyncio.open_connection(sock=end)

    async def run(self) -> None:
        """Serve the connection until the other side closes it; whoever waits then gets UnreachableError."""
        try:
            while True:
                (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                self._take(_DECODER.decode(await self._reader.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.close()

    async def ask(self, method: str, body: Any = None, kind: type[T] | Any = None, *, timeout_s: float = 60.0) -> Any:
        """Return the answer of the other side, as `kind`.

        Raises
        ------
        RemoteError
            It could not do it.
        UnreachableError
            It is gone, or did not answer in time.
        """
        if self._writer is None or self._writer.is_closing():
            raise UnreachableError("The other process is gone")
        number = next(self._numbers)
        future: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._send(_Frame(number, method, msgspec.Raw(_ENCODER.encode(body))))
            raw = await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            raise UnreachableError(f"The other process did not answer {method!r} within {timeout_s:g} s") from None
        finally:
            self._waiting.pop(number, None)
        return msgspec.msgpack.decode(raw, type=kind or Any)

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(UnreachableError("The other process is gone"))

    def _send(self, frame: _Frame) -> None:
        data = _ENCODER.encode(frame)
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(_LENGTH.pack(len(data)) + data)

    def _take(self, frame: _Frame) -> None:
        if frame.method:
            task = asyncio.get_running_loop().create_task(self._reply(frame))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        future = self._waiting.get(frame.number)
        if future is None or future.done():
            return
        if frame.code:
            future.set_exception(RemoteError(frame.error, code=frame.code))
        else:
            future.set_result(frame.body)

    async def _reply(self, question: _Frame) -> None:
        nothing = msgspec.Raw(_ENCODER.encode(None))
        try:
            answer = await self._answer(question.method, question.body)
            frame = _Frame(question.number, "", msgspec.Raw(_ENCODER.encode(answer)))
        except RemoteError as error:
            frame = _Frame(question.number, "", nothing, str(error), error.code)
        except Exception as error:  # noqa: BLE001 (whatever it was, the other side must not wait for ever)
            frame = _Frame(question.number, "", nothing, str(error) or repr(error), type(error).__name__)
        self._send(frame)
