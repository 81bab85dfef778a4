"""Values of the Container Runtime Interface v1 as plain structs with the wire's own field names.

In: nothing. Out: the types that ``contract.Runtime`` takes and returns. Used wherever the kubelet
handles sandboxes, containers and images; only ``cri/client.py`` depends on protobuf.
Rules: the CRI v1 API. Times are nanoseconds since the epoch, sizes are bytes.
"""

from __future__ import annotations

import enum

import msgspec


class Struct(msgspec.Struct):
    """Base of the CRI values. Equality is by value; instances are shared and never mutated."""


class SandboxState(enum.IntEnum):
    READY = 0
    NOTREADY = 1


class ContainerState(enum.IntEnum):
    CREATED = 0
    RUNNING = 1
    EXITED = 2
    UNKNOWN = 3


class NamespaceMode(enum.IntEnum):
    POD = 0
    CONTAINER = 1
    NODE = 2
    TARGET = 3


class Propagation(enum.IntEnum):
    PRIVATE = 0
    HOST_TO_CONTAINER = 1
    BIDIRECTIONAL = 2


class PortProtocol(enum.IntEnum):
    TCP = 0
    UDP = 1
    SCTP = 2


class ProfileType(enum.IntEnum):
    RUNTIME_DEFAULT = 0
    UNCONFINED = 1
    LOCALHOST = 2


# ---- configuration: what the kubelet asks for


class IDMapping(Struct, kw_only=True):
    host_id: int = 0
    container_id: int = 0
    length: int = 0


class ImageSpec(Struct, kw_only=True):
    image: str = ""
    annotations: dict[str, str] = {}
    user_specified_image: str = ""
    runtime_handler: str = ""


class DNSConfig(Struct, kw_only=True):
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []


class PortMapping(Struct, kw_only=True):
    protocol: int = PortProtocol.TCP
    container_port: int = 0
    host_port: int = 0
    host_ip: str = ""


class Mount(Struct, kw_only=True):
    container_path: str = ""
    host_path: str = ""
    readonly: bool = False
    selinux_relabel: bool = False
    propagation: int = Propagation.PRIVATE
    recursive_read_only: bool = False
    image: ImageSpec | None = None
    image_sub_path: str = ""


class Device(Struct, kw_only=True):
    container_path: str = ""
    host_path: str = ""
    permissions: str = ""


class KeyValue(Struct, kw_only=True):
    key: str = ""
    value: bytes = b""


class NamespaceOption(Struct, kw_only=True):
    network: int = NamespaceMode.POD
    pid: int = NamespaceMode.POD
    ipc: int = NamespaceMode.POD
    target_id: str = ""


class SecurityProfile(Struct, kw_only=True):
    profile_type: int = ProfileType.RUNTIME_DEFAULT
    localhost_ref: str = ""


class SELinuxOption(Struct, kw_only=True):
    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""


class Capability(Struct, kw_only=True):
    add_capabilities: list[str] = []
    drop_capabilities: list[str] = []


class HugepageLimit(Struct, kw_only=True):
    page_size: str = ""
    limit: int = 0


class LinuxResources(Struct, kw_only=True):
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_shares: int = 0
    memory_limit_in_bytes: int = 0
    oom_score_adj: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    hugepage_limits: list[HugepageLimit] = []
    unified: dict[str, str] = {}
    memory_swap_limit_in_bytes: int = 0


class SandboxMetadata(Struct, kw_only=True):
    name: str = ""
    uid: str = ""
    namespace: str = ""
    attempt: int = 0


class SandboxSecurityContext(Struct, kw_only=True):
    namespace_options: NamespaceOption | None = None
    selinux_options: SELinuxOption | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    readonly_rootfs: bool = False
    supplemental_groups: list[int] = []
    supplemental_groups_policy: int = 0
    privileged: bool = False
    seccomp: SecurityProfile | None = None
    apparmor: SecurityProfile | None = None


class LinuxSandboxConfig(Struct, kw_only=True):
    cgroup_parent: str = ""
    security_context: SandboxSecurityContext | None = None
    sysctls: dict[str, str] = {}
    overhead: LinuxResources | None = None
    resources: LinuxResources | None = None


class SandboxConfig(Struct, kw_only=True):
    metadata: SandboxMetadata
    hostname: str = ""
    log_directory: str = ""
    dns_config: DNSConfig | None = None
    port_mappings: list[PortMapping] = []
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    linux: LinuxSandboxConfig | None = None


class ContainerMetadata(Struct, kw_only=True):
    name: str = ""
    attempt: int = 0


class ContainerSecurityContext(Struct, kw_only=True):
    capabilities: Capability | None = None
    privileged: bool = False
    namespace_options: NamespaceOption | None = None
    selinux_options: SELinuxOption | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_username: str = ""
    readonly_rootfs: bool = False
    supplemental_groups: list[int] = []
    supplemental_groups_policy: int = 0
    no_new_privs: bool = False
    masked_paths: list[str] = []
    readonly_paths: list[str] = []
    seccomp: SecurityProfile | None = None
    apparmor: SecurityProfile | None = None


class LinuxContainerConfig(Struct, kw_only=True):
    resources: LinuxResources | None = None
    security_context: ContainerSecurityContext | None = None


