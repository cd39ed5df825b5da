"""Many small calls of one script as one call per hash tag.

A script call costs about a microsecond per key inside the store; a command of its own costs about ten, most of them
in the client. This is what makes an import of two million people affordable.
"""

from __future__ import annotations

from collections.abc import Sequence

from queueing.directory.keys import TAGS
from queueing.link import Argument, Command, Reply, Script

GATHER = Script("directory_gather")
NUMBER = Script("directory_number")
CLAIM = Script("directory_claim")
FORGET = Script("directory_forget")
ROSTERS = Script("directory_rosters")
COMMIT = Script("directory_commit")
FINISH = Script("directory_finish")
SCRIPTS = (GATHER, NUMBER, CLAIM, FORGET, ROSTERS, COMMIT, FINISH)


class Spread:
    """Collects keys and arguments by tag; the replies come back in the order in which they were added."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._keys: list[list[Argument]] = [[] for _ in range(TAGS)]
        self._arguments: list[list[Argument]] = [[] for _ in range(TAGS)]
        self._order: list[int] = []  # tags, as they were added

    def add(self, tag_and_key: tuple[int, bytes], *arguments: Argument) -> None:
        tag, key = tag_and_key
        self._order.append(tag)
        self._keys[tag].append(key)
        self._arguments[tag].extend(arguments)

    def commands(self) -> list[Command]:
        return [self._script.call(keys, self._arguments[tag]) for tag, keys in enumerate(self._keys) if keys]

    def replies(self, raw: Sequence[Reply]) -> list[Reply]:
        """Put the replies to `commands()` back into the order of `add`."""
        answers = iter(raw)
        by_tag = [iter(next(answers) if keys else ()) for keys in self._keys]
        return [next(by_tag[tag]) for tag in self._order]
