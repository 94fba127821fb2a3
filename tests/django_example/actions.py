"""`Actions`: what users were about to do, and how far it came, in a table of `models`."""

# Django ships no types, so that what comes from it is Any for a type checker.
# mypy: disable-error-code="import-untyped,no-any-return"
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Count, Max, Q
from django.db.transaction import atomic

from passkeycore import Code, DecodeError
from passkeycore.actions import ActionState
from passkeycore.engine.actions import records
from passkeycore.engine.actions.records import ActionFilter, ActionHistory, ActionPage
from passkeycore.engine.records import Event

from .models import Action, columns, replace
from .passkeys import Passkeys, remove_in_steps

_NAMES = ("realm", "user_id", "action", "idempotency_key")
_SUCCEEDED = Q(state=ActionState.CHALLENGE_SUCCEEDED)


class Actions(Passkeys):
    """A `passkeycore.engine.actions.repository.ActionRepository`.

    Actions join the request's transaction: a confirmation is used up together with what it was for, or not at all.
    Failures must not: a rollback would give back the attempt. They go through the other alias, as ceremonies do, and so
    an action is tracked in a request of its own, before the one that meets its challenge.

    SQLite has no room for a second writer. There a failure is part of the request, and a view has to catch what the
    engine raises, as Django rolls back when a view fails.
    """

    def add_action(self, action: records.Action, event: Event | None, /) -> records.Action:
        values = columns(Action, action)
        names = {name: values.pop(name) for name in _NAMES}
        row, created = Action.objects.get_or_create(**names, defaults=values)
        return action if created else row.to_record()

    def find_action(self, realm: str, user_id: str, action: str, idempotency_key: str, /) -> records.Action | None:
        row = _action(realm, user_id, action, idempotency_key).first()
        return row and row.to_record()

    def replace_action(self, action: records.Action, event: Event | None, /) -> bool:
        return replace(_same(action), action)

    def record_failure(self, action: records.Action, event: Event | None, /) -> records.Action | None:
        if connections[self._alias].vendor == "sqlite":
            return _failed(action, DEFAULT_DB_ALIAS)
        with atomic(using=self._alias, durable=True):  # as in `take_ceremony`
            return _failed(action, self._alias)

    def list_actions(
        self, realm: str, which: ActionFilter, now: datetime, cursor: str | None, limit: int, /
    ) -> ActionPage:
        rows = Action.objects.filter(realm=realm)
        if which.user_id is not None:
            rows = rows.filter(user_id=which.user_id)
        if which.actions is not None:
            rows = rows.filter(action__in=which.actions)
        if which.states is not None:
            late = Q(state=ActionState.CHALLENGE_REQUIRED, expires_at__lte=now)
            as_stored: Any = Q(state__in=which.states) & ~late
            rows = rows.filter(as_stored | late if ActionState.CHALLENGE_FAILED in which.states else as_stored)
        if which.since is not None:
            rows = rows.filter(created_at__gte=which.since)
        if which.until is not None:
            rows = rows.filter(created_at__lt=which.until)
        if cursor is not None:
            if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
                raise DecodeError(Code.CURSOR_INVALID, "no cursor of this repository", path="cursor")
            rows = rows.filter(pk__lt=int(cursor))
        found = list(rows.order_by("-pk")[: limit + 1])  # one more tells whether there is a next page
        page = found[:limit]
        return ActionPage(
            actions=tuple(row.to_record() for row in page),
            next_cursor=str(page[-1].pk) if len(found) > limit else None,
        )

    def action_history(
        self,
        realm: str,
        user_id: str,
        authenticator_ids: Collection[str],
        device_id: str | None,
        since: datetime,
        now: datetime,
        /,
    ) -> ActionHistory:
        trusted: Any = _SUCCEEDED & Q(authenticator_id__in=authenticator_ids)
        seen = Action.objects.filter(realm=realm, user_id=user_id).aggregate(
            failures=Count("pk", filter=Q(failed_at__gte=since, failed_at__lte=now)),
            with_device=Count("pk", filter=trusted & Q(device_id=device_id)),
            verified_at=Max("state_updated_at", filter=trusted & Q(user_verified=True)),
        )
        return ActionHistory(
            recent_failures=seen["failures"],
            device_known=device_id is not None and seen["with_device"] > 0,
            user_verified_at=seen["verified_at"],
        )

    def remove_actions(self, realm: str, before: datetime, /) -> int:
        return remove_in_steps(Action.objects.filter(realm=realm, expires_at__lt=before))

    def remove_user(self, realm: str, user_id: str, event: Event | None, /) -> bool:
        with atomic():
            removed = super().remove_user(realm, user_id, event)
            return Action.objects.filter(realm=realm, user_id=user_id).delete()[0] > 0 or removed


def _action(*names: str) -> Any:
    return Action.objects.filter(**dict(zip(_NAMES, names, strict=True)))


def _same(action: records.Action) -> Any:
    """The row of the action, unless it is of one that was removed, and tracked again at another moment."""
    return _action(*_names_of(action)).filter(created_at=action.created_at)


def _failed(action: records.Action, alias: str) -> records.Action | None:
    """What `record_failure` answers, by this database alias: what the request has not committed is not seen there."""
    if replace(_same(action).using(alias), action):
        return action
    row = _action(*_names_of(action)).using(alias).first()
    return row and row.to_record()


def _names_of(action: records.Action) -> tuple[str, ...]:
    return tuple(getattr(action, name) for name in _NAMES)
