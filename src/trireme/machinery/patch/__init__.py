"""The three patches of RFC 6902, RFC 7386 and Kubernetes itself, over plain JSON values.

Each takes a document and a patch and gives a new document; neither input is changed.
"""
