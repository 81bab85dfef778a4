# Made by scripts/stubs.
from .cronjob import CronJob as CronJob
from .cronjob import CronJobSpec as CronJobSpec
from .cronjob import CronJobStatus as CronJobStatus
from .job_types import Job as Job
from .job_types import JobCondition as JobCondition
from .job_types import JobSpec as JobSpec
from .job_types import JobStatus as JobStatus
from .cronjob import JobTemplateSpec as JobTemplateSpec
from .job_types import PodFailurePolicy as PodFailurePolicy
from .job_types import PodFailurePolicyOnExitCodesRequirement as PodFailurePolicyOnExitCodesRequirement
from .job_types import PodFailurePolicyOnPodConditionsPattern as PodFailurePolicyOnPodConditionsPattern
from .job_types import PodFailurePolicyRule as PodFailurePolicyRule
from .job_types import SuccessPolicy as SuccessPolicy
from .job_types import SuccessPolicyRule as SuccessPolicyRule
from .job_types import UncountedTerminatedPods as UncountedTerminatedPods
