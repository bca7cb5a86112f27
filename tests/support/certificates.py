"""Certificates for tests, made on the spot by the openssl program: nothing expires in the checkout."""

import ssl
import subprocess


class Authority:
    """An authority of its own in `place`; `ca` is its certificate's file."""

    def __init__(self, place, name="batchd test authority"):
        self.place = place
        self.stem = place / name.replace(" ", "-")
        self.ca = self.stem.with_suffix(".pem")
        self.count = 0
        self.openssl("req", "-x509", *self.new_key(self.stem), "-out", self.ca, "-days", "2", "-subj", f"/CN={name}")

    @staticmethod
    def openssl(*arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True)
        if done.returncode != 0:
            raise AssertionError(done.stderr.decode())

    @staticmethod
    def new_key(stem):
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", stem.with_suffix(".key")

    def issue(self, *names):
        """Files (certificate, key) for hosts such as "DNS:sim.test" or "IP:127.0.0.1"."""
        self.count += 1
        stem = self.place / f"{self.stem.name}-{self.count}"
        request, extensions = stem.with_suffix(".csr"), stem.with_suffix(".ext")
        extensions.write_text("subjectAltName=" + ",".join(names) + "\n")
        self.openssl("req", *self.new_key(stem), "-out", request, "-subj", "/CN=batchd test")
        self.openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.stem.with_suffix(".key"), "-CAcreateserial",
                     "-days", "2", "-extfile", extensions, "-out", stem.with_suffix(".pem"))
        return stem.with_suffix(".pem"), stem.with_suffix(".key")

    def server(self, *names):
        """A server's side of TLS that proves to be one of `names`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(*names))
        return context
