#!/usr/bin/env bash
# postgresql-root.sh TOOLS ROOT MIRROR SUITE MAJOR makes the root file system of the PostgreSQL image. Runs in a mount namespace.
set -euo pipefail

tools=$1 root=$2 mirror=$3 suite=$4 major=$5
mount --make-rprivate /
export PATH=$tools/usr/sbin:$PATH DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
# apt's proxy is debootstrap's.
proxy=$(apt-config dump --format '%v%n' Acquire::http::Proxy)
[[ -z $proxy ]] || export http_proxy=$proxy

mkdir -p "$root"/etc/{dpkg/dpkg.cfg.d,postgresql-common}
# Nothing survives an interrupted making, so dpkg need not wait for the disk; the rest keeps the image small.
cat >"$root/etc/dpkg/dpkg.cfg.d/test-bed" <<'TEXT'
force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/lib/postgresql/*/lib/bitcode/*
TEXT
debootstrap --variant=minbase --keyring="$tools/usr/share/keyrings/debian-archive-keyring.gpg" "$suite" "$root" "$mirror"

# The user and group that CloudNativePG runs as. Debian gives the number to a group for tape drives.
chroot "$root" groupdel tape
chroot "$root" groupadd --gid 26 --system postgres
chroot "$root" useradd --uid 26 --gid 26 --system --home-dir /var/lib/postgresql --shell /bin/bash postgres
echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 0755 "$root/usr/sbin/policy-rc.d"
chroot "$root" apt-get -o Acquire::http::Proxy="$proxy" install --yes --no-install-recommends \
  "postgresql-$major" pgbouncer

# CloudNativePG calls it there.
ln -sf ../sbin/pgbouncer "$root/usr/bin/pgbouncer"
# Just-in-time compilation is most of the image; without its library PostgreSQL leaves it off.
rm -rf "$root"/usr/lib/*/libLLVM* "$root"/usr/lib/llvm* "$root/usr/lib/postgresql/$major/lib/"{llvmjit.so,llvmjit_types.bc,bitcode}
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/usr/share/{doc,man,locale} "$root/usr/sbin/policy-rc.d"
chmod 0755 "$root"
