"""The port `Work` on the store: joins the files of this package."""

from __future__ import annotations

from queueing.link import Link
from queueing.work import scripts
from queueing.work.admission import Admissions
from queueing.work.asking import Asking
from queueing.work.bell import Bell
from queueing.work.claims import Claims
from queueing.work.depths import Depths
from queueing.work.expiring import Expiring
from queueing.work.planning import Planning
from queueing.work.settling import Settling
from queueing.work.stopping import Stopping
from queueing.work.sweeping import Sweeping
from queueing.work.upkeep import Upkeep

DAY_MS = 24 * 3600 * 1000

KEEP_DAYS = 30
"""Long enough for "did that message ever reach us?", short enough for a ledger that names people."""


class StoreWork:
    """Events, frozen audiences, slices, leases and settlements in Valkey or Redis. The verbs are those of the port.

    Start `run` in a nursery, so that `wait_for_work` returns as soon as there is work.

    Args:
        keep_days: how long the ledger of an event is kept after the event expired.
    """

    def __init__(self, link: Link, *, keep_days: int = KEEP_DAYS) -> None:
        link.know(scripts.ALL)
        admissions, planning, claims, settling = Admissions(link), Planning(link), Claims(link), Settling(link)
        stopping, sweeping, asking, bell = Stopping(link), Sweeping(link), Asking(link), Bell(link)
        upkeep, expiring = Upkeep(link), Expiring(link, stopping, keep_days * DAY_MS)

        self.admit, self.events, self.find_admitted = admissions.admit, admissions.events, admissions.find_admitted
        self.lease_unplanned, self.finish_planning = planning.lease_unplanned, planning.finish_planning
        self.claim_entity, self.freeze, self.plan = planning.claim_entity, planning.freeze, planning.plan
        self.ready, self.claim, self.mark, self.extend = claims.ready, claims.claim, claims.mark, claims.extend
        self.settle, self.stop, self.cancel = settling.settle, stopping.stop, stopping.cancel
        self.promote, self.reclaim = upkeep.promote, upkeep.reclaim
        self.expire, self.sweep = expiring.expire, sweeping.sweep
        self.report, self.story = asking.report, asking.story
        self.marked_at_reclaim = asking.marked_at_reclaim
        self.depths = Depths(link).depths
        self.run, self.wait_for_work = bell.run, bell.wait
