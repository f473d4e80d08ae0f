"""The letters in English: the templates there are, and what each consists of."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

Template: TypeAlias = Literal[
    "login_code",
    "password_reset",
    "password_changed",
    "password_replaced",
    "verify_email",
    "change_email",
    "new_email",
    "email_changed",
    "blocked_account",
    "stolen_credentials",
    "attack_notice",
    "invitation",
    "join_request",
    "join_approved",
    "join_rejected",
]
Part: TypeAlias = Literal["subject", "heading", "lead", "action", "limits", "otherwise"]

LETTERS: Mapping[Template, Mapping[Part, str]] = {
    "login_code": {
        "subject": "Your sign-in code for {brand}",
        "heading": "Your sign-in code",
        "lead": "Enter this code to sign in to {client}:",
        "limits": "The code works once, within {minutes} minutes.",
        "otherwise": "If you did not ask for it, ignore this mail, and give the code to nobody.",
    },
    "password_reset": {
        "subject": "Reset your password for {brand}",
        "heading": "Reset your password",
        "lead": "Somebody asked for a new password for your account {email}.",
        "action": "Choose a new password",
        "limits": "The link works once, within {minutes} minutes.",
        "otherwise": "If it was not you, ignore this mail: your password stays as it is.",
    },
    "password_changed": {
        "subject": "Your password for {brand} was changed",
        "heading": "Your password was changed",
        "lead": "The password of your account {email} has been changed. Every device is signed out.",
        "otherwise": "If it was not you, reset your password at once, and tell whoever runs {brand}.",
    },
    "password_replaced": {
        "subject": "Your password for {brand} was changed",
        "heading": "Your password was changed",
        "lead": "The password of your account {email} has been changed by somebody who knew the old one. "
        "Devices that are signed in stay so.",
        "otherwise": "If it was not you, reset your password at once, and tell whoever runs {brand}.",
    },
    "verify_email": {
        "subject": "Verify your address for {brand}",
        "heading": "Verify your address",
        "lead": "Your account at {brand} has the address {email}. Confirm that it is yours.",
        "action": "Verify the address",
        "limits": "The link works once, within {hours} hours.",
        "otherwise": "If you have no account there, ignore this mail: nothing is confirmed without you.",
    },
    "change_email": {
        "subject": "Confirm your new address for {brand}",
        "heading": "Confirm your new address",
        "lead": "The address of your account at {brand} was changed to {email}. Confirm that it is yours.",
        "action": "Confirm the address",
        "limits": "The link works once, within {hours} hours.",
        "otherwise": "If you did not expect this, ignore this mail: nothing is confirmed without you.",
    },
    "new_email": {
        "subject": "Confirm your new address for {brand}",
        "heading": "Confirm your new address",
        "lead": "Somebody who is signed in at {brand} wants their account to have the address {email}. Confirm that "
        "it is yours, and it changes.",
        "action": "Change to this address",
        "limits": "The link works once, within {hours} hours. Every device is signed out.",
        "otherwise": "If it was not you, ignore this mail: nothing changes without you.",
    },
    "email_changed": {
        "subject": "Your account at {brand} has another address",
        "heading": "Your account has another address",
        "lead": "Your account at {brand} does not have the address {email} any more: it was changed by somebody who "
        "was signed in, and every device is signed out.",
        "otherwise": "If it was not you, tell whoever runs {brand} at once.",
    },
    "blocked_account": {
        "subject": "Signing in to {brand} is paused",
        "heading": "Too many wrong passwords",
        "lead": "Somebody typed many wrong passwords for your account {email}, from the address {ip}. Signing in from "
        "there is paused for a while.",
        "action": "If it was you, sign in again now",
        "limits": "The link works once, within {hours} hours. A new password ends the pause, too.",
        "otherwise": "If it was not you, there is nothing to do: nobody got in.",
    },
    "stolen_credentials": {
        "subject": "Choose a new password for {brand}",
        "heading": "Your password is known from a leak",
        "lead": "The password of your account {email} is in a list of passwords that were stolen elsewhere. Choose a "
        "new one, which you use nowhere else.",
        "otherwise": "Nobody at {brand} knows your password: it was compared with the list as you typed it.",
    },
    "join_request": {
        "subject": "{person} asks to join {organization}",
        "heading": "Somebody asks to join",
        "lead": "{person} has a verified address in a domain of {organization} and asks to join it.",
        "otherwise": "You get this letter because you may let people in. Until somebody does, nothing changes.",
    },
    "join_approved": {
        "subject": "You are a member of {organization}",
        "heading": "Welcome",
        "lead": "You asked to join {organization} at {brand}, and somebody there let you in.",
        "otherwise": "If it was not you who asked, tell whoever runs {brand}.",
    },
    "join_rejected": {
        "subject": "You were not let into {organization}",
        "heading": "You were not let in",
        "lead": "You asked to join {organization} at {brand}. Somebody there decided against it.",
        "otherwise": "If you think that this is a mistake, ask them directly.",
    },
    "attack_notice": {
        "subject": "{tenant}: attack protection",
        "heading": "Attack protection",
        "lead": "{what} at {tenant}, from the address {ip}.",
        "otherwise": "The log of the tenant says more. This letter is sent now and then, not for each.",
    },
    "invitation": {
        "subject": "{inviter} invites you to {organization}",
        "heading": "You are invited to {organization}",
        "lead": "{inviter} invites you, with the address {email}, to become a member of {organization} at {brand}.",
        "action": "Look at the invitation",
        "limits": "The invitation is good until {until} (UTC), for this address only.",
        "otherwise": "If you do not know who this is, ignore this mail: nobody becomes a member without saying yes.",
    },
}

PHRASES: Mapping[str, str] = {
    "login": "Sign-ins with many different wrong passwords",
    "registration": "Very many new accounts",
    "pwd_leak": "A sign-in with a password that is known from a leak",
    "signup_pwd_leak": "A new account with a password that is known from a leak",
    "reset_pwd_leak": "A new password that is known from a leak",
}

FALLBACK_BRAND = "your account"
