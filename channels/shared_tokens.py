"""Tokens that lanes with the same key share, so that a storm of refusals on all of them makes one renewal."""

from __future__ import annotations

from channels.apns.client import ApnsSettings
from channels.apns.credential import ProviderToken
from channels.fcm.client import FcmSettings
from channels.fcm.credential import AccessToken


class SharedTokens:
    """One token per key, made when the first lane asks. Raises ValueError for a key that is none."""

    def __init__(self) -> None:
        self._apns: dict[tuple[object, ...], ProviderToken] = {}
        self._fcm: dict[tuple[object, ...], AccessToken] = {}

    def apns(self, lane: ApnsSettings) -> ProviderToken:
        """The provider token of a lane's signing key."""
        key = (lane.private_key_pem, lane.key_id, lane.team_id)
        if key not in self._apns:
            self._apns[key] = ProviderToken(*key)
        return self._apns[key]

    def fcm(self, lane: FcmSettings) -> AccessToken:
        """The access token of a lane's service account."""
        key = (lane.client_email, lane.private_key_pem, lane.token_uri, lane.ca_file)
        if key not in self._fcm:
            self._fcm[key] = AccessToken(*key)
        return self._fcm[key]
