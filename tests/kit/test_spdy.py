"""SPDY framing: two ends talk to each other through bytes cut anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trireme.kit import spdy


def test_the_dictionary_is_that_of_the_draft() -> None:
    assert len(spdy.DICTIONARY) == 1423
    assert spdy.DICTIONARY[:11] == b"\x00\x00\x00\x07options"
    assert spdy.DICTIONARY.endswith(b"enq=0.")


@given(
    headers=st.lists(
        st.dictionaries(
            st.text(alphabet=st.characters(codec="ascii", categories=["Ll"]), min_size=1),
            st.text(max_size=20),
        ),
        max_size=4,
    ),
    payloads=st.lists(st.binary(max_size=300), max_size=5),
    cut=st.integers(min_value=1, max_value=50),
)
def test_streams_and_data_arrive_whole(
    headers: list[dict[str, str]], payloads: list[bytes], cut: int
) -> None:
    client, server = spdy.Connection(), spdy.Connection(client=False)
    streams = [client.open(item) for item in headers]
    for stream in streams:
        for payload in payloads:
            client.send(stream, payload)
        client.send(stream, b"", fin=True)
    wire = client.take()
    events = [
        event
        for start in range(0, len(wire), cut)
        for event in server.receive(wire[start : start + cut])
    ]
    opened = [event for event in events if isinstance(event, spdy.Opened)]
    assert [event.stream for event in opened] == streams == list(range(1, 2 * len(headers), 2))
    assert [event.headers for event in opened] == headers
    for stream in streams:
        data = [e for e in events if isinstance(e, spdy.Data) and e.stream == stream]
        assert [item.data for item in data] == [*payloads, b""]
        assert [item.fin for item in data] == [False] * len(payloads) + [True]


def test_a_reply_a_reset_and_a_ping() -> None:
    client, server = spdy.Connection(), spdy.Connection(client=False)
    stream = client.open({"streamType": "stdin"})
    server.receive(client.take())
    server.accept(stream)
    assert client.receive(server.take()) == [spdy.Replied(stream, {}, False)]
    client.reset(stream)
    assert server.receive(client.take()) == [spdy.Reset(stream, spdy.CANCEL)]
    ping = bytes.fromhex("8003000600000004") + (2).to_bytes(4, "big")
    assert client.receive(ping) == []
    assert client.take() == ping


def test_what_a_peer_sends_has_a_bound() -> None:
    client, server = spdy.Connection(), spdy.Connection(client=False)
    client.open({"bomb": "x" * 10_000_000})
    packed = client.take()
    assert len(packed) < 50_000
    with pytest.raises(spdy.ProtocolError, match="headers of more than"):
        server.receive(packed)
    with pytest.raises(spdy.ProtocolError, match="a frame of 16777215 bytes"):
        spdy.Connection().receive(bytes.fromhex("0000000100ffffff"))
