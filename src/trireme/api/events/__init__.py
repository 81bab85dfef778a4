"""The group events.k8s.io: events as those who report them write them now."""
