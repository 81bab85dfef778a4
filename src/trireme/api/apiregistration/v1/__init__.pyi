# Made by scripts/stubs.
from .apiservice import APIService as APIService
from .apiservice import APIServiceCondition as APIServiceCondition
from .apiservice import APIServiceSpec as APIServiceSpec
from .apiservice import APIServiceStatus as APIServiceStatus
from .apiservice import ServiceReference as ServiceReference
