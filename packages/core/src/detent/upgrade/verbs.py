"""The verbs that move live instances to another version of their definition."""

from typing import Unpack

from detent.errors import UnknownVersion
from detent.json_values import JsonObject
from detent.runtime.arguments import check_limit
from detent.runtime.caller import Caller
from detent.runtime.verbs import Verbs
from detent.store.query import InstanceQuery
from detent.upgrade.candidates import Candidates
from detent.upgrade.options import MOST, UpgradeOptions, check_known, ids_in, rules_of
from detent.upgrade.report import UpgradeReport
from detent.upgrade.sources import Sources
from detent.upgrade.upgrades import Upgrades


class UpgradeVerbs(Verbs):
    """Upgrade instances, or say what that would do.

    An upgrade is a change of label: no command runs, no state is entered and none is left. See `UpgradeOptions` for what both
    verbs take, and `SkipCode` and `FailureCode` for what becomes of instances that are not moved. Both raise `InvalidValue`
    before any instance is touched: for a mapping into a state that the target does not have or that has an `on_enter` there,
    for names of states that no source has, and for a target that is not registered here; and `UnknownWorkflow`, and
    `UnknownVersion` for a `from_version` that is stored nowhere and has no instances.
    """

    async def plan_upgrade(self, workflow: str, **options: Unpack[UpgradeOptions]) -> UpgradeReport:
        """What `upgrade_instances` would do with the same options, instance by instance. Nothing is written."""
        upgrades = await self._upgrades(workflow, options, self._caller)
        return await upgrades.plan(options.get("limit", MOST), options.get("cursor"))

    async def upgrade_instances(
        self,
        workflow: str,
        *,
        reason: str | None = None,
        trigger_metadata: JsonObject | None = None,
        **options: Unpack[UpgradeOptions],
    ) -> UpgradeReport:
        """What became of each instance: upgraded, skipped or failed. Each is moved in a step of its own.

        An instance that moves meanwhile is decided anew. History gets one entry `$upgraded` with both versions, `reason`, and
        what changed in the context; observers hear of it as of a transition. Where the caller lends a transaction, all is
        done in that one, each instance in a savepoint.
        """
        upgrades = await self._upgrades(workflow, options, self._caller.saying(trigger_metadata))
        return await upgrades.perform(options.get("limit", MOST), options.get("cursor"), reason)

    async def _upgrades(self, workflow: str, options: UpgradeOptions, caller: Caller) -> Upgrades:
        """Everything checked that can be before an instance is looked at."""
        check_known(options)
        check_limit(options.get("limit", MOST))
        running, tenant = self.running(), options.get("tenant")
        store, machines = running.parts.store, running.parts.machines
        caller = caller if tenant is None else caller.bound_to(tenant)
        rules, ids = rules_of(options, workflow, machines), ids_in(options)
        sources = await Sources.stored(store, workflow)
        rules.check(machines, sources)
        if rules.from_version is not None and not sources.knows(rules.from_version):
            # An instance whose snapshot is lost can still be moved away from it.
            query = InstanceQuery(workflows=(workflow,), versions=(rules.from_version,)).of_tenant(caller.tenant)
            if not (await store.count(query, outside=caller.connection))[()]:
                raise UnknownVersion(workflow, rules.from_version)
        return Upgrades(running, caller, rules, sources, Candidates(store, rules, caller, ids))
