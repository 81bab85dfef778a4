# Made by scripts/stubs.
from .tokenrequest import BoundObjectReference as BoundObjectReference
from .selfsubjectreview import SelfSubjectReview as SelfSubjectReview
from .selfsubjectreview import SelfSubjectReviewStatus as SelfSubjectReviewStatus
from .tokenrequest import TokenRequest as TokenRequest
from .tokenrequest import TokenRequestSpec as TokenRequestSpec
from .tokenrequest import TokenRequestStatus as TokenRequestStatus
from .tokenreview import TokenReview as TokenReview
from .tokenreview import TokenReviewSpec as TokenReviewSpec
from .tokenreview import TokenReviewStatus as TokenReviewStatus
from .userinfo import UserInfo as UserInfo
