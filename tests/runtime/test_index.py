"""Secondary indexes of a cache follow its objects, whatever values these name."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from trireme.runtime.index import Index
from trireme.runtime.keys import Key

KEYS = [Key("ns", name) for name in "abc"]
CHANGES = st.lists(
    st.tuples(st.sampled_from(KEYS), st.none() | st.lists(st.sampled_from("xyz"), max_size=4))
)


@given(CHANGES)
def test_objects_are_found_by_each_of_their_values(
    changes: Sequence[tuple[Key, list[str] | None]],
) -> None:
    """Values come from clients: an object may name one twice."""
    index = Index(lambda values: values)
    objects: dict[Key, list[str]] = {}
    for key, values in changes:
        if values is None:
            index.remove(key)
            objects.pop(key, None)
        else:
            index.put(key, values)
            objects[key] = values
        for value in "xyz":
            assert set(index.get(value)) == {k for k, named in objects.items() if value in named}
        assert set(index.values()) == {value for named in objects.values() for value in named}
