"""Images without a registry: made here, read from archives, put into each node's containerd.

In: folders, Debian packages, OCI and Docker archives.  Out: OCI image archives, and images that
nodes can start.  Called by `cluster.up` and `trireme image`.

    reference  names such as `busybox` in their full form         pure
    pause      the program that holds a pod's namespaces          pure
    build      files and a configuration become an OCI archive
    debian     a Debian system with packages installed, as files
    services   the directories that its services expect               pure
    check      what an image lacks to start                            pure
    elf        what a program asks for before it can run               pure
    recipes    the images that Trireme brings: pause, busybox
    archive    what an OCI or Docker archive contains
    load       an archive into nodes, and what nodes have
"""
