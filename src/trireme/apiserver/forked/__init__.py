"""Requests that take long to answer get a process each, forked for them.

The event loop serves everybody, so nothing on it may take long. A forked process has all that the
server knows at that moment and shares its memory; what it writes goes through the server's store,
which compares revisions as ever. It can neither delay nor damage the server: it has a deadline, and
what it used is free when it ends. With ``ApiServerConfig.forks`` 0 (in tests and under the virtual
clock) the server answers everything itself.

- ``estimate``: which requests take long;
- ``parent``: the server's end: forks, carries out what the process asks for, takes its answer;
- ``child``: the forked process;
- ``slots``: how many there are at a time, and whose turn it is;
- ``messages``: between the two.
"""
