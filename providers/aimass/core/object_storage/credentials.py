"""Keys that somebody else hands out and takes back: a cloud server's agency, a pod's identity, the environment.

Huawei's SDK knows where to ask and renews its temporary keys some minutes before they end; here they are passed on.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from obs.loadtoken import ECS, ENV, OIDC

from aimass.core.errors import NotAllowedError

if TYPE_CHECKING:
    from aimass.core.object_storage.connection import ObsConnection

PROVIDERS = {"environment": [ENV], "ecs": [ECS], "oidc": [OIDC], "chain": [ENV, ECS, OIDC]}
HINTS = {
    "environment": "Set OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY for the worker",
    "ecs": "Give the cloud server an agency, or use keys",
    "oidc": "Set HUAWEI_CLOUD_IDP_ID, OIDC_TOKEN_FILE … for the pod, or use keys",
    "chain": "Set OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY, or give the server an agency, or use keys",
}


class HuaweiCredentials:
    """Ask Huawei's SDK for keys; obstore calls it whenever those that it has are about to end.

    Parameters
    ----------
    connection : ObsConnection
        Its `credentials` say whom to ask.
    """

    kept: ClassVar[timedelta] = timedelta(minutes=5)
    """For how long an answer is used; the SDK's own ones are good for longer, it renews them ten minutes ahead."""

    def __init__(self, connection: ObsConnection) -> None:
        self._kind = connection.credentials

    def __call__(self) -> dict[str, Any]:
        """Return keys in obstore's words.

        Raises
        ------
        NotAllowedError
            Nobody hands any out.
        """
        found = self.find()
        return {
            "access_key_id": found["accessKey"],
            "secret_access_key": found["secretKey"],
            "token": found.get("securityToken"),
            "expires_at": datetime.now(UTC) + self.kept,
        }

    def find(self) -> dict[str, str]:
        """Return keys in the SDK's words; raises NotAllowedError."""
        for provider in PROVIDERS[self._kind]:
            try:
                return dict(provider.search())
            except Exception:  # noqa: BLE001, S112 - the SDK raises bare exceptions of many kinds; the next one is asked
                continue
        raise NotAllowedError(f"Nobody hands out keys for OBS (asked: {self._kind})", hint=HINTS[self._kind])
