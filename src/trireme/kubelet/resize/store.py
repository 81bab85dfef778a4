"""The allocations of this node's pods, kept over restarts of the kubelet.

In: admitted and resized pods. Out: one file in each pod's directory, removed together with it.
Called by resize/manager, worker and status. Rules: KEP-1287 (allocation checkpoint). A file is
written when a pod is admitted and by resizes only: what is in force is otherwise what is allocated.
"""

from __future__ import annotations

import logging

from trireme.api.core import v1 as core
from trireme.kubelet import checkpoint, podspec
from trireme.kubelet.host.contract import Host
from trireme.kubelet.resize import allocation
from trireme.kubelet.resize.allocation import Record, Resources

FILE = "resources.json"


class Allocations:
    """Records by pod UID. Pods without one have what their specification asks for."""

    def __init__(self, host: Host, log: logging.Logger, root: str) -> None:
        self._host = host
        self._log = log
        self._root = root
        self._records: dict[str, Record] = {}

    def load(self, pod: core.Pod) -> None:
        """Take up what an earlier kubelet allocated to the pod."""
        uid = pod.metadata.uid
        if uid in self._records:
            return
        try:
            record = checkpoint.read(self._host, self._folder(uid), FILE, Record)
        except (checkpoint.CorruptCheckpoint, OSError) as error:
            self._log.warning("the allocation of pod %s is lost: %s", uid, error)
            return
        if record is not None:
            self._records[uid] = record

    def admit(self, pod: core.Pod) -> None:
        """``pod`` gets the resources that it has now, unless it has an allocation."""
        if pod.metadata.uid not in self._records:
            self._set(pod.metadata.uid, Record(allocated=allocation.resources_of(pod)))

    def resize(self, pod: core.Pod) -> None:
        record = self._records.get(pod.metadata.uid)
        if record is not None:
            self._set(pod.metadata.uid, record.resized(pod))

    def pod(self, pod: core.Pod) -> core.Pod:
        """``pod`` with its allocated resources."""
        record = self._records.get(pod.metadata.uid)
        return pod if record is None else allocation.allocated_pod(pod, record.allocated)

    def actuated(self, uid: str) -> Resources | None:
        """What is in force; None: all that is allocated."""
        record = self._records.get(uid)
        return None if record is None else record.actuated

    def started(self, uid: str, name: str, resources: core.ResourceRequirements) -> None:
        record = self._records.get(uid)
        if record is not None:
            self._set(uid, record.started(name, resources))

    def complete(self, uid: str) -> None:
        record = self._records.get(uid)
        if record is not None:
            self._set(uid, record.complete())

    def forget(self, uid: str) -> None:
        """Its file goes with the pod's directory."""
        self._records.pop(uid, None)

    def _set(self, uid: str, record: Record) -> None:
        if self._records.get(uid) == record:
            return
        self._records[uid] = record
        self._host.make_dirs(self._folder(uid), 0o750)
        checkpoint.write(self._host, self._folder(uid), FILE, record)

    def _folder(self, uid: str) -> str:
        return podspec.directory(self._root, uid)
