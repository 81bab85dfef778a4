"""The controllers that keep the contract: one file each, ``CASE`` or several (see ``contract``)."""
