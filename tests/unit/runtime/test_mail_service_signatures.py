"""How mail services sign: what they signed is believed, and nothing else, not with one letter changed."""

import base64
import hmac
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailwright.core.errors import Permanent, Transient
from mailwright.core.fetching import FetchAnswer, FetchRequest
from mailwright.core.instants import DAY, SECOND, Instant, from_datetime
from mailwright.ingest.webhooks.verification import Authentic, Request, Verification, verify
from mailwright.runtime.sns import certificates, confirmed

sys.path[:0] = [str(Path(__file__).parents[1] / "ingest")]

from mail_service_bodies import MAILGUN, MANDRILL, SENDGRID, SES  # noqa: E402

PEM_URL = SES[0]["SigningCertURL"]
NOW = from_datetime(datetime(2026, 11, 22, 9, tzinfo=UTC))
AT = str(NOW // SECOND)
SECRET = "key-3ax6xnjp29jd6fds4gc373sgvjxteol0"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:mails"
EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def how(**told: object) -> Verification:
    return msgspec.convert(told, Verification)


def pem(*, until: timedelta = timedelta(days=3000)) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(RSA.public_key())
    made = made.serial_number(7).not_valid_before(start).not_valid_after(start + until)
    return made.sign(RSA, hashes.SHA256()).public_bytes(Encoding.PEM)


class Amazon:
    """The Fetch port with Amazon at its other end; everything else is refused."""

    def __init__(self, answers: dict[str, bytes], status: int = 200) -> None:
        self.answers = answers
        self.status = status
        self.asked: list[str] = []

    def fetch(self, request: FetchRequest) -> FetchAnswer:
        self.asked.append(request.url)
        if request.url not in self.answers:
            raise Permanent("fetch.refused", "no such host")
        return FetchAnswer(status=self.status, headers={}, body=self.answers[request.url], at=NOW)


def sendgrid() -> tuple[Verification, Request]:
    body = json.dumps(SENDGRID).encode()
    der = EC.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    signature = EC.sign(AT.encode() + body, ec.ECDSA(hashes.SHA256()))
    told = how(
        kind="ecdsa", header="X-Sig", encoding="base64", payload="{timestamp}{body}", timestamp_header="X-At",
        public_key=b64(der),
    )  # fmt: skip
    return told, Request(body=body, headers={"x-sig": b64(signature), "x-at": AT})


def mailgun(at: str = AT) -> tuple[Verification, Request]:
    token = "50dcec4a2d0ef27036c44ebd9ce9324736fc98ef9405428803"
    signature = hmac.digest(SECRET.encode(), f"{at}{token}".encode(), "sha256").hex()
    body = {**MAILGUN[0], "signature": {"timestamp": at, "token": token, "signature": signature}}
    return how(kind="mailgun", secret_env="S"), Request(body=json.dumps(body).encode())


def mandrill() -> tuple[Verification, Request]:
    url, events = "https://mail.shop.example/w/mandrill", json.dumps(MANDRILL)
    signature = hmac.digest(SECRET.encode(), f"{url}mandrill_events{events}".encode(), "sha1")
    body = urlencode({"mandrill_events": events}).encode()
    return how(kind="mandrill", secret_env="S", url=url), Request(
        body=body, headers={"x-mandrill-signature": b64(signature)}
    )


def sns(version: str = "1", **more: str) -> tuple[Verification, Request]:
    told = {**SES[0], "SignatureVersion": version, **more}
    names = ["Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn", "Type"]
    if told["Type"] == "SubscriptionConfirmation":
        names.remove("Subject")
    payload = "".join(f"{name}\n{told[name]}\n" for name in names if name in told)
    algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
    told["Signature"] = b64(RSA.sign(payload.encode(), PKCS1v15(), algorithm))
    return how(kind="sns", topic=TOPIC, tolerance="7 days"), Request(body=json.dumps(told).encode())


SCHEMES = {"sendgrid": sendgrid, "mailgun": mailgun, "mandrill": mandrill, "sns": sns, "sns 2": lambda: sns("2")}


def judged(verification: Verification, request: Request, amazon: Amazon | None = None, now: Instant = NOW) -> object:
    amazon = amazon or Amazon({PEM_URL: pem()})
    return verify(verification, request, [SECRET], now, certificates=certificates(amazon, now))


@pytest.mark.parametrize("name", SCHEMES)
def test_what_a_service_signed_is_believed_and_known_again(name):
    found = judged(*SCHEMES[name]())
    assert isinstance(found, Authentic), found
    assert found.seals
    assert judged(*SCHEMES[name]()) == found or name == "sendgrid"  # of which each signature is another


def changed(request: Request, before: str, after: str) -> Request:
    body = request.body.replace(before.encode(), after.encode())
    assert body != request.body
    return Request(body=body, headers=request.headers)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("sendgrid", "ada@", "eve@"),
        ("mailgun", "50dcec4a", "60dcec4a"),
        ("mandrill", "ada", "eve"),
        ("sns", "ada@", "eve@"),
        ("sns", "Notification", "SubscriptionConfirmation"),
        ("sns", "mails", "other"),  # another topic, as a whole and in what was signed
        ("sns", '"SignatureVersion": "1"', '"SignatureVersion": "3"'),
        ("sns 2", '"SignatureVersion": "2"', '"SignatureVersion": "1"'),
        ("sns", "sns.eu-west-1.amazonaws.com/Simple", "sns.evil.example/Simple"),
    ],
)
def test_one_word_changed_and_it_is_nobodys(name, before, after):
    verification, request = SCHEMES[name]()
    assert isinstance(judged(verification, changed(request, before, after)), str)


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'{"signature": 1}', b"a=b", b"\xff", b"[" * 5000])
def test_no_body_at_all_breaks_a_scheme(name, body):
    verification, request = SCHEMES[name]()
    assert isinstance(judged(verification, Request(body=body, headers=request.headers)), str)


