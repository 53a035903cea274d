"""Every error that Mien raises on purpose, under one root.

    MienError
    ├── ApiError                     the request itself is refused; `status` is its HTTP status
    │   ├── InvalidRequest 400       AuthenticationError 401   InsufficientCredits 402
    │   │   └── BodyTooSlow 408
    │   ├── PermissionDenied 403     NotFound 404              Conflict 409
    │   ├── PayloadTooLarge 413      UnsupportedMediaType 415  IdempotencyMismatch 422
    │   └── RateLimited 429          InternalError 500         Unavailable 503
    ├── TaskError                    the request was fine, its pictures were not: the task fails
    │   ├── ImageUnreachable         ImageInvalid              ImageTooLarge
    │   ├── NoFaceFound              TargetIndexOutOfRange     FaceUnusable
    │   └── ContentBlocked           Canceled                  Timeout       TaskInternalError
    └── SetupError                   the service can't run until its operator changes something

`type` is the documented name that callers switch on, `message` says what to do, `param` names the request's
field that is at fault.
"""

from typing import ClassVar


class MienError(Exception):
    """Root of all errors raised on purpose.

    `message` is shown to callers: it says what is wrong and what to do, and holds no secret.
    """

    type: ClassVar[str] = "internal_error"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class ApiError(MienError):
    """A request that is refused at once."""

    status: ClassVar[int] = 500


class InvalidRequest(ApiError):
    type, status = "invalid_request", 400


class BodyTooSlow(InvalidRequest):
    status = 408


class AuthenticationError(ApiError):
    type, status = "authentication_error", 401


class InsufficientCredits(ApiError):
    type, status = "insufficient_credits", 402


class PermissionDenied(ApiError):
    type, status = "permission_denied", 403


class NotFound(ApiError):
    type, status = "not_found", 404


class Conflict(ApiError):
    type, status = "conflict", 409


class PayloadTooLarge(ApiError):
    type, status = "payload_too_large", 413


class UnsupportedMediaType(ApiError):
    type, status = "unsupported_media_type", 415


class IdempotencyMismatch(ApiError):
    type, status = "idempotency_mismatch", 422


class RateLimited(ApiError):
    """`retry_after`: seconds until it's worth another try."""

    type, status = "rate_limited", 429

    def __init__(self, message: str, *, param: str | None = None, retry_after: int = 1) -> None:
        super().__init__(message, param=param)
        self.retry_after = retry_after


class InternalError(ApiError):
    type, status = "internal_error", 500


class Unavailable(ApiError):
    type, status = "unavailable", 503


class TaskError(MienError):
    """Why a task failed; also raised by the library and shown by the command line.

    Where several faces are swapped on one picture, `swap` says which swap is at fault, and where that has
    several source pictures, `picture` says which of them. Both count from 0.
    """

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        swap: int | None = None,
        picture: int | None = None,
    ) -> None:
        super().__init__(message, param=param)
        self.swap = swap
        self.picture = picture


class ImageUnreachable(TaskError):
    type = "image_unreachable"


class ImageInvalid(TaskError):
    type = "image_invalid"


class ImageTooLarge(TaskError):
    type = "image_too_large"


class NoFaceFound(TaskError):
    type = "no_face_found"


class TargetIndexOutOfRange(TaskError):
    """`count` is how many faces the picture has; None where only the message says it."""

    type = "target_index_out_of_range"

    def __init__(
        self,
        message: str,
        *,
        count: int | None,
        param: str | None = None,
        swap: int | None = None,
        picture: int | None = None,
    ) -> None:
        super().__init__(message, param=param, swap=swap, picture=picture)
        self.count = count


class FaceUnusable(TaskError):
    type = "face_unusable"


class ContentBlocked(TaskError):
    type = "content_blocked"


class Canceled(TaskError):
    type = "canceled"


class Timeout(TaskError):
    type = "timeout"


class TaskInternalError(TaskError):
    type = "internal_error"


class SetupError(MienError):
    """The service can't run until its operator changes something: a setting, a folder, a port, a database."""
