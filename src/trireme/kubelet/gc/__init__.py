"""Garbage collection: dead containers, old sandboxes, unused images, orphans."""
