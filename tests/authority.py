"""A private certificate authority for tests: certificates for servers and clients, all as PEM text."""

import datetime as dt
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Identity:
    """A certificate and its key."""

    certificate: str
    key: str


class Authority:
    """Signs for one day. `certificate` is its own."""

    def __init__(self, name: str = "test CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        usage = x509.KeyUsage(
            *([False] * 5), key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False
        )
        made = (
            self._builder(self._name, self._key.public_key())
            .add_extension(constraints, critical=True)
            .add_extension(usage, critical=True)
        )
        self.certificate = made.sign(self._key, hashes.SHA256()).public_bytes(PEM).decode()

    def server(self, name: str) -> Identity:
        """For a server of this host name or address."""
        try:
            known: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            known = x509.DNSName(name)
        return self._sign(name, ExtendedKeyUsageOID.SERVER_AUTH, [known])

    def client(self, name: str = "runner") -> Identity:
        """For a client."""
        return self._sign(name, ExtendedKeyUsageOID.CLIENT_AUTH, [x509.DNSName(name)])

    def _sign(self, name: str, purpose: x509.ObjectIdentifier, known: list[x509.GeneralName]) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            self._builder(_name(name), key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectAlternativeName(known), critical=False)
        )
        certificate = made.sign(self._key, hashes.SHA256()).public_bytes(PEM).decode()
        return Identity(certificate, key_pem(key))

    def _builder(self, subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )


def key_pem(key: ec.EllipticCurvePrivateKey, passphrase: str = "") -> str:
    """Give a private key as PEM, encrypted if there is a passphrase."""
    closed = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, closed).decode()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
