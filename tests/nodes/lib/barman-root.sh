#!/usr/bin/env bash
# barman-root.sh BASE WORK MIRROR SUITE leaves in WORK/added what barman-cloud needs besides the root file system BASE. Runs in a
# mount namespace.
set -euo pipefail

base=$1 work=$2 mirror=$3 suite=$4
root=$work/root added=$work/added
mount --make-rprivate /
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
proxy=$(apt-config dump --format '%v%n' Acquire::http::Proxy)

mkdir -p "$root" "$added" "$work/scratch"
mount -t overlay overlay -o "lowerdir=$base,upperdir=$added,workdir=$work/scratch" "$root"
mount -t proc proc "$root/proc"
# The network may have changed since the base was made.
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
echo "deb $mirror $suite main" >"$root/etc/apt/sources.list"
apt=(chroot "$root" apt-get -o "Acquire::http::Proxy=$proxy" --yes --no-install-recommends)
"${apt[@]}" update
"${apt[@]}" install barman-cli-cloud python3-boto3 python3-snappy

# Of the hundreds of services that boto3 knows, barman needs these.
find "$root/usr/lib/python3/dist-packages/botocore/data" -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name sts -exec rm -rf {} +
# What is packed has no times, by which Python knows that what it compiled is current: each call would compile for seconds.
chroot "$root" python3 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3 /usr/lib/python3.*
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/usr/share/{doc,man,locale}
# A layer marks what it takes away in another way than an overlay does.
gone=$(find "$added" -type c)
[[ -z $gone ]] || { echo "files of the base were removed: $gone"; exit 1; }
chmod 0755 "$added"
