"""Kinds that CustomResourceDefinitions define, served by the same path as all others.

``kinds`` knows which there are, ``kind`` makes the endpoints of one, ``custom`` is its object,
``validation`` its rules, ``convert`` its versions; ``lifecycle`` keeps the definitions' status.
Upstream: apiextensions-apiserver.
"""
