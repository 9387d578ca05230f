"""A file that only grows: one line for each commit, on the disk before it is answered."""

import fcntl
import os
from io import FileIO
from pathlib import Path


class TornWrite(OSError):
    """A line could not be written, nor could the file be cut back: only reading it again tells what is in it."""


class Journal:
    """The file at `path`, locked against other processes. Every method waits for the disk: call it in a thread."""

    def __init__(self, path: Path) -> None:
        self._file = FileIO(path, "a+")
        self._torn = False
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _sync_folder(path.parent)
        except BaseException:
            self._file.close()
            raise

    def read(self) -> list[bytes]:
        """All whole lines. What stands behind the last one was never answered, and is cut off."""
        self._file.seek(0)
        *lines, torn = self._file.readall().split(b"\n")
        if torn:
            self._cut(self._file.tell() - len(torn))
        return lines

    def append(self, line: bytes) -> None:
        """Write a line, and return when the disk has it. After an `OSError` it is not in the file, except after `TornWrite`."""
        if self._torn:
            raise OSError("an earlier line is torn; open the store again")
        end = os.fstat(self._file.fileno()).st_size
        try:
            self._write(line)
            os.fsync(self._file.fileno())
        except OSError as error:
            self._take_back(end, error)
            raise

    def close(self) -> None:
        """Let go of the file and its lock."""
        self._file.close()

    def _write(self, line: bytes) -> None:
        # One call may write less than it was given.
        while line:
            line = line[self._file.write(line) :]

    def _take_back(self, end: int, error: OSError) -> None:
        try:
            self._cut(end)
        except OSError:
            self._torn = True
            raise TornWrite(str(error)) from error

    def _cut(self, end: int) -> None:
        self._file.truncate(end)
        os.fsync(self._file.fileno())


def _sync_folder(folder: Path) -> None:
    # A new file is durable once its folder is.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