class ContainerConfig(Struct, kw_only=True):
    metadata: ContainerMetadata
    image: ImageSpec
    command: list[str] = []
    args: list[str] = []
    working_dir: str = ""
    envs: list[KeyValue] = []
    mounts: list[Mount] = []
    devices: list[Device] = []
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    log_path: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    linux: LinuxContainerConfig | None = None
    stop_signal: int = 0


class AuthConfig(Struct, kw_only=True):
    username: str = ""
    password: str = ""
    auth: str = ""
    server_address: str = ""
    identity_token: str = ""
    registry_token: str = ""


# ---- what the runtime answers


class PodIP(Struct, kw_only=True):
    ip: str = ""


class SandboxNetwork(Struct, kw_only=True):
    ip: str = ""
    additional_ips: list[PodIP] = []


class SandboxNamespaces(Struct, kw_only=True):
    options: NamespaceOption | None = None


class LinuxSandboxStatus(Struct, kw_only=True):
    namespaces: SandboxNamespaces | None = None


class SandboxStatus(Struct, kw_only=True):
    id: str = ""
    metadata: SandboxMetadata
    state: int = SandboxState.READY
    created_at: int = 0
    network: SandboxNetwork | None = None
    linux: LinuxSandboxStatus | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    runtime_handler: str = ""


class Sandbox(Struct, kw_only=True):
    id: str = ""
    metadata: SandboxMetadata
    state: int = SandboxState.READY
    created_at: int = 0
    labels: dict[str, str] = {}
    runtime_handler: str = ""


class LinuxContainerUser(Struct, kw_only=True):
    uid: int = 0
    gid: int = 0
    supplemental_groups: list[int] = []


class ContainerUser(Struct, kw_only=True):
    linux: LinuxContainerUser | None = None


class ContainerResources(Struct, kw_only=True):
    linux: LinuxResources | None = None


class ContainerStatus(Struct, kw_only=True):
    id: str = ""
    metadata: ContainerMetadata
    state: int = ContainerState.UNKNOWN
    created_at: int = 0
    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    image: ImageSpec | None = None
    image_ref: str = ""
    reason: str = ""
    message: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    mounts: list[Mount] = []
    log_path: str = ""
    resources: ContainerResources | None = None
    image_id: str = ""
    user: ContainerUser | None = None


class Container(Struct, kw_only=True):
    id: str = ""
    pod_sandbox_id: str = ""
    metadata: ContainerMetadata
    image_ref: str = ""
    state: int = ContainerState.UNKNOWN
    created_at: int = 0
    labels: dict[str, str] = {}


class ExecResult(Struct, kw_only=True):
    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int = 0


class Image(Struct, kw_only=True):
    id: str = ""
    repo_tags: list[str] = []
    repo_digests: list[str] = []
    size: int = 0
    uid: int | None = None
    username: str = ""
    pinned: bool = False


class FilesystemIdentifier(Struct, kw_only=True):
    mountpoint: str = ""


class FilesystemUsage(Struct, kw_only=True):
    timestamp: int = 0
    fs_id: FilesystemIdentifier | None = None
    used_bytes: int | None = None
    inodes_used: int | None = None


class CpuUsage(Struct, kw_only=True):
    timestamp: int = 0
    usage_core_nano_seconds: int | None = None
    usage_nano_cores: int | None = None


class MemoryUsage(Struct, kw_only=True):
    timestamp: int = 0
    working_set_bytes: int | None = None
    available_bytes: int | None = None
    usage_bytes: int | None = None
    rss_bytes: int | None = None
    page_faults: int | None = None
    major_page_faults: int | None = None


class ContainerAttributes(Struct, kw_only=True):
    id: str = ""
    metadata: ContainerMetadata | None = None
    labels: dict[str, str] = {}


class ContainerStats(Struct, kw_only=True):
    attributes: ContainerAttributes | None = None
    cpu: CpuUsage | None = None
    memory: MemoryUsage | None = None
    writable_layer: FilesystemUsage | None = None


class Version(Struct, kw_only=True):
    version: str = ""
    runtime_name: str = ""
    runtime_version: str = ""
    runtime_api_version: str = ""


class ImageMount(Struct, kw_only=True):
    """How the content of an image is mounted: arguments of mount(8)."""

    kind: str = ""
    source: str = ""
    options: list[str] = []


class RuntimeCondition(Struct, kw_only=True):
    type: str = ""
    status: bool = False
    reason: str = ""
    message: str = ""


class RuntimeStatus(Struct, kw_only=True):
    conditions: list[RuntimeCondition] = []


class RuntimeHandlerFeatures(Struct, kw_only=True):
    recursive_read_only_mounts: bool = False
    user_namespaces: bool = False


class RuntimeHandler(Struct, kw_only=True):
    name: str = ""
    features: RuntimeHandlerFeatures | None = None


class RuntimeFeatures(Struct, kw_only=True):
    supplemental_groups_policy: bool = False


class Status(Struct, kw_only=True):
    status: RuntimeStatus = msgspec.field(default_factory=RuntimeStatus)
    runtime_handlers: list[RuntimeHandler] = []
    features: RuntimeFeatures | None = None


class ContainerEvent(Struct, kw_only=True):
    """One message of the runtime's event stream: the pod that changed."""

    container_id: str = ""
    pod_uid: str = ""
