"""Which node each pod runs on.

``loop`` (the component) takes pods from ``queue``, asks ``decide`` (pure) about ``snapshot`` (the
nodes as columns), assumes the answer and binds. ``plugins`` hold the filters and scores, one file
each; ``profile`` their order and weights.
"""
