"""Which text of a page has which name in Auth0's prompts and screens.

A screen is one page (or one message) here. What stands in no table cannot be changed, because no page shows it.
`PROMPTS` are Auth0's, those without a page of ours too: nothing is said of them, and nothing can be.
"""

from collections.abc import Mapping
from dataclasses import dataclass

PAGE_TITLE = "page_title"
"""Of the window; unless it is said, the heading and the tenant's name."""


@dataclass(frozen=True, slots=True)
class Screen:
    """`keys`: from Auth0's name of a text to the name in `texts`."""

    prompt: str
    name: str
    keys: Mapping[str, str]


_ACCOUNT = {"no-email": "email_missing", "invalid-email-format": "email_malformed"}

SCREENS: Mapping[str, Screen] = {
    "identifier": Screen(
        "login-id",
        "login-id",
        {
            "pageTitle": PAGE_TITLE,
            "title": "identifier_title",
            "description": "continue_to",
            "emailPlaceholder": "email",
            "buttonText": "continue",
            "signupActionText": "signup_question",
            "signupActionLinkText": "signup_link",
            **_ACCOUNT,
        },
    ),
    "password": Screen(
        "login-password",
        "login-password",
        {
            "pageTitle": PAGE_TITLE,
            "title": "password_title",
            "description": "continue_to",
            "passwordPlaceholder": "password",
            "buttonText": "sign_in",
            "editEmailText": "not_you",
            "forgotPasswordText": "reset_link",
            "wrong-email-credentials": "credentials_wrong",
            "no-password": "password_missing",
            "password-breached": "password_leaked",
            "same-user-login": "too_many",
        },
    ),
    "signup": Screen(
        "signup",
        "signup",
        {
            "pageTitle": PAGE_TITLE,
            "title": "signup_title",
            "description": "continue_to",
            "emailPlaceholder": "email",
            "passwordPlaceholder": "password",
            "passwordSecurityText": "signup_password_hint",
            "buttonText": "signup_button",
            "loginActionText": "login_question",
            "loginActionLinkText": "login_link",
            "email-in-use": "signup_refused",
            "no-password": "password_missing",
            **_ACCOUNT,
        },
    ),
    "reset_request": Screen(
        "reset-password",
        "reset-password-request",
        {
            "pageTitle": PAGE_TITLE,
            "title": "reset_title",
            "descriptionEmail": "reset_lead",
            "placeholderEmail": "email",
            "buttonText": "reset_button",
            "backToLoginLinkText": "reset_back",
            "too-many-email": "too_many",
            **_ACCOUNT,
        },
    ),
    "reset_sent": Screen(
        "reset-password",
        "reset-password-email",
        {"pageTitle": PAGE_TITLE, "title": "reset_sent_title", "emailDescription": "reset_sent_lead"},
    ),
    "new_password": Screen(
        "reset-password",
        "reset-password",
        {
            "pageTitle": PAGE_TITLE,
            "title": "new_password_title",
            "passwordPlaceholder": "new_password",
            "passwordSecurityText": "signup_password_hint",
            "buttonText": "new_password_button",
        },
    ),
    "new_password_done": Screen(
        "reset-password",
        "reset-password-success",
        {
            "pageTitle": PAGE_TITLE,
            "eventTitle": "new_password_done_title",
            "description": "new_password_done_lead",
            "buttonText": "new_password_done_link",
        },
    ),
    "verified": Screen(
        "email-verification",
        "email-verification-result",
        {
            "pageTitle": PAGE_TITLE,
            "verifiedTitle": "verified_title",
            "verifiedDescription": "verified_lead",
            "buttonText": "verified_link",
        },
    ),
    "unblock": Screen(
        "brute-force-protection",
        "brute-force-protection-unblock",
        {"pageTitle": PAGE_TITLE, "description": "unblock_lead", "buttonText": "unblock_button"},
    ),
    "unblock_done": Screen(
        "brute-force-protection",
        "brute-force-protection-unblock-success",
        {"pageTitle": PAGE_TITLE, "eventTitle": "unblock_done_title", "description": "unblock_done_lead"},
    ),
    "consent": Screen(
        "consent",
        "consent",
        {
            "pageTitle": PAGE_TITLE,
            "title": "consent_title",
            "messageMultipleTenants": "consent_lead",
            "acceptButtonText": "allow",
            "declineButtonText": "deny",
        },
    ),
    "organization": Screen(
        "organizations",
        "organization-picker",
        {"pageTitle": PAGE_TITLE, "title": "organization_title", "description": "continue_to"},
    ),
    "invitation": Screen(
        "invitation",
        "accept-invitation",
        {
            "pageTitle": PAGE_TITLE,
            "title": "invitation_title",
            "description": "invitation_lead",
            "buttonText": "invitation_accept",
        },
    ),
    "device_code": Screen(
        "device-flow",
        "device-code-activation",
        {
            "pageTitle": PAGE_TITLE,
            "title": "device_title",
            "description": "device_lead",
            "placeholder": "device_code",
            "buttonText": "continue",
            "invalid-code": "device_code_malformed",
            "invalid-expired-code": "device_code_wrong",
        },
    ),
    "device": Screen(
        "device-flow",
        "device-code-confirmation",
        {
            "pageTitle": PAGE_TITLE,
            "title": "device_confirm_title",
            "description": "device_check",
            "confirmButtonText": "device_allow",
            "cancelButtonText": "deny",
        },
    ),
    "device_approved": Screen(
        "device-flow",
        "device-code-activation-allowed",
        {
            "pageTitle": PAGE_TITLE,
            "eventTitle": "device_approved_title",
            "description": "device_approved_lead",
        },
    ),
    "device_denied": Screen(
        "device-flow",
        "device-code-activation-denied",
        {"pageTitle": PAGE_TITLE, "eventTitle": "device_denied_title", "description": "device_denied_lead"},
    ),
    "logout": Screen(
        "logout",
        "logout",
        {
            "pageTitle": PAGE_TITLE,
            "title": "logout_title",
            "description": "logout_lead_client",
            "acceptButtonText": "logout_button",
            "declineButtonText": "logout_cancel",
        },
    ),
    "signed_out": Screen(
        "logout",
        "logout-complete",
        {"pageTitle": PAGE_TITLE, "title": "signed_out_title", "description": "signed_out_lead"},
    ),
}

