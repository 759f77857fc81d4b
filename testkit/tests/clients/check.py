"""The protocol double of KurrentDB as the Python client `kurrentdbclient` meets it: append, read, conflict, catch up."""

import sys
import uuid

from kurrentdbclient import KurrentDBClient, NewEvent, StreamState
from kurrentdbclient.exceptions import NotFoundError, WrongCurrentVersionError

client = KurrentDBClient(uri=sys.argv[1])
stream = f"python-{uuid.uuid4()}"
events = [NewEvent(type="Said", data=f"{n}".encode(), metadata=b"\x00\xff", content_type="application/octet-stream") for n in range(5)]

# Batch append and plain append, each with what it expects.
client.append_to_stream(stream, current_version=StreamState.NO_STREAM, events=events[:3])
client.append_events(stream, current_version=2, events=events[3:])
read = client.get_stream(stream)
assert [event.id for event in read] == [event.id for event in events], read
assert [event.data for event in read] == [event.data for event in events]
assert all(event.metadata == b"\x00\xff" and event.type == "Said" for event in read)
assert [event.stream_position for event in read] == list(range(5))
backwards = client.get_stream(stream, backwards=True, limit=2)
assert [event.stream_position for event in backwards] == [4, 3]
assert client.get_current_version(stream) == 4

# The same once more is no second time.
client.append_to_stream(stream, current_version=StreamState.NO_STREAM, events=events[:3])
assert client.get_current_version(stream) == 4

# A wrong expectation is refused, both ways, and tells the version that is there.
for append in (client.append_to_stream, client.append_events):
    try:
        append(stream, current_version=1, events=[NewEvent(type="No", data=b"")])
        raise AssertionError("a conflict was not noticed")
    except WrongCurrentVersionError as error:
        assert "4" in str(error) or "Current" in str(error), error
try:
    client.get_stream(f"python-{uuid.uuid4()}")
    raise AssertionError("a stream that is not there was read")
except NotFoundError:
    pass

# All events, with filters, from a position on.
everything = list(client.read_all(filter_include=[f"{stream}"], filter_by_stream_name=True))
assert [event.id for event in everything] == [event.id for event in events], everything
positions = [event.commit_position for event in everything]
assert positions == sorted(set(positions)), positions
some = list(client.read_all(commit_position=positions[2], filter_include=[stream], filter_by_stream_name=True))
assert [event.commit_position for event in some] == positions[2:], "a read includes its position"
by_type = list(client.read_all(filter_include=["Said"], limit=1000))
assert {event.id for event in events} <= {event.id for event in by_type}

# A catch-up subscription begins after its position, and goes on live.
with client.subscribe_to_all(
    commit_position=positions[1], filter_include=[stream], filter_by_stream_name=True
) as subscription:
    seen = [next(subscription) for _ in range(3)]
    assert [event.commit_position for event in seen] == positions[2:]
    late = NewEvent(type="Late", data=b"late")
    client.append_to_stream(stream, current_version=StreamState.ANY, events=[late])
    assert next(subscription).id == late.id
with client.subscribe_to_stream(stream, stream_position=3) as subscription:
    assert [next(subscription).stream_position for _ in range(2)] == [4, 5]
client.close()
print("python: append, read, conflict, catch up: as expected")
