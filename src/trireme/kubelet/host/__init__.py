"""The host's files, mounts and disks, behind an interface."""
