#!/bin/sh
# Sourced by dracut while the wait goes on: says on the console what is being waited for.
[ -n "$(getarg asl.root=)" ] && /usr/lib/asl/asl-root explain "$(getarg asl.root=)"
