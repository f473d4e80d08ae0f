"""The sentences of the pages in German, addressing the reader formally."""

from collections.abc import Mapping

GERMAN: Mapping[str, str] = {
    "brand_fallback": "Anmeldung",
    "continue_to": "weiter zu {client}",
    "email": "E-Mail-Adresse",
    "password": "Passwort",
    "name": "Name",
    "optional": "freiwillig",
    "continue": "Weiter",
    "not_you": "Nicht Sie?",
    "support": "Hilfe",
    "signed_in_as": "Angemeldet als",
    "front_lead": "Hier meldet man sich an, wenn eine Anwendung einen herschickt. Öffnen Sie die Anwendung, die Sie "
    "benutzen möchten.",
    # identifier
    "identifier_title": "Anmelden",
    "signup_question": "Neu hier?",
    "signup_link": "Konto anlegen",
    # password
    "password_title": "Geben Sie Ihr Passwort ein",
    "sign_in": "Anmelden",
    "reset_link": "Passwort vergessen?",
    # password reset
    "reset_title": "Passwort zurücksetzen",
    "reset_lead": "Geben Sie die Adresse Ihres Kontos ein. Wir senden einen Link dorthin, mit dem Sie ein neues "
    "Passwort wählen.",
    "reset_button": "Link senden",
    "reset_back": "Zurück zur Anmeldung",
    "reset_sent_title": "Sehen Sie in Ihr Postfach",
    "reset_sent_lead": "Wenn {email} zu einem Konto gehört, ist ein Link dorthin unterwegs, mit dem Sie ein neues "
    "Passwort wählen. Er gilt einmal, innerhalb von {minutes} Minuten.",
    "new_password_title": "Wählen Sie ein neues Passwort",
    "new_password": "Neues Passwort",
    "new_password_button": "Passwort ändern",
    "new_password_done_title": "Ihr Passwort ist geändert",
    "new_password_done_lead": "Sie sind überall abgemeldet. Gehen Sie zurück zur Anwendung und melden Sie sich damit "
    "an.",
    "new_password_done_link": "Weiter",
    # address
    "verify_title": "Bestätigen Sie Ihre Adresse",
    "verify_lead": "Bestätigen Sie, dass diese Adresse Ihnen gehört.",
    "verify_button": "Adresse bestätigen",
    "verified_title": "Ihre Adresse ist bestätigt",
    "verified_lead": "Ihre Adresse wurde bestätigt. Sie können in der Anwendung weitermachen.",
    "verified_link": "Weiter",
    # a pause after wrong passwords
    "unblock_title": "Wieder anmelden",
    "unblock_lead": "Jemand hat für das Konto {email} falsche Passwörter eingegeben, deshalb ruht die Anmeldung. Wenn "
    "Sie sich jetzt anmelden möchten, beenden Sie die Pause.",
    "unblock_button": "Pause beenden",
    "unblock_done_title": "Sie können sich wieder anmelden",
    "unblock_done_lead": "Gehen Sie zurück zur Anwendung und melden Sie sich an. Wenn nicht Sie die falschen "
    "Passwörter eingegeben haben, wählen Sie ein Passwort, das Sie nirgendwo sonst benutzen.",
    # sign-up
    "signup_title": "Legen Sie Ihr Konto an",
    "signup_button": "Konto anlegen",
    "signup_password_hint": "Mindestens {minimum} Zeichen. Ein paar Wörter ohne Zusammenhang eignen sich gut.",
    "login_question": "Haben Sie schon ein Konto?",
    "login_link": "Anmelden",
    # organization
    "organization_title": "Wählen Sie eine Organisation",
    "organization_none": "Ihr Konto gehört zu keiner Organisation, die diese Anwendung benutzen darf.",
    # consent
    "consent_title": "{client} möchte auf Ihr Konto zugreifen",
    "consent_title_unnamed": "Eine Anwendung möchte auf Ihr Konto zugreifen",
    "consent_lead": "Damit darf sie:",
    "consent_organization": "In der Organisation {organization}",
    "consent_return": "Sie kehren zu {host} zurück.",
    "consent_return_device": "Sie kehren zu einem Programm auf diesem Gerät zurück.",
    "stranger": "{client} hat sich hier selbst registriert: Niemand hat geprüft, wer das ist.",
    "stranger_unnamed": "Diese Anwendung hat sich hier selbst registriert: Niemand hat geprüft, wer das ist.",
    "stranger_published": "Niemand hat hier geprüft, wer diese Anwendung ist. Beschrieben ist sie unter {host}.",
    "client_unnamed": "Die Anwendung",
    "client_home": "Website",
    "client_policy": "Datenschutz",
    "client_terms": "Nutzungsbedingungen",
    "allow": "Erlauben",
    "deny": "Abbrechen",
    # device
    "device_title": "Gerät verbinden",
    "device_lead": "Geben Sie den Code ein, den Ihr Gerät anzeigt.",
    "device_code": "Code",
    "device_code_hint": "Acht Buchstaben, etwa WDJB-MJHT.",
    "device_confirm_title": "{client} verbinden?",
    "device_check": "Ihr Gerät muss diesen Code anzeigen:",
    "device_warning": "Verbinden Sie nur ein Gerät, das Ihnen gehört und auf dem Sie dies gerade selbst begonnen "
    "haben. Wenn Ihnen jemand diesen Code oder diese Seite geschickt hat, brechen Sie ab: Er käme sonst in Ihr Konto.",
    "device_allow": "Verbinden",
    "device_approved_title": "Ihr Gerät ist verbunden",
    "device_approved_lead": "Gehen Sie zurück zum Gerät: Dort geht es mit {client} weiter. Sie können dieses Fenster "
    "schließen.",
    "device_denied_title": "Nichts wurde verbunden",
    "device_denied_lead": "{client} hat keinen Zugang zu Ihrem Konto erhalten. Sie können dieses Fenster schließen.",
    # logout
    "logout_title": "Abmelden?",
    "logout_lead": "Sie werden auf diesem Gerät abgemeldet.",
    "logout_lead_client": "{client} möchte Sie auf diesem Gerät abmelden.",
    "logout_button": "Abmelden",
    "logout_cancel": "Angemeldet bleiben",
    "signed_out_title": "Sie sind abgemeldet",
    "signed_out_lead": "Sie können dieses Fenster schließen.",
    "sign_in_again": "Wieder anmelden",
    "back_to": "Zurück zu {client}",
    "back": "Zurück zur Anwendung",
    # errors
    "error_title": "Etwas ist schiefgegangen",
    "error_application": "Gehen Sie zurück zur Anwendung und beginnen Sie von vorn. Wenn das nicht hilft, sagen Sie "
    "deren Betreuung, was auf dieser Seite steht.",
    "error_support": "Wenn Sie um Hilfe bitten, nennen Sie diese Kennung:",
    "try_again": "Noch einmal versuchen",
    # form post
    "form_post_title": "Einen Augenblick",
    "form_post_lead": "Sie werden zu {client} zurückgebracht.",
    "form_post_lead_unnamed": "Sie werden zur Anwendung zurückgebracht.",
    "web_message_title": "Anmeldung",
    # scopes
    "scope_openid": "Wissen, wer Sie sind",
    "scope_profile": "Ihren Namen und Ihr Profil sehen",
    "scope_email": "Ihre E-Mail-Adresse sehen",
    "scope_phone": "Ihre Telefonnummer sehen",
    "scope_address": "Ihre Postanschrift sehen",
    "scope_offline_access": "Den Zugriff behalten, während Sie weg sind",
    "scope_licenses": "Sehen, was Ihre Organisation gekauft hat",
    "scope_entitlements": "Sehen, was Ihre Organisation nutzen darf",
    "scope_org_permissions": "Sehen, was Sie in Ihrer Organisation dürfen",
    # problems
    "credentials_wrong": "Falsche E-Mail-Adresse oder falsches Passwort.",
    "email_missing": "Geben Sie Ihre E-Mail-Adresse ein.",
    "email_malformed": "Das ist keine E-Mail-Adresse. Sie sollte aussehen wie name@example.com.",
    "password_missing": "Geben Sie Ihr Passwort ein.",
    "password_short": "Nehmen Sie mindestens {minimum} Zeichen.",
    "password_long": "Dieses Passwort ist zu lang.",
    "password_common": "Dieses Passwort ist leicht zu erraten. Wählen Sie ein anderes.",
    "password_leaked": "Dieses Passwort ist durch ein Datenleck anderswo bekannt geworden. Wählen Sie ein anderes, "
    "oder setzen Sie Ihres zurück.",
    "name_long": "Dieser Name ist zu lang.",
    "signup_refused": "Mit diesen Angaben konnte das Konto nicht angelegt werden.",
    "signup_closed": "Hier können keine neuen Konten angelegt werden.",
    "organization_missing": "Wählen Sie eine Organisation.",
    "organization_refused": "In dieser Organisation können Sie sich nicht anmelden. Wählen Sie eine andere.",
    "device_code_malformed": "Das ist kein Code. Er hat acht Buchstaben, etwa WDJB-MJHT.",
    "device_code_wrong": "Dieser Code ist falsch oder abgelaufen. Sehen Sie noch einmal auf Ihr Gerät.",
    "form_stale": "Diese Seite war zu lange offen. Bitte versuchen Sie es noch einmal.",
    "too_many": "Zu viele Versuche. Warten Sie einen Augenblick und versuchen Sie es dann noch einmal.",
    "busy": "Der Dienst ist ausgelastet. Bitte versuchen Sie es noch einmal.",
}
