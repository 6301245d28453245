#!/bin/sh
# Finds, verifies and mounts the root image. The hash on the command line decides, never a label or a device name.
#   asl-root find HASH            looks for /asl/root/HASH.erofs on every block device that can be mounted read-only
#   asl-root explain HASH         says on the console what is missing
#   asl-root mount HASH NEWROOT   opens the image under dm-verity and mounts it
set -eu

MEDIUM=/run/asl/medium

say() {
    echo "asl: $*" > /dev/console
}

candidates() {
    # Whole disks too: an ISO written to a stick is a file system over the whole device.
    for device in /sys/class/block/*; do
        name=${device##*/}
        case $name in
            loop* | ram* | zram* | dm-*) continue ;;
        esac
        [ "$(cat "$device/size")" -gt 0 ] 2> /dev/null || continue
        echo "/dev/$name"
    done
}

find_medium() {
    [ ! -e "$MEDIUM/found" ] || return 0
    mkdir -p "$MEDIUM/mnt"
    for device in $(candidates); do
        kind=$(blkid -p -o value -s TYPE "$device" 2> /dev/null) || continue
        # Read-only alone may still replay a journal: each file system gets the word that forbids it.
        case $kind in
            iso9660 | vfat | squashfs | erofs) options=ro ;;
            ext4) options=ro,noload ;;
            *) continue ;;
        esac
        mount -t "$kind" -o "$options,nodev,nosuid,noexec" "$device" "$MEDIUM/mnt" 2> /dev/null || continue
        if [ -f "$MEDIUM/mnt/asl/root/$1.erofs" ] && [ -f "$MEDIUM/mnt/asl/root/$1.verity" ]; then
            echo "$device" > "$MEDIUM/found"
            say "root image found on $device ($kind)"
            return 0
        fi
        umount "$MEDIUM/mnt"
    done
    return 0
}

explain() {
    [ ! -e "$MEDIUM/found" ] || return 0
    say "still waiting for a medium that holds /asl/root/$1.erofs; block devices seen: $(candidates | tr '\n' ' ')"
}

mount_root() {
    hash=$1 newroot=$2
    [ -e "$MEDIUM/found" ] || { say "no medium holds /asl/root/$hash.erofs"; return 1; }
    data=$(losetup --find --show --read-only "$MEDIUM/mnt/asl/root/$hash.erofs")
    tree=$(losetup --find --show --read-only "$MEDIUM/mnt/asl/root/$hash.verity")
    sectors=$(blockdev --getsz "$data")
    # dm-verity, version 1, 4 KiB blocks, no salt: the layout in docs/spec/image.md. The superblock is block 0 of the tree.
    dmsetup create asl-root --readonly --table \
        "0 $sectors verity 1 $data $tree 4096 4096 $((sectors / 8)) 1 sha256 $hash -"
    udevadm settle
    modprobe erofs
    mount -t erofs -o ro /dev/mapper/asl-root "$newroot" || { say "dm-verity or erofs refuses the root image"; return 1; }
    mount -t tmpfs -o mode=0755,nosuid,nodev,size=50% tmpfs /run/asl/var
    mkdir /run/asl/var/upper /run/asl/var/work
    mount -t overlay -o "lowerdir=$newroot/var,upperdir=/run/asl/var/upper,workdir=/run/asl/var/work,nosuid,nodev" \
        overlay "$newroot/var"
    echo "$hash" > /run/asl/root-hash
}

command=$1
shift
case $command in
    find) find_medium "$1" ;;
    explain) explain "$1" ;;
    mount)
        mkdir -p /run/asl/var
        mount_root "$1" "$2"
        ;;
    *) say "asl-root: unknown command $command"; exit 2 ;;
esac
