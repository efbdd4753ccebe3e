"""Answers in memory, so many bytes of them; the ones that were not asked for longest make room."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from semantic.cache.answer import Answer, AnswerKey

_LARGEST_SHARE: Final = 4  # no answer takes more than this part of the room


class AnswerMemory:
    """A bounded store. Safe to use from several threads."""

    __slots__ = ("_answers", "_lock", "_room", "_used")

    def __init__(self, room: int) -> None:
        """Keep at most `room` bytes."""
        self._room = room
        self._used = 0
        self._answers: OrderedDict[AnswerKey, Answer] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def used(self) -> int:
        """How many bytes are held."""
        return self._used

    def find(self, key: AnswerKey) -> Answer | None:
        """Return the answer, which is then the last to make room."""
        with self._lock:
            found = self._answers.get(key)
            if found is not None:
                self._answers.move_to_end(key)
            return found

    def keep(self, key: AnswerKey, answer: Answer) -> None:
        """Keep an answer, unless it is too large."""
        if answer.size > self._room // _LARGEST_SHARE:
            return
        with self._lock:
            known = self._answers.pop(key, None)
            self._used += answer.size - (known.size if known is not None else 0)
            self._answers[key] = answer
            while self._used > self._room:
                _, oldest = self._answers.popitem(last=False)
                self._used -= oldest.size

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._answers.clear()
            self._used = 0
