"""Every sentence of the pages, by language and key; a translation is one more table with the same keys.

Values are put in by name after the sentence is chosen, never by joining pieces, so that a language may order
its words as it likes. A tenant may say sentences of its own (`custom_texts`), which stand before both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from markupsafe import Markup, escape

from tenant_runtime.login.german import GERMAN
from tenant_runtime.login.language import DEFAULT_LANGUAGE

ProblemKey: TypeAlias = Literal[
    "credentials_wrong",
    "email_missing",
    "email_malformed",
    "password_missing",
    "password_short",
    "password_long",
    "password_common",
    "password_leaked",
    "name_long",
    "signup_refused",
    "signup_closed",
    "organization_missing",
    "organization_refused",
    "device_code_malformed",
    "device_code_wrong",
    "form_stale",
    "too_many",
    "busy",
    "invitation_suspended",
    "invitation_full",
    "invitation_failed",
]

ENGLISH: Mapping[str, str] = {
    "brand_fallback": "Sign-in",
    "continue_to": "to continue to {client}",
    "continue_in": "to continue to {client} in {organization}",
    "email": "Email address",
    "password": "Password",
    "name": "Name",
    "optional": "optional",
    "continue": "Continue",
    "not_you": "Not you?",
    "support": "Help",
    "signed_in_as": "Signed in as",
    "front_lead": "People sign in here when an application sends them. Open the application you want to use.",
    # identifier
    "identifier_title": "Sign in",
    "signup_question": "New here?",
    "signup_link": "Create an account",
    # password
    "password_title": "Enter your password",
    "sign_in": "Sign in",
    "reset_link": "Forgot your password?",
    # password reset
    "reset_title": "Reset your password",
    "reset_lead": "Enter the address of your account. We send a link there to choose a new password.",
    "reset_button": "Send the link",
    "reset_back": "Back to sign in",
    "reset_sent_title": "Check your mail",
    "reset_sent_lead": "If {email} belongs to an account, a link to choose a new password is on its way there. "
    "It works once, within {minutes} minutes.",
    "new_password_title": "Choose a new password",
    "new_password": "New password",
    "new_password_button": "Change password",
    "new_password_done_title": "Your password is changed",
    "new_password_done_lead": "You are signed out everywhere. Go back to the application and sign in with it.",
    "new_password_done_link": "Continue",
    # verification of an address
    "verify_title": "Verify your address",
    "verify_lead": "Confirm that this address is yours.",
    "verify_button": "Verify the address",
    "verified_title": "Your address is verified",
    "verified_lead": "Your address was verified. You can go on in the application.",
    "verified_link": "Continue",
    # unblocking
    "unblock_title": "Sign in again",
    "unblock_lead": "Somebody typed wrong passwords for the account {email}, so signing in is paused. "
    "If you want to sign in now, end the pause.",
    "unblock_button": "End the pause",
    "unblock_done_title": "You can sign in again",
    "unblock_done_lead": "Go back to the application and sign in. If it was not you who typed wrong passwords, "
    "choose a password that you use nowhere else.",
    # sign-up
    "signup_title": "Create your account",
    "signup_button": "Create account",
    "signup_password_hint": "At least {minimum} characters. A few unrelated words work well.",
    "login_question": "Already have an account?",
    "login_link": "Sign in",
    # organization
    "organization_title": "Choose an organization",
    "organization_none_title": "No organization",
    "organization_none": "Your account is not a member of any organization that may use this application.",
    # asking to join one
    "join_title": "You are not a member of {organization}",
    "join_lead": "Your address lets you ask to join. Somebody there decides.",
    "join_button": "Ask to join",
    "join_named": "Ask to join {organization}",
    "join_declined_title": "{organization} did not let you in",
    "join_declined_lead": "Your request was declined. You may ask again.",
    "join_again": "Ask again",
    "join_waiting_title": "{organization} was asked to let you in",
    "join_waiting_lead": "Your request waits for somebody there to decide.",
    "join_waiting_letter": "You get a mail at {email} when it is decided.",
    "join_check": "See whether it is decided",
    # invitation
    "invited_to": "to accept the invitation to {organization}",
    "invitation_title": "You are invited to {organization}",
    "invitation_lead": "{inviter} asks you to become a member.",
    "invitation_accept": "Accept",
    "invitation_decline": "Decline",
    "invitation_switch": "Use another account",
    "invitation_wrong_account": "You are signed in as {account}. The invitation is for {email}: sign in with that "
    "address to accept it.",
    "invitation_unverified": "Before you accept, prove that {email} is your address.",
    "invitation_letter": "Send a mail to prove it",
    "invitation_letter_sent": "A mail is on its way to {email}. Follow the link in it, then go on here.",
    "invitation_again": "I followed the link",
    "invitation_accepted_title": "Welcome",
    "invitation_accepted_lead": "You are a member of {organization} now.",
    "invitation_accepted_link": "Continue",
    "invitation_declined_title": "You declined",
    "invitation_declined_lead": "You are not a member of {organization}. You can close this window.",
    "invitation_over_title": "This invitation cannot be used",
    "invitation_expired": "It has expired. Ask for a new one.",
    "invitation_canceled": "It was taken back. Ask whoever invited you.",
    "invitation_used": "It was answered already.",
    "invitation_unknown": "The link is not complete, or there is no such invitation.",
    "invitation_member_title": "You are a member already",
    "invitation_member_lead": "You belong to {organization}: there is nothing to accept.",
    # consent
    "consent_title": "{client} wants to access your account",
    "consent_title_unnamed": "An application wants to access your account",
    "consent_lead": "This will allow it to:",
    "consent_organization": "In the organization {organization}",
    "consent_return": "You will return to {host}.",
    "consent_return_device": "You will return to a program on this device.",
    "stranger": "{client} registered itself here: nobody has checked who it is.",
    "stranger_unnamed": "This application registered itself here: nobody has checked who it is.",
    "stranger_published": "Nobody here has checked who this application is. It is described at {host}.",
    "client_unnamed": "The application",
    "client_home": "Website",
    "client_policy": "Privacy policy",
    "client_terms": "Terms",
    "allow": "Allow",
    "deny": "Cancel",
    # device
    "device_title": "Connect a device",
    "device_lead": "Enter the code that your device shows.",
    "device_code": "Code",
    "device_code_hint": "Eight letters, like WDJB-MJHT.",
    "device_confirm_title": "Connect {client}?",
    "device_check": "Your device must show this code:",
    "device_warning": "Only connect a device that is yours and on which you began this yourself just now. "
    "If somebody sent you this code or this page, cancel: they would get into your account.",
    "device_allow": "Connect",
    "device_approved_title": "Your device is connected",
    "device_approved_lead": "Go back to it: {client} goes on there. You can close this window.",
    "device_denied_title": "Nothing was connected",
    "device_denied_lead": "{client} was not let into your account. You can close this window.",
    # logout
    "logout_title": "Sign out?",
    "logout_lead": "You will be signed out on this device.",
    "logout_lead_client": "{client} asks to sign you out on this device.",
    "logout_button": "Sign out",
    "logout_cancel": "Stay signed in",
    "signed_out_title": "You are signed out",
    "signed_out_lead": "You can close this window.",
    "sign_in_again": "Sign in again",
    "back_to": "Back to {client}",
    "back": "Back to the application",
    # errors
    "error_title": "Something went wrong",
    "error_application": "Go back to the application and begin again. If that does not help, tell its support "
    "what this page says.",
    "error_support": "If you ask for help, quote this id:",
    "try_again": "Try again",
    # form post
    "form_post_title": "One moment",
    "form_post_lead": "You are being taken back to {client}.",
    "form_post_lead_unnamed": "You are being taken back to the application.",
    "web_message_title": "Signing in",
    # scopes of OpenID Connect Core 1.0, sections 5.4 and 11
    "scope_openid": "Know who you are",
    "scope_profile": "See your name and profile",
    "scope_email": "See your email address",
    "scope_phone": "See your phone number",
    "scope_address": "See your postal address",
    "scope_offline_access": "Keep its access while you are away",
    # of an organization that one acts in
    "scope_licenses": "See what your organization has bought",
    "scope_entitlements": "See what your organization may use",
    "scope_org_permissions": "See what you may do in your organization",
    # problems
    "credentials_wrong": "Wrong email address or password.",
    "email_missing": "Enter your email address.",
    "email_malformed": "This is not an email address. It should look like name@example.com.",
    "password_missing": "Enter your password.",
    "password_short": "Use at least {minimum} characters.",
    "password_long": "This password is too long.",
    "password_common": "This password is easy to guess. Choose another.",
    "password_leaked": "This password is known from a leak elsewhere. Choose another one, or reset yours.",
    "name_long": "This name is too long.",
    "signup_refused": "The account could not be created with these details.",
    "signup_closed": "New accounts cannot be created here.",
    "organization_missing": "Choose an organization.",
    "organization_refused": "You cannot sign in to this organization. Choose another.",
    "device_code_malformed": "This is not a code. It has eight letters, like WDJB-MJHT.",
    "device_code_wrong": "This code is wrong or has expired. Look at your device again.",
    "form_stale": "This page was open for too long. Please try again.",
    "too_many": "Too many attempts. Wait a moment, then try again.",
    "busy": "The service is busy. Please try again.",
    "invitation_suspended": "This organization is suspended. Ask whoever invited you.",
    "invitation_full": "There is no place left in this organization. Ask whoever invited you.",
    "invitation_failed": "This could not be done. Ask whoever invited you.",
}

LANGUAGES: Mapping[str, Mapping[str, str]] = {"en": ENGLISH, "de": GERMAN}


@dataclass(frozen=True, slots=True)
class Texts:
    """The sentences of one language: `say` gives plain text, `show` sets values apart and escapes them. `own` are the
    tenant's for this page; `values` may stand in each of those."""

    language: str = DEFAULT_LANGUAGE
    own: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)

    def say(self, key: str, **values: object) -> str:
        return self._sentence(key).format_map(_Values({**self.values, **values}))

    def show(self, key: str, **values: object) -> Markup:
        """`bdi` keeps a name written right to left, or made to look so, from reordering its sentence."""
        named = {**self.values, **values}.items()
        marked = {name: Markup("<bdi>{}</bdi>").format(value) for name, value in named}
        return Markup(str(escape(self._sentence(key))).format_map(_Values(marked)))  # noqa: S704  (both are escaped)

    def own_or_nothing(self, key: str) -> str:
        return self.say(key) if key in self.own else ""

    def scope(self, value: str, description: str | None) -> str:
        key = f"scope_{value}"
        return description or (self._sentence(key) if key in ENGLISH else value)

    def _sentence(self, key: str) -> str:
        return self.own.get(key) or LANGUAGES.get(self.language, {}).get(key) or ENGLISH[key]


class _Values(dict[str, object]):
    """A tenant's sentence may name what its page does not know."""

    def __missing__(self, key: str) -> str:
        return ""
