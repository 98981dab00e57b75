"""Certificates and keys for a test, made by the openssl command: an authority, and a relay on 127.0.0.1 that it vouches for."""
import base64
import subprocess

EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def openssl(folder, *words):
    return subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=20).stdout


def relay_certificate(folder):
    """ca.pem, relay.pem and relay.key in the folder."""
    openssl(folder, "req", "-x509", *EC, "-days", "2", "-subj", "/CN=Test authority", "-keyout", "ca.key", "-out", "ca.pem")
    openssl(folder, "req", *EC, "-subj", "/CN=relay", "-keyout", "relay.key", "-out", "relay.csr")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl(folder, "x509", "-req", "-in", "relay.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "1", "-days", "2",
            "-extfile", "names", "-out", "relay.pem")


def signing_key(folder, name, kind):
    """NAME.pem, `kind` rsa or ed25519. The value of the DNS record that publishes it."""
    bits = ["-pkeyopt", "rsa_keygen_bits:2048"] if kind == "rsa" else []
    openssl(folder, "genpkey", "-algorithm", kind, *bits, "-out", f"{name}.pem")
    der = openssl(folder, "pkey", "-in", f"{name}.pem", "-pubout", "-outform", "DER")
    public = base64.b64encode(der if kind == "rsa" else der[-32:])    # RFC 8463: the bare key
    return b"v=DKIM1; k=" + kind.encode() + b"; p=" + public
