# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options with which every module connects to the Docker daemon."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation shared by the modules."""

    DOCUMENTATION = r"""
options:
  docker_host:
    description:
      - The URL of the Docker daemon's socket.
      - Modules that read or write volumes' files run on the Docker host itself and accept C(unix://) only.
      - If the value is not given, the environment variable E(DOCKER_HOST) is used instead.
    type: str
    default: unix:///var/run/docker.sock
    aliases: [docker_url]
  tls:
    description:
      - Whether to speak TLS without verifying the daemon's certificate. O(validate_certs) turns TLS on as well.
      - If the value is not given, the environment variable E(DOCKER_TLS) is used instead.
    type: bool
    default: false
  validate_certs:
    description:
      - Whether to speak TLS and verify the daemon's certificate.
      - If the value is not given, the environment variable E(DOCKER_TLS_VERIFY) is used instead.
    type: bool
    default: false
    aliases: [tls_verify]
  tls_hostname:
    description:
      - The name that the daemon's certificate must have, where it isn't the one in O(docker_host).
      - If the value is not given, the environment variable E(DOCKER_TLS_HOSTNAME) is used instead.
    type: str
  ca_path:
    description:
      - The path of a PEM file with the certificates of the authorities to trust.
      - If the value is not given, C(ca.pem) in the directory that the environment variable E(DOCKER_CERT_PATH)
        names is used instead.
    type: path
    aliases: [ca_cert, tls_ca_cert, cacert_path]
  client_cert:
    description:
      - The path of a PEM file with the client's certificate.
      - If the value is not given, C(cert.pem) in the directory that the environment variable E(DOCKER_CERT_PATH)
        names is used instead.
    type: path
    aliases: [tls_client_cert, cert_path]
  client_key:
    description:
      - The path of a PEM file with the client's key.
      - If the value is not given, C(key.pem) in the directory that the environment variable E(DOCKER_CERT_PATH)
        names is used instead.
    type: path
    aliases: [tls_client_key, key_path]
  api_version:
    description:
      - The version of the Docker API to speak. V(auto) takes what the daemon speaks.
      - If the value is not given, the environment variable E(DOCKER_API_VERSION) is used instead.
    type: str
    default: auto
    aliases: [docker_api_version]
  timeout:
    description:
      - How long to wait for an answer of the daemon, in seconds.
      - If the value is not given, the environment variable E(DOCKER_TIMEOUT) is used instead.
    type: int
    default: 60
attributes:
  action_group:
    description: Use C(group/drydock.volumes.docker) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - drydock.volumes.docker
requirements:
  - On the target, the Python package C(docker) 5.0 or newer (Debian's C(python3-docker)).
"""
