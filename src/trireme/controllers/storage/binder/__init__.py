"""The volume binder: PersistentVolumeClaims and PersistentVolumes find each other."""
