"""PEM fields: certificates that are certificates, and a private key that belongs to one."""

import warnings
from typing import Annotated, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from pydantic import AfterValidator, Field

from runpass.protocol.credentials.fields import MAX_FILE, Longest, SecretText
from runpass.secret import Secret

PRIVATE_KEY: Final = "PRIVATE KEY-----"
NOT_CERTIFICATES: Final = "must be one or more certificates in PEM, each from BEGIN CERTIFICATE to END CERTIFICATE"


def _certificates(value: str) -> str:
    """Give the certificates alone: what else stands in the text, such as a description, is left out."""
    # SECURITY: these fields are not secret, so nothing secret may come into them by mistake.
    if PRIVATE_KEY in value:
        raise ValueError("must not hold a private key")
    if len(value) > MAX_FILE:
        raise ValueError("is longer than 64 KiB")
    return "".join(item.public_bytes(Encoding.PEM).decode() for item in _load(value))


def _load(pem: str) -> list[x509.Certificate]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whoever uses them decides what is too old
        try:
            found = x509.load_pem_x509_certificates(pem.encode())
            for certificate in found:
                certificate.public_key()
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError(NOT_CERTIFICATES) from None
    return found


def _private_key(value: Secret) -> Secret:
    if len(value.reveal()) > MAX_FILE:
        raise ValueError("is longer than 64 KiB")
    try:
        load_pem_private_key(value.reveal().encode(), password=None)
    except TypeError:
        raise ValueError("must not be encrypted with a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("must be a private key in PEM") from None
    return value


def is_key_of(key: Secret, chain: str) -> bool:
    """Whether this private key is that of the first certificate of the chain; both were validated before."""
    own = load_pem_private_key(key.reveal().encode(), password=None).public_key()
    certified = _load(chain)[0].public_key()
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return own.public_bytes(*form) == certified.public_bytes(*form)


Certificates = Annotated[str, Field(min_length=1), AfterValidator(_certificates), Longest(MAX_FILE)]
PrivateKey = Annotated[SecretText, AfterValidator(_private_key), Longest(MAX_FILE)]
