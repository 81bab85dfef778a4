"""The one place where objects are written: create, update and delete, for every kind alike.

In: typed objects that the verbs decoded and defaulted. Out: stored items. Between the two, in this
order: mutating admission, system metadata, the kind's ``prepare``, validation, allocation,
validating admission, commit. Callers: ``verbs`` and the subresource handlers.

Upstream: apiserver ``registry/generic/registry/store.go`` and ``registry/rest``;
api-conventions.md#metadata.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from trireme.api import metadata
from trireme.apiserver import deletion, unimplemented
from trireme.apiserver.admission import objects
from trireme.apiserver.admission.contract import Attributes, Chain
from trireme.apiserver.admission.objects import Objects
from trireme.apiserver.cache.reader import Reader
from trireme.apiserver.cache.views import Views
from trireme.apiserver.crd.custom import CustomObject
from trireme.apiserver.endpoint import Endpoint, with_revision
from trireme.apiserver.ownership import Ownership
from trireme.apiserver.request import Request, User
from trireme.apiserver.unimplemented import Row
from trireme.kit.env import Env
from trireme.machinery import errors, gotext, names, time
from trireme.machinery import field as fields
from trireme.machinery.apply.manager import problem as unreadable
from trireme.machinery.meta import DeleteOptions, OwnerReference
from trireme.store import contract as stores
from trireme.store.contract import KeyValue, Store

# How often a write is tried again when another one came in between, and a generated name when it
# was taken.
CONFLICT_RETRIES = 20
NAME_TRIES = 8
# The API server itself, as the one that writes, and as the manager of the fields it sets.
SELF = User("system:apiserver", groups=("system:masters", "system:authenticated"))
MANAGER = "kube-apiserver"
_SAME_OWNER = (
    ".metadata.ownerReferences contains duplicate entries{}; API server dedups owner references in "
    "1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate "
    "UID(s) observed: {}"
)
AFTER_ADMISSION = " after mutating admission happens"
# Writes that the kind's own update rules validate; every other subresource has rules of its own.
WITH_KIND_RULES = ("", "scale")


@dataclass(slots=True)
class Call:
    """What a write carries besides the object."""

    user: User
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)
    # A PUT: the object's uid is a condition of the write.
    replaces: bool = False
    # A patch that names no resourceVersion applies to whatever version is there.
    any_version: bool = False
    # Who comes to own the fields that the write sets; None for writes that give nobody any.
    manager: str | None = None
    # The object has its managedFields already: it is the outcome of an apply.
    applied: bool = False
    # The request that the write answers; None for the API server's own.
    request: Request | None = None
    # Of one of many: the request does not name the object.
    in_collection: bool = False
    # Admission has seen the request as a whole: not what is written because of it.
    admitted: bool = False
    # What admission notes for the audit event.
    annotations: dict[str, str] = field(default_factory=dict)
    # How admission sees the objects, where that is not as what is stored (Scale).
    objects: Objects = objects.STORED


class Allocation(Protocol):
    """What an object was given. One of the two is called, once."""

    async def undo(self) -> None:
        """It was not stored."""

    async def commit(self) -> None:
        """It was stored: what its old form alone had is free."""


class Allocator(Protocol):
    """Fills in what only the whole cluster's state can tell (a Service's addresses and ports).

    ``allocate`` is called just before the commit. After a deletion, ``release`` frees what memory
    has, ``give_back`` what is stored.
    """

    def handles(self, endpoint: Endpoint) -> bool: ...
    async def allocate(self, new: Any, old: Any, dry_run: bool) -> Allocation: ...
    def release(self, old: Any) -> None: ...
    async def give_back(self, old: Any) -> None: ...


class Registry:
    """Writes objects of every kind to the store."""

    def __init__(
        self,
        store: Store,
        admission: Chain,
        env: Env,
        reader: Reader,
        views: Views,
        ownership: Ownership,
        allocators: list[Allocator],
        unimplemented: Mapping[str, tuple[Row, ...]],
    ) -> None:
        self.store = store
        self.reader = reader
        self.views = views
        self.ownership = ownership
        self._second = (-1, "")
        self._admission = admission
        self._env = env
        self._unimplemented = unimplemented
        self.allocators = allocators

    def get(self, endpoint: Endpoint, namespace: str, name: str) -> KeyValue:
        """The stored item; 404 when there is none."""
        item = self.store.get(endpoint.key(namespace, name))
        if item is None:
            raise errors.not_found(endpoint.resource.group_resource, name)
        return item

    async def create(self, endpoint: Endpoint, namespace: str, obj: Any, call: Call) -> KeyValue:
        """Store a new object. ``obj`` is taken over and changed."""
        resource = endpoint.resource
        meta = obj.metadata
        _ensure_namespace(resource.namespaced, meta, namespace)
        if not call.applied:
            meta.managedFields = (
                self.ownership.created(endpoint, obj, call.manager, self._now())
                if call.manager is not None
                else []
            )
        requested = endpoint
        if endpoint.converts:
            endpoint.validate_served(obj, None, "")
            obj = await endpoint.to_stored(obj)
            endpoint, resource, meta = endpoint.hub, endpoint.hub.resource, obj.metadata
        _wipe(meta)
        attributes = self._attributes(
            "CREATE", requested, "", namespace, meta.name, obj, None, call
        )
        await self._admit_tracked(attributes, call)
        meta = obj.metadata
        generated = not meta.name and bool(meta.generateName)
        for attempt in range(NAME_TRIES):
            if generated:
                meta.name = names.generate_name(meta.generateName, self._env.suffix())
            try:
                return await self._create_once(endpoint, attributes, call)
            except stores.KeyExists as conflict:
                if not generated:
                    raise _already_exists(endpoint, meta.name, conflict.current) from None
                if attempt == NAME_TRIES - 1:
                    raise errors.generate_name_conflict(
                        resource.group_resource, meta.name
                    ) from None
        raise AssertionError("unreachable")

    def _attributes(
        self,
        operation: str,
        endpoint: Endpoint,
        subresource: str,
        namespace: str,
        name: str,
        new: Any,
        old: Any,
        call: Call,
    ) -> Attributes:
        """What admission is asked; ``endpoint`` is the version of the request."""
        return Attributes(
            operation,
            endpoint.hub.resource,
            subresource,
            namespace,
            name,
            new,
            old,
            call.user,
            call.dry_run,
            endpoint,
            call.warnings,
            call.annotations,
            call.request,
            None,
            call.objects,
        )

    async def _create_once(
        self, endpoint: Endpoint, attributes: Attributes, call: Call
    ) -> KeyValue:
        resource, obj, namespace = endpoint.resource, attributes.new, attributes.namespace
        meta = obj.metadata
        meta.uid = self._env.uid()
        meta.creationTimestamp = self._now()
        meta.generation = 1 if resource.generation is not None else 0
        if resource.has_status and not resource.status_on_create:
            obj.status = type(obj.status)()
        if resource.set_timestamps is not None:
            resource.set_timestamps(obj, None, meta.creationTimestamp)
        call.warnings += resource.prepare_create(obj) or ()
        problems = metadata.validate_create(resource, meta)
        problems += resource.validate(obj)
        if problems:
            raise errors.invalid(resource.group_kind, meta.name, problems)
        call.warnings += resource.warnings(obj, None)
        call.warnings += unimplemented.warnings(self._unimplemented, resource, obj, None)
        # The name has been generated by now.
        attributes.name = meta.name
        allocation = await self._allocate(endpoint, obj, None, call.dry_run)
        await self._validate_allocated(attributes, allocation, call)
        if not call.dry_run and is_version(meta.resourceVersion):
            if allocation is not None:
                await allocation.undo()
            raise errors.bad_request("resourceVersion should not be set on objects to be created")
        key = endpoint.key(namespace, meta.name)
        if call.dry_run:
            if allocation is not None:
                await allocation.undo()
            current = self.store.get(key)
            if current is not None:
                raise stores.KeyExists(key, current)
            return _unstored(endpoint, key, obj)
        if allocation is None:
            return await self.store.create(key, endpoint.encode(obj), resource.ttl)
        return await _commit(self.store.create(key, endpoint.encode(obj), resource.ttl), allocation)

    async def update(
        self,
        endpoint: Endpoint,
        namespace: str,
        name: str,
        change: Callable[[Any, KeyValue], Any],
        call: Call,
        subresource: str = "",
        create: Callable[[], Any] | None = None,
    ) -> tuple[KeyValue, bool]:
        """Replace an object by ``change(old, item)``; returns the item and whether it is new.

        ``change`` gets the stored object, which it may not change, and its bytes; it returns the
        new object, and may be called again when another write came in between and the client did
        not name a version.
        ``create`` makes the object where PUT may create it.
        """
        key = endpoint.key(namespace, name)
        return await self._fresh(
            key,
            lambda: self._update(endpoint, namespace, name, key, change, call, subresource, create),
            call,
        )

    async def _fresh(
        self, key: str, write: Callable[[], Awaitable[tuple[KeyValue, bool]]], call: Call
    ) -> tuple[KeyValue, bool]:
        """A write that other servers' writes may have made fail: what is refused because of an
        object that is older than the newest one is tried again with that."""
        if not self.store.shared:
            return await write()
        before, warned = self.store.get(key), len(call.warnings)
        try:
            return await write()
        except errors.ApiError as error:
            if error.code not in (404, 409):
                raise
            await self.store.barrier()
            if self.store.get(key) == before:
                raise
        del call.warnings[warned:]
        return await write()

    async def _update(
        self,
        endpoint: Endpoint,
        namespace: str,
        name: str,
        key: str,
        change: Callable[[Any, KeyValue], Any],
        call: Call,
        subresource: str,
        create: Callable[[], Any] | None,
    ) -> tuple[KeyValue, bool]:
        for _ in range(CONFLICT_RETRIES):
            item = self.store.get(key)
            if item is None:
                if create is None:
                    raise errors.not_found(endpoint.resource.group_resource, name)
                try:
                    return await self.create(endpoint, namespace, create(), call), True
                except errors.ApiError as error:
                    # Somebody else was faster: an apply goes on with what is there now.
                    if not call.applied or not errors.is_already_exists(error):
                        raise
                    continue
            hub = endpoint.hub
            if hub.converts:
                # Written in a version, or by a schema, that was the stored one before.
                [item] = await hub.from_stored([item])
            new, old = await self._changed(endpoint, item, change, call, subresource)
            pinned = new.metadata.resourceVersion != ""
            self._check_version(hub, name, new, old, item, call)
            try:
                attributes = self._attributes(
                    "UPDATE", endpoint, subresource, namespace, name, new, old, call
                )
                return await self._replace(hub, attributes, item, call), False
            except stores.KeyMissing:
                raise errors.not_found(endpoint.resource.group_resource, name) from None
            except stores.Conflict:
                if pinned:
                    break
        raise errors.conflict(endpoint.resource.group_resource, name)

    async def _changed(
        self,
        endpoint: Endpoint,
        item: KeyValue,
        change: Callable[[Any, KeyValue], Any],
        call: Call,
        subresource: str,
    ) -> tuple[Any, Any]:
        """The changed object with its new managedFields, and the present one, both as stored."""
        served = item
        if endpoint.converts:
            [served] = await endpoint.from_stored([item])
        old = endpoint.load(served)

        def made() -> Any:
            new = change(old, served)
            if call.manager is None:
                new.metadata.managedFields = old.metadata.managedFields
            elif not call.applied:
                new.metadata.managedFields = self.ownership.updated(
                    endpoint, subresource, old, new, call.manager, self._now()
                )
            return new

        new = (
            await self.ownership.with_conversions(made) if endpoint.converts_by_webhook else made()
        )
        if endpoint.converts:
            endpoint.validate_served(new, old, subresource)
            return await endpoint.to_stored(new), endpoint.hub.load(item)
        return new, old

    def _now(self) -> str:
        """The present time as objects carry it; made once for each second."""
        now = int(self._env.clock.now() // 1)
        if now != self._second[0]:
            self._second = now, time.format(now)
        return self._second[1]

    async def _admit_tracked(self, attributes: Attributes, call: Call) -> None:
        """Mutating admission, which may not leave managedFields that nobody can read."""
        if call.admitted:
            return
        meta = attributes.new.metadata
        entries = meta.managedFields
        await self._admission.admit(attributes)
        if attributes.reinvoke:
            resource = attributes.resource
            _ensure_namespace(resource.namespaced, attributes.new.metadata, attributes.namespace)
            await self._validate_requested(attributes)
            name_owners_once(attributes.new, call.warnings, AFTER_ADMISSION)
        after = attributes.new.metadata.managedFields
        if after is entries or after == entries:
            return
        problem = unreadable(after)
        if problem:
            attributes.new.metadata.managedFields = entries
            call.warnings.append(
                ".metadata.managedFields was in an invalid state after admission; this could be "
                "caused by an outdated mutating admission controller; please fix your requests: "
                + problem
            )

    async def _validate_allocated(
        self, attributes: Attributes, allocation: Allocation | None, call: Call
    ) -> None:
        """Validating admission, which sees what the object was given."""
        if call.admitted:
            return
        try:
            await self._admission.validate(attributes)
        except BaseException:
            if allocation is not None:
                await allocation.undo()
            raise

    async def _validate_requested(self, attributes: Attributes) -> None:
        """Validate what webhooks or policies made, in the version of the request; ApiError 422."""
        endpoint, old = attributes.endpoint, attributes.old
        if endpoint.hub is endpoint:
            return
        new = endpoint.decode(await endpoint.converted(attributes.new))
        was = None if old is None else endpoint.decode(await endpoint.converted(old))
        endpoint.validate_served(new, was, attributes.subresource)

    def _check_version(
        self, endpoint: Endpoint, name: str, new: Any, old: Any, item: KeyValue, call: Call
    ) -> None:
        resource, asked = endpoint.resource, new.metadata.resourceVersion
        uid = new.metadata.uid
        if call.replaces and uid and uid != old.metadata.uid:
            message = f"Precondition failed: UID in precondition: {uid}, UID in object meta: "
            raise errors.conflict(resource.group_resource, name, message + old.metadata.uid)
        if asked in ("", "0"):
            if not resource.unconditional_update and not call.any_version:
                path = fields.path("metadata").child("resourceVersion")
                problem = fields.invalid(path, 0, "must be specified for an update")
                raise errors.invalid(resource.group_resource, name, [problem])
        elif asked != str(item.revision):
            require_version(asked)
            raise errors.conflict(resource.group_resource, name)

    async def _replace(
        self,
        endpoint: Endpoint,
        attributes: Attributes,
        item: KeyValue,
        call: Call,
    ) -> KeyValue:
        resource, subresource, name = endpoint.resource, attributes.subresource, attributes.name
        new, old = attributes.new, attributes.old
        meta, was = new.metadata, old.metadata
        _ensure_namespace(resource.namespaced, meta, attributes.namespace)
        # What replaces an object is admitted as the client sent it.
        if not call.replaces:
            _carry_over(meta, was)
            meta.resourceVersion = was.resourceVersion
        await self._admit_tracked(attributes, call)
        # Another object may have taken its place.
        meta = new.metadata
        _carry_over(meta, was)
        meta.resourceVersion = was.resourceVersion
        declared = resource.subresource(subresource) if subresource else None
        part = declared if declared is not None and declared.prepare is not None else None
        if subresource == "status":
            _keep_all_but_status(new, old)
            resource.prepare_status(new, old)
        elif part is not None and part.prepare is not None:
            part.prepare(new, old)
        elif subresource in WITH_KIND_RULES:
            if resource.has_status:
                new.status = endpoint.load_status(item)
            if resource.set_timestamps is not None:
                resource.set_timestamps(new, old, self._now())
            resource.prepare_update(new, old)
        meta.generation = was.generation
        counted = subresource in WITH_KIND_RULES or part is not None
        if counted and resource.generation is not None and resource.generation(new, old):
            meta.generation = was.generation + 1
        problems = metadata.validate_update(resource, meta, was)
        if subresource == "status":
            problems += resource.validate_status(new, old)
        elif part is not None:
            problems += part.validate(new, old) if part.validate is not None else []
        elif subresource in WITH_KIND_RULES:
            problems += resource.update_errors(new, old)
        if problems:
            raise errors.invalid(resource.group_kind, name, problems)
        if subresource in WITH_KIND_RULES:
            call.warnings += resource.warnings(new, old)
            call.warnings += unimplemented.warnings(self._unimplemented, resource, new, old)
        elif subresource == "status":
            call.warnings += resource.status_warnings(new, old)
        over = deletion.is_over(resource, new)
        allocation = None if over else await self._allocate(endpoint, new, old, call.dry_run)
        await self._validate_allocated(attributes, allocation, call)
        if over:
            return await self._remove(endpoint, item, new, call)
        key = item.key
        encoded = endpoint.encode(new)
        if meta.managedFields is not was.managedFields and _same_but_times(meta, was):
            # A write that changes nothing does not count as one, though its time is another.
            entries, meta.managedFields = meta.managedFields, was.managedFields
            unchanged = endpoint.encode(new)
            meta.managedFields = entries
            if unchanged.head + b"%d" % item.revision + unchanged.tail == item.value:
                encoded = unchanged
        value = encoded.head + b"%d" % item.revision + encoded.tail
        if value == item.value and self._is_current(endpoint, item) and not self.store.stale(key):
            if allocation is not None:
                await allocation.undo()
            return item
        if call.dry_run:
            if allocation is not None:
                await allocation.undo()
            value = encoded.head + b"%d" % item.revision + encoded.tail
            return KeyValue(key, value, item.revision, item.created)
        if allocation is None:
            return await self.store.update(key, encoded, item.revision, resource.ttl)
        return await _commit(
            self.store.update(key, encoded, item.revision, resource.ttl), allocation
        )

    def _is_current(self, endpoint: Endpoint, item: KeyValue) -> bool:
        """Whether the item is served as it is stored; otherwise even an empty update stores it."""
        if not endpoint.converts:
            return True
        there = self.store.get(item.key)
        return there is not None and there.value == item.value

    async def delete(
        self,
        endpoint: Endpoint,
        namespace: str,
        name: str,
        options: DeleteOptions,
        call: Call,
    ) -> tuple[KeyValue, bool]:
        """Delete an object, or begin to; returns its last form and whether it is gone.

        Rules: validation-defaults §7: finalizers and grace make it stay, deleting.
        """
        return await self._fresh(
            endpoint.key(namespace, name),
            lambda: self._delete(endpoint, namespace, name, options, call),
            call,
        )

    async def _delete(
        self,
        endpoint: Endpoint,
        namespace: str,
        name: str,
        options: DeleteOptions,
        call: Call,
    ) -> tuple[KeyValue, bool]:
        requested, endpoint = endpoint, endpoint.hub
        resource = endpoint.resource
        for _ in range(CONFLICT_RETRIES):
            item = self.get(endpoint, namespace, name)
            if endpoint.converts:
                [item] = await endpoint.from_stored([item])
            old = endpoint.load(item)
            deletion.check_preconditions(resource, name, old, item.revision, options)
            if not call.admitted:
                attributes = self._attributes(
                    "DELETE",
                    requested,
                    "",
                    namespace,
                    "" if call.in_collection else name,
                    None,
                    old,
                    call,
                )
                attributes.options = options
                await self._admission.admit(attributes)
                await self._admission.validate(attributes)
            now = self._env.clock.now()
            new = endpoint.load(item)
            stays = deletion.begin(resource, new, options, now)
            try:
                if not stays:
                    return await self._remove(endpoint, item, new, call), True
                encoded = endpoint.encode(new)
                value = encoded.head + b"%d" % item.revision + encoded.tail
                if value == item.value or call.dry_run:
                    return KeyValue(item.key, value, item.revision, item.created), False
                updated = await self.store.update(item.key, encoded, item.revision, resource.ttl)
                return updated, False
            except (stores.Conflict, stores.KeyMissing):
                if options.preconditions is not None and options.preconditions.resourceVersion:
                    break
        raise errors.conflict(resource.group_resource, name)

    async def _remove(self, endpoint: Endpoint, item: KeyValue, last: Any, call: Call) -> KeyValue:
        if call.dry_run:
            return item
        try:
            gone = await self.store.delete(item.key, item.revision, endpoint.encode(last))
        except asyncio.CancelledError:
            # The client has gone, the deletion is on its way all the same.
            self.forget(endpoint, item.key, last)
            raise
        self.forget(endpoint, item.key, last)
        await self.give_back(endpoint, last)
        return gone

    async def give_back(self, endpoint: Endpoint, last: Any) -> None:
        """Free what a deleted object had in the store."""
        for allocator in self.allocators:
            if allocator.handles(endpoint):
                await allocator.give_back(last)

    def forget(self, endpoint: Endpoint, key: str, last: Any) -> None:
        """Let go of what memory has of a deleted object."""
        self.views.drop(key)
        self.reader.drop(key)
        for allocator in self.allocators:
            if allocator.handles(endpoint):
                allocator.release(last)

    async def _allocate(
        self, endpoint: Endpoint, new: Any, old: Any, dry_run: bool
    ) -> Allocation | None:
        for allocator in self.allocators:
            if allocator.handles(endpoint):
                return await allocator.allocate(new, old, dry_run)
        return None

    async def write_status(self, endpoint: Endpoint, obj: Any) -> None:
        """Write the API server's own status of an object, in the version that it was read in."""

        def change(_old: Any, item: KeyValue) -> Any:
            newest = endpoint.load(item)
            newest.status = obj.status
            newest.metadata.resourceVersion = obj.metadata.resourceVersion
            return newest

        meta = obj.metadata
        call = Call(SELF, manager=MANAGER)
        await self.update(endpoint, meta.namespace, meta.name, change, call, "status")

    async def admit(
        self,
        operation: str,
        endpoint: Endpoint,
        subresource: str,
        namespace: str,
        name: str,
        obj: Any,
        call: Call,
    ) -> None:
        """Admission of what is no stored write: CREATE of a kind that nobody stores (Binding,
        TokenRequest), CONNECT to a subresource, whose options ``obj`` are."""
        attributes = self._attributes(
            operation, endpoint, subresource, namespace, name, obj, None, call
        )
        attributes.objects = objects.SENT
        meta = getattr(obj, "metadata", None)
        if meta is not None and not meta.namespace and endpoint.resource.namespaced:
            meta.namespace = namespace
        await self._admission.admit(attributes)
        await self._admission.validate(attributes)


