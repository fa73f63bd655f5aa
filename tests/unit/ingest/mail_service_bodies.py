"""Bodies as the mail services publish them for their webhooks, with addresses of ours."""

import base64
import json

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

WHO = "ada@shop.example"
_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
_DER = _KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
OWN = {
    "sendgrid": f"verify: {{ public_key: {base64.b64encode(_DER).decode()} }}",
    "ses": 'verify: { topic: "arn:aws:sns:eu-west-1:123456789012:mails" }',
    "mandrill": "verify: { url: https://mail.shop.example/w/mandrill }",
}
"""What only the shop knows, beside the preset."""


def sendgrid(event: str, **more: object) -> dict:
    return {
        "email": WHO, "timestamp": 1795000000, "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>", "event": event,
        "category": ["cat facts"], "sg_event_id": f"ZGVsaXZlcmVk-{event}", "sg_message_id": "14c5d75ce93.filter0001",
        **more,
    }  # fmt: skip


SENDGRID = [
    sendgrid("processed"),
    sendgrid("delivered", response="250 OK", tls=1),
    sendgrid("open", useragent="Mozilla/4.0", ip="203.0.113.7", sg_machine_open=True),
    sendgrid("click", useragent="Mozilla/4.0", ip="203.0.113.7", url="https://shop.example/", url_offset={"index": 0}),
    sendgrid("bounce", reason="500 unknown recipient", status="5.0.0", type="bounce"),
    sendgrid("bounce", reason="450 blocked", status="4.0.0", type="blocked", sg_event_id="blocked-1"),
    sendgrid("spamreport"),
    sendgrid("group_unsubscribe", asm_group_id=10),
]


def mailgun(event: str, **more: object) -> dict:
    return {
        "signature": {"timestamp": "1795000000", "token": f"token-{event}", "signature": ""},
        "event-data": {
            "id": f"Ase7i2zsRYeDXztHGENqRA-{event}", "timestamp": 1795000000.329574, "log-level": "info",
            "event": event, "recipient": WHO, "tags": ["my_tag_1", "my_tag_2"], "user-variables": {},
            "message": {"headers": {"to": WHO, "message-id": "20130503182626.18666.16540@shop.example"}}, **more,
        },
    }  # fmt: skip


BROWSER = {"client-os": "Linux", "device-type": "desktop", "user-agent": "Mozilla/5.0", "bot": ""}
MAILGUN = [
    mailgun("delivered", **{"delivery-status": {"code": 250, "message": "OK"}}),
    mailgun("opened", ip="203.0.113.7", **{"client-info": {**BROWSER, "bot": "apple"}}),
    mailgun("clicked", ip="203.0.113.7", url="https://shop.example/", **{"client-info": BROWSER}),
    mailgun("failed", severity="permanent", reason="bounce", **{"delivery-status": {"code": 550, "message": "no box"}}),
    mailgun("complained"),
    mailgun("unsubscribed", ip="203.0.113.7", **{"client-info": BROWSER}),
]


def postmark(kind: str, **more: object) -> dict:
    return {
        "RecordType": kind, "MessageStream": "outbound", "MessageID": "883953f4-6105-42a2-a16a-77a8eac79483",
        "Metadata": {}, "Tag": "welcome-email", **more,
    }  # fmt: skip


AT = "2026-11-20T20:00:00.0000000Z"
POSTMARK = [
    postmark("Delivery", Recipient=WHO, DeliveredAt=AT, Details="250 OK"),
    postmark("Open", Recipient=WHO, ReceivedAt=AT, FirstOpen=True, UserAgent="Mozilla/5.0", Geo={"IP": "203.0.113.7"}),
    postmark("Click", Recipient=WHO, ReceivedAt=AT, OriginalLink="https://shop.example/", ClickLocation="HTML"),
    postmark("Bounce", ID=42, Type="HardBounce", Email=WHO, BouncedAt=AT, Description="no such box", Inactive=True),
    postmark("SpamComplaint", ID=43, Type="SpamComplaint", Email=WHO, BouncedAt=AT),
    postmark(
        "SubscriptionChange",
        Recipient=WHO, ChangedAt=AT, Origin="Recipient", SuppressSending=True, SuppressionReason="ManualSuppression",
    ),
]  # fmt: skip


def ses(kind: str, key: str = "eventType", **more: object) -> dict:
    mail = {"timestamp": AT, "messageId": "EXAMPLE7c191be45", "destination": [WHO], "commonHeaders": {"subject": "Hi"}}
    return {
        "Type": "Notification", "MessageId": f"22b80b92-{kind}", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:mails",
        "Subject": "Amazon SES Email Event Notification", "Message": json.dumps({key: kind, "mail": mail, **more}),
        "Timestamp": "2026-11-20T20:00:01.000Z", "SignatureVersion": "1", "Signature": "",
        "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem",
        "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
    }  # fmt: skip


SEEN = {"ipAddress": "203.0.113.7", "timestamp": AT, "userAgent": "Mozilla/5.0"}
SEVERAL = [{"emailAddress": "eve@shop.example"}, {"emailAddress": "bob@shop.example"}]
HARD = {
    "bounceType": "Permanent",
    "bouncedRecipients": [{"emailAddress": WHO, "diagnosticCode": "550"}],
    "timestamp": AT,
}
SES = [
    ses("Delivery", delivery={"timestamp": AT, "recipients": [WHO]}),
    ses("Open", open=SEEN),
    ses("Click", click={**SEEN, "link": "https://shop.example/"}),
    ses("Bounce", key="notificationType", bounce=HARD),
    ses("Complaint", complaint={"complainedRecipients": [{"emailAddress": WHO}], "timestamp": AT}),
    ses("Subscription", subscription={"contactList": "x", "timestamp": AT}),
]


def mandrill(event: str, **more: object) -> dict:
    message = {"email": WHO, "subject": "Hi", "tags": ["welcome"], "_id": "1a2b", "state": "sent"}
    return {"event": event, "_id": "1a2b", "ts": 1795000000, "msg": message, **more}


MANDRILL = [
    mandrill("delivered"),
    mandrill("open", ip="203.0.113.7", user_agent="Mozilla/5.0"),
    mandrill("click", ip="203.0.113.7", user_agent="Mozilla/5.0", url="https://shop.example/"),
    mandrill("hard_bounce"),
    mandrill("soft_bounce"),
    mandrill("spam"),
    mandrill("unsub"),
]
