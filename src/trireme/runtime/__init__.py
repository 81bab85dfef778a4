"""What components are made of: informers, work queues, control loops, events, leader election."""
