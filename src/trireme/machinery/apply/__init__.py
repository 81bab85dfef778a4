"""Server-side apply and the managedFields of every write. Pure.

``fieldset`` (sets of field paths), ``atom`` (how a schema's values merge), ``compare``, ``merge``,
``collect`` and ``check`` (walks over values), ``managed`` (managedFields as values), ``update``
(who owns what after a write), ``created`` (the fast way of a creation), ``manager`` (one kind at
one subresource), ``scale``. Begin with ``manager``. Rules: KEP-555; upstream
``structured-merge-diff``, apimachinery ``util/managedfields``.
"""
