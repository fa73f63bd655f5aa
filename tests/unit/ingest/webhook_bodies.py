"""Bodies in the shapes that the vendors document, written for the tests; nobody in them exists."""

SHOPIFY_LINES = [
    {
        "id": 866550311766439020,
        "product_id": 632910392,
        "variant_id": 808950810,
        "sku": "IPOD2008PINK",
        "title": "IPod Nano - 8GB",
        "variant_title": "Pink",
        "vendor": "Apple",
        "price": "199.00",
        "quantity": 1,
        "grams": 567,
        "properties": [],
        "taxable": True,
    },
    {"id": 1, "product_id": 2, "variant_id": None, "title": "Case", "price": "10.50", "quantity": 2},
]
SHOPIFY_ORDER = {
    "id": 820982911946154508,
    "admin_graphql_api_id": "gid://shopify/Order/820982911946154508",
    "browser_ip": "203.0.113.7",
    "cart_token": "c1-cart",
    "checkout_token": "c1-checkout",
    "client_details": {"browser_ip": "203.0.113.7", "user_agent": "Mozilla/5.0", "accept_language": "en"},
    "contact_email": "jon@shop.example",
    "created_at": "2026-11-20T18:00:00-05:00",
    "processed_at": "2026-11-20T18:00:01-05:00",
    "currency": "USD",
    "customer": {"id": 115310627314723954, "email": "jon@shop.example", "first_name": "John", "last_name": "Smith"},
    "customer_locale": "en",
    "discount_codes": [{"code": "AUTUMN", "amount": "20.00", "type": "percentage"}],
    "email": "jon@shop.example",
    "financial_status": "paid",
    "line_items": SHOPIFY_LINES,
    "name": "#9999",
    "phone": None,
    "subtotal_price": "200.00",
    "total_discounts": "20.00",
    "total_line_items_price": "220.00",
    "total_price": "212.00",
    "total_shipping_price_set": {"shop_money": {"amount": "10.00", "currency_code": "USD"}},
    "total_tax": "2.00",
    "updated_at": "2026-11-20T18:05:00-05:00",
}
SHOPIFY_REFUND = {
    "id": 509562969,
    "order_id": 820982911946154508,
    "created_at": "2026-11-21T09:00:00-05:00",
    "note": "it broke during shipping",
    "refund_line_items": [{"id": 1, "line_item": SHOPIFY_LINES[0], "quantity": 1, "subtotal": 199.0, "total_tax": 0}],
    "transactions": [{"id": 2, "amount": "199.00", "currency": "USD", "kind": "refund", "status": "success"}],
}
SHOPIFY_CART = {
    "id": "c1-cart",
    "token": "c1-cart",
    "line_items": SHOPIFY_LINES,
    "note": None,
    "updated_at": "2026-11-20T22:00:00.000Z",
    "created_at": "2026-11-20T21:00:00.000Z",
}
SHOPIFY_CHECKOUT = {
    "id": 981820079255243500,
    "token": "c1-checkout",
    "cart_token": "c1-cart",
    "email": "jon@shop.example",
    "created_at": "2026-11-20T22:30:00-05:00",
    "updated_at": "2026-11-20T22:31:00-05:00",
    "abandoned_checkout_url": "https://shop.example/recover",
    "currency": "USD",
    "customer": None,
    "discount_codes": [],
    "line_items": SHOPIFY_LINES,
    "subtotal_price": "220.00",
    "total_discounts": "0.00",
    "total_price": "222.00",
    "total_tax": "2.00",
    "phone": None,
}
SHOPIFY_CUSTOMER = {
    "id": 706405506930370084,
    "email": "bob@shop.example",
    "created_at": "2026-11-01T10:00:00-05:00",
    "updated_at": "2026-11-20T10:00:00-05:00",
    "first_name": "Bob",
    "last_name": "Biller",
    "orders_count": 3,
    "total_spent": "301.20",
    "tags": "loyal, vip",
    "phone": None,
    "default_address": {
        "address1": "Chestnut Street 92", "city": "Louisville", "province": "Kentucky", "zip": "40202",
        "country_code": "US", "phone": "+1 502 555 0142",
    },
    "email_marketing_consent": {
        "state": "subscribed", "opt_in_level": "confirmed_opt_in", "consent_updated_at": "2026-11-20T10:00:00-05:00"
    },
}  # fmt: skip
SHOPIFY_REDACT = {
    "shop_id": 954889,
    "shop_domain": "one.shop.example",
    "customer": {"id": 191167, "email": "jon@shop.example", "phone": "555-625-1199"},
    "orders_to_redact": [299938, 280263],
}


