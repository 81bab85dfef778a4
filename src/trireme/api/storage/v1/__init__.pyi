# Made by scripts/stubs.
from .csidriver import CSIDriver as CSIDriver
from .csidriver import CSIDriverSpec as CSIDriverSpec
from .csinode import CSINode as CSINode
from .csinode import CSINodeDriver as CSINodeDriver
from .csinode import CSINodeSpec as CSINodeSpec
from .csistoragecapacity import CSIStorageCapacity as CSIStorageCapacity
from .storageclass import StorageClass as StorageClass
from .csidriver import TokenRequest as TokenRequest
from .volumeattachment import VolumeAttachment as VolumeAttachment
from .volumeattachment import VolumeAttachmentSource as VolumeAttachmentSource
from .volumeattachment import VolumeAttachmentSpec as VolumeAttachmentSpec
from .volumeattachment import VolumeAttachmentStatus as VolumeAttachmentStatus
from .volumeattributesclass import VolumeAttributesClass as VolumeAttributesClass
from .volumeattachment import VolumeError as VolumeError
from .csinode import VolumeNodeResources as VolumeNodeResources
