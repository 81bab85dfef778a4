"""The commands of ``trireme``, one file each, found by folder: each defines ``COMMAND``."""
