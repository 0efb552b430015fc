"""Lines of what makes pods, and of what watches over them."""

from runbook_lib.sandbox.cluster.printing.values import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    Column,
    Object,
    ago,
    at,
    column,
    human,
    moment,
    of_template,
)
from runbook_lib.sandbox.cluster.selectors import text_of

SELECTOR = Column("Selector", lambda i: text_of(at(i, "spec", "selector")), wide=True)


def _ready(item: Object) -> str:
    return f"{at(item, 'status', 'readyReplicas', default=0)}/{at(item, 'spec', 'replicas', default=0)}"


DEPLOYMENT = (
    NAME,
    Column("Ready", _ready),
    column("Up-to-date", "status", "updatedReplicas", default=0, type="integer"),
    column("Available", "status", "availableReplicas", default=0, type="integer"),
    AGE,
    *of_template(),
    SELECTOR,
)
REPLICA_SET = (
    NAME,
    column("Desired", "spec", "replicas", default=0, type="integer"),
    column("Current", "status", "replicas", default=0, type="integer"),
    column("Ready", "status", "readyReplicas", default=0, type="integer"),
    AGE,
    *of_template(),
    SELECTOR,
)
STATEFUL_SET = (NAME, Column("Ready", _ready), AGE, *of_template())
DAEMON_SET = (
    NAME,
    column("Desired", "status", "desiredNumberScheduled", default=0, type="integer"),
    column("Current", "status", "currentNumberScheduled", default=0, type="integer"),
    column("Ready", "status", "numberReady", default=0, type="integer"),
    column("Up-to-date", "status", "updatedNumberScheduled", default=0, type="integer"),
    column("Available", "status", "numberAvailable", default=0, type="integer"),
    Column("Node Selector", lambda i: _labels(at(i, "spec", "template", "spec", "nodeSelector", default={}))),
    AGE,
    *of_template(),
    SELECTOR,
)


def _labels(labels: Object) -> str:
    return ",".join(f"{k}={v}" for k, v in sorted(labels.items())) or NONE


def _completions(job: Object) -> str:
    done = at(job, "status", "succeeded", default=0)
    wanted = at(job, "spec", "completions")
    if wanted is not None:
        return f"{done}/{wanted}"
    parallel = at(job, "spec", "parallelism", default=0)
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def _duration(job: Object) -> str:
    start, end = moment(at(job, "status", "startTime")), moment(at(job, "status", "completionTime"))
    if start is None:
        return ""
    return human(int((end - start).total_seconds())) if end else ago(start.isoformat())


def _job_status(job: Object) -> str:
    conditions = {c["type"]: c["status"] for c in at(job, "status", "conditions", default=[])}
    for kind, word in (
        ("Complete", "Complete"),
        ("Failed", "Failed"),
        ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
        ("SuccessCriteriaMet", "SuccessCriteriaMet"),
    ):
        if conditions.get(kind) == "True":
            return word
    return "Terminating" if job["metadata"].get("deletionTimestamp") else "Running"


JOB = (
    NAME,
    Column("Status", _job_status),
    Column("Completions", _completions),
    Column("Duration", _duration),
    AGE,
    *of_template(),
    SELECTOR,
)
CRON_JOB = (
    NAME,
    column("Schedule", "spec", "schedule"),
    column("Timezone", "spec", "timeZone", default=NONE),
    Column("Suspend", lambda i: str(bool(at(i, "spec", "suspend", default=False)))),
    Column("Active", lambda i: len(at(i, "status", "active", default=[])), type="integer"),
    Column("Last Schedule", lambda i: ago(t) if (t := at(i, "status", "lastScheduleTime")) else NONE),
    AGE,
)


def _targets(autoscaler: Object) -> str:
    """`cpu: 35%/80%`, one a metric; `<unknown>` while nothing was measured."""
    current = {at(m, "resource", "name"): m for m in at(autoscaler, "status", "currentMetrics", default=[]) or []}
    shown = []
    for metric in at(autoscaler, "spec", "metrics", default=[]):
        name = at(metric, "resource", "name")
        if metric.get("type") != "Resource" or name is None:
            shown.append(f"{metric.get('type')}: {UNKNOWN}")
            continue
        target, now = (
            at(metric, "resource", "target", default={}),
            at(current.get(name, {}), "resource", "current", default={}),
        )
        if "averageUtilization" in target:
            value = f"{now['averageUtilization']}%" if now.get("averageUtilization") is not None else UNKNOWN
            shown.append(f"{name}: {value}/{target['averageUtilization']}%")
        else:
            shown.append(f"{name}: {now.get('averageValue', UNKNOWN)}/{target.get('averageValue', UNKNOWN)}")
    return ", ".join(shown) or NONE


AUTOSCALER = (
    NAME,
    Column(
        "Reference", lambda i: f"{at(i, 'spec', 'scaleTargetRef', 'kind')}/{at(i, 'spec', 'scaleTargetRef', 'name')}"
    ),
    Column("Targets", _targets),
    Column("MinPods", lambda i: str(at(i, "spec", "minReplicas", default=1))),
    column("MaxPods", "spec", "maxReplicas", default=0, type="integer"),
    column("Replicas", "status", "currentReplicas", default=0, type="integer"),
    AGE,
)
BUDGET = (
    NAME,
    Column("Min Available", lambda i: str(at(i, "spec", "minAvailable", default="N/A"))),
    Column("Max Unavailable", lambda i: str(at(i, "spec", "maxUnavailable", default="N/A"))),
    column("Allowed Disruptions", "status", "disruptionsAllowed", default=0, type="integer"),
    AGE,
)