def stripe(kind: str, thing: dict, previous: dict | None = None) -> dict:
    data = {"object": thing} | ({"previous_attributes": previous} if previous else {})
    return {
        "id": f"evt_{kind.replace('.', '_')}",
        "object": "event",
        "api_version": "2026-01-01",
        "created": 1795000000,
        "data": data,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


STRIPE = {
    "checkout.session.completed": stripe(
        "checkout.session.completed",
        {
            "id": "cs_1", "object": "checkout.session", "amount_subtotal": 2000, "amount_total": 2198,
            "client_reference_id": "u-42", "currency": "eur", "customer": "cus_1",
            "customer_details": {"email": "jenny@shop.example", "name": "Jenny", "phone": None},
            "metadata": {"order_id": "6735"}, "payment_status": "paid",
            "total_details": {"amount_discount": 0, "amount_shipping": 100, "amount_tax": 98},
        },
    ),
    "payment_intent.succeeded": stripe(
        "payment_intent.succeeded",
        {
            "id": "pi_1", "object": "payment_intent", "amount": 1099, "amount_received": 1099, "currency": "jpy",
            "customer": "cus_1", "metadata": {"user_id": "u-42"}, "payment_method_types": ["card"],
            "receipt_email": "jenny@shop.example", "last_payment_error": None,
        },
    ),
    "charge.refunded": stripe(
        "charge.refunded",
        {
            "id": "ch_1", "object": "charge", "amount": 2198, "amount_refunded": 1500, "currency": "eur",
            "customer": "cus_1", "billing_details": {"email": "jenny@shop.example"}, "metadata": {"order_id": "6735"},
            "payment_intent": "pi_1", "refunded": False,
        },
        {"amount_refunded": 500},
    ),
    "invoice.paid": stripe(
        "invoice.paid",
        {
            "id": "in_1", "object": "invoice", "amount_paid": 900, "total": 900, "billing_reason": "subscription_cycle",
            "currency": "usd", "customer": "cus_1", "customer_email": "jenny@shop.example", "number": "A-1",
            "subscription": "sub_1", "metadata": {},
        },
    ),
    "customer.updated": stripe(
        "customer.updated",
        {
            "id": "cus_1", "object": "customer", "email": "jenny@shop.example", "name": "Jenny Rosen", "phone": None,
            "preferred_locales": ["de"], "metadata": {"user_id": "u-42"},
            "address": {"city": "Berlin", "country": "DE", "line1": "Weg 1", "postal_code": "10115", "state": None},
        },
    ),
    "customer.subscription.deleted": stripe(
        "customer.subscription.deleted",
        {
            "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "canceled", "cancel_at": None,
            "items": {"object": "list", "data": [{"price": {"id": "price_1", "nickname": "Box"}}]}, "metadata": {},
        },
    ),
}  # fmt: skip


def zendesk(kind: str, event: dict, **detail: object) -> dict:
    return {
        "account_id": 22129848,
        "detail": {
            "actor_id": "8447388090494", "brand_id": "8447346621310", "created_at": "2026-11-20T10:00:00Z",
            "custom_status": "8447320465790", "description": "It does not print.", "external_id": None,
            "form_id": "8646151517822", "id": "5158", "is_public": True, "priority": "LOW",
            "requester_id": "8447388090494", "status": "OPEN", "subject": "Printer", "tags": ["printer"],
            "type": "TASK", "updated_at": "2026-11-20T10:00:00Z", "via": {"channel": "web_service"},
        } | detail,
        "event": event,
        "id": f"zd-{kind}",
        "subject": "zen:ticket:5158",
        "time": "2026-11-20T10:00:00.123Z",
        "type": f"zen:event-type:{kind}",
        "zendesk_event_version": "2022-11-06",
    }  # fmt: skip


ZENDESK = {
    "opened": zendesk("ticket.created", {"meta": {"sequence": {"id": "1", "position": 1}}}),
    "solved": zendesk("ticket.status_changed", {"current": "SOLVED", "previous": "OPEN"}, status="SOLVED"),
    "reopened": zendesk("ticket.status_changed", {"current": "OPEN", "previous": "SOLVED"}),
    "trigger": {
        "event": "rated",
        "ticket": {
            "id": "5158", "title": "Printer", "status": "Solved", "priority": "Low", "via": "Mail", "tags": "a b",
            "updated_at": "2026-11-20T10:00:00Z", "rating": "Good", "comment": "thanks",
            "requester": {"id": "8447388090494", "email": "ada@shop.example", "external_id": "u-1"},
        },
    },
    "user": zendesk("user.created", {}) | {
        "detail": {
            "id": "8447388090494", "email": "ada@shop.example", "external_id": "u-1", "role": "end-user",
            "created_at": "2026-11-20T10:00:00Z",
        }
    },
}  # fmt: skip


def intercom(topic: str, item: dict) -> dict:
    return {
        "type": "notification_event", "app_id": "abc", "id": f"notif_{topic}", "topic": topic,
        "delivery_status": "pending", "delivery_attempts": 1, "first_sent_at": 1795000000, "created_at": 1795000000,
        "data": {"type": "notification_event_data", "item": item},
    }  # fmt: skip


CONVERSATION = {
    "type": "conversation",
    "id": "1911149811",
    "title": None,
    "state": "open",
    "priority": "not_priority",
    "source": {
        "type": "conversation", "id": "1", "subject": "Where is my order?", "body": "<p>Hello</p>",
        "author": {"type": "user", "id": "5ba", "name": "Ada", "email": "ada@shop.example"},
    },
    "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": "5ba", "external_id": "u-1"}]},
    "tags": {"type": "tag.list", "tags": [{"type": "tag", "id": "9", "name": "delivery"}]},
    "statistics": {"time_to_first_close": 3600},
    "conversation_rating": {"rating": 5, "remark": "Great", "created_at": 1795000000},
}  # fmt: skip
INTERCOM = {
    "opened": intercom("conversation.user.created", CONVERSATION),
    "solved": intercom("conversation.admin.closed", CONVERSATION),
    "rated": intercom("conversation.rating.added", CONVERSATION),
    "unsubscribed": intercom("contact.unsubscribed", {"type": "contact", "id": "5ba", "email": "ada@shop.example"}),
    "ping": {"type": "notification_event", "topic": "ping", "data": {"item": {"type": "ping"}}},
}

