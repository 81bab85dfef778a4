# Made by scripts/stubs.
from .storageversion import ServerStorageVersion as ServerStorageVersion
from .storageversion import StorageVersion as StorageVersion
from .storageversion import StorageVersionCondition as StorageVersionCondition
from .storageversion import StorageVersionSpec as StorageVersionSpec
from .storageversion import StorageVersionStatus as StorageVersionStatus
