"""KubeletConfiguration: files, drop-ins, and what becomes of them here."""
