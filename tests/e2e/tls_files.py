"""Certificates for tests, made with the openssl command: a root and what it signed."""

import ssl
import subprocess


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


class Certificates:
    """A folder with ca.pem, and NAME.pem and NAME.key for each certificate made."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = folder / "ca.pem"
        openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30",
                "-subj", "/CN=Test root", "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def make(self, name, hosts="DNS:localhost,IP:127.0.0.1", expired=False):
        """Signs a certificate for `hosts`; returns (certificate file, key file)."""
        openssl(self.folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={hosts}\n")
        if expired:
            self.sign_for_the_past(name)
        else:
            openssl(self.folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem",
                    "-CAkey", "ca.key", "-CAcreateserial", "-out", f"{name}.pem",
                    "-extfile", f"{name}.ext", "-days", "30")
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def sign_for_the_past(self, name):
        """By way of `openssl ca`: OpenSSL 3.5 has no negative -days, 3.0 no other way for dates."""
        (self.folder / "index.txt").write_text("")
        (self.folder / "ca.cnf").write_text(
            "[ca]\ndefault_ca=test\n[test]\ndatabase=index.txt\nnew_certs_dir=.\n"
            "default_md=sha256\nrand_serial=yes\npolicy=any\n[any]\ncommonName=supplied\n")
        openssl(self.folder, "ca", "-batch", "-notext", "-config", "ca.cnf",
                "-cert", "ca.pem", "-keyfile", "ca.key", "-in", f"{name}.csr",
                "-out", f"{name}.pem", "-extfile", f"{name}.ext",
                "-startdate", "20240101000000Z", "-enddate", "20240201000000Z")

    def self_signed(self, name):
        openssl(self.folder, "req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
                "-out", f"{name}.pem", "-days", "30", "-subj", f"/CN={name}",
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def server_context(self, files, newest=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        if newest:
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = newest
        return context

    def client_context(self):
        return ssl.create_default_context(cafile=str(self.ca))
