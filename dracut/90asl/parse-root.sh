#!/bin/sh
# Sourced by dracut. `root=asl asl.root=<dm-verity root hash>` makes this module responsible for the root.

if [ "$(getarg root=)" = asl ]; then
    asl_root=$(getarg asl.root=)
    case $asl_root in
        *[!0-9a-f]* | '') die "asl: asl.root= on the kernel command line must be a dm-verity root hash" ;;
    esac
    # dracut reads these after it has sourced this file
    # shellcheck disable=SC2034
    root=asl rootok=1
    initqueue_condition='[ -e /run/asl/medium/found ]'
    mkdir -p /run/asl
    printf '%s\n' "$initqueue_condition" > "$hookdir/initqueue/finished/asl.sh"
    unset initqueue_condition
fi
