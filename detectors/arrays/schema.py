"""Which columns a reference profiles: models that agree in it share arrays."""

from __future__ import annotations

from typing import NamedTuple, Self

from watchkeeper.detectors.keys import keys_of
from watchkeeper.detectors.profile import Profile


class Schema(NamedTuple):
    """The columns of a reference, in their order.

    Numeric columns are the `numeric` features, then `score` and `value` where these are profiled;
    categorical ones the `categorical` features, then the answered label where there are
    `classes`, the kept ones by name. `profiled` is False where there is no reference.
    """

    profiled: bool = False
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    score: bool = False
    value: bool = False
    classes: tuple[str, ...] | None = None
    positive: str | None = None
    task: str = "unknown"

    @classmethod
    def of(cls, profile: Profile | None) -> Self:
        """The schema of a profile; that of none has no columns."""
        if profile is None:
            return cls()
        return cls(
            profiled=True,
            numeric=tuple(each.name for each in profile.numeric),
            categorical=tuple(each.name for each in profile.categorical),
            score=profile.score is not None,
            value=profile.value is not None,
            classes=None if profile.classes is None else profile.classes.categories,
            positive=profile.positive,
            task=profile.task,
        )

    @property
    def numbers(self) -> int:
        """How many numeric columns there are."""
        return len(self.numeric) + self.score + self.value

    @property
    def texts(self) -> int:
        """How many categorical columns there are."""
        return len(self.categorical) + (self.classes is not None)

    @property
    def cut(self) -> int | None:
        """The numeric column whose bins cut the answers that are estimated by these: the values of
        a regressor, or how sure a classifier of many classes is; None where there is none."""
        if self.task == "regression" and self.value:
            return self.numbers - 1
        sure = self.task == "multiclass" and self.score and self.positive is None
        return len(self.numeric) if sure else None

    @property
    def positive_key(self) -> int:
        """The key of the positive class; 0 where none is named."""
        return int(keys_of([self.positive])[0])
