#!/bin/sh
# Sourced by dracut whenever udev has settled: looks once at every block device that has appeared since.
[ -n "$(getarg asl.root=)" ] && /usr/lib/asl/asl-root find "$(getarg asl.root=)"
