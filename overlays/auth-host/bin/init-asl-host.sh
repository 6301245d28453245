#!/bin/sh
# Shows the history that the medium carries at /run/asl/seed, and at /var/lib/asl/personal while no pool lies there.
# Nothing is written to any disk. Exit status 1 when the medium carries no history.
set -eu

medium=/run/asl/medium/mnt
history=$medium/var/lib/asl/personal

say() {
    echo "asl: $*" > /dev/console
}

if [ ! -f "$history/meta/store.json" ]; then
    say "the medium carries no history at /var/lib/asl/personal"
    exit 1
fi

mkdir -p /run/asl/seed/personal
mount --bind -o ro "$history" /run/asl/seed/personal
mount --bind -o ro "$history" /var/lib/asl/personal
# No pool is configured in this release: state lives in RAM and is gone after the next boot.
echo volatile > /run/asl/storage
say "history shown at /var/lib/asl/personal; writable storage is volatile"