def test_mailgun_and_sendgrid_say_when():
    for verification, request in (sendgrid(), mailgun()):
        assert "too long ago" in str(judged(verification, request, now=Instant(NOW + 400 * SECOND)))


def test_another_topic_that_amazon_itself_signed_is_nobodys():
    verification, request = sns(TopicArn="arn:aws:sns:eu-west-1:999999999999:mails")
    assert isinstance(judged(verification, request), str)


NAME = "SimpleNotificationService-" + "0" * 32 + ".pem"


@pytest.mark.parametrize(
    "url",
    [
        f"http://sns.eu-west-1.amazonaws.com/{NAME}",
        f"https://sns.eu-west-1.amazonaws.com.evil.example/{NAME}",
        f"https://evil.example/sns.eu-west-1.amazonaws.com/{NAME}",
        f"https://sns.eu-west-1.amazonaws.com@evil.example/{NAME}",
        f"https://sns.eu-west-1.amazonaws.com:444/{NAME}",
        f"https://s3.eu-west-1.amazonaws.com/{NAME}",
        f"https://sns.us-east-1.amazonaws.com/{NAME}",  # of another region than the topic's
        f"https://sns.eu-west-1.amazonaws.com/?Action=GetEndpointAttributes#{NAME}",
        f"https://sns.eu-west-1.amazonaws.com/?x=/{NAME}",
        f"https://sns.eu-west-1.amazonaws.com/{NAME}?Action=GetEndpointAttributes",
        "https://sns.eu-west-1.amazonaws.com/a.pem",
        "https://[",
    ],
)
def test_certificates_come_from_amazon_alone(url):
    amazon = Amazon({url: pem()})
    verification, request = sns(SigningCertURL=url)
    assert isinstance(judged(verification, request, amazon), str)
    assert amazon.asked == []


def test_a_certificate_that_has_ended_or_is_none_proves_nothing():
    verification, request = sns()
    assert isinstance(judged(verification, request, Amazon({PEM_URL: pem(until=timedelta(days=30))})), str)
    assert isinstance(judged(verification, request, Amazon({PEM_URL: b"no certificate"})), str)
    assert isinstance(judged(verification, request, Amazon({PEM_URL: b"<Attributes>" + pem()})), str)
    assert isinstance(judged(verification, request, Amazon({PEM_URL: pem()}, status=403)), str)
    assert isinstance(judged(verification, request, Amazon({})), str)


SUBSCRIBE = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=2336412f37"


def test_a_subscription_is_confirmed_at_amazon_alone():
    asked = {"Type": "SubscriptionConfirmation", "SubscribeURL": SUBSCRIBE, "Token": "2336412f37"}
    verification, request = sns(**asked)
    assert isinstance(judged(verification, request), Authentic)
    amazon = Amazon({SUBSCRIBE: b"<ConfirmSubscriptionResponse/>"})
    assert confirmed(amazon, TOPIC, request)
    assert amazon.asked == [SUBSCRIBE]
    assert not confirmed(amazon, TOPIC, sns()[1])
    elsewhere = Amazon({"https://evil.example/": b""})
    assert confirmed(elsewhere, TOPIC, sns(**{**asked, "SubscribeURL": "https://evil.example/"})[1])
    assert elsewhere.asked == []
    with pytest.raises(Transient):
        confirmed(Amazon({SUBSCRIBE: b""}, status=500), TOPIC, request)


def test_what_amazon_signed_long_ago_is_refused():
    verification, request = sns()
    assert "too long ago" in str(judged(verification, request, now=Instant(NOW + 8 * DAY)))


def test_a_header_of_very_many_signatures_is_not_tried_through():
    verification, request = sendgrid()
    genuine = request.headers["x-sig"]
    for header, believed in ((f"AAAA, {genuine}", True), (", ".join(["AAAA"] * 5 + [genuine]), False)):
        asked = Request(body=request.body, headers={**request.headers, "x-sig": header})
        assert isinstance(judged(verification, asked), Authentic) is believed


@pytest.mark.parametrize("curve", [b"\x04", b"\x01"])  # P-239 and P-192, which nobody here knows
def test_a_key_on_another_curve_is_told(curve):
    der = EC.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key = b64(der.replace(bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d0301") + curve))
    with pytest.raises(msgspec.ValidationError, match="no P-256 key"):
        how(kind="ecdsa", header="X", public_key=key)


def test_secrets_of_another_are_none():
    for verification, request in (mailgun(), mandrill()):
        for secrets in ([], [""], ["other"]):
            assert isinstance(verify(verification, request, secrets, NOW), str)
    assert isinstance(verify(*sns(), [], Instant(NOW + DAY)), str)  # without anybody who gets certificates
