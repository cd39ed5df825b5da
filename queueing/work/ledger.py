"""The port `Work` on the store: joins the files of this package."""

from __future__ import annotations

from queueing.link import Link
from queueing.work import scripts
from queueing.work.admission import Admissions
from queueing.work.asking import Asking
from queueing.work.bell import Bell
from queueing.work.claims import Claims
from queueing.work.planning import Planning
from queueing.work.settling import Settling
from queueing.work.stopping import Stopping
from queueing.work.sweeping import Sweeping
from queueing.work.upkeep import Upkeep


class StoreWork:
    """Events, frozen audiences, slices, leases and settlements in Valkey or Redis. The verbs are those of the port.

    Start `run` in a nursery, so that `wait_for_work` returns as soon as there is work.
    """

    def __init__(self, link: Link) -> None:
        link.know(scripts.ALL)
        admissions, planning, claims, settling = Admissions(link), Planning(link), Claims(link), Settling(link)
        stopping, sweeping, asking, bell = Stopping(link), Sweeping(link), Asking(link), Bell(link)
        upkeep = Upkeep(link, stopping)

        self.admit, self.events = admissions.admit, admissions.events
        self.lease_unplanned, self.finish_planning = planning.lease_unplanned, planning.finish_planning
        self.claim_entity, self.freeze, self.plan = planning.claim_entity, planning.freeze, planning.plan
        self.ready, self.claim, self.mark, self.extend = claims.ready, claims.claim, claims.mark, claims.extend
        self.settle, self.stop = settling.settle, stopping.stop
        self.promote, self.reclaim, self.expire = upkeep.promote, upkeep.reclaim, upkeep.expire
        self.sweep = sweeping.sweep
        self.report, self.story = asking.report, asking.story
        self.marked_at_reclaim = asking.marked_at_reclaim
        self.run, self.wait_for_work = bell.run, bell.wait
