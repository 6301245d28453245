#!/bin/sh
# Sourced by dracut: the work is done by a strict script in a process of its own.
if [ -n "$(getarg asl.root=)" ]; then
    /usr/lib/asl/asl-root mount "$(getarg asl.root=)" "$NEWROOT" || die "asl: the root image was not mounted; see above"
fi
