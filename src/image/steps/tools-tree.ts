/** Debian's own tools, from which everything in an image is made; each with what it is for. */
export const TOOLS_PACKAGES: Readonly<Record<string, string>> = {
  cpio: 'initramfs archives',
  'cryptsetup-bin': 'veritysetup: dm-verity trees',
  dosfstools: 'mkfs.fat: the ESP',
  'erofs-utils': 'mkfs.erofs: root images',
  'grub-common': 'grub-mkimage: the BIOS boot image',
  'grub-pc-bin': 'GRUB modules and the hybrid boot sector',
  mmdebstrap: 'Debian trees',
  mtools: 'fills FAT images without mounting them',
  'systemd-boot-efi': 'the stub of unified kernel images',
  'systemd-ukify': 'ukify: unified kernel images',
  xorriso: 'ISO images',
  'xz-utils': 'unpacks packages',
  zstd: 'compresses initramfs archives',
}
