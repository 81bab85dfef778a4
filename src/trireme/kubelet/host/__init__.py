"""The machine under the kubelet, behind an interface: files, mounts, disks."""