_PROMPTS = """
login login-id login-password login-passwordless login-email-verification signup signup-id signup-password
phone-identifier-enrollment phone-identifier-challenge email-identifier-challenge reset-password custom-form consent
customized-consent logout mfa-push mfa-otp mfa-voice mfa-phone mfa-webauthn mfa-sms mfa-email mfa-recovery-code mfa
status device-flow email-verification email-otp-challenge organizations invitation common passkeys captcha
brute-force-protection async-approval-flow confirmation
"""
PROMPTS = frozenset(_PROMPTS.split())
"""Of the deploy tool, which reads the texts of each."""

_LANGUAGE_TAGS = """
am ar ar-EG ar-SA az bg bn bs ca-ES cnr cs cy da de el en en-CA es es-419 es-AR es-MX et eu-ES fa fi fr fr-CA fr-FR
gl-ES gu he hi hr hu hy id is it ja ka kk kn ko lt lv mk ml mn mr ms my nb nl nn no pa pl pt pt-BR pt-PT ro ru sk sl so
sq sr sv sw ta te th tl tr uk ur vi zgh zh-CN zh-HK zh-MO zh-TW
"""
LANGUAGE_TAGS = frozenset(_LANGUAGE_TAGS.split())
"""In which a tenant may say its own texts: Auth0's."""


def screens_of(prompt: str) -> dict[str, Screen]:
    """By Auth0's name of the screen."""
    return {screen.name: screen for screen in SCREENS.values() if screen.prompt == prompt}
