"""ControllerRevisions: the templates that a StatefulSet or a DaemonSet has had."""
