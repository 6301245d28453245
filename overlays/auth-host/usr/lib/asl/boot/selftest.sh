#!/bin/sh
# selftest.sh STATUS: under `asl.selftest` on the command line, or as a fw_cfg item of a test machine, reports the status
# to whoever started this machine and powers off. Without either it does nothing.
set -u

asked() {
    grep -qw asl.selftest /proc/cmdline || grep -qw asl.selftest /sys/firmware/qemu_fw_cfg/by_name/opt/asl/cmdline/raw 2> /dev/null
}

asked || exit 0
echo "asl: selftest status $1" > /dev/console
if [ -w /dev/virtio-ports/asl.status ]; then
    printf '{"status":%s}\n' "$1" > /dev/virtio-ports/asl.status
fi
systemctl --no-block poweroff
