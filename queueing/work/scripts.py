"""The scripts of work, and which of them need the shared queue functions."""

from __future__ import annotations

import hashlib

from queueing.link import Script

_QUEUE_FUNCTIONS = Script("work_queue").source


class QueueScript(Script):
    """A script that moves references in or out of queues: the functions of work_queue.lua are put before it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.source = _QUEUE_FUNCTIONS + self.source
        self.sha = hashlib.sha1(self.source).hexdigest()


ADMIT = QueueScript("work_admit")
LEASE = QueueScript("work_lease")
UNLEASE = QueueScript("work_unlease")
FINISH = QueueScript("work_finish")
FREEZE = Script("work_freeze")
ENTITY = Script("work_entity")
PLAN = QueueScript("work_plan")
CLAIM = QueueScript("work_claim")
MARK = Script("work_mark")
EXTEND = Script("work_extend")
SETTLE = QueueScript("work_settle")
PROMOTE = QueueScript("work_promote")
RECLAIM = QueueScript("work_reclaim")
STOP = Script("work_stop")
FLAG = Script("work_flag")
SWEPT = Script("work_swept")
DEPTHS = Script("work_depths")

ALL = (
    *(ADMIT, LEASE, UNLEASE, FINISH, FREEZE, ENTITY, PLAN, CLAIM, MARK, EXTEND, SETTLE),
    *(PROMOTE, RECLAIM, STOP, FLAG, SWEPT, DEPTHS),
)