async def _commit(write: Awaitable[KeyValue], allocation: Allocation) -> KeyValue:
    try:
        item = await write
    except stores.StoreError:
        await allocation.undo()
        raise
    await allocation.commit()
    return item


def _ensure_namespace(namespaced: bool, meta: Any, namespace: str) -> None:
    if not namespaced:
        meta.namespace = ""
    elif not meta.namespace:
        meta.namespace = namespace
    elif meta.namespace != namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def name_owners_once(obj: Any, warnings: list[str], when: str = "") -> None:
    """Drop owner references that the object has already, and warn of them."""
    kept: list[OwnerReference] = []
    again: list[str] = []
    for ref in obj.metadata.ownerReferences:
        if ref in kept:
            again.append(ref.uid)
        else:
            kept.append(ref)
    if again:
        obj.metadata.ownerReferences = kept
        warnings.append(_SAME_OWNER.format(when, ", ".join(again)))


def _wipe(meta: Any) -> None:
    """What only the server says of a new object."""
    meta.uid = meta.selfLink = ""
    meta.creationTimestamp = meta.deletionTimestamp = meta.deletionGracePeriodSeconds = None


def _carry_over(meta: Any, was: Any) -> None:
    """What an update cannot change, or may leave out."""
    meta.uid = meta.uid or was.uid
    meta.name = meta.name or was.name
    meta.creationTimestamp = was.creationTimestamp
    meta.deletionTimestamp = was.deletionTimestamp
    meta.deletionGracePeriodSeconds = was.deletionGracePeriodSeconds
    meta.generateName = meta.generateName or was.generateName
    meta.generation = was.generation
    meta.selfLink = ""


