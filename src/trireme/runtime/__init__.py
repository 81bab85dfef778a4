"""The library of components: informers, work queues, control loops, events, leader election."""
