#!/bin/sh
# Verifies store, receipts and root, and says so on the console. Exit status 0 only when all of it holds.
set -eu

word() {
    # The value of `name=value` on the kernel command line.
    tr ' ' '\n' < /proc/cmdline | sed -n "s/^$1=//p" | tail -n 1
}

if line=$(/usr/lib/asl/bin/asl history /run/asl/seed/personal --verify \
    --snapshot-hash "$(word asl.history)" --root-hash "$(cat /run/asl/root-hash)" 2> /run/asl/history-error); then
    echo "$line" | tee /run/asl/history-status > /dev/console
    exit 0
fi
cat /run/asl/history-error > /dev/console
echo 'NOT verified' > /run/asl/history-status
exit 1
