"""The letters in German."""

from collections.abc import Mapping

from tenant_runtime.mail.english import Part, Template

LETTERS: Mapping[Template, Mapping[Part, str]] = {
    "login_code": {
        "subject": "Ihr Anmeldecode für {brand}",
        "heading": "Ihr Anmeldecode",
        "lead": "Geben Sie diesen Code ein, um sich bei {client} anzumelden:",
        "limits": "Der Code gilt einmal, {minutes} Minuten lang.",
        "otherwise": "Wenn Sie ihn nicht angefordert haben, ignorieren Sie diese E-Mail und geben Sie den Code "
        "niemandem.",
    },
    "password_reset": {
        "subject": "Neues Passwort für {brand}",
        "heading": "Neues Passwort",
        "lead": "Für Ihr Konto {email} wurde ein neues Passwort angefordert.",
        "action": "Neues Passwort wählen",
        "limits": "Der Link gilt einmal, {minutes} Minuten lang.",
        "otherwise": "Wenn Sie das nicht waren, ignorieren Sie diese E-Mail: Ihr Passwort bleibt, wie es ist.",
    },
    "password_changed": {
        "subject": "Ihr Passwort für {brand} wurde geändert",
        "heading": "Ihr Passwort wurde geändert",
        "lead": "Das Passwort Ihres Kontos {email} wurde geändert. Alle Geräte sind abgemeldet.",
        "otherwise": "Wenn Sie das nicht waren, setzen Sie Ihr Passwort sofort zurück und benachrichtigen Sie die "
        "Betreiber von {brand}.",
    },
    "password_replaced": {
        "subject": "Ihr Passwort für {brand} wurde geändert",
        "heading": "Ihr Passwort wurde geändert",
        "lead": "Das Passwort Ihres Kontos {email} wurde von jemandem geändert, der das alte kannte. "
        "Angemeldete Geräte bleiben angemeldet.",
        "otherwise": "Wenn Sie das nicht waren, setzen Sie Ihr Passwort sofort zurück und benachrichtigen Sie die "
        "Betreiber von {brand}.",
    },
    "verify_email": {
        "subject": "Bestätigen Sie Ihre Adresse für {brand}",
        "heading": "Bestätigen Sie Ihre Adresse",
        "lead": "Ihr Konto bei {brand} hat die Adresse {email}. Bestätigen Sie, dass sie Ihnen gehört.",
        "action": "Adresse bestätigen",
        "limits": "Der Link gilt einmal, {hours} Stunden lang.",
        "otherwise": "Wenn Sie dort kein Konto haben, ignorieren Sie diese E-Mail: Ohne Sie wird nichts bestätigt.",
    },
    "change_email": {
        "subject": "Bestätigen Sie Ihre neue Adresse für {brand}",
        "heading": "Bestätigen Sie Ihre neue Adresse",
        "lead": "Die Adresse Ihres Kontos bei {brand} wurde in {email} geändert. Bestätigen Sie, dass sie Ihnen "
        "gehört.",
        "action": "Adresse bestätigen",
        "limits": "Der Link gilt einmal, {hours} Stunden lang.",
        "otherwise": "Wenn Sie das nicht erwartet haben, ignorieren Sie diese E-Mail: Ohne Sie wird nichts bestätigt.",
    },
    "new_email": {
        "subject": "Bestätigen Sie Ihre neue Adresse für {brand}",
        "heading": "Bestätigen Sie Ihre neue Adresse",
        "lead": "Jemand, der bei {brand} angemeldet ist, möchte für sein Konto die Adresse {email}. Bestätigen Sie, "
        "dass sie Ihnen gehört, dann ändert sie sich.",
        "action": "Zu dieser Adresse wechseln",
        "limits": "Der Link gilt einmal, {hours} Stunden lang. Alle Geräte werden abgemeldet.",
        "otherwise": "Wenn Sie das nicht waren, ignorieren Sie diese E-Mail: Ohne Sie ändert sich nichts.",
    },
    "email_changed": {
        "subject": "Ihr Konto bei {brand} hat eine andere Adresse",
        "heading": "Ihr Konto hat eine andere Adresse",
        "lead": "Ihr Konto bei {brand} hat nicht mehr die Adresse {email}: Jemand, der angemeldet war, hat sie "
        "geändert; alle Geräte sind abgemeldet.",
        "otherwise": "Wenn Sie das nicht waren, benachrichtigen Sie sofort die Betreiber von {brand}.",
    },
    "blocked_account": {
        "subject": "Die Anmeldung bei {brand} ist ausgesetzt",
        "heading": "Zu viele falsche Passwörter",
        "lead": "Für Ihr Konto {email} wurden von der Adresse {ip} aus viele falsche Passwörter eingegeben. Von dort "
        "aus ist die Anmeldung eine Zeit lang ausgesetzt.",
        "action": "Wenn Sie das waren: jetzt wieder anmelden",
        "limits": "Der Link gilt einmal, {hours} Stunden lang. Auch ein neues Passwort beendet die Pause.",
        "otherwise": "Wenn Sie das nicht waren, müssen Sie nichts tun: Niemand hat sich angemeldet.",
    },
    "stolen_credentials": {
        "subject": "Wählen Sie ein neues Passwort für {brand}",
        "heading": "Ihr Passwort ist aus einem Datenleck bekannt",
        "lead": "Das Passwort Ihres Kontos {email} steht in einer Liste von Passwörtern, die anderswo gestohlen "
        "wurden. Wählen Sie ein neues, das Sie sonst nirgends verwenden.",
        "otherwise": "Bei {brand} kennt niemand Ihr Passwort: Es wurde bei der Eingabe mit der Liste verglichen.",
    },
    "join_request": {
        "subject": "{person} möchte zu {organization}",
        "heading": "Jemand möchte beitreten",
        "lead": "{person} hat eine bestätigte Adresse in einer Domain von {organization} und bittet um Aufnahme.",
        "otherwise": "Sie bekommen diese Mail, weil Sie Menschen aufnehmen dürfen. Solange das niemand tut, ändert "
        "sich nichts.",
    },
    "join_approved": {
        "subject": "Sie gehören jetzt zu {organization}",
        "heading": "Willkommen",
        "lead": "Sie haben bei {brand} um Aufnahme in {organization} gebeten, und jemand dort hat zugestimmt.",
        "otherwise": "Wenn Sie nicht darum gebeten haben, sagen Sie es den Betreibern von {brand}.",
    },
    "join_rejected": {
        "subject": "Sie wurden nicht in {organization} aufgenommen",
        "heading": "Sie wurden nicht aufgenommen",
        "lead": "Sie haben bei {brand} um Aufnahme in {organization} gebeten. Jemand dort hat sich dagegen "
        "entschieden.",
        "otherwise": "Wenn Sie das für einen Irrtum halten, fragen Sie dort selbst nach.",
    },
    "attack_notice": {
        "subject": "{tenant}: Schutz vor Angriffen",
        "heading": "Schutz vor Angriffen",
        "lead": "{what} bei {tenant}, von der Adresse {ip} aus.",
        "otherwise": "Mehr steht im Protokoll des Mandanten. Diese E-Mail kommt nur hin und wieder, nicht jedes Mal.",
    },
    "invitation": {
        "subject": "{inviter} lädt Sie zu {organization} ein",
        "heading": "Sie sind zu {organization} eingeladen",
        "lead": "{inviter} lädt Sie mit der Adresse {email} ein, Mitglied von {organization} bei {brand} zu werden.",
        "action": "Einladung ansehen",
        "limits": "Die Einladung gilt bis {until} (UTC) und nur für diese Adresse.",
        "otherwise": "Wenn Sie nicht wissen, von wem das kommt, ignorieren Sie diese E-Mail: Niemand wird Mitglied, "
        "ohne zuzustimmen.",
    },
}

PHRASES: Mapping[str, str] = {
    "login": "Anmeldeversuche mit vielen verschiedenen falschen Passwörtern",
    "registration": "Sehr viele neue Konten",
    "pwd_leak": "Eine Anmeldung mit einem Passwort, das aus einem Datenleck bekannt ist",
    "signup_pwd_leak": "Ein neues Konto mit einem Passwort, das aus einem Datenleck bekannt ist",
    "reset_pwd_leak": "Ein neues Passwort, das aus einem Datenleck bekannt ist",
}

FALLBACK_BRAND = "Ihr Konto"
