"""Mounts the volumes of CSI drivers and takes them down.

In: a pod, one of its volumes, the registered drivers. Out: calls of the driver, records on disk,
the list of volumes in use that the node reports. Called by the plugin ``csi`` and the manager.
Rules: CSI v1 "Volume Lifecycle"; upstream pkg/volume/csi.

A volume is staged once on the node and published to each pod; both calls, and their opposites, may
be made again at any time. What was begun is on disk before the driver hears of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from trireme.api.core import v1 as core
from trireme.api.storage import v1 as storage
from trireme.domain import volumes
from trireme.kubelet import podspec
from trireme.kubelet.csi import contract
from trireme.kubelet.csi.contract import Capability
from trireme.kubelet.csi.drivers import Driver, Drivers
from trireme.kubelet.host.contract import Host
from trireme.kubelet.volumes import expand, ownership
from trireme.kubelet.volumes.csi import arguments, records
from trireme.kubelet.volumes.csi.records import Record
from trireme.kubelet.volumes.expand import Expander
from trireme.kubelet.volumes.plugin import (
    Amount,
    Claimed,
    Mounted,
    Mounting,
    Objects,
    VolumeError,
    VolumePending,
)

DEFAULT_TOKEN_SECONDS = 3600


class CsiMounter:
    """The CSI volumes of one node. ``reported``: what the Node says is in use; ``report``: say it
    again soon."""

    def __init__(
        self,
        host: Host,
        drivers: Drivers,
        objects: Objects,
        expander: Expander,
        root: str,
        node: str,
        reported: Callable[[], Collection[str]],
        report: Callable[[], None],
    ) -> None:
        self._host = host
        self._drivers = drivers
        self._objects = objects
        self._expander = expander
        self._root = root
        self._node = node
        self._reported = reported
        self._report = report
        # Targets of ephemeral volumes that this kubelet has published, group and all.
        self._published: set[str] = set()
        known = [*records.staged(host, root), *(r for _, r in records.published(host, root))]
        self._in_use = {
            volumes.unique_csi_name(*record.key)
            for record in known
            if record.mode != arguments.EPHEMERAL
        }

    def in_use(self) -> list[str]:
        """The attached volumes that must stay so, for ``status.volumesInUse``."""
        return sorted(self._in_use)

    # ---- mounting

    async def mount(self, mounting: Mounting, volume: core.Volume) -> str:
        """An ephemeral volume, whose source is in the pod."""
        source, pod = volume.csi, mounting.pod
        assert source is not None
        driver, known = await self._driver(source.driver, arguments.EPHEMERAL)
        target = f"{mounting.directory}/mount"
        published = target in self._published and self._host.is_mounted(target)
        if published and not (known is not None and known.spec.requiresRepublish):
            return target
        handle = arguments.ephemeral_handle(pod, volume.name)
        secrets = {}
        if source.nodePublishSecretRef is not None:
            name = source.nodePublishSecretRef.name
            secrets = await self._secret("NodePublishSecretRef", pod.metadata.namespace, name)
        mode = arguments.access_mode(None, multi_writer=await driver.can(contract.MULTI_WRITER))
        delegated = await driver.can(contract.MOUNT_GROUP)
        fs_type = source.fsType or ""
        context, secrets = await self._context(
            mounting, known, arguments.EPHEMERAL, source.volumeAttributes, secrets
        )
        request = contract.Volume(
            handle,
            Capability(mode, fs_type=fs_type, group=_group(pod) if delegated else ""),
            context=context,
            secrets=secrets,
        )
        record = Record(source.driver, handle, volume.name, self._node, arguments.EPHEMERAL)
        records.write(self._host, mounting.directory, record)
        read_only = bool(source.readOnly)
        await driver.service.publish(request, "", target, read_only=read_only)
        if not delegated and arguments.sets_group(known, fs_type, None, read_only=read_only):
            await ownership.give(self._host, target, pod)
        self._published.add(target)
        return target

    async def mount_claimed(self, mounting: Mounting, claimed: Claimed) -> Mounted:
        """A volume behind a claim; once more for drivers that want to be asked again."""
        source = claimed.volume.spec.csi
        assert source is not None
        driver, known = await self._driver(source.driver, arguments.PERSISTENT)
        attached = {}
        if arguments.needs_attach(known):
            attached = await self._attached(claimed.volume)
        async with self._drivers.lock(volumes.unique_name(claimed.volume)):
            mount = self._map if arguments.is_block(claimed.volume) else self._mount
            mounted = await mount(driver, known, mounting, claimed, attached)
        await self._grow(driver, mounting, claimed)
        return mounted

    async def refresh(self, mounting: Mounting, claimed: Claimed) -> None:
        """A mounted volume behind a claim: publish it again where the driver wants that, and grow
        its file system after the volume has grown."""
        source = claimed.volume.spec.csi
        assert source is not None
        driver, known = await self._driver(source.driver, arguments.PERSISTENT)
        if known is not None and known.spec.requiresRepublish:
            await self.mount_claimed(mounting, claimed)
        else:
            await self._grow(driver, mounting, claimed)

    async def _grow(self, driver: Driver, mounting: Mounting, claimed: Claimed) -> None:
        source = claimed.volume.spec.csi
        assert source is not None
        size = expand.new_size(claimed.claim, claimed.volume)
        if not size or claimed.read_only or not await driver.can(contract.EXPAND):
            return
        volume = claimed.volume
        staging = await self._staging(driver, volume)
        target = self._target(mounting, volume)
        capability = await self._capability(driver, volume)
        secrets = await self._referred("NodeExpandSecretRef", source.nodeExpandSecretRef)
        request = contract.Volume(source.volumeHandle, capability, secrets=secrets)

        async def call(to: int) -> None:
            await driver.service.expand(request, staging, target, to)

        name = volume.metadata.name
        await self._expander.expand(mounting.pod, claimed.claim, name, size, call)

    async def _mount(
        self,
        driver: Driver,
        known: storage.CSIDriver | None,
        mounting: Mounting,
        claimed: Claimed,
        attached: dict[str, str],
    ) -> Mounted:
        volume, pod, host = claimed.volume, mounting.pod, self._host
        source = volume.spec.csi
        assert source is not None
        record = self._record(volume)
        records.write(host, mounting.directory, record)
        target, staging = self._target(mounting, volume), await self._staging(driver, volume)
        read_only = claimed.read_only or source.readOnly
        delegated = await driver.can(contract.MOUNT_GROUP)
        capability = await self._capability(driver, volume, _group(pod) if delegated else "")
        if staging and not host.is_mounted(target):
            host.make_dirs(staging, 0o750)
            folder = arguments.staging_dir(self._root, source.driver, source.volumeHandle)
            records.write(host, folder, record)
            await self._stage(driver, volume, capability, attached, staging)
        await self._publish(driver, known, mounting, claimed, capability, attached, staging, target)
        groups = arguments.sets_group(known, source.fsType, volume, read_only=read_only)
        if not delegated and groups:
            await ownership.give(host, target, pod)
        return Mounted(target, read_only)

    async def _map(
        self,
        driver: Driver,
        known: storage.CSIDriver | None,
        mounting: Mounting,
        claimed: Claimed,
        attached: dict[str, str],
    ) -> Mounted:
        """A block device: no file system, a file that is the device."""
        volume, host, uid = claimed.volume, self._host, mounting.pod.metadata.uid
        source = volume.spec.csi
        assert source is not None
        blocks, name = arguments.block_dir(self._root), volume.metadata.name
        records.write(host, f"{blocks}/{name}/data", self._record(volume))
        # That the pod has it is found here again.
        pod_dir = podspec.directory(self._root, uid)
        host.make_dirs(f"{pod_dir}/{records.POD_DEVICES_DIR}/{name}", 0o750)
        capability = await self._capability(driver, volume)
        target, staging = self._target(mounting, volume), await self._staging(driver, volume)
        host.make_dirs(f"{blocks}/publish/{name}", 0o750)
        if staging:
            host.make_dirs(staging, 0o750)
            await self._stage(driver, volume, capability, attached, staging)
        await self._publish(driver, known, mounting, claimed, capability, attached, staging, target)
        return Mounted(target, claimed.read_only or source.readOnly, device=True)

    async def _stage(
        self,
        driver: Driver,
        volume: core.PersistentVolume,
        capability: Capability,
        attached: dict[str, str],
        staging: str,
    ) -> None:
        source = volume.spec.csi
        assert source is not None
        secrets = await self._referred("NodeStageSecretRef", source.nodeStageSecretRef)
        request = contract.Volume(
            source.volumeHandle, capability, attached, source.volumeAttributes, secrets
        )
        await driver.service.stage(request, staging)

    async def _publish(
        self,
        driver: Driver,
        known: storage.CSIDriver | None,
        mounting: Mounting,
        claimed: Claimed,
        capability: Capability,
        attached: dict[str, str],
        staging: str,
        target: str,
    ) -> None:
        source = claimed.volume.spec.csi
        assert source is not None
        secrets = await self._referred("NodePublishSecretRef", source.nodePublishSecretRef)
        context, secrets = await self._context(
            mounting, known, arguments.PERSISTENT, source.volumeAttributes, secrets
        )
        request = contract.Volume(source.volumeHandle, capability, attached, context, secrets)
        read_only = claimed.read_only or source.readOnly
        await driver.service.publish(request, staging, target, read_only=read_only)

    async def usage(self, claimed: Claimed, path: str) -> tuple[Amount | None, Amount | None]:
        """Bytes and inodes of a published volume; ``None`` where the driver does not say."""
        source = claimed.volume.spec.csi
        assert source is not None
        driver = self._registered(source.driver)
        if not await driver.can(contract.STATS):
            return None, None
        block = arguments.is_block(claimed.volume)
        staging = "" if block else await self._staging(driver, claimed.volume)
        found = {
            item.unit: Amount(item.total, item.available, item.used)
            for item in await driver.service.stats(source.volumeHandle, staging, path)
        }
        return found.get("BYTES"), found.get("INODES")

    # ---- taking down

    async def unmount(self, uid: str) -> None:
        """Unpublish all volumes of a pod, and unstage those that no other pod has."""
        host, pod_dir = self._host, podspec.directory(self._root, uid)
        for name in host.list(f"{pod_dir}/{records.POD_DIR}"):
            directory = f"{pod_dir}/{records.POD_DIR}/{name}"
            record = records.read(host, directory)
            if record is None:
                continue
            driver = self._registered(record.driver)
            async with self._drivers.lock(volumes.unique_csi_name(*record.key)):
                self._published.discard(f"{directory}/mount")
                await driver.service.unpublish(record.handle, f"{directory}/mount")
                if host.is_mounted(f"{directory}/mount"):
                    host.unmount(f"{directory}/mount")
                await host.remove_tree(directory)
                if record.mode != arguments.EPHEMERAL:
                    await self._unstage(driver, record)
        for name in host.list(f"{pod_dir}/{records.POD_DEVICES_DIR}"):
            await self._unmap(uid, name, f"{pod_dir}/{records.POD_DEVICES_DIR}/{name}")

    async def _unstage(self, driver: Driver, record: Record) -> None:
        host = self._host
        if any(other.key == record.key for _, other in records.published(host, self._root)):
            return
        folder = arguments.staging_dir(self._root, *record.key)
        if records.read(host, folder) is not None:
            await driver.service.unstage(record.handle, f"{folder}/globalmount")
            await host.remove_tree(folder)
        self._released(record)

    async def _unmap(self, uid: str, name: str, mark: str) -> None:
        host, blocks = self._host, arguments.block_dir(self._root)
        record = records.read(host, f"{blocks}/{name}/data")
        if record is None:
            await host.remove_tree(mark)
            return
        driver = self._registered(record.driver)
        async with self._drivers.lock(volumes.unique_csi_name(*record.key)):
            target = f"{blocks}/publish/{name}/{uid}"
            await driver.service.unpublish(record.handle, target)
            await host.remove_tree(target)
            await host.remove_tree(mark)
            if host.list(f"{blocks}/publish/{name}"):
                return
            if await driver.can(contract.STAGE_UNSTAGE):
                await driver.service.unstage(record.handle, f"{blocks}/staging/{name}")
            for folder in (f"publish/{name}", f"staging/{name}", name):
                await host.remove_tree(f"{blocks}/{folder}")
            self._released(record)

    def _released(self, record: Record) -> None:
        """The volume is off the node: it may be detached."""
        unique = volumes.unique_csi_name(*record.key)
        self._drivers.unlock(unique)
        if unique in self._in_use:
            self._in_use.discard(unique)
            self._report()

    # ---- what a call needs

    async def _staging(self, driver: Driver, volume: core.PersistentVolume) -> str:
        """Where the volume is staged; "" for a driver that does not stage."""
        source = volume.spec.csi
        assert source is not None
        if not await driver.can(contract.STAGE_UNSTAGE):
            return ""
        if arguments.is_block(volume):
            return f"{arguments.block_dir(self._root)}/staging/{volume.metadata.name}"
        folder = arguments.staging_dir(self._root, source.driver, source.volumeHandle)
        return f"{folder}/globalmount"

    def _target(self, mounting: Mounting, volume: core.PersistentVolume) -> str:
        """Where the volume is published to the pod."""
        if not arguments.is_block(volume):
            return f"{mounting.directory}/mount"
        blocks, uid = arguments.block_dir(self._root), mounting.pod.metadata.uid
        return f"{blocks}/publish/{volume.metadata.name}/{uid}"

    @staticmethod
    async def _capability(
        driver: Driver, volume: core.PersistentVolume, group: str = ""
    ) -> Capability:
        multi_writer = await driver.can(contract.MULTI_WRITER)
        mode = arguments.access_mode(volume, multi_writer=multi_writer)
        return arguments.capability(volume, mode, group)

    async def _driver(self, name: str, mode: str) -> tuple[Driver, storage.CSIDriver | None]:
        driver = self._registered(name)
        known = await self._objects.csi_driver(name)
        problem = arguments.supports(known, name, mode)
        if problem:
            raise VolumeError(problem)
        return driver, known

    def _registered(self, name: str) -> Driver:
        driver = self._drivers.get(name)
        if driver is None:
            raise VolumePending(
                f"driver name {name} not found in the list of registered CSI drivers"
            )
        return driver

    def _record(self, volume: core.PersistentVolume) -> Record:
        source = volume.spec.csi
        assert source is not None
        return Record(
            source.driver,
            source.volumeHandle,
            volume.metadata.name,
            self._node,
            arguments.PERSISTENT,
            volumes.attachment_name(volume, self._node),
        )

    async def _attached(self, volume: core.PersistentVolume) -> dict[str, str]:
        """What attaching gave. The node must have said that it uses the volume before it is
        touched, or the volume could be detached meanwhile."""
        unique = volumes.unique_name(volume)
        if unique not in self._in_use:
            self._in_use.add(unique)
            self._report()
        if unique not in self._reported():
            raise VolumePending(
                "Volume has not been added to the list of VolumesInUse in the node's volume status"
            )
        attachment = await self._objects.attachment(volumes.attachment_name(volume, self._node))
        if attachment is None or not attachment.status.attached:
            raise VolumePending(f"volume {volume.metadata.name} is not attached to the node yet")
        if attachment.metadata.deletionTimestamp is not None:
            raise VolumePending("volume attachment is being deleted")
        return attachment.status.attachmentMetadata

    async def _context(
        self,
        mounting: Mounting,
        known: storage.CSIDriver | None,
        mode: str,
        attributes: dict[str, str],
        secrets: dict[str, str],
    ) -> tuple[dict[str, str], dict[str, str]]:
        """The volume's context with what the driver wants to know of the pod; its tokens are there
        or among the secrets."""
        context = {**attributes, **arguments.pod_info(known, mounting.pod, mode)}
        if known is None or not known.spec.tokenRequests:
            return context, secrets
        found = {
            item.audience: await mounting.tokens.token(
                mounting.pod, item.audience, item.expirationSeconds or DEFAULT_TOKEN_SECONDS
            )
            for item in known.spec.tokenRequests
        }
        text = {arguments.TOKENS: arguments.tokens(found)}
        if known.spec.serviceAccountTokenInSecrets:
            return context, {**secrets, **text}
        return {**context, **text}, secrets

    async def _referred(self, field: str, reference: core.SecretReference | None) -> dict[str, str]:
        if reference is None:
            return {}
        return await self._secret(field, reference.namespace, reference.name)

    async def _secret(self, field: str, namespace: str, name: str) -> dict[str, str]:
        secret = await self._objects.secret(namespace, name)
        if secret is None:
            raise VolumePending(
                f"fetching {field} {namespace}/{name} failed: failed to find the secret {name} in "
                f'the namespace {namespace} with error: secrets "{name}" not found'
            )
        return {key: value.decode(errors="replace") for key, value in secret.data.items()}


def _group(pod: core.Pod) -> str:
    context = pod.spec.securityContext
    return "" if context is None or context.fsGroup is None else str(context.fsGroup)
