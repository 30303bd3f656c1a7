from __future__ import annotations

import pytest

from aimass.core.errors import AimassError, ConfigError, UnreachableError
from aimass.notifications.base import Message
from aimass.notifications.delivery import Delivery
from tests.services.mailbox import Mailbox
from tests.services.posts import Posts
from tests.unit.provider.notifications.conftest import PASSWORD

# Apprise looks for a module of the standard library that is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
MESSAGE = Message("failure", "航班: the run failed", "It <failed>.\n", "<p>It &lt;failed&gt;. 航班</p>")


def test_mail_arrives_at_everybody_in_any_language(mailbox: Mailbox) -> None:
    to = ["a@example.org", "b@example.org"]
    Delivery({"type": "smtp", "to": to, "conn_id": "mail"}).channel.send(MESSAGE)
    (letter,) = mailbox.letters
    assert mailbox.recipients == [to]
    assert letter["Subject"] == MESSAGE.subject
    assert letter["From"] == "aimass@example.org"
    assert letter["Auto-Submitted"] == "auto-generated"
    body = letter.get_body(preferencelist=("html",))
    assert body is not None
    assert body.get_content().strip() == MESSAGE.html


def test_a_service_gets_the_text_and_how_bad_it_is(posts: Posts) -> None:
    Delivery({"type": "apprise", "conn_id": "chat", "tag": "team"}).channel.send(MESSAGE)
    (post,) = posts.received
    assert (post["title"], post["type"]) == (MESSAGE.subject, "failure")
    assert post["message"].strip() == MESSAGE.text.strip()


def test_a_service_that_refuses_is_an_error_without_its_address(posts: Posts) -> None:
    posts.status = 500
    with pytest.raises(UnreachableError) as caught:
        Delivery({"type": "apprise", "conn_id": "chat"}).channel.send(MESSAGE)
    assert PASSWORD not in str(caught.value)


def test_a_tag_that_nobody_has_is_said(posts: Posts) -> None:
    with pytest.raises(ConfigError, match="'nobody'"):
        Delivery({"type": "apprise", "conn_id": "chat", "tag": "nobody"}).channel.send(MESSAGE)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"type": "smpt", "to": ["a@b"]}, "'smtp'"),
        ({"type": "smtp"}, "to: is required"),
        ({"type": "smtp", "to": ["a@b"], "repeat_hour": 1}, "repeat_hour"),
        ({"type": "smtp", "to": ["a@b"], "on": ["sucess"]}, "on.0"),
        ({"type": "smtp", "to": ["a@b"], "repeat_hours": -1}, "repeat_hours"),
        ({"type": "smtp", "to": ["a@b"], "templates": {"subject": "{{ oops"}}, "templates.subject"),
        ({"type": "smtp", "to": ["a@b"], "templates": {"text": "{{ secret }}"}}, "'secret' is undefined"),
        ({"type": "smtp", "to": ["a@b"], "templates": {"text": "{{ lines.__class__.__mro__ }}"}}, "templates.text"),
        ({"to": ["a@b"]}, "'type'"),
    ],
)
def test_a_mistake_is_named(document: dict[str, object], told: str) -> None:
    with pytest.raises(AimassError, match=told):
        Delivery(document)


def test_other_recipients_are_another_channel() -> None:
    first, second = (Delivery({"type": "smtp", "to": [to], "on": ["failure"]}) for to in ("a@b", "c@d"))
    assert first.identity != second.identity
    assert first.identity == Delivery({"type": "smtp", "to": ["a@b"], "repeat_hours": 9}).identity