PURPOSE = "3e900659-de89-4184-bb1a-0bca2e822b39"


def onetrust(status: str, at: str, email: str = "ada@shop.example", event: str = "1afcc0cb") -> dict:
    return {
        "eventId": event,
        "eventTime": "2026-11-20T16:35:26.277+0000",
        "eventType": "3010",
        "payload": {
            "dataSubjectGuid": "aa85841a",
            "dataSubjectEmail": email,
            "newDataSubject": True,
            "contactFields": {"FirstName": "Ada", "Email": email},
            "profiles": [
                {
                    "purposeId": PURPOSE, "collectionPointGuid": "21f16e84", "collectionPointVersion": 1, "topics": [],
                    "profileFields": {
                        "TransactionStatus": status, "ConsentDate": at, "WithdrawalDate": at, "DoubleOptInConsent": "N"
                    },
                },
                {"purposeId": "another", "topics": [], "profileFields": {"TransactionStatus": "ACTIVE"}},
            ],
        },
    }  # fmt: skip


ONETRUST_RECEIPT = {
    "receiptId": "r-1",
    "identifier": "ada@shop.example",
    "interactionDate": "2026-11-20T16:35:26.277Z",
    "purposes": [{"Id": PURPOSE, "TransactionType": "WITHDRAWN"}, {"Id": "another", "TransactionType": "CONFIRMED"}],
}
TRUSTARC = {
    "eventType": "UPDATED",
    "id": "t-1",
    "dataSubject": {"email": "ada@shop.example"},
    "consents": [
        {"consentId": "c-1", "preferenceId": "newsletter", "status": "OPT_IN", "modifiedDate": 1795000000},
        {"consentId": "c-2", "preferenceId": "sms", "status": "OPT_IN", "modifiedDate": 1795000000},
    ],
}