def is_version(text: str) -> bool:
    """Whether a resourceVersion names a version; what is no number does not."""
    return text.isdecimal() and text.isascii() and 0 < int(text[:20]) < 2**64


def require_version(text: str) -> None:
    """A resourceVersion that a write depends on is a number; 400 where not."""
    reason = "" if text.isdecimal() and text.isascii() else "invalid syntax"
    if not reason and (len(text) > 20 or int(text) >= 2**64):
        reason = "value out of range"
    if reason:
        raise errors.bad_request(f"strconv.ParseUint: parsing {gotext.quote(text)}: {reason}")


def _same_but_times(new: Any, old: Any) -> bool:
    """Whether the managedFields differ in nothing but the times of their entries."""
    own, was = new.managedFields, old.managedFields
    return len(own) == len(was) and all(
        a.fieldsV1 == b.fieldsV1
        and (a.manager, a.operation, a.apiVersion, a.subresource)
        == (b.manager, b.operation, b.apiVersion, b.subresource)
        for a, b in zip(own, was, strict=True)
    )


def _keep_all_but_status(new: Any, old: Any) -> None:
    if isinstance(new, CustomObject):
        new.keep_all_but_status(old)
        return
    for name in new.__struct_fields__:
        if name not in ("metadata", "status"):
            setattr(new, name, getattr(old, name))
    # Owner references and deletion belong to the main resource.
    new.metadata.ownerReferences = old.metadata.ownerReferences


def _already_exists(endpoint: Endpoint, name: str, current: KeyValue) -> errors.ApiError:
    error = errors.already_exists(endpoint.resource.group_resource, name)
    if endpoint.load(current).metadata.deletionTimestamp is not None:
        error.message = f"object is being deleted: {error.message}"
    return error


def _unstored(endpoint: Endpoint, key: str, obj: Any) -> KeyValue:
    """What a dry run answers with: the object as it would be, without a resourceVersion."""
    encoded = endpoint.encode(obj)
    value = with_revision(encoded.head + b"0" + encoded.tail, 0)
    return KeyValue(key, value.replace(b'"resourceVersion":"0",', b"", 1), 0, 0)
