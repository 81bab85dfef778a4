"""From the difference between a pod's specification and what runs, to what to do, to doing it."""
