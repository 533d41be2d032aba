# Dumps the database and sees that the dump can be read: /archive/TIME.dump, and its checksum beside it.
set -eu
cd /archive
rm -f ./*.dump ./*.sha256
name=$(date -u +%Y%m%dT%H%M%SZ).dump
pg_dump --format=custom --no-owner --no-privileges --lock-wait-timeout=60s --file="$name"
pg_restore --list "$name" >contents
test "$(grep -c -v '^;' contents || true)" -gt 0 || echo "the database holds no tables"
sha256sum "$name" >"$name.sha256"
