#!/bin/sh
# dracut module: finds the medium that carries the root image, opens it under dm-verity and mounts it read-only.
# dracut sources this file; the hooks below run in the initramfs as POSIX sh.

check() {
    return 255 # only when asked for
}

depends() {
    echo base udev-rules dm
}

installkernel() {
    # What must be there before switch_root: storage that an image can lie on, its file systems, and the verified root.
    # A driver that is missing from the kernel package fails the build: =drivers names whole folders, the rest is exact.
    instmods \
        isofs erofs squashfs overlay loop dm-mod dm-verity vfat nls_cp437 nls_ascii nls_iso8859-1 ext4 \
        sr_mod cdrom sd_mod usb-storage uas ahci ata_piix ata_generic nvme sdhci-pci mmc_block \
        xhci-pci xhci-hcd ehci-pci ehci-hcd uhci-hcd ohci-pci usbhid hid-generic \
        virtio_pci virtio_blk virtio_scsi virtio_console qemu_fw_cfg mptspi mptsas megaraid_sas vmw_pvscsi hv_storvsc
}

install() {
    inst_multiple -o dash
    inst_multiple blkid blockdev cat cut dmsetup findmnt losetup ls mkdir modprobe mount sed sleep stat udevadm umount
    inst_hook cmdline 10 "$moddir/parse-root.sh"
    inst_hook initqueue/settled 50 "$moddir/find-medium.sh"
    inst_hook initqueue/timeout 50 "$moddir/find-medium-timeout.sh"
    inst_hook mount 90 "$moddir/mount-root-hook.sh"
    inst_script "$moddir/asl-root.sh" /usr/lib/asl/asl-root
}
