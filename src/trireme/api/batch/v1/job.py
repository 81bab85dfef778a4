"""Job: defaults, preparation and columns; types and rules are in ``job_types`` and
``job_*_rules``."""

from __future__ import annotations

from trireme.api import columns
from trireme.api.batch.v1 import job_rules as checks
from trireme.api.batch.v1 import job_status_rules
from trireme.api.batch.v1.job_types import Job, JobSpec
from trireme.api.core.v1.pod import defaults as pod_defaults
from trireme.api.core.v1.pod import prepare as pod_prepare
from trireme.api.core.v1.pod import warnings as pod_warnings
from trireme.machinery import field, time
from trireme.machinery.field import Path
from trireme.machinery.meta import LabelSelector
from trireme.machinery.resource import Column, Resource, Timed, spec_changed, status

# The Status column: the first condition of these that is true.
_STATES = ("Complete", "Failed", "", "Suspended", "FailureTarget", "SuccessCriteriaMet")
_MANY_COMPLETIONS, _MANY_PODS = 100_000, 10_000


def defaults(obj: Job) -> None:
    """One pod, six tries; the template's labels where the job has none; those of the template."""
    spec = obj.spec
    if spec.completions is None and spec.parallelism is None:
        spec.completions = 1
    if spec.parallelism is None:
        spec.parallelism = 1
    if spec.backoffLimit is None:
        spec.backoffLimit = 6 if spec.backoffLimitPerIndex is None else 2**31 - 1
    if not obj.metadata.labels:
        # One dict for both, as upstream: the labels that prepare_create adds are the job's as well.
        obj.metadata.labels = spec.template.metadata.labels
    if spec.completionMode is None:
        spec.completionMode = "NonIndexed"
    if spec.suspend is None:
        spec.suspend = False
    if spec.podReplacementPolicy is None:
        failed = spec.podFailurePolicy is not None
        spec.podReplacementPolicy = "Failed" if failed else "TerminatingOrFailed"
    if spec.manualSelector is None:
        spec.manualSelector = False
    pod_defaults.template(spec.template)


def prepare_create(new: Job) -> None:
    """Select the pods by the job's uid, unless the client selects them itself."""
    if not new.spec.manualSelector:
        _own_selector(new)
    pod_prepare.drop_disabled(new.spec.template.spec, None)


def _own_selector(new: Job) -> None:
    made = new.spec.template.metadata.labels
    for label in (checks.LEGACY_NAME, checks.NAME):
        made.setdefault(label, new.metadata.name)
    for label in (checks.LEGACY_UID, checks.UID):
        made.setdefault(label, new.metadata.uid)
    selector = new.spec.selector or LabelSelector()
    selector.matchLabels = {checks.UID: new.metadata.uid, **selector.matchLabels}
    new.spec.selector = selector


def prepare_update(new: Job, old: Job) -> None:
    """Fields of features that are off are dropped, unless the old template has them."""
    pod_prepare.drop_disabled(new.spec.template.spec, old.spec.template.spec)


def warnings(new: Job, old: Job | None) -> list[str]:
    """A name that is no valid pod name, and warnings of the spec."""
    found = pod_warnings.named(new.metadata.name) if old is None else []
    if pod_warnings.is_other(new, old):
        found += spec_warnings(field.path("spec"), new.spec)
    return found


def spec_warnings(at: Path, spec: JobSpec) -> list[str]:
    """More indexes than the status may be able to hold; those of the template."""
    found = []
    many = (spec.completions or 0) > _MANY_COMPLETIONS and (spec.parallelism or 0) > _MANY_PODS
    if spec.completionMode == "Indexed" and many:
        found.append(
            f"{at}: In Indexed Jobs with a number of completions higher than 10^5 and a "
            "parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes "
            "when a big number of indexes fail"
        )
    return found + pod_warnings.template(at.child("template"), spec.template)


def state(obj: Job) -> str:
    """The Status cell."""
    true = {item.type for item in obj.status.conditions if item.status == "True"}
    for name in _STATES:
        if not name and obj.metadata.deletionTimestamp is not None:
            return "Terminating"
        if name in true:
            return name
    return "Running"


def _completions(obj: Job) -> str:
    done, spec = obj.status.succeeded, obj.spec
    if spec.completions is not None:
        return f"{done}/{spec.completions}"
    parallelism = spec.parallelism or 0
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def _duration(obj: Job, now: float) -> str:
    start, end = obj.status.startTime, obj.status.completionTime
    if start is None:
        return ""
    until = now if end is None else time.parse(end)
    return time.human_duration(until - time.parse(start))


RESOURCE = Resource(
    type=Job,
    plural="jobs",
    categories=("all",),
    subresources=(status(),),
    default_orphan=True,
    orphan_warning=(
        "child pods are preserved by default when jobs are deleted; set "
        "propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress "
        "this warning"
    ),
    defaults=defaults,
    prepare_create=prepare_create,
    prepare_update=prepare_update,
    warnings=warnings,
    validate=checks.validate,
    validate_update=checks.validate_update,
    validate_status=job_status_rules.validate,
    generation=spec_changed,
    columns=(
        columns.NAME,
        Column("Status", state, "How far the job has come."),
        Column("Completions", _completions, "How many pods have succeeded, of how many."),
        Column("Duration", Timed(_duration), "How long it has run."),
        columns.AGE,
        *columns.CONTAINERS,
        columns.SELECTOR,
    ),
    selectable={"status.successful": lambda obj: str(obj.status.succeeded)},
)
