"""One number in memory that all processes of a server share: whoever changes it switches all of them at once."""

from __future__ import annotations

import mmap
import os

WORD_BYTES = 8


class Generation:
    """The number of the table that requests are answered by.

    The supervisor makes it and alone changes it; a worker gets the file descriptor when it is started. Reading costs
    some 30 ns; a write of eight aligned bytes is seen whole or not at all.

    Parameters
    ----------
    descriptor : int
        Memory file of `WORD_BYTES` bytes.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._words = memoryview(mmap.mmap(descriptor, WORD_BYTES)).cast("Q")

    @classmethod
    def make(cls) -> Generation:
        """Return a new one, at 0; it vanishes with the last process that holds it."""
        descriptor = os.memfd_create("aimass-generation", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, WORD_BYTES)
        return cls(descriptor)

    def read(self) -> int:
        """Return the number as it is now."""
        return self._words[0]

    def write(self, number: int) -> None:
        """Change the number for every process."""
        self._words[0] = number
