"""The references of one model, packed: they are large, and seldom looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping

import msgspec
import zstandard

from watchkeeper.detectors.profile import Profile

_LIMIT = 1 << 24  # bytes of one reference
_packer, _unpacker = zstandard.ZstdCompressor(level=12), zstandard.ZstdDecompressor()
_profiles = msgspec.msgpack.Decoder(Profile)


class Profiles(MutableMapping[str, Profile]):
    """Each version's reference; whatever is looked up is unpacked for it. Versions with the same
    reference, as heirs have, share its bytes."""

    __slots__ = ("_packed",)

    def __init__(self) -> None:
        self._packed: dict[str, bytes] = {}

    def __getitem__(self, version: str) -> Profile:
        return unpacked(self._packed[version])

    def __setitem__(self, version: str, profile: Profile) -> None:
        packed = _packer.compress(msgspec.msgpack.encode(profile))
        self.take(version, bytes(memoryview(packed)))  # a copy: the other has room to spare

    def __delitem__(self, version: str) -> None:
        del self._packed[version]

    def __contains__(self, version: object) -> bool:
        return version in self._packed

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    def take(self, version: str, packed: bytes) -> None:
        """Keeps a reference that is packed by now."""
        alike = (known for known in self._packed.values() if known == packed)
        self._packed[version] = next(alike, packed)

    @property
    def packed(self) -> Mapping[str, bytes]:
        """All of them as they are kept; `unpacked` reads one."""
        return self._packed


def unpacked(packed: bytes) -> Profile:
    """The reference. Raises ValueError or msgspec's ValidationError where it is none."""
    try:
        return _profiles.decode(_unpacker.decompress(packed, max_output_size=_LIMIT))
    except zstandard.ZstdError as error:
        raise ValueError(f"not a reference: {error}") from error
