#!/bin/sh
# Runs when the history could not be verified: the boot has stopped before general services. Says what an operator can do.
set -u

{
    echo 'asl: HISTORY NOT VERIFIED. No general service was started.'
    echo 'asl: the lines above name what is damaged. Check the medium against SHA256SUMS on another machine,'
    echo 'asl: write it anew, or boot a known copy. Nothing on this machine was written.'
} > /dev/console
/usr/lib/asl/boot/selftest.sh 1
