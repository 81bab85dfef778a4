"""Pods: one bad manifest for each rule of creation, and good ones that pass unchanged."""

from __future__ import annotations

from typing import Any

import pytest

from trireme.api.core.v1.pod.resource import RESOURCE
from trireme.testing import validation
from trireme.testing.validation import REMOVED, changed

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "ns"},
    "spec": {
        "containers": [{"name": "c", "image": "i:1"}],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "claim", "persistentVolumeClaim": {"claimName": "x"}},
        ],
    },
}
C = "spec.containers.0."
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
PROBE = {"httpGet": {"port": 80}}
MOUNT = {"name": "tmp", "mountPath": "/tmp"}

CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    # Containers.
    ("no containers", {"spec.containers": []}, ["spec.containers: Required value"]),
    ("container name", {C + "name": "A"},
     [f'spec.containers[0].name: Invalid value: "A": {LABEL}']),
    ("no container name", {C + "name": REMOVED}, ["spec.containers[0].name: Required value"]),
    ("two of a name", {"spec.containers.1": {"name": "c", "image": "i"}},
     ['spec.containers[1].name: Duplicate value: "c"']),
    ("no image", {C + "image": ""}, ["spec.containers[0].image: Required value"]),
    ("spaces round the image", {C + "image": " i"},
     ['spec.containers[0].image: Invalid value: " i": must not have leading or trailing '
      "whitespace"]),
    ("message policy", {C + "terminationMessagePolicy": "x"},
     ['spec.containers[0].terminationMessagePolicy: Unsupported value: "x": supported values: '
      '"File", "FallbackToLogsOnError"']),
    ("pull policy", {C + "imagePullPolicy": "x"},
     ['spec.containers[0].imagePullPolicy: Unsupported value: "x": supported values: "Always", '
      '"IfNotPresent", "Never"']),
    # Ports.
    ("port zero", {C + "ports": [{"name": "a"}]},
     ["spec.containers[0].ports[0].containerPort: Required value"]),
    ("port too high", {C + "ports": [{"containerPort": 70000}]},
     ["spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and "
      "65535, inclusive"]),
    ("port name", {C + "ports": [{"containerPort": 1, "name": "a--b"}]},
     ['spec.containers[0].ports[0].name: Invalid value: "a--b": must not contain consecutive '
      "hyphens"]),
    ("two ports of a name",
     {C + "ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]},
     ['spec.containers[0].ports[1].name: Duplicate value: "a"']),
    ("protocol", {C + "ports": [{"containerPort": 1, "protocol": "x"}]},
     ['spec.containers[0].ports[0].protocol: Unsupported value: "x": supported values: "SCTP", '
      '"TCP", "UDP"']),
    ("host port twice",
     {C + "ports": [{"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9}]},
     ['spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//9"']),
    ("host network", {"spec.hostNetwork": True, C + "ports": [{"containerPort": 1, "hostPort": 2}]},
     ["spec.containers[0].ports[0].hostPort: Invalid value: 2: must match `containerPort` when "
      "`hostNetwork` is true"]),
    # Environment.
    ("env name", {C + "env": [{"name": "a=b"}]},
     ['spec.containers[0].env[0].name: Invalid value: "a=b": a valid environment variable name '
      "must consist only of printable ASCII characters other than '='"]),
    ("no env name", {C + "env": [{"name": ""}]}, ["spec.containers[0].env[0].name: Required "
                                                  "value"]),
    ("no source", {C + "env": [{"name": "a", "valueFrom": {}}]},
     ['spec.containers[0].env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`, '
      "`resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"]),
    ("value and source",
     {C + "env": [{"name": "a", "value": "v",
                   "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}]},
     ['spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` '
      "is not empty"]),
    ("two sources",
     {C + "env": [{"name": "a", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"},
                                              "secretKeyRef": {"name": "m", "key": "k"}}}]},
     ['spec.containers[0].env[0].valueFrom: Invalid value: "": may not have more than one field '
      "specified at a time"]),
    ("unknown field", {C + "env": [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]},
     ['spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "x": error '
      "converting fieldPath: field label not supported: x"]),
    ("field of volumes",
     {C + "env": [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels"}}}]},
     ['spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: '
      '"metadata.labels": supported values: "metadata.name", "metadata.namespace", '
      '"metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", '
      '"status.hostIPs", "status.podIP", "status.podIPs"']),
    ("resource", {C + "env": [{"name": "a", "valueFrom": {"resourceFieldRef": {"resource": "x"}}}]},
     ['spec.containers[0].env[0].valueFrom.resourceFieldRef.resource: Unsupported value: "x": '
      'supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", '
      '"requests.cpu", "requests.ephemeral-storage", "requests.memory"']),
    ("divisor",
     {C + "env": [{"name": "a", "valueFrom": {
         "resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}}}]},
     ['spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": '
      "only divisor's values 1m and 1 are supported with the cpu resource"]),
    ("file key without a volume",
     {C + "env": [{"name": "a", "valueFrom": {
         "fileKeyRef": {"volumeName": "no", "path": "p", "key": "k"}}}]},
     ['spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName: Not found: "no"']),
    ("file key elsewhere",
     {C + "env": [{"name": "a", "valueFrom": {
         "fileKeyRef": {"volumeName": "claim", "path": "p", "key": "k"}}}]},
     ['spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName: Invalid value: "claim": '
      "referenced volume must be of type emptyDir"]),
    ("envFrom nothing", {C + "envFrom": [{"prefix": "a"}]},
     ['spec.containers[0].envFrom: Invalid value: "": must specify one of: `configMapRef` or '
      "`secretRef`"]),
    ("envFrom name", {C + "envFrom": [{"secretRef": {}}]},
     ["spec.containers[0].envFrom[0].secretRef.name: Required value"]),
    # Mounts.
    ("no such volume", {C + "volumeMounts": [{"name": "no", "mountPath": "/a"}]},
     ['spec.containers[0].volumeMounts[0].name: Not found: "no"']),
    ("no mount path", {C + "volumeMounts": [{"name": "tmp", "mountPath": ""}]},
     ["spec.containers[0].volumeMounts[0].mountPath: Required value"]),
    ("mount path twice", {C + "volumeMounts": [MOUNT, MOUNT]},
     ['spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/tmp": must be unique']),
    ("sub path up", {C + "volumeMounts": [{**MOUNT, "subPath": "../a"}]},
     ["spec.containers[0].volumeMounts.subPath: Invalid value: \"../a\": must not contain '..'"]),
    ("both sub paths", {C + "volumeMounts": [{**MOUNT, "subPath": "a", "subPathExpr": "b"}]},
     ['spec.containers[0].volumeMounts[0].subPathExpr: Invalid value: "b": subPathExpr and subPath '
      "are mutually exclusive"]),
    ("propagation", {C + "volumeMounts": [{**MOUNT, "mountPropagation": "Bidirectional"}]},
     ["spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount "
      "propagation is available only to privileged containers"]),
    ("recursive read-only", {C + "volumeMounts": [{**MOUNT, "recursiveReadOnly": "Enabled"}]},
     ["spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when "
      "readOnly is true"]),
    ("device of no claim", {C + "volumeDevices": [{"name": "tmp", "devicePath": "/d"}]},
     ['spec.containers[0].volumeDevices[0].name: Invalid value: "tmp": can only use volume source '
      "type of PersistentVolumeClaim or Ephemeral for block mode"]),
    ("device and mount",
     {C + "volumeDevices": [{"name": "claim", "devicePath": "/d"}],
      C + "volumeMounts": [{"name": "claim", "mountPath": "/m"}]},
     ['spec.containers[0].volumeMounts[0].name: Invalid value: "claim": must not already exist in '
      "volumeDevices",
      'spec.containers[0].volumeDevices[0].name: Invalid value: "claim": must not already exist in '
      "volumeMounts"]),
    # Resources.
    ("negative", {C + "resources": {"requests": {"cpu": "-1"}}},
     ['spec.containers[0].resources.requests[cpu]: Invalid value: "-1": must be greater than or '
      "equal to 0"]),
    ("request over limit", {C + "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
     ['spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to '
      "cpu limit of 1"]),
    ("extended, no limit", {C + "resources": {"requests": {"a.com/gpu": "1"}}},
     ["spec.containers[0].resources.limits: Required value: Limit must be set for non "
      "overcommitable resources"]),
    ("extended, unequal",
     {C + "resources": {"requests": {"a.com/gpu": "1"}, "limits": {"a.com/gpu": "2"}}},
     ['spec.containers[0].resources.requests: Invalid value: "1": must be equal to a.com/gpu '
      "limit of 2"]),
    ("extended, broken", {C + "resources": {"limits": {"a.com/gpu": "1500m"}}},
     ['spec.containers[0].resources.limits[a.com/gpu]: Invalid value: "1500m": must be an integer',
      'spec.containers[0].resources.requests[a.com/gpu]: Invalid value: "1500m": must be an '
      "integer"]),
    ("no such resource", {C + "resources": {"requests": {"gold": "1"}}},
     ['spec.containers[0].resources.requests[gold]: Invalid value: "gold": must be a standard '
      "resource type or fully qualified",
      'spec.containers[0].resources.requests[gold]: Invalid value: "gold": must be a standard '
      "resource for containers"]),
    ("huge pages alone", {C + "resources": {"limits": {"hugepages-2Mi": "4Mi"}}},
     ["spec.containers[0].resources: Forbidden: HugePages require cpu or memory"]),
    ("huge pages in part",
     {C + "resources": {"limits": {"hugepages-2Mi": "3Mi", "cpu": "1"}}},
     ['spec.containers[0].resources.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not '
      "positive integer multiple of hugepages-2Mi",
      'spec.containers[0].resources.requests[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not '
      "positive integer multiple of hugepages-2Mi"]),
    ("claim unknown", {C + "resources": {"claims": [{"name": "x"}]}},
     ['spec.containers[0].resources.claims[0]: Not found: "x": must be one of the names in '
      "pod.spec.resourceClaims which is empty"]),
    ("pod-level resource", {"spec.resources": {"requests": {"ephemeral-storage": "1"}}},
     ['spec.resources.requests[ephemeral-storage]: Unsupported value: "ephemeral-storage": '
      'supported values: "cpu", "hugepages-", "memory"']),
    ("pod-level too little",
     {"spec.resources": {"requests": {"cpu": "1"}}, C + "resources": {"requests": {"cpu": "2"}}},
     ['spec.resources.requests[cpu]: Invalid value: "1": must be greater than or equal to '
      "aggregate container requests of 2"]),
    ("resize policy", {C + "resizePolicy": [{"resourceName": "gpu", "restartPolicy": "x"}]},
     ['spec.containers[0].resizePolicy: Unsupported value: "gpu": supported values: "cpu", '
      '"memory"',
      'spec.containers[0].resizePolicy: Unsupported value: "x": supported values: "NotRequired", '
      '"RestartContainer"']),
    # Probes and hooks.
    ("no handler", {C + "livenessProbe": {}},
     ["spec.containers[0].livenessProbe: Required value: must specify a handler type"]),
    ("two handlers", {C + "livenessProbe": {**PROBE, "tcpSocket": {"port": 1}}},
     ["spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler "
      "type"]),
    ("liveness threshold", {C + "livenessProbe": {**PROBE, "successThreshold": 2}},
     ["spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"]),
    ("negative delay", {C + "startupProbe": {**PROBE, "initialDelaySeconds": -1}},
     ["spec.containers[0].startupProbe.initialDelaySeconds: Invalid value: -1: must be greater "
      "than or equal to 0"]),
    ("readiness grace", {C + "readinessProbe": {**PROBE, "terminationGracePeriodSeconds": 1}},
     ["spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not "
      "be set for readinessProbes"]),
    ("scheme", {C + "readinessProbe": {"httpGet": {"port": 80, "scheme": "FTP"}}},
     ['spec.containers[0].readinessProbe.httpGet.scheme: Unsupported value: "FTP": supported '
      'values: "HTTP", "HTTPS"']),
    ("probe port", {C + "readinessProbe": {"tcpSocket": {"port": 0}}},
     ["spec.containers[0].readinessProbe.tcpSocket.port: Invalid value: 0: must be between 1 and "
      "65535, inclusive"]),
    ("exec nothing", {C + "readinessProbe": {"exec": {}}},
     ["spec.containers[0].readinessProbe.exec.command: Required value"]),
    ("sleep too long", {C + "lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
     ["spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and "
      "less than terminationGracePeriodSeconds (30)"]),
    # Restart rules.
    ("rules without policy", {C + "restartPolicyRules": [
        {"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]},
     ["spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart "
      "rules are used"]),
    ("rule without codes", {C + "restartPolicy": "Never",
                            C + "restartPolicyRules": [{"action": "x"}]},
     ['spec.containers[0].restartPolicyRules[0].action: Unsupported value: "x": supported values: '
      '"Restart", "RestartAllContainers"',
      "spec.containers[0].restartPolicyRules[0].exitCodes: Required value: must be specified"]),
    # Init and ephemeral containers.
    ("init probe", {"spec.initContainers": [{"name": "i", "image": "i", "livenessProbe": PROBE}]},
     ["spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without "
      "restartPolicy=Always"]),
    ("init name", {"spec.initContainers": [{"name": "c", "image": "i"}]},
     ['spec.initContainers[0].name: Duplicate value: "c"']),
    ("ephemeral", {"spec.ephemeralContainers": [{"name": "e", "image": "i"}]},
     ["spec.ephemeralContainers: Forbidden: cannot be set on create"]),
    # Volumes.
    ("volume name twice", {"spec.volumes.1.name": "tmp"},
     ['spec.volumes[1].name: Duplicate value: "tmp"']),
    ("two sources of a volume", {"spec.volumes.0.hostPath": {"path": "/a"}},
     ["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"]),
    ("host path up", {"spec.volumes.0": {"name": "tmp", "hostPath": {"path": "/a/.."}}},
     ["spec.volumes[0].hostPath.path: Invalid value: \"/a/..\": must not contain '..'"]),
    ("mode", {"spec.volumes.0": {"name": "tmp", "secret": {"secretName": "s", "defaultMode": 512}}},
     ["spec.volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 "
      "(octal), both inclusive"]),
    ("reserved path",
     {"spec.volumes.0": {"name": "tmp", "configMap": {
         "name": "m", "items": [{"key": "k", "path": "..data"}]}}},
     ["spec.volumes[0].configMap.items[0].path: Invalid value: \"..data\": must not start with "
      "'..'"]),
    ("projected twice",
     {"spec.volumes.0": {"name": "tmp", "projected": {"sources": [
         {"secret": {"name": "s", "items": [{"key": "k", "path": "p"}]}},
         {"configMap": {"name": "m", "items": [{"key": "k", "path": "p"}]}}]}}},
     ['spec.volumes[0].projected: Invalid value: "m": conflicting duplicate paths']),
    ("token too short",
     {"spec.serviceAccountName": "a",
      "spec.volumes.0": {"name": "tmp", "projected": {"sources": [
          {"serviceAccountToken": {"path": "t", "expirationSeconds": 1}}]}}},
     ["spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: "
      "1: may not specify a duration less than 10 minutes"]),
    ("token of nobody",
     {"spec.volumes.0": {"name": "tmp", "projected": {"sources": [
         {"serviceAccountToken": {"path": "t"}}]}}},
     ["spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be specified "
      "when serviceAccountName is not set"]),
    ("downward file", {"spec.volumes.0": {"name": "tmp", "downwardAPI": {"items": [{"path":
     "p"}]}}},
     ["spec.volumes[0].downwardAPI: Required value: one of fieldRef and resourceFieldRef is "
      "required"]),
    ("size limit", {"spec.volumes.0": {"name": "tmp", "emptyDir": {"sizeLimit": "-1"}}},
     ["spec.volumes[0].emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource "
      "quantity"]),
    ("nfs", {"spec.volumes.0": {"name": "tmp", "nfs": {"server": "s", "path": "p"}}},
     ['spec.volumes[0].nfs.path: Invalid value: "p": must be an absolute path']),
    ("csi", {"spec.volumes.0": {"name": "tmp", "csi": {"driver": ""}}},
     ["spec.volumes[0].csi.driver: Required value"]),
    ("ephemeral volume",
     {"spec.volumes.0": {"name": "tmp", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}},
     ["spec.volumes[0].ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 "
      "access mode is required",
      "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value"]),
    ("image volume", {"spec.volumes.0": {"name": "tmp", "image": {}}},
     ["spec.volumes[0].image.reference: Required value"]),
    # Placement.
    ("node selector", {"spec.nodeSelector": {"a": "b c"}}, ['spec.nodeSelector: Invalid value: '
                                                            '"b c": ...']),
    ("toleration", {"spec.tolerations": [{"operator": "Equal", "value": "v"}]},
     ['spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is '
      'empty, which means "match all values and all keys"']),
    ("toleration seconds", {"spec.tolerations": [
        {"key": "k", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 1}]},
     ['spec.tolerations[0].effect: Invalid value: "NoSchedule": effect must be \'NoExecute\' when '
      "`tolerationSeconds` is set"]),
    ("toleration value", {"spec.tolerations": [{"key": "k", "operator": "Exists", "value": "v"}]},
     ["spec.tolerations[0].operator: Invalid value: \"v\": value must be empty when `operator` is "
      "'Exists'"]),
    ("toleration operator", {"spec.tolerations": [{"key": "k", "operator": "Near"}]},
     ['spec.tolerations[0].operator: Unsupported value: "Near": supported values: "Equal", '
      '"Exists"']),
    ("no terms", {"spec.affinity": {"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}},
     ["spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution."
      "nodeSelectorTerms: Required value: must have at least one node selector term"]),
    ("weight", {"spec.affinity": {"podAntiAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 0, "podAffinityTerm": {"topologyKey": "zone"}}]}}},
     ["spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: "
      "Invalid value: 0: must be in the range 1-100"]),
    ("spread", {"spec.topologySpreadConstraints": [
        {"maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "x"}]},
     ["spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
      "spec.topologySpreadConstraints[0].topologyKey: Required value: can not be empty",
      'spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: "x": supported '
      'values: "DoNotSchedule", "ScheduleAnyway"']),
    ("spread twice", {"spec.topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "ScheduleAnyway"}] * 2},
     ["spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: "
      '"{z, ScheduleAnyway}"']),
    ("gates and node", {"spec.nodeName": "n", "spec.schedulingGates": [{"name": "g"}]},
     ["spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"]),
    ("gate twice", {"spec.schedulingGates": [{"name": "g"}, {"name": "g"}]},
     ['spec.schedulingGates[1]: Duplicate value: "g"']),
    # Names, numbers, network.
    ("deadline", {"spec.activeDeadlineSeconds": 0},
     ["spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"]),
    ("restart policy", {"spec.restartPolicy": "x"},
     ['spec.restartPolicy: Unsupported value: "x": supported values: "Always", "OnFailure", '
      '"Never"']),
    ("dns policy", {"spec.dnsPolicy": "x"},
     ['spec.dnsPolicy: Unsupported value: "x": supported values: "ClusterFirstWithHostNet", '
      '"ClusterFirst", "Default", "None"']),
    ("dns of one's own", {"spec.dnsPolicy": "None"},
     ["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"]),
    ("name server", {"spec.dnsConfig": {"nameservers": ["x"]}},
     ['spec.dnsConfig.nameservers[0]: Invalid value: "x": must be a valid IP address, (e.g. '
      "10.9.8.7 or 2001:db8::ffff)"]),
    ("host alias", {"spec.hostAliases": [{"ip": "010.0.0.1", "hostnames": ["a"]}]},
     ['spec.hostAliases[0].ip: Invalid value: "010.0.0.1": must not have leading 0s']),
    ("hostname", {"spec.hostname": "a.b"},
     ['spec.hostname: Invalid value: "a.b": must not contain dots']),
    ("hostname override", {"spec.hostNetwork": True, "spec.hostnameOverride": "a"},
     ["spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true"]),
    ("preemption", {"spec.preemptionPolicy": "x"},
     ['spec.preemptionPolicy: Unsupported value: "x": supported values: "PreemptLowerPriority", '
      '"Never"']),
    ("resource claim", {"spec.resourceClaims": [{"name": "r"}]},
     ['spec.resourceClaims[0]: Invalid value: {"Name":"r","ResourceClaimName":null,'
      '"ResourceClaimTemplateName":null}: must specify one of: '
      "`resourceClaimName`, "
      "`resourceClaimTemplateName`"]),
    # Security.
    ("user id", {"spec.securityContext": {"runAsUser": -1}},
     ["spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, "
      "inclusive"]),
    ("sysctl", {"spec.securityContext": {"sysctls": [{"name": "a..b", "value": "1"}]}},
     ['spec.securityContext.sysctls[0].name: Invalid value: "a..b": must have at most 253 '
      r"characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*"
      "[a-z0-9])?$"]),
    ("sysctl of the host", {"spec.hostNetwork": True, "spec.securityContext": {
        "sysctls": [{"name": "net.core.somaxconn", "value": "1"}]}},
     ['spec.securityContext.sysctls[0].name: Invalid value: "net.core.somaxconn": may not be '
      "specified when 'hostNetwork' is true"]),
    ("seccomp", {"spec.securityContext": {"seccompProfile": {"type": "Localhost"}}},
     ["spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when "
      "seccomp type is Localhost"]),
    ("escalation", {C + "securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
     ['spec.containers[0].securityContext: Invalid value: {"Capabilities":null,"Privileged":true,'
      '"SELinuxOptions":null,"WindowsOptions":null,"RunAsUser":null,"RunAsGroup":null,'
      '"RunAsNonRoot":null,"ReadOnlyRootFilesystem":null,"AllowPrivilegeEscalation":false,'
      '"ProcMount":null,"SeccompProfile":null,"AppArmorProfile":null}: cannot set '
      "`allowPrivilegeEscalation` to false and `privileged` to true"]),
    ("proc mount", {C + "securityContext": {"procMount": "Unmasked"}},
     ['spec.containers[0].securityContext.procMount: Invalid value: "Unmasked": `hostUsers` must '
      "be false to use `Unmasked`"]),
    ("user namespace", {"spec.hostUsers": False, "spec.hostPID": True},
     ["spec.HostPID: Forbidden: when `hostUsers` is false"]),
    ("os", {"spec.os": {"name": "plan9"}},
     ['spec.os: Unsupported value: "plan9": supported values: "linux", "windows"']),
    ("linux on windows", {"spec.os": {"name": "windows"}, "spec.hostPID": True,
                          "spec.securityContext": {"fsGroup": 1}},
     ["spec.hostPID: Forbidden: cannot be set for a windows pod",
      "spec.securityContext.fsGroup: Forbidden: cannot be set for a windows pod"]),
    ("host process", {"spec.securityContext": {"windowsOptions": {"hostProcess": True}}},
     ["spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any "
      "hostProcess containers"]),
    # Annotations.
    ("mirror", {"metadata.annotations": {"kubernetes.io/config.mirror": "x"}},
     ['metadata.annotations[kubernetes.io/config.mirror]: Invalid value: "x": must set '
      "spec.nodeName if mirror pod annotation is set"]),
    ("deletion cost",
     {"metadata.annotations": {"controller.kubernetes.io/pod-deletion-cost": "+01"}},
     ['metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "+01": '
      "must be a 32bit integer"]),
    ("seccomp of both", {
        "metadata.annotations": {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"},
        "spec.securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}},
     ["spec.securityContext.seccompProfile.type: Forbidden: seccomp type in annotation and field "
      "must match"]),
    # Metadata.
    ("pod name", {"metadata.name": "P"}, ['metadata.name: Invalid value: "P": a lowercase RFC '
                                          '1123 subdomain ...']),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_rule(changes: dict[str, Any], expected: list[str]) -> None:
    found = validation.create(RESOURCE, changed(POD, changes))
    assert validation.agrees(found, expected), found


GOOD: list[tuple[str, dict[str, Any]]] = [
    ("plain", {}),
    ("generated name", {"metadata.name": "p-abcde", "metadata.generateName": "p-"}),
    ("sidecar", {"spec.initContainers": [
        {"name": "s", "image": "i", "restartPolicy": "Always", "livenessProbe": PROBE}]}),
    ("windows", {"spec.os": {"name": "windows"}, "spec.securityContext": {
        "windowsOptions": {"runAsUserName": "NT AUTHORITY\\SYSTEM"}}}),
    ("block device", {C + "volumeDevices": [{"name": "claim", "devicePath": "/d"}]}),
    ("huge pages", {C + "resources": {"limits": {"hugepages-2Mi": "4Mi", "memory": "1Gi"}}}),
    ("pod-level", {"spec.resources": {"limits": {"cpu": "1"}}}),
    ("annotation of a label", {C + "env": [
        {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}}]}),
    ("restart rules", {C + "restartPolicy": "Never", C + "restartPolicyRules": [
        {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]}),
    ("no sleep", {C + "lifecycle": {"preStop": {"sleep": {"seconds": 0}}}}),
    ("search domains", {"spec.dnsConfig": {"searches": [".", "_sip._tcp.example.org"]}}),
    ("a variable's name", {C + "env": [{"name": "1 a!", "value": "x"}]}),
    ("resource claim", {"spec.resourceClaims": [{"name": "r", "resourceClaimName": "x"}],
                        C + "resources": {"claims": [{"name": "r"}]}}),
]  # fmt: skip


@pytest.mark.parametrize("changes", [case[1] for case in GOOD], ids=[case[0] for case in GOOD])
def test_good(changes: dict[str, Any]) -> None:
    assert validation.create(RESOURCE, changed(POD, changes)) == []
