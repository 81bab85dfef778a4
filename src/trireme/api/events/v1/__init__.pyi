# Made by scripts/stubs.
from .event import Event as Event
from .event import EventSeries as EventSeries
