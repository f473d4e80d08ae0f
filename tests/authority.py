"""A throwaway certificate authority, so that tests speak TLS as everybody else does."""

import datetime as dt
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAMES = (
    "localhost", "acme.localhost", "app.acme.localhost", "globex.localhost", "initech.localhost", "empty.localhost",
    "folder.localhost",
)  # fmt: skip


@dataclass(frozen=True)
class Authority:
    """`file` is what a client must trust; `server` is for whoever listens."""

    file: Path
    server: ssl.SSLContext


def new_authority(folder: Path, *names: str) -> Authority:
    """Certificates for `names` (the demo's hosts if none are given) and for 127.0.0.1."""
    key, name = ec.generate_private_key(ec.SECP256R1()), _name("Keystead tests")
    root = _certificate(name, key.public_key(), name, key, ca=True)
    own = ec.generate_private_key(ec.SECP256R1())
    leaf = _certificate(_name("server"), own.public_key(), name, key, names=names or NAMES)
    file, chain = folder / "authority.pem", folder / "server.pem"
    file.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    private = own.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(private + leaf.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return Authority(file, context)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name,
    public: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    ca: bool = False,
    names: tuple[str, ...] = (),
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=ca,
                crl_sign=ca,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if names:
        hosts: list[x509.GeneralName] = [x509.DNSName(host) for host in names]
        alternatives = x509.SubjectAlternativeName([*hosts, x509.IPAddress(ip_address("127.0.0.1"))])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(key, hashes.SHA256())
